"""Quality: one number for the level s and the interpolation l."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agvae.quality import DEFAULT_QUALITY, LEVEL_STEPS, MAX_LEVEL, level_to_quality, parse_quality, split_level


@pytest.mark.parametrize(
    ("quality", "level"),
    [
        (1, 0),
        (6, 5 * 4096),
        (6.0, 5 * 4096),
        (3.5, 2 * 4096 + 2048),
        (1 + 1 / 4096, 1),
        (1.0001, 0),
        (10, 2048),
        (50, 10240),
        (75, 15360),
        (100, MAX_LEVEL),
        (Fraction(7, 2), 10240),
        (np.float32(3.5), 10240),
        (np.float64(3.5), 10240),
        (np.int64(2), 4096),
        (np.uint8(75), 15360),
    ],
)
def test_quality_gives_level(quality: Any, level: int) -> None:
    parsed = parse_quality(quality)
    assert parsed == level
    assert type(parsed) is int


def test_default() -> None:
    assert parse_quality() == parse_quality(None) == parse_quality(DEFAULT_QUALITY) == 10240


@pytest.mark.parametrize(
    "quality",
    [
        0,
        0.999,
        -1,
        6.001,
        7,
        9.99,
        100.5,
        101,
        1e9,
        10**400,
        float("nan"),
        float("inf"),
        -float("inf"),
        True,
        False,
        np.bool_(True),
        np.float32("nan"),
        "75",
        "3.5",
        b"3",
        (3.5,),
        [3],
        3 + 0j,
        Decimal("3.5"),
        np.array([3.5]),
        np.array(3.5),
    ],
)
def test_refused_quality_names_both_ranges(quality: Any) -> None:
    with pytest.raises(ValueError, match=r"1 to 6.*10 to 100"):
        parse_quality(quality)


@pytest.mark.parametrize(
    ("s", "l", "level"),
    [(1, None, 0), (6, None, MAX_LEVEL), (6, 0, MAX_LEVEL), (3, 0.5, 10240), (np.int64(2), np.float32(0.25), 5120)],
)
def test_s_and_l(s: Any, l: Any, level: int) -> None:  # noqa: E741
    assert parse_quality(s=s, l=l) == level


@pytest.mark.parametrize(
    ("s", "l"),
    [
        (0, None),
        (7, None),
        (6, 0.5),
        (3, 1.0),
        (3, -0.1),
        (3.5, None),
        (True, None),
        ("3", None),
        (3, "0.5"),
        (3, True),
        (3, float("nan")),
        (None, 0.5),
    ],
)
def test_refused_s_and_l(s: Any, l: Any) -> None:  # noqa: E741
    with pytest.raises(ValueError, match="s must be"):
        parse_quality(s=s, l=l)


@pytest.mark.parametrize("extra", [{"s": 3}, {"l": 0.5}, {"s": 3, "l": 0.5}])
def test_quality_excludes_s_and_l(extra: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not both"):
        parse_quality(3.5, **extra)


@given(st.integers(0, MAX_LEVEL))
def test_level_round_trips(level: int) -> None:
    quality = level_to_quality(level)
    assert 1 <= quality <= 6
    assert parse_quality(quality) == level
    s, l = split_level(level)  # noqa: E741
    assert s in range(1, 7)
    assert 0 <= l < 1
    assert s + l == quality
    assert parse_quality(s=s, l=l) == level


@given(st.floats(1, 6), st.floats(1, 6))
def test_level_is_monotonous_and_near(a: float, b: float) -> None:
    if a <= b:
        assert parse_quality(a) <= parse_quality(b)
    assert abs(level_to_quality(parse_quality(a)) - a) <= 0.5 / LEVEL_STEPS


@given(st.one_of(st.floats(), st.integers(), st.text(), st.booleans(), st.none(), st.binary()))
def test_anything_gives_a_level_or_value_error(quality: Any) -> None:
    with contextlib.suppress(ValueError):
        assert 0 <= parse_quality(quality) <= MAX_LEVEL
