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
    weights = [Image.fromarray(visible.astype(np.float32))]
    while weights[-1].getextrema()[0] == 0:
        weights.append(weights[-1].reduce(2))
    result = colour.copy()
    for band in range(colour.shape[2]):
        plane = _continued((colour[..., band] * visible).astype(np.float32), weights)
        result[..., band][~visible] = np.rint(plane[~visible])
    return result


def _continued(plane: NDArray[np.float32], weights: list[Image.Image]) -> NDArray[np.float32]:
    """A plane that is 0 where it is not visible, continued; `weights` are the shares of visible pixels by level."""
    sums = [Image.fromarray(plane)]
    for _ in weights[1:]:
        sums.append(sums[-1].reduce(2))
    found: NDArray[Any] | None = None
    for total, weight in zip(reversed(sums), reversed(weights), strict=True):
        share = np.asarray(weight)
        mean = np.asarray(total) / np.where(share > 0, share, np.float32(1))
        if found is not None:
            half = (0, 0, total.width / 2, total.height / 2)
            coarse = Image.fromarray(found).resize(total.size, Image.Resampling.BILINEAR, half)
            mean = np.where(share > 0, mean, np.asarray(coarse))
        found = mean
    assert found is not None
    return found
