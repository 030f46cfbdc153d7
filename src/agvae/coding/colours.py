"""Fewer colours: graphics that take fewer bytes without loss once colours that are nearly alike have become one.

Letters and lines of screens have hundreds of shades at their edges.  A few dozen show them as well, and without the
halos of a codec that loses something everywhere.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agvae.boxes import grid
from agvae.coding.graphics import Map
from agvae.coding.lossless import encode_colour
from agvae.lazy import lazy

_SIZES = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""Numbers of colours that are tried."""
_COPIED = (0.75, 2.5)
"""Bits that a pixel may save if it follows from a neighbour, as they are tried."""
_SAMPLE = 384
"""Side of the part of a picture that tells which colours are best."""
_ROWS = 256
"""Whose colours are counted together."""
_MOST = 1 << 16
"""Colours beyond which it is no graphic."""
_SHARE = 0.5
"""Of a group's pixels that have one colour, from which all get it: flat ground stays as it is."""

_CELL, _SMOOTH, _SEEN = 8, 12, 8.0
"""Side of the cells of a picture in which errors count so many times where no band varies by more levels: steps in what
was smooth are seen, and flat areas are told apart by their colours."""
_WORTH = 0.85
"""Share of the bits without loss that fewer colours have to stay below: two labels do not become one for next to
nothing."""

Pixels = NDArray[np.uint8]
Values = NDArray[np.uint32]
Weights = NDArray[np.float64]
_NONE: tuple[Values, Weights] = np.zeros(0, np.uint32), np.zeros(0)


@dataclass(frozen=True, eq=False)
class Colours:
    """Which colour becomes which.

    Attributes:
        before: (n,), sorted; a colour is red + 256 green + 65536 blue.
        after: (n,).
        slack: squared error as it counts, mean over bands, by which a pixel that follows from neither neighbour may be
            worse for taking the colour of one.
    """

    before: Values
    after: Values
    slack: float = 0.0

    def of(self, image: Pixels) -> Pixels:
        """An image (H, W, 3) in its new colours; those that have none stay as they are."""
        values = _packed(image)
        place = np.searchsorted(self.before, values).clip(max=len(self.before) - 1)
        new = np.where(self.before[place] == values, self.after[place], values)
        if self.slack:
            slack = (self.slack / counts_of_errors(image)).astype(np.float32)
            _follow(new, values, slack)
            new = np.ascontiguousarray(new.T)
            _follow(new, values.T, slack.T)
            new = new.T
        return _bands(new)


def counts_of_errors(image: Pixels) -> Weights:
    """How many times an error counts in each pixel of an image (H, W, 3)."""
    rows, columns = (np.arange(0, side, _CELL) for side in image.shape[:2])
    highest, lowest = (
        kind.reduceat(kind.reduceat(image, rows, axis=0), columns, axis=1) for kind in (np.maximum, np.minimum)
    )
    counts = np.where((highest - lowest).max(axis=2) <= _SMOOTH, _SEEN, 1.0)
    return counts.repeat(_CELL, axis=0).repeat(_CELL, axis=1)[: image.shape[0], : image.shape[1]]


def _follow(new: Values, values: Values, slack: NDArray[np.float32]) -> None:
    """Give pixels unlike those above and before them the colour above, where this is hardly worse."""
    for above, row, wanted, more in zip(new[:-1], new[1:], values[1:], slack[1:], strict=True):
        differs = row != above
        differs[1:] &= row[1:] != row[:-1]
        at = np.flatnonzero(differs)
        other, own, aim = above[at], row[at], wanted[at]
        row[at] = np.where(_squares(other, aim) < _squares(own, aim) + more[at], other, own)


def _squares(a: Values, b: Values) -> NDArray[np.float32]:
    """Squared differences of colours, mean over bands."""
    total: NDArray[np.float32] = np.zeros(a.shape, np.float32)
    for shift in (0, 8, 16):
        total += np.square((a >> shift & 255).astype(np.float32) - (b >> shift & 255))
    return total / np.float32(3)


class Laid(NamedTuple):
    """What of a picture is coded without loss.

    Attributes:
        blocks: (rows, columns).
        colours: in which, if not in its own.
    """

    blocks: Map
    colours: Colours | None = None


class Fewer:
    """Fewer colours for part of an image, at one price after another.

    Args:
        image: (H, W, 3).
        there: which pixels (H, W) are coded.
    """

    def __init__(self, image: Pixels, there: Map) -> None:
        self._palettes = _Palettes(*(_counted(image, there) or _NONE))
        self._sizes = list(self._palettes.squares)
        boxes = grid(image.shape[1], image.shape[0], _SAMPLE)
        place = max(boxes, key=lambda box: int(there[box.slices].sum())).slices
        self._pixels, self._there = image[place].copy(), there[place].copy()
        self._share = float(self._there.sum() / max(there.sum(), 1))
        self._known: dict[tuple[int, float], tuple[float, float]] = {}

    def at(self, price: float) -> Colours | None:
        """Those of the least R + beta D; None if the image has too many colours, or fewer take as many bits.

        Args:
            price: bits that a squared error costs, mean over bands.
        """
        if not self._sizes:
            return None

        def cost(k: int, slack: float = 0.0) -> float:
            bits, squares = self._tried(k, slack)
            return bits + price * squares

        last = len(self._sizes) - 1
        best = min(range(0, last + 1, 2), key=cost)
        best = min(range(max(best - 1, 0), min(best + 1, last) + 1), key=cost)
        slack = min((0.0, *(bits / price for bits in _COPIED)), key=lambda slack: cost(best, slack))
        if slack and cost(min(best + 1, last), slack) < cost(best, slack):
            best += 1
        bits, _ = self._tried(best, slack)
        return self._palettes.colours(self._sizes[best], slack) if bits < _WORTH * self._exact_bits else None

    @lazy
    def _exact_bits(self) -> float:
        """Of all in its own colours."""
        return 8 * len(encode_colour(self._pixels, self._there)) / self._share

    def _tried(self, k: int, slack: float) -> tuple[float, float]:
        """Bits and squared error of all: the bits, and what the error has of slack, by those of a sample."""
        size = self._sizes[k]
        if (k, slack) not in self._known:
            new = self._palettes.colours(size, slack).of(self._pixels)
            bits = 8 * len(encode_colour(new, self._there))
            squares = self._palettes.squares[size]
            if slack:
                squares += (self._error(new) - self._error(self._palettes.colours(size).of(self._pixels))) / self._share
            self._known[k, slack] = bits / self._share, squares
        return self._known[k, slack]

    def _error(self, new: Pixels) -> float:
        squares = np.square(new.astype(np.float32) - self._pixels).mean(axis=2) * counts_of_errors(self._pixels)
        return float(squares.sum(where=self._there))


