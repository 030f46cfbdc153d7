"""Pages to look at: one HTML file each, with all that it shows, which needs no network and asks for none."""

from agvae.pages.templates import data_url, pieces, printable

__all__ = ["data_url", "pieces", "printable"]
