"""Pictures as a page to look at: zoom, the values of pixels, numbers and metadata."""

from agvae.viewing.viewer import View, read_view, view_page

__all__ = ["View", "read_view", "view_page"]
