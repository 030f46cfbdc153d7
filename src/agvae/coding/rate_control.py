"""Find the quality for a wanted size or PSNR.

Size and, for most pictures, PSNR rise with the level.  Over most of the range the logarithm of the size and the PSNR
are nearly linear in it, so a secant step or two arrive; a bracket that only shrinks makes sure that the search ends.
Where more of a picture is worth coding without loss, its size jumps: what is without loss below stays so beyond.
The PSNR of dark, noisy or flat pictures falls again or jumps: where the bracket does not arrive, the whole range is
looked at.  Every trial is a real file: the answer holds for what is written, with its metadata and alpha.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from agvae.quality import LEVEL_STEPS, MAX_LEVEL, level_to_quality

SIZE_TOLERANCE = 0.01
"""A file has at most this share of its target's size less, and never more."""
PSNR_TOLERANCE = 0.05
"""dB by which a PSNR may miss its target."""

_TRIALS = 8
"""After which the size is taken to jump, not to bend."""

_NEAR = 4
"""Trials from a level that is nearly right."""

_SIZE_SLOPE = math.log(22) / MAX_LEVEL
_PSNR_SLOPE = 13.0 / MAX_LEVEL
"""Rise for each level over the whole range: where the search starts from."""

_PSNR_BOUNDS = (-PSNR_TOLERANCE, PSNR_TOLERANCE)


class Target(NamedTuple):
    """What a file shall come to: `kind` is "size" in bytes, "bpp" or "psnr" in dB."""

    kind: str
    value: float


class _Trial(NamedTuple):
    """A file, its level, and by how much it exceeds a target: logarithm of their ratio, or dB."""

    data: bytes
    level: int
    excess: float


def encode_to_size(
    encode: Callable[[int], bytes],
    target: float,
    alike: Callable[[int, int], bytes] | None = None,
    refined: Callable[[int, bytes], bytes] | None = None,
    psnr: Callable[[bytes], float] | None = None,
) -> bytes:
    """The largest file found of at most `target` bytes: within 1 % of it, unless the best quality or a tiny file ends
    below.  The largest of more effort is preferred, unless a plain one is better.

    Args:
        encode: gives the file of a level.
        target: bytes.
        alike: gives the file of a level in which what is without loss is that of the file of another level, or nothing
            if that is -1.
        refined: gives the file of a level, of more effort, in which what is without loss is that of a file.
        psnr: gives the PSNR of a file in dB, which tells the better one; without it that is the one of more effort.

    Raises:
        ValueError: the smallest file found has more bytes.
    """
    limit = math.floor(target)
    bounds = (math.log(1 - SIZE_TOLERANCE), 0.0)
    trials: list[_Trial] = []
    excesses: dict[int, float] = {-1: -math.inf}

    def excess(data: bytes, level: int) -> float:
        trials.append(_Trial(data, level, math.log(len(data) / limit) if limit else math.inf))
        return trials[-1].excess

    def found(level: int) -> float:
        excesses[level] = excess(encode(level), level)
        return excesses[level]

    level = find_level(found, bounds, _SIZE_SLOPE, most=None if alike is None else _TRIALS)
    below = -1 if level is None else level
    if alike is not None and excesses[below] < bounds[0] and below < MAX_LEVEL:
        known = below, excesses[below]
        find_level(lambda level: excess(alike(level, below), level), bounds, _SIZE_SLOPE, known)
    best, count = _largest(trials), len(trials)
    if refined is not None:
        start = best or min(trials, key=_size)
        _approach(lambda level: excess(refined(level, start.data), level), bounds, _SIZE_SLOPE, start.level)
        more = _largest(trials[count:])
        if more and not (best and psnr and psnr(best.data) > psnr(more.data)):
            best = more
    if best is None:
        smallest = min(trials, key=_size)
        msg = (
            f"a size of {limit} bytes cannot be reached: the smallest of {len(trials)} files that were tried has "
            f"{len(smallest.data)} bytes, at quality {level_to_quality(smallest.level):.4g}"
        )
        raise ValueError(msg)
    return best.data


def encode_to_psnr(
    encode: Callable[[int], bytes],
    psnr: Callable[[bytes], float],
    target: float,
    alike: Callable[[int, int], bytes] | None = None,
    refined: Callable[[int, bytes], bytes] | None = None,
) -> bytes:
    """The smallest file found whose PSNR is within 0.05 dB of a target, or above it.

    The second is that of the lowest quality where even that is better, or one to which the PSNR jumps.

    Args:
        encode, alike, refined: give files as those of `encode_to_size`.
        psnr: gives the PSNR of a file in dB, may be infinite.
        target: dB.

    Raises:
        ValueError: no file found reaches the target.
    """
    trials: list[_Trial] = []

    def excess(data: bytes, level: int) -> float:
        trials.append(_Trial(data, level, psnr(data) - target))
        return trials[-1].excess

    _search(encode, alike, excess, trials)
    if refined is not None:
        start = _smallest(trials) or max(trials, key=_excess)
        _approach(lambda level: excess(refined(level, start.data), level), _PSNR_BOUNDS, _PSNR_SLOPE, start.level)
    smallest = _smallest(trials)
    if smallest is None:
        best = max(trials, key=_excess)
        msg = (
            f"a PSNR of {target:g} dB cannot be reached: the best of {len({trial.level for trial in trials})} "
            f"qualities that were tried is {level_to_quality(best.level):.4g}, with {target + best.excess:.2f} dB"
        )
        raise ValueError(msg)
    return smallest.data