def _counted(image: Pixels, there: Map) -> tuple[Values, Weights] | None:
    """The colours of some pixels of an image, sorted, and how much errors of each count; None for too many colours."""
    values, counts = _NONE
    for top in range(0, len(image), _ROWS):
        rows, wanted = image[top : top + _ROWS], there[top : top + _ROWS]
        errors = counts_of_errors(rows)
        for count in (1.0, _SEEN):
            pixels = rows[wanted & (errors == count)]
            found = Image.fromarray(pixels[None]).getcolors(_MOST) if len(pixels) else []
            if found is None:
                return None
            more = _packed(np.array([colour for _, colour in found], np.uint8).reshape(-1, 3))
            values, place = np.unique(np.concatenate((values, more)), return_inverse=True)
            counts = np.bincount(place, np.concatenate((counts, [count * often for often, _ in found]))).astype(float)
        if len(values) > _MOST:
            return None
    return values, counts


class _Palettes:
    """Those of a graphic with one size after another.

    Args:
        before, counts: its colours, sorted, and how much errors of each count.

    Attributes:
        squares: by the number of colours the squared error as it counts, summed over pixels, mean over bands.
    """

    def __init__(self, before: Values, counts: Weights) -> None:
        self._before, self._counts = before, counts
        self._points = _bands(before).astype(np.float64)
        self._groups: dict[int, NDArray[np.intp]] = {}
        self.squares: dict[int, float] = {}
        self._split([size for size in _SIZES if size < len(before)])

    def colours(self, size: int, slack: float = 0.0) -> Colours:
        return Colours(self._before, _packed(self._chosen(self._groups[size])), slack)

    def _split(self, sizes: Sequence[int]) -> None:
        """Split the group of the largest error in two, again and again."""
        if not sizes:
            return
        groups = np.zeros(len(self._before), np.intp)
        everything = np.arange(len(self._before))
        heap = [(-self._error(everything), 0, everything)]
        for size in sizes:
            while len(heap) < size:
                _, number, group = heapq.heappop(heap)
                parts = self._halves(group)
                groups[parts[1]] = len(heap) + 1
                for part, new in zip(parts, (number, len(heap) + 1), strict=True):
                    heapq.heappush(heap, (-self._error(part), new, part))
            self._groups[size] = groups.copy()
            errors = np.square(self._points - self._chosen(groups)).mean(axis=1)
            self.squares[size] = float(errors @ self._counts)

    def _halves(self, group: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Across the direction in which the colours of a group differ most, where this leaves the least error."""
        points, counts = self._points[group], self._counts[group]
        centred = points - np.average(points, axis=0, weights=counts)
        _, directions = np.linalg.eigh(np.einsum("n,ni,nj->ij", counts, centred, centred))
        along: NDArray[np.float64] = centred @ directions[:, -1]
        order = along.argsort(kind="stable")
        weight = counts[order].cumsum()[:-1]
        moment = (along * counts)[order].cumsum()[:-1]
        place = int((moment**2 / (weight * (counts.sum() - weight))).argmax()) + 1
        return group[order[:place]], group[order[place:]]

    def _error(self, group: NDArray[np.intp]) -> float:
        points, counts = self._points[group], self._counts[group]
        return float(counts @ np.square(points - np.average(points, axis=0, weights=counts)).sum(axis=1))

    def _chosen(self, groups: NDArray[np.intp]) -> Pixels:
        """The colour of each group: its mean, or that which most of it has, for each of the colours."""
        weights = np.bincount(groups, self._counts)
        means = np.stack([np.bincount(groups, band * self._counts) for band in self._points.T], axis=1)
        chosen = np.rint(means / np.maximum(weights, 1)[:, None])
        most = np.flatnonzero(self._counts >= _SHARE * weights[groups])
        chosen[groups[most]] = self._points[most]
        return chosen[groups].astype(np.uint8)


def _packed(pixels: Pixels) -> Values:
    bands = pixels.astype(np.uint32)
    return bands[..., 0] | bands[..., 1] << np.uint32(8) | bands[..., 2] << np.uint32(16)


def _bands(values: Values) -> Pixels:
    return np.stack([values >> np.uint32(shift) & np.uint32(255) for shift in (0, 8, 16)], axis=-1).astype(np.uint8)
