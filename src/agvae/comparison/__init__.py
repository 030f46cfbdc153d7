"""One picture by several codecs, at equal size or equal quality, as a page to look at."""

from agvae.comparison.compared import Comparison, compare, write_page

__all__ = ["Comparison", "compare", "write_page"]
