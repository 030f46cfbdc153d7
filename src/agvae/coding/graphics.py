"""Where a picture is a graphic: blocks of colours that are repeated, few or in even steps, worth coding without loss.

Everything here is cheap beside the networks, since photographs pay for it, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BLOCK = 32
"""Pixels a side of a block; tiles hold whole ones."""
_FORESEEN = 0.5
"""Share of pixels that follow from their neighbours from which a block may be a graphic."""
_FEW = 48
"""Most colours of a block that may be one without repeating its neighbours: dither, mosaics, pixel art.  Few values of
16 bits are photons, which were counted."""
_NOISE, _STEP = 0.25, 9
"""Largest share of a block's pixels that are off their neighbours by so little, in the sum of all bands, where it may
be a graphic: in smooth greys, as of microscopes, a pixel is often one of its neighbours by chance."""
_SMALL = 0.5
"""Share of the changing pixels that may change by next to nothing in a drawing; where all is smooth it is more."""
_BITS = 9.0
"""Of a pixel without loss that does not follow from its neighbours, roughly."""
_ROUGH = 2500.0
"""Mean square of the steps between pixels, over 2, from which a block is no texture of a photograph: mosaics of a
sensor, interlaced frames, white noise."""
_PALETTE, _GREYS = 256, 64
"""Most colours, or shades of grey, of a picture whose colours somebody chose; photographs of grey have more."""
_PIXELS_OF_COLOUR = 8
"""Pixels for each colour of such a picture, at the least: any small picture has few."""
_BAND = 8 * BLOCK
"""Rows that are looked at together."""
_ROWS = 4
"""Every how many rows are enough to see that a block is rough."""
_SAMPLED = 8
"""Every how many rows and columns are enough to see that most photographs have more."""

Map = NDArray[np.bool_]
"""Of a picture's blocks, (rows, columns)."""


class Blocks(NamedTuple):
    """What is known of a picture's blocks.

    Attributes:
        graphic: which look like graphics.
        edged: which change from pixel to pixel by much, where they do, rather than by little as what is smooth.
        rough: which are rougher than photographs, so that a model may fail on them.
        bits: of each without loss, roughly, (rows, columns) float.
        palette: the picture as a whole has few colours, which are not those of a photograph.
    """

    graphic: Map
    edged: Map
    rough: Map
    bits: NDArray[np.float64]
    palette: bool

    @property
    def tried(self) -> Map:
        """Which may be worth it."""
        return self.graphic | self.rough