def _search(
    encode: Callable[[int], bytes],
    alike: Callable[[int, int], bytes] | None,
    excess: Callable[[bytes, int], float],
    trials: Sequence[_Trial],
) -> None:
    """Try levels until the PSNR of one meets a target; where it jumps over it, levels with more or less without loss.

    Args:
        encode, alike: as of `encode_to_size`.
        excess: of a file and its level; adds them to `trials`.
    """
    found: dict[int, float] = {}

    def plain(level: int) -> float:
        found[level] = excess(encode(level), level)
        return found[level]

    below = find_level(plain, _PSNR_BOUNDS, _PSNR_SLOPE, most=None if alike is None else _TRIALS) or 0
    if below not in found:
        plain(below)
    if found[below] > PSNR_TOLERANCE or any(map(_is_met, found.values())):
        return
    smallest = _smallest(trials)
    if alike is None or smallest is None or alike(smallest.level, below) == smallest.data:
        _look_everywhere(plain, found)
        return

    def beside(other: int, level: int) -> float:
        return excess(alike(level, other), level)

    for other in (below, smallest.level):
        find_level(partial(beside, other), _PSNR_BOUNDS, _PSNR_SLOPE, most=_TRIALS)


def _approach(error: Callable[[int], float], bounds: tuple[float, float], slope: float, level: int) -> None:
    """Try a level and a few near it, by secants, until the error of one lies within bounds."""
    errors: dict[int, float] = {}
    while level not in errors and len(errors) < _NEAR:
        found = error(level)
        if bounds[0] <= found <= bounds[1] or not math.isfinite(found):
            return
        for other, before in errors.items():
            slope = max((found - before) / (level - other), slope / 3)
        errors[level] = found
        level = min(max(round(level + (sum(bounds) / 2 - found) / slope), 0), MAX_LEVEL)


def _is_met(excess: float) -> bool:
    return abs(excess) <= PSNR_TOLERANCE


def _excess(trial: _Trial) -> float:
    return trial.excess


def _size(trial: _Trial) -> int:
    return len(trial.data)


def _largest(trials: Iterable[_Trial]) -> _Trial | None:
    """The largest file that fits a target's size."""
    return max((trial for trial in trials if trial.excess <= 0), key=_size, default=None)


def _smallest(trials: Iterable[_Trial]) -> _Trial | None:
    """The smallest file that reaches a target's PSNR."""
    reached = (trial for trial in trials if trial.excess >= -PSNR_TOLERANCE)
    return min(reached, key=_size, default=None)


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


def find_level(
    error: Callable[[int], float],
    bounds: tuple[float, float],
    slope: float,
    known: tuple[int, float] = (-1, -math.inf),
    most: int | None = None,
) -> int | None:
    """A level whose error lies within bounds; if there is none, the highest one whose error lies below them.

    Args:
        error: of a level, 0 .. 20480; rises with it, if not at every single step.  Called about four times.
        bounds: (lowest, highest) error.
        slope: roughly how much the error rises for each level, positive.
        known: a level whose error lies below the bounds, and that; -1 if there is none.
        most: give up after so many calls.

    Returns:
        The level, for which `error` was called, or the known one; None if even level 0 is above the bounds.
    """
    lowest, highest = bounds
    aim = (lowest + highest) / 2
    below, above = known[0], MAX_LEVEL + 1
    errors: dict[int, float] = {}
    guess = MAX_LEVEL / 2 if below < 0 else below + (aim - known[1]) / slope
    while True:
        level = min(max(round(guess), below + 1), above - 1)
        found = errors[level] = error(level)
        if lowest <= found <= highest:
            return level
        if found < lowest:
            below = level
        else:
            above = level
        if above - below <= 1 or len(errors) == most:
            return below if below >= 0 else None
        if below in errors and above in errors and math.isfinite(errors[below]) and math.isfinite(errors[above]):
            slope = (errors[above] - errors[below]) / (above - below)
        guess = level + (aim - found) / slope if math.isfinite(found) else math.nan
        if len(errors) % 5 == 0 or not math.isfinite(guess):  # against a curve that bends: halve the bracket
            guess = (below + above) / 2 if below >= 0 else 0
