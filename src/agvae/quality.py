"""Quality: one real number for the gain vector s and the interpolation l towards the next one.

The quality q = s + l runs from 1 to 6: its integer part s selects one of n = 6 gain vectors, its fraction l
interpolates exponentially towards vector s + 1 (equation 8 of Cui et al. 2021).  Values from 10 to 100 are read
as the percent scale of other image formats.  Files hold the quality in fixed point, as a *level*: the integer
(q - 1) * 4096 in 0 .. 20480.
"""

from __future__ import annotations

import math
from numbers import Integral, Real

LEVEL_STEPS = 4096
"""Levels between one gain vector and the next."""

VECTORS = 6
"""n, the number of gain vectors."""

MAX_LEVEL = (VECTORS - 1) * LEVEL_STEPS

DEFAULT_QUALITY = 3.5

EFFORTS = (1, 9)
"""The least and the most; from 2 on each takes up to twice the time of the one before it."""

QUALITY_RANGES = "a real number from 1 to 6, or from 10 to 100 on the percent scale"


def parse_quality(quality: object = None, *, s: object = None, l: object = None) -> int:  # noqa: E741
    """The level, 0 .. 20480, that the arguments of a call ask for.

    Args:
        quality: a real number from 1 to 6, or from 10 to 100 on the percent scale 1 + 5 v / 100; 3.5 when
            neither it nor s is given.  Any integer, float or NumPy real scalar; no bool, no string.
        s: instead of quality, the gain vector, an integer from 1 to 6.
        l: with s, the interpolation in [0, 1), 0 when not given; s = 6 allows 0 alone.

    Raises:
        ValueError: anything else.
    """
    if s is not None or l is not None:
        if quality is not None:
            msg = "Invalid quality setting: give either quality or s and l, not both"
            raise ValueError(msg)
        return _parse_s_l(s, 0 if l is None else l)
    return round((on_scale(DEFAULT_QUALITY if quality is None else quality) - 1) * LEVEL_STEPS)


def parse_effort(effort: object = None) -> int:
    """The steps of `agvae.coding.refine` for an effort from 1 to 9: none, then 1, 2, 4 and so on up to 128.

    Raises:
        ValueError: it is no integer from 1 to 9.
    """
    if effort is None:
        return 0
    low, high = EFFORTS
    number = int(effort) if isinstance(effort, Integral) and not isinstance(effort, bool) else 0
    if not low <= number <= high:
        msg = f"effort must be an integer from {low} to {high}, not {_shown(effort)}"
        raise ValueError(msg)
    return 2 ** (number - 2) if number > low else 0


def on_scale(quality: object) -> float:
    """A quality, or a percentage from 10 to 100, as a number from 1 to 6.

    Raises:
        ValueError: it is neither.
    """
    value = _finite_real(quality)
    if value is not None and 10 <= value <= 100:
        value = 1 + 5 * value / 100
    if value is None or not 1 <= value <= VECTORS:
        msg = f"Invalid quality setting: quality must be {QUALITY_RANGES}, not {_shown(quality)}"
        raise ValueError(msg)
    return value


def level_to_quality(level: int) -> float:
    """The quality, 1 to 6, of a level; exact."""
    return 1 + level / LEVEL_STEPS


def split_level(level: int) -> tuple[int, float]:
    """(s, l) of a level, with s in 1 .. 6 and l in [0, 1)."""
    s, rest = divmod(level, LEVEL_STEPS)
    return s + 1, rest / LEVEL_STEPS


def _parse_s_l(s: object, l: object) -> int:  # noqa: E741
    fraction = _finite_real(l)
    if (
        not isinstance(s, Integral)
        or isinstance(s, bool)
        or not 1 <= int(s) <= VECTORS
        or fraction is None
        or not 0 <= fraction < 1
        or (s == VECTORS and fraction > 0)
    ):
        msg = (
            "Invalid quality setting: s must be an integer from 1 to 6 and l a real number "
            f"from 0 to below 1 (0 when s is 6), not s={_shown(s)}, l={_shown(l)}"
        )
        raise ValueError(msg)
    return (int(s) - 1) * LEVEL_STEPS + round(fraction * LEVEL_STEPS)


def _finite_real(value: object) -> float | None:
    """`value` as a float if it is a finite real number and no bool, else None."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
