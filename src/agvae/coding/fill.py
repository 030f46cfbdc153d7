"""Colour for transparent pixels, where nobody sees it: the smooth continuation of the visible one around them.

Noise, black or white there would cost bits, and at every edge of what is visible also quality, since a transform codes
both sides of it at once.  The fill is that of a pyramid (Gortler et al., The Lumigraph, 1996, section 3.4): means of
the visible pixels in ever larger squares, from which the gaps are filled on the way back.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_NOTHING_VISIBLE = 128


def filled(colour: NDArray[np.uint8], visible: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A copy with other colour where it is not visible.

    Args:
        colour: (H, W, C).
        visible: (H, W).
    """
    if not visible.any():
        return np.full_like(colour, _NOTHING_VISIBLE)
    shares = [_halved(visible)]
    while shares[-1].getextrema()[0] == 0:
        shares.append(shares[-1].reduce(2))
    size, hidden, result = (visible.shape[1], visible.shape[0]), ~visible, colour.copy()
    for band in range(colour.shape[2]):
        sums = [_halved(colour[..., band] * visible)]
        for _ in shares[1:]:
            sums.append(sums[-1].reduce(2))
        result[..., band][hidden] = np.rint(np.asarray(_finer(_continued(sums, shares), size))[hidden])
    return result


def _halved(plane: NDArray[Any]) -> Image.Image:
    """The means of 2 x 2 pixels."""
    return Image.fromarray(plane.astype(np.float32)).reduce(2)


def _continued(sums: list[Image.Image], shares: list[Image.Image]) -> Image.Image:
    """The lowest level of a plane without gaps.

    Args:
        sums: by level, means of the plane, which is 0 where it is not visible.
        shares: by level, how much of that is visible; of the last one, some everywhere.
    """
    found: Image.Image | None = None
    for total, share in zip(reversed(sums), map(np.asarray, reversed(shares)), strict=True):
        mean = np.asarray(total) / np.where(share > 0, share, np.float32(1))
        if found is not None:
            mean = np.where(share > 0, mean, np.asarray(_finer(found, total.size)))
        found = Image.fromarray(mean)
    assert found is not None
    return found


def _finer(plane: Image.Image, size: tuple[int, int]) -> Image.Image:
    return plane.resize(size, Image.Resampling.BILINEAR, (0, 0, size[0] / 2, size[1] / 2))