def look_at(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> Blocks:
    """The blocks of an image, (H, W, 3) of 8 bits or (H, W) of 16."""
    unit = np.float32(1 if pixels.ndim == 3 else 255 / max(int(pixels.max()), 1))

    def looked_at(rows: NDArray[Any], above: int) -> tuple[NDArray[np.float64], ...]:
        values = _packed(rows)
        new, uneven = _new(values)
        planes = (new, uneven, *_noisy(rows, uneven))
        return *(sums(plane[above:]) for plane in planes), _colours(values[above:]), _roughness(rows[above:], unit)

    news, uneven, noisy, changing, colours, roughness = in_bands(looked_at, pixels)
    sizes = _sizes(*pixels.shape[:2])
    rough = np.minimum(_BITS * news, sizes * np.log2(colours + 1))
    few = np.minimum(_FEW if pixels.ndim == 3 else 1, sizes / 8)  # small ones at the edge have few in any case
    palette = pixels.ndim == 3 and _is_of_palette(pixels)
    most = (1 - _FORESEEN) * sizes
    clean = (noisy <= _NOISE * sizes) | (pixels.ndim == 2)
    graphic = (uneven <= most) | (((news <= most) | (colours <= few)) & clean) | palette
    return Blocks(graphic, noisy <= _SMALL * changing, roughness > _ROUGH * sizes, rough, palette)


def in_bands(
    work: Callable[[NDArray[Any], int], tuple[NDArray[np.float64], ...]], pixels: NDArray[Any]
) -> list[NDArray[np.float64]]:
    """Planes of a picture's blocks, (rows, columns) each, from bands of its rows: large pictures take no more memory.

    Args:
        work: gives those of a band, of its rows and the one above it, if there is one; and the number of these.
    """
    bands = [work(pixels[max(top - 1, 0) : top + _BAND], min(top, 1)) for top in range(0, len(pixels), _BAND)]
    return [np.concatenate(planes) for planes in zip(*bands, strict=True)]


def _new(values: NDArray[np.uint32]) -> tuple[Map, Map]:
    """Which pixels do not follow from their neighbours in any way; and which not by the plane through three of them."""
    new = np.ones(values.shape, np.bool_)
    uneven = np.ones(values.shape, np.bool_)
    left, above, before = values[1:, :-1], values[:-1, 1:], values[:-1, :-1]
    new[:, 1:] = values[:, 1:] != values[:, :-1]
    new[1:] &= values[1:] != values[:-1]
    uneven[1:, 1:] = values[1:, 1:] != left + above - before
    uneven[0], uneven[:, 0] = new[0], new[:, 0]
    new[1:, 1:] &= (values[1:, 1:] != before) & uneven[1:, 1:]
    new[1:, :-1] &= left != above  # of a pixel and its upper right
    return new, uneven


def _noisy(pixels: NDArray[Any], uneven: Map) -> tuple[Map, Map]:
    """Which pixels are a little off the one before, and off the plane through three neighbours, too; which at all."""
    levels = np.atleast_3d(pixels).sum(axis=2, dtype=np.int32)
    steps = np.abs(np.diff(levels, axis=1))
    changing = np.zeros(uneven.shape, np.bool_)
    changing[:, 1:] = (steps > 0) & uneven[:, 1:]
    noisy = changing.copy()
    noisy[:, 1:] &= steps <= _STEP
    return noisy, changing


def _sizes(height: int, width: int) -> NDArray[np.float64]:
    """Pixels of each block."""
    rows, columns = (np.minimum(BLOCK, side - np.arange(0, side, BLOCK)) for side in (height, width))
    return np.outer(rows, columns).astype(np.float64)


def sums(plane: NDArray[Any], side: int = BLOCK, height: int | None = None) -> NDArray[np.float64]:
    """Of each square of a plane (H, W), or box of another height, those of blocks if no other side is given."""
    rows = np.add.reduceat(plane, np.arange(0, plane.shape[0], height or side), axis=0, dtype=np.float64)
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


def _packed(pixels: NDArray[Any]) -> NDArray[np.uint32]:
    """Each pixel as one number; what is added of them is so in all bands at once, modulo 2^32."""
    bands = np.atleast_3d(pixels)
    values = bands[..., 0].astype(np.uint32)
    for band in range(1, bands.shape[2]):
        values <<= np.uint32(8)
        values |= bands[..., band]
    return values


def _roughness(pixels: NDArray[Any], unit: np.float32) -> NDArray[np.float64]:
    """Of each block, the squares of the steps from pixel to pixel over 2, in units of 8 bits: from one row of a few."""
    band = pixels[..., 1] if pixels.ndim == 3 else pixels * unit
    rows, below = band[::_ROWS].astype(np.float32), band[1::_ROWS].astype(np.float32)
    total = np.zeros(rows.shape, np.float32)
    total[:, 1:] = np.square(np.diff(rows, axis=1))
    total[: len(below)] += np.square(below - rows[: len(below)])
    return sums(total, height=BLOCK // _ROWS) * (_ROWS / 4)


def _colours(values: NDArray[np.uint32]) -> NDArray[np.float64]:
    """About how many colours each block has, up to 256: those that differ in a hash of 8 bits."""
    height, width = values.shape
    rows, columns = -(-height // BLOCK), -(-width // BLOCK)
    hashes = (values * np.uint32(0x9E3779B1)) >> np.uint32(24)
    block = np.arange(height)[:, None] // BLOCK * columns + np.arange(width) // BLOCK
    seen = np.zeros(rows * columns * 256, np.bool_)
    seen[(block.astype(np.uint32) * np.uint32(256) + hashes).ravel()] = True
    return seen.reshape(rows, columns, 256).sum(axis=2).astype(np.float64)


def _is_of_palette(pixels: NDArray[Any]) -> bool:
    """Whether an image (H, W, 3) of 8 bits has few colours, and most of them none beside them, as has a palette.

    A dark or smooth photograph may have as few, but side by side.
    """
    colours = np.zeros((0, 3), np.int16)
    for part in (pixels[::_SAMPLED, ::_SAMPLED], pixels):
        found = Image.fromarray(np.ascontiguousarray(part)).getcolors(_PALETTE)
        if found is None:
            return False
        colours = np.array([colour for _, colour in found], np.int16)
        if len(colours) > _GREYS and (colours == colours[:, :1]).all():
            return False
    distances = np.abs(colours[:, None] - colours).max(axis=2)
    apart = (distances <= 1).sum(axis=1) == 1
    return len(colours) * _PIXELS_OF_COLOUR <= pixels.shape[0] * pixels.shape[1] and bool(apart.mean() > 0.5)
