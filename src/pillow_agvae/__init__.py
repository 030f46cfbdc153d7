"""Pillow plugin for .agv images: importing it registers the format, so does calling `register` again.

`save` is `Image.save` for files that are not to be lost: it writes whole or not at all.
"""

from __future__ import annotations

from pillow_agvae.AgvImagePlugin import register
from pillow_agvae.saving import save_whole as save

__all__ = ["register", "save"]
