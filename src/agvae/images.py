"""The image files of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".ppm"})


def read_rgb(file: Path | IO[bytes], name: str) -> Image.Image:
    """An image as RGB, with its pixels loaded.

    Raises:
        OSError: it cannot be read, for whatever reason; the message starts with the name.
    """
    try:
        with Image.open(file) as image:
            return image.convert("RGB")
    except UnidentifiedImageError as error:
        msg = f"{name}: cannot identify image file"
        raise OSError(msg) from error
    except Exception as error:  # Pillow's readers raise all kinds at broken files
        msg = f"{name}: {str(error) or type(error).__name__}"
        raise OSError(msg) from error
