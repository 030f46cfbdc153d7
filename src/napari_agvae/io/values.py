"""Numbers of any range as the 8 or 16-bit codes that files hold, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOP_GREY = 65535
TOP_COLOUR = 255
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float16", "float32", "float64")
MAX_INTEGER = 2**53
"""Integers up to this are exact in float64, in which values are mapped."""


@dataclass(frozen=True)
class ValueMap:
    """value = low + code (high - low) / top, codes being whole numbers from 0 to top.

    Attributes:
        dtype: name of the values' type, one of `INTEGERS` or `FLOATS`.
        low, high: the values of the codes 0 and top, finite, low <= high; integers if the type is one.
        top: the greatest code, 1 .. 65535.

    Raises:
        ValueError: one of these is something else.
    """

    dtype: str
    low: float
    high: float
    top: int

    def __post_init__(self) -> None:
        numbers = [value for value in (self.low, self.high) if type(value) in (int, float)]
        good = len(numbers) == 2 and type(self.top) is int and 1 <= self.top <= TOP_GREY
        if good and self.dtype in INTEGERS:
            bounds = np.iinfo(self.dtype)
            good = all(type(value) is int and abs(value) <= MAX_INTEGER for value in numbers)
            good = good and bounds.min <= self.low <= self.high <= bounds.max
        elif good:
            largest = float(np.finfo(self.dtype).max) if self.dtype in FLOATS else 0.0
            good = all(abs(value) <= largest for value in numbers) and 0 <= self.high - self.low < math.inf
        if not good:
            msg = f"impossible range of values: {self!r:.200}"
            raise ValueError(msg)

    def to_codes(self, values: NDArray[Any]) -> NDArray[np.uint16]:
        """The nearest codes, uint16; values outside low .. high get that of the nearer of the two."""
        codes: NDArray[np.uint16] = np.rint(self.scaled(values)).astype(np.uint16)
        return codes

    def scaled(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Codes before they are rounded, float64."""
        span = float(self.high) - float(self.low)
        scaled: NDArray[np.float64] = (values.astype(np.float64) - self.low) / (span or 1.0) * self.top
        return scaled.clip(0, self.top)

    def to_values(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Values of the type `dtype`."""
        dtype = np.dtype(self.dtype)
        values = self.low + np.minimum(codes, self.top) * ((float(self.high) - float(self.low)) / self.top)
        values = (np.rint(values) if dtype.kind in "iu" else values).clip(self.low, self.high)
        typed: NDArray[Any] = values.astype(dtype)
        return typed


@dataclass(frozen=True)
class FrameMaps:
    """How the frames of a layer become codes: one map for each of them in turn, or a single one for all.

    Raises:
        ValueError: they differ in more than their ranges.
    """

    maps: tuple[ValueMap, ...]

    def __post_init__(self) -> None:
        if len({(each.dtype, each.top) for each in self.maps}) != 1:
            msg = "the frames of a layer must have values of one type"
            raise ValueError(msg)

    @classmethod
    def from_json(cls, found: Mapping[str, Any], count: int) -> FrameMaps:
        """Of a layer of so many frames, as docs/FORMAT.md has them.

        Raises:
            ValueError: they are impossible, or of another number of frames.
        """
        low, high = found.get("low"), found.get("high")
        lows, highs = (bounds if isinstance(bounds, list) else [bounds] for bounds in (low, high))
        if isinstance(low, list) != isinstance(high, list) or len(lows) != len(highs) or len(lows) not in (1, count):
            msg = f"ranges of values do not fit {count} frames"
            raise ValueError(msg)
        return cls(
            tuple(
                ValueMap(found.get("dtype", ""), *pair, found.get("top", 0)) for pair in zip(lows, highs, strict=True)
            )
        )

    def to_json(self) -> dict[str, Any]:
        """As docs/FORMAT.md has it: one range where all frames have the same."""
        first = self.maps[0]
        if all(each == first for each in self.maps):
            return vars(first)
        ranges = {"low": [each.low for each in self.maps], "high": [each.high for each in self.maps]}
        return vars(first) | ranges

    def __getitem__(self, frame: int) -> ValueMap:
        return self.maps[frame if len(self.maps) > 1 else 0]

    @property
    def range(self) -> tuple[float, float]:
        """The lowest and the highest value of all frames."""
        return min(each.low for each in self.maps), max(each.high for each in self.maps)


def grey_map(dtype: np.dtype[Any], low: float, high: float) -> ValueMap:
    """The map of grey values to 16 bits, which keeps integers apart where their range has no more than 65536 of them.

    Raises:
        ValueError: low or high is not finite, or too large.
    """
    number = int if dtype.kind in "iu" else float
    return ValueMap(dtype.name, number(low), number(high), TOP_GREY)


def colour_map(dtype: np.dtype[Any], low: float, high: float) -> ValueMap:
    """The map of colour to 8 bits: from 0 .. 1, of integers 0 .. 255, widened to low .. high where that is more.

    Raises:
        ValueError: low or high is not finite, or too large.
    """
    if dtype.kind in "iu":
        return ValueMap(dtype.name, min(0, int(low)), max(min(TOP_COLOUR, np.iinfo(dtype).max), int(high)), TOP_COLOUR)
    return ValueMap(dtype.name, min(0.0, float(low)), max(1.0, float(high)), TOP_COLOUR)


def exact_map(values: NDArray[Any], *, colour: bool) -> ValueMap | None:
    """A map to 16 bits, of colour to 8, from which all these values come back as they are; None if none is known.

    Args:
        values: finite.
    """
    low, high = values.min().item(), values.max().item()
    make, ranges = (colour_map, [(low, high)]) if colour else (grey_map, _steps(values.dtype, low, high))
    for bounds in ranges:
        with suppress(ValueError):
            found = make(values.dtype, *bounds)
            if np.array_equal(found.to_values(found.to_codes(values)), values):
                return found
    return None


def _steps(dtype: np.dtype[Any], low: float, high: float) -> list[tuple[float, float]]:
    """Ranges whose 65535 steps are whole, or 1/255 or 1/65535 as of divided integers, or that of the values."""
    integers = dtype.kind in "iu"
    limits = np.iinfo(dtype) if integers else np.finfo(dtype)
    least, most = max(int(limits.min), -MAX_INTEGER), min(int(limits.max), MAX_INTEGER)
    span = min(TOP_GREY, most - least)
    start = next((each for each in (0, -(2**15)) if each <= low and high <= each + span), low)
    start = max(least, min(start, most - span))
    return [(start, start + span)] + ([] if integers else [(0, TOP_GREY // TOP_COLOUR), (0, 1), (low, high)])


def alpha_map(dtype: np.dtype[Any]) -> ValueMap:
    """The map of alpha to 8 bits: from 0 .. 1, of integers from 0 to the greatest of their type.

    Raises:
        ValueError: integers of 64 bits.
    """
    return ValueMap(dtype.name, 0, np.iinfo(dtype).max if dtype.kind in "iu" else 1, TOP_COLOUR)
