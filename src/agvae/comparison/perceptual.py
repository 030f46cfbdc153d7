"""SSIMULACRA2, which measures what people see, by the package `ssimulacra2` where it is installed (extra: eval)."""

from __future__ import annotations

import io
from importlib.util import find_spec

from PIL import Image

_SMALLEST = 8
"""Pixels a side."""


def available() -> bool:
    return find_spec("ssimulacra2") is not None


def ssimulacra2(reference: Image.Image, image: Image.Image) -> float | None:
    """100 without any difference, from 90 on none that is seen, below 30 poor; None for an image too small for it.

    Args:
        reference, image: RGB of one size.
    """
    from ssimulacra2 import compute_ssimulacra2

    if min(reference.size) < _SMALLEST:
        return None
    files = []
    for pixels in (reference, image):
        files.append(io.BytesIO())
        pixels.save(files[-1], "BMP")  # it reads files alone
    return float(compute_ssimulacra2(*files))
