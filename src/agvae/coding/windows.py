"""What g_a and g_s see of an image: windows of aligned boxes, with the halo that pixels and latents depend on.

Images are padded at the right and bottom to multiples of 32 pixels, so that tiles hold whole 2 x 2 groups of latents.
"""

from __future__ import annotations

from collections.abc import Hashable

from agvae.boxes import Box, Slices, round_up

STRIDE = 16
"""Pixels a side of a latent."""
ALIGNMENT = 2 * STRIDE


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
        self.outer = Box(
            max(0, left - halo),
            max(0, top - halo),
            min(round_up(size[0], ALIGNMENT), right + halo),
            min(round_up(size[1], ALIGNMENT), bottom + halo),
        )

    @property
    def shape(self) -> Hashable:
        """Equal for windows that can share a batch."""
        return (self.outer.width, self.outer.height, *(b - o for b, o in zip(self.box, self.outer, strict=True)))

    @property
    def inner(self) -> Slices:
        """Rows and columns of the box in pixels of `outer`."""
        return self.box.within(self.outer)

    @property
    def inner_latents(self) -> Slices:
        """Rows and columns of the padded box in latents of `outer`."""
        return padded(self.box).within(self.outer, STRIDE)


def padded(box: Box) -> Box:
    """The smallest box around it that holds whole 2 x 2 groups of latents."""
    return box.aligned(ALIGNMENT)


def latent_shape(box: Box) -> tuple[int, int]:
    """Rows and columns of the latents of a padded box."""
    outer = padded(box)
    return outer.height // STRIDE, outer.width // STRIDE
