"""Where a picture is a graphic: blocks with repeated or few colours, whose pixels are worth coding without loss.

Everything here is cheap beside the networks, since photographs pay for it, too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK = 32
"""Pixels a side of a block; tiles hold whole ones."""
_REPEATED = 0.5
"""Share of pixels equal to the left or upper neighbour from which a block may be a graphic."""
_FEW = 48
"""Most colours of a block that may be one without repeating its neighbours: dither, mosaics, pixel art."""
_BITS = 9.0
"""Of a pixel without loss that does not repeat a neighbour, roughly."""

Map = NDArray[np.bool_]
"""Of a picture's blocks, (rows, columns)."""


class Blocks(NamedTuple):
    """What is known of a picture's blocks.

    Attributes:
        graphic: which may be worth it.
        bits: of each without loss, roughly, (rows, columns) float.
    """

    graphic: Map
    bits: NDArray[np.float64]


def look_at(colour: NDArray[np.uint8]) -> Blocks:
    """The blocks of an image (H, W, 3)."""
    values: NDArray[np.uint32] = colour.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    new = np.ones(values.shape, np.bool_)
    new[:, 1:] = values[:, 1:] != values[:, :-1]
    new[1:] &= values[1:] != values[:-1]
    news, sizes = sums(new), sums(np.ones(values.shape, np.bool_))
    colours = _colours(values)
    rough = np.minimum(_BITS * news, sizes * np.log2(colours + 1))
    few = np.minimum(_FEW, sizes / 8)  # small ones at the edge have few in any case
    return Blocks((news <= (1 - _REPEATED) * sizes) | (colours <= few), rough)


def sums(plane: NDArray[Any], side: int = BLOCK) -> NDArray[np.float64]:
    """Of each square of a plane (H, W), those of blocks if no other side is given."""
    rows = np.add.reduceat(plane, np.arange(0, plane.shape[0], side), axis=0, dtype=np.float64)
    total: NDArray[np.float64] = np.add.reduceat(rows, np.arange(0, plane.shape[1], side), axis=1)
    return total


def pixels_of(blocks: Map, height: int, width: int) -> Map:
    """The pixels of a picture's blocks, (height, width)."""
    return blocks.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)[:height, :width]


def inner(blocks: Map) -> Map:
    """The blocks all of whose neighbours are among them; beyond the picture all are."""
    around = np.pad(blocks, 1, constant_values=True)
    rows = around[:-2] & around[1:-1] & around[2:]
    return rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]


def _colours(values: NDArray[np.uint32]) -> NDArray[np.float64]:
    """About how many colours each block has, up to 256: those that differ in a hash of 8 bits."""
    height, width = values.shape
    rows, columns = -(-height // BLOCK), -(-width // BLOCK)
    hashes = (values * np.uint32(0x9E3779B1)) >> np.uint32(24)
    block = np.arange(height)[:, None] // BLOCK * columns + np.arange(width) // BLOCK
    seen = np.zeros(rows * columns * 256, np.bool_)
    seen[(block.astype(np.uint32) * np.uint32(256) + hashes).ravel()] = True
    return seen.reshape(rows, columns, 256).sum(axis=2).astype(np.float64)
