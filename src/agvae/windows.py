"""Boxes of an image, in pixels, and the latents that they stand on.

A box is (left, top, right, bottom).  Images are padded at the right and bottom to multiples of 32 pixels, so that
tiles hold whole 2 x 2 groups of latents.
"""

from __future__ import annotations

from collections.abc import Hashable

from agvae.container import Box, grid_boxes
from agvae.networks.transforms import STRIDE

ALIGNMENT = 2 * STRIDE

Slices = tuple[slice, slice]


class Window:
    """A box with the halo that its pixels or latents depend on.

    Args:
        box: within the image.
        size: (width, height) of the image.
        halo: pixels around the box, a multiple of 16.

    Attributes:
        box: as given.
        outer: padded box and halo, cut off at the edges of the padded image; multiples of 16.
    """

    def __init__(self, box: Box, size: tuple[int, int], halo: int) -> None:
        left, top, right, bottom = padded(box)
        self.box = box
        self.outer = (
            max(0, left - halo),
            max(0, top - halo),
            min(_up(size[0]), right + halo),
            min(_up(size[1]), bottom + halo),
        )

    @property
    def shape(self) -> Hashable:
        """Equal for windows that can share a batch."""
        left, top, right, bottom = self.outer
        return (right - left, bottom - top, *(b - o for b, o in zip(self.box, self.outer, strict=True)))

    @property
    def inner(self) -> Slices:
        """Rows and columns of the box in pixels of `outer`."""
        return slices(self.box, self.outer)

    @property
    def inner_latents(self) -> Slices:
        """Rows and columns of the padded box in latents of `outer`."""
        return slices(padded(self.box), self.outer, STRIDE)


def padded(box: Box) -> Box:
    """The smallest box around it that is aligned to 32 pixels."""
    left, top, right, bottom = box
    return left // ALIGNMENT * ALIGNMENT, top // ALIGNMENT * ALIGNMENT, _up(right), _up(bottom)


def overlap(a: Box, b: Box) -> Box | None:
    """What two boxes share, None if nothing."""
    left, top, right, bottom = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    return (left, top, right, bottom) if left < right and top < bottom else None


def slices(box: Box, outer: Box, unit: int = 1) -> Slices:
    """Rows and columns of a box within another, in units of so many pixels."""
    left, top = outer[0], outer[1]
    return (
        slice((box[1] - top) // unit, (box[3] - top) // unit),
        slice((box[0] - left) // unit, (box[2] - left) // unit),
    )


def split(box: Box, side: int) -> list[Box]:
    """The box in squares of `side` pixels, row by row; those at the right and bottom are smaller."""
    left, top, right, bottom = box
    grid = grid_boxes(right - left, bottom - top, side)
    return [(left + x0, top + y0, left + x1, top + y1) for x0, y0, x1, y1 in grid]


def size(box: Box) -> int:
    """Pixels of a box."""
    return (box[2] - box[0]) * (box[3] - box[1])


def latent_shape(box: Box) -> tuple[int, int]:
    """Rows and columns of the latents of a padded box."""
    left, top, right, bottom = padded(box)
    return (bottom - top) // STRIDE, (right - left) // STRIDE


def _up(pixels: int) -> int:
    return -(-pixels // ALIGNMENT) * ALIGNMENT
