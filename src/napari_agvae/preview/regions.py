"""Which part of a slice to preview first."""

from __future__ import annotations

import math
from collections.abc import Sequence

from agvae.boxes import Box

ALIGNMENT = 32
"""What the codec rounds the sides of pictures up to."""
SMALLEST, LARGEST = 192, 512
"""Side in pixels of what is coded while dragging; below, the halo and MS-SSIM's windows would leave nothing."""
SECONDS = 0.2
"""A preview while dragging is to take about so long."""


def visible_box(corners: Sequence[Sequence[float]], factor: float, size: tuple[int, int]) -> Box:
    """The part of a slice of (width, height) that is on view, the whole slice if nothing of it is.

    Args:
        corners: first and last (row, column) on view, of the level of a pyramid that is smaller by `factor`.
    """
    (top, left), (bottom, right) = corners
    width, height = size
    left, right = max(0, math.floor(left * factor)), min(width, math.ceil((right + 1) * factor))
    top, bottom = max(0, math.floor(top * factor)), min(height, math.ceil((bottom + 1) * factor))
    return Box(left, top, right, bottom) if left < right and top < bottom else Box(0, 0, width, height)


def central_box(visible: Box, side: int) -> Box:
    """The middle of the visible part, `side` pixels a side where there are as many."""
    width, height = min(side, visible.width), min(side, visible.height)
    x, y = (visible.left + visible.right - width) // 2, (visible.top + visible.bottom - height) // 2
    return Box(x, y, x + width, y + height)


def stages(visible: Box, size: tuple[int, int], side: int, *, whole: bool) -> list[Box]:
    """What to code one after the other: the middle, what is visible, and if wanted the whole slice.

    What is not much larger than what comes before it takes its place.
    """
    everything = Box(0, 0, *size)
    boxes = [central_box(visible, side), visible, *([everything] if whole else [])]
    return [box for box, larger in zip(boxes, [*boxes[1:], None], strict=True) if larger is None or _worth(box, larger)]


def next_side(side: int, seconds: float, pixels: int) -> int:
    """The side that would have taken `SECONDS`, a multiple of 32, where so many pixels took so long."""
    wanted = math.sqrt(SECONDS / max(seconds, 1e-3) * pixels)
    smooth = math.sqrt(wanted * side)
    return min(max(round(smooth / ALIGNMENT) * ALIGNMENT, SMALLEST), LARGEST)


def _worth(box: Box, larger: Box) -> bool:
    return 2 * box.area <= larger.area
