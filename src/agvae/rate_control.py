"""Find the quality for a wanted size or PSNR.

Size and PSNR rise with the level.  Over most of the range the logarithm of the size and the PSNR are nearly linear
in it, so a secant step or two arrive; a bracket that only shrinks makes sure that the search ends.  Every
trial is a real file: the answer holds for what is written, with its metadata and alpha.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from agvae.quality import MAX_LEVEL

SIZE_TOLERANCE = 0.01
"""A file has at most this share of its target's size less, and never more."""
PSNR_TOLERANCE = 0.05
"""dB by which a PSNR may miss its target."""

_SIZE_SLOPE = math.log(22) / MAX_LEVEL
_PSNR_SLOPE = 13.0 / MAX_LEVEL
"""Rise for each level over the whole range: where the search starts from."""


class Target(NamedTuple):
    """What a file shall come to: `kind` is "size" in bytes, "bpp" or "psnr" in dB."""

    kind: str
    value: float


def encode_to_size(encode: Callable[[int], bytes], target: float) -> bytes:
    """The largest file of at most `target` bytes: within 1 % of it, unless the best quality or a tiny file ends below.

    Args:
        encode: gives the file of a level.
        target: bytes.

    Raises:
        ValueError: the smallest file has more bytes.
    """
    limit = math.floor(target)
    files: dict[int, bytes] = {}

    def excess(level: int) -> float:
        files[level] = encode(level)
        return math.log(len(files[level]) / limit) if limit else math.inf

    level = find_level(excess, (math.log(1 - SIZE_TOLERANCE), 0.0), _SIZE_SLOPE)
    if level is None:
        msg = f"a size of {limit} bytes cannot be reached: at the lowest quality the file has {len(files[0])} bytes"
        raise ValueError(msg)
    return files[level]


def encode_to_psnr(encode: Callable[[int], bytes], psnr: Callable[[bytes], float], target: float) -> bytes:
    """The file whose PSNR is within 0.05 dB of a target, or that of the lowest quality if even that is better.

    Args:
        encode: gives the file of a level.
        psnr: gives the PSNR of a file in dB, may be infinite.
        target: dB.

    Raises:
        ValueError: the best quality does not reach the target.
    """
    files: dict[int, bytes] = {}
    reached: dict[int, float] = {}

    def excess(level: int) -> float:
        files[level] = encode(level)
        reached[level] = psnr(files[level])
        return reached[level] - target

    level = find_level(excess, (-PSNR_TOLERANCE, PSNR_TOLERANCE), _PSNR_SLOPE)
    level = 0 if level is None else level
    if level == MAX_LEVEL and reached[level] < target - PSNR_TOLERANCE:
        msg = f"a PSNR of {target:g} dB cannot be reached: at the best quality it is {reached[level]:.2f} dB"
        raise ValueError(msg)
    return files[level]


def find_level(error: Callable[[int], float], bounds: tuple[float, float], slope: float) -> int | None:
    """A level whose error lies within bounds; if there is none, the highest one whose error lies below them.

    Args:
        error: of a level, 0 .. 20480; rises with it, if not at every single step.  Called about four times.
        bounds: (lowest, highest) error.
        slope: roughly how much the error rises for each level, positive.

    Returns:
        The level, for which `error` was called; None if even level 0 is above the bounds.
    """
    lowest, highest = bounds
    aim = (lowest + highest) / 2
    below, above = -1, MAX_LEVEL + 1
    errors: dict[int, float] = {}
    level = MAX_LEVEL // 2
    while True:
        found = errors[level] = error(level)
        if lowest <= found <= highest:
            return level
        if found < lowest:
            below = level
        else:
            above = level
        if above - below <= 1:
            return below if below >= 0 else None
        if below in errors and above in errors and math.isfinite(errors[below]) and math.isfinite(errors[above]):
            slope = (errors[above] - errors[below]) / (above - below)
        guess = level + (aim - found) / slope if math.isfinite(found) else math.nan
        if len(errors) % 5 == 0 or not math.isfinite(guess):  # against a curve that bends: halve the bracket
            guess = (below + above) / 2 if below >= 0 else 0
        level = min(max(round(guess), below + 1), above - 1)
