"""Boxes of pixels: their sides and area, what two of them share, and grids of tiles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

Slices = tuple[slice, slice]


class Box(NamedTuple):
    """A rectangle of pixels; right and bottom are the first ones outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def area(self) -> int:
        """Pixels of it."""
        return self.width * self.height

    @property
    def slices(self) -> Slices:
        """Its rows and columns in an array of the whole image."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def overlap(self, other: Box) -> Box | None:
        """What the two share, None if nothing."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        return Box(left, top, right, bottom) if left < right and top < bottom else None

    def within(self, outer: Box, unit: int = 1) -> Slices:
        """Its rows and columns in an array of another box's pixels, or of squares of `unit` x `unit` of them."""
        left, top = outer.left, outer.top
        return (
            slice((self.top - top) // unit, (self.bottom - top) // unit),
            slice((self.left - left) // unit, (self.right - left) // unit),
        )

    def aligned(self, unit: int) -> Box:
        """The smallest box around it whose sides lie at multiples of `unit`."""
        return Box(
            self.left // unit * unit, self.top // unit * unit, round_up(self.right, unit), round_up(self.bottom, unit)
        )

    def split(self, side: int) -> list[Box]:
        """It in squares of `side` pixels, row by row; those at the right and bottom are smaller."""
        boxes = grid(self.width, self.height, side)
        return [Box(self.left + x0, self.top + y0, self.left + x1, self.top + y1) for x0, y0, x1, y1 in boxes]


def around(boxes: Iterable[Box]) -> Box:
    """The smallest box that holds all of one or more."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return Box(min(lefts), min(tops), max(rights), max(bottoms))


def grid(width: int, height: int, side: int) -> list[Box]:
    """The squares of an image, row by row; those at the right and bottom are smaller."""
    return [grid_box(width, height, side, number) for number in range(grid_size(width, height, side))]


def grid_box(width: int, height: int, side: int, number: int) -> Box:
    """One of the squares of `grid`."""
    row, column = divmod(number, -(-width // side))
    left, top = column * side, row * side
    return Box(left, top, min(left + side, width), min(top + side, height))


def grid_size(width: int, height: int, side: int) -> int:
    """How many squares `grid` has."""
    return -(-width // side) * -(-height // side)


def round_up(pixels: int, unit: int) -> int:
    """The next multiple of `unit`."""
    return -(-pixels // unit) * unit
