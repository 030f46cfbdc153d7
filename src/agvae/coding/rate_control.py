"""Find the quality for a wanted size or PSNR.

Size and, for most pictures, PSNR rise with the level.  Over most of the range the logarithm of the size and the PSNR
are nearly linear in it, so a secant step or two arrive; a bracket that only shrinks makes sure that the search ends.
The PSNR of dark, noisy or flat pictures falls again or jumps: where the bracket does not arrive, the whole range is
looked at.  Every trial is a real file: the answer holds for what is written, with its metadata and alpha.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import NamedTuple

from agvae.quality import LEVEL_STEPS, MAX_LEVEL, level_to_quality

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


class OutOfReachError(ValueError):
    """No file of a wanted size was found; `smallest` are the bytes of the smallest."""

    def __init__(self, text: str, smallest: int) -> None:
        super().__init__(text)
        self.smallest = smallest


def encode_to_size(encode: Callable[[int], bytes], target: float) -> bytes:
    """The largest file found of at most `target` bytes: within 1 % of it, unless the best quality or a tiny file ends
    below.

    Args:
        encode: gives the file of a level.
        target: bytes.

    Raises:
        OutOfReachError: the smallest file found has more bytes.
    """
    limit = math.floor(target)
    files: dict[int, bytes] = {}

    def excess(level: int) -> float:
        files[level] = encode(level)
        return math.log(len(files[level]) / limit) if limit else math.inf

    find_level(excess, (math.log(1 - SIZE_TOLERANCE), 0.0), _SIZE_SLOPE)
    fitting = [data for data in files.values() if len(data) <= limit]
    if not fitting:
        smallest = min(files, key=lambda level: len(files[level]))
        msg = (
            f"a size of {limit} bytes cannot be reached: the smallest of {len(files)} files that were tried has "
            f"{len(files[smallest])} bytes, at quality {level_to_quality(smallest):.4g}"
        )
        raise OutOfReachError(msg, len(files[smallest]))
    return max(fitting, key=len)


def encode_to_psnr(encode: Callable[[int], bytes], psnr: Callable[[bytes], float], target: float) -> bytes:
    """The smallest file found whose PSNR is within 0.05 dB of a target; if none is, the smallest found above that.

    The second is that of the lowest quality where even that is better.

    Args:
        encode: gives the file of a level.
        psnr: gives the PSNR of a file in dB, may be infinite.
        target: dB.

    Raises:
        ValueError: no file found reaches the target.
    """
    files: dict[int, bytes] = {}
    found: dict[int, float] = {}

    def excess(level: int) -> float:
        files[level] = encode(level)
        found[level] = psnr(files[level]) - target
        return found[level]

    if find_level(excess, (-PSNR_TOLERANCE, PSNR_TOLERANCE), _PSNR_SLOPE) is None:
        return files[0]
    if not any(map(_is_met, found.values())):
        _look_everywhere(excess, found)
    reached = [level for level in files if found[level] >= -PSNR_TOLERANCE]
    if not reached:
        best = max(found, key=lambda level: found[level])
        msg = (
            f"a PSNR of {target:g} dB cannot be reached: the best of {len(files)} qualities that were tried is "
            f"{level_to_quality(best):.4g}, with {target + found[best]:.2f} dB"
        )
        raise ValueError(msg)
    met = [level for level in reached if _is_met(found[level])]
    return min((files[level] for level in met or reached), key=len)


def _is_met(excess: float) -> bool:
    return abs(excess) <= PSNR_TOLERANCE


def _look_everywhere(excess: Callable[[int], float], found: Mapping[int, float]) -> None:
    """Try levels all over the range, then between those where the PSNR crosses the target, until it is met.

    Args:
        excess: of a level; puts what it gives into `found`.
        found: what was tried before.
    """
    for level in range(0, MAX_LEVEL + 1, LEVEL_STEPS // 2):
        if level not in found and _is_met(excess(level)):
            return
    for low, high in pairwise(sorted(found)):
        while high - low > 1 and (found[low] < 0) != (found[high] < 0):
            middle = (low + high) // 2
            if _is_met(excess(middle)):
                return
            low, high = (low, middle) if (found[middle] < 0) != (found[low] < 0) else (middle, high)


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
