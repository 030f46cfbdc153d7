"""The image files of a data set."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError

_NO_PIXELS = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})
"""What Pillow knows but reads with other programs or on one system alone, or not at all."""
_BACKGROUND = (255, 255, 255, 255)


def is_image_name(path: PurePath) -> bool:
    """Whether a file is not hidden and has a suffix of a format that Pillow reads, with the plugins there are."""
    form = Image.registered_extensions().get(path.suffix.lower())
    return form in Image.OPEN and form not in _NO_PIXELS and not path.name.startswith(".")


def read_rgb(file: Path | IO[bytes], name: str) -> Image.Image:
    """The first frame of an image as RGB, with its pixels loaded and without metadata.

    What is transparent lies on white. Numbers of more than 8 bits, of which there is one for each pixel, are scaled
    from their lowest and highest, as .agv files store them, to 0 and 255. Profiles are not applied: samples are what
    the file says, as codecs see them. Orientation is as stored.

    Raises:
        OSError: it cannot be read, for whatever reason; the message starts with the name.
    """
    try:
        with Image.open(file) as image:
            rgb = _rgb(image)
    except UnidentifiedImageError as error:
        msg = f"{name}: cannot identify image file"
        raise OSError(msg) from error
    except Exception as error:  # Pillow's readers raise all kinds at broken files
        msg = f"{name}: {str(error) or type(error).__name__}"
        raise OSError(msg) from error
    rgb.info = {}  # Pillow's writers take profiles and more from there
    return rgb


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return _scaled(np.asarray(image)).convert("RGB")
    if image.has_transparency_data:
        background = Image.new("RGBA", image.size, _BACKGROUND)
        return Image.alpha_composite(background, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _scaled(values: np.ndarray) -> Image.Image:
    """Grey from the lowest to the highest value, black if they are equal."""
    low, high = float(values.min()), float(values.max())
    if not np.isfinite((low, high)).all():
        msg = "has values that are no numbers"
        raise ValueError(msg)
    scaled = (values.astype(np.float64) - low) * (255 / (high - low) if high > low else 0)
    return Image.fromarray(scaled.round().astype(np.uint8))
