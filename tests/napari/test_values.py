"""Maps between numbers and codes."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_agvae.io.values import FLOATS, INTEGERS, FrameMaps, ValueMap, alpha_map, colour_map, grey_map

float32s = st.floats(-(2.0**99), 2.0**99, width=32)


@given(st.tuples(float32s, float32s, float32s))
def test_floats_come_back_within_half_a_step(values: tuple[float, ...]) -> None:
    array = np.array(values, np.float32)
    low, high = array.min().item(), array.max().item()
    grey = grey_map(array.dtype, low, high)
    back = grey.to_values(grey.to_codes(array))
    assert back.dtype == np.float32
    step = (high - low) / 65535
    assert np.abs(back.astype(float) - array).max() <= 0.5001 * step + 1e-6 * max(abs(low), abs(high))
    assert low <= back.min()
    assert back.max() <= high


@given(st.sampled_from(INTEGERS), st.integers(0, 2**16), st.integers(0, 65535))
def test_integers_of_no_more_than_16_bits_come_back_exactly(dtype: str, start: int, span: int) -> None:
    bounds = np.iinfo(dtype)
    low = max(int(bounds.min), -start)
    high = min(int(bounds.max), low + span)
    values = np.unique(np.linspace(low, high, 50).round().astype(dtype))
    grey = grey_map(values.dtype, low, high)
    back = grey.to_values(grey.to_codes(values))
    assert back.dtype == dtype
    assert np.array_equal(back, values)


def test_wide_integers_come_back_to_a_step() -> None:
    values = np.array([-(2**31), -5, 0, 7, 2**31 - 1], np.int32)
    grey = grey_map(values.dtype, values.min().item(), values.max().item())
    assert np.abs(grey.to_values(grey.to_codes(values)).astype(float) - values).max() <= 2**32 / 65535 / 2 + 1


def test_all_values_of_8_bits_of_colour_are_exact() -> None:
    for values in (np.arange(256, dtype=np.uint16), np.arange(256, dtype=np.float32) / 255):
        colour = colour_map(values.dtype, values.min().item(), values.max().item())
        assert np.array_equal(colour.to_codes(values), np.arange(256))
        assert np.allclose(colour.to_values(np.arange(256)), values, atol=1e-7)


def test_colour_outside_of_0_to_1_widens_the_range() -> None:
    assert colour_map(np.dtype(np.float32), 0.2, 0.7) == ValueMap("float32", 0.0, 1.0, 255)
    assert colour_map(np.dtype(np.float32), -0.5, 4) == ValueMap("float32", -0.5, 4.0, 255)
    assert colour_map(np.dtype(np.uint16), 3, 4095) == ValueMap("uint16", 0, 4095, 255)
    assert colour_map(np.dtype(np.int8), -3, 5) == ValueMap("int8", -3, 127, 255)


def test_alpha_is_mapped_from_its_whole_range() -> None:
    assert alpha_map(np.dtype(np.float64)) == ValueMap("float64", 0, 1, 255)
    assert alpha_map(np.dtype(np.uint16)) == ValueMap("uint16", 0, 65535, 255)


def test_one_value_is_exact() -> None:
    for value in (np.float64(math.pi), np.int16(-7)):
        grey = grey_map(value.dtype, value.item(), value.item())
        assert grey.to_values(grey.to_codes(np.array([value])))[0] == value


def test_ranges_near_the_smallest_float() -> None:
    grey = grey_map(np.dtype(float), 1e-305, 3e-305)
    assert grey.to_codes(np.array([1e-305, 1.5e-305, 3e-305])).tolist() == [0, 16384, 65535]


def test_values_outside_get_the_nearest_code() -> None:
    assert grey_map(np.dtype(np.int16), 0, 100).to_codes(np.array([-5, 105], np.int16)).tolist() == [0, 65535]


@pytest.mark.parametrize(
    ("dtype", "low", "high", "top"),
    [
        ("float32", math.nan, 1.0, 255),
        ("float32", 0.0, math.inf, 255),
        ("float32", 0.0, 1e39, 255),
        ("float64", -1.7e308, 1.7e308, 255),
        ("float32", 1.0, 0.0, 255),
        ("float32", "0", 1.0, 255),
        ("float32", None, 1.0, 255),
        ("float32", True, 1.0, 255),
        ("float32", 0.0, 1.0, 0),
        ("float32", 0.0, 1.0, 65536),
        ("float32", 0.0, 1.0, 255.0),
        ("float32", 0.0, 10**400, 255),
        ("int16", 0.0, 1.0, 255),
        ("int16", 0, 40000, 255),
        ("uint8", -1, 4, 255),
        ("int64", 0, 2**53 + 1, 255),
        ("complex64", 0.0, 1.0, 255),
        ("object", 0, 1, 255),
        ("U3", 0, 1, 255),
        ({"names": ["a"]}, 0, 1, 255),
        (None, 0, 1, 255),
    ],
)
def test_impossible_maps(dtype: Any, low: Any, high: Any, top: Any) -> None:
    with pytest.raises(ValueError, match="impossible range"):
        ValueMap(dtype, low, high, top)


@pytest.mark.parametrize("dtype", FLOATS + INTEGERS)
def test_maps_survive_json(dtype: str) -> None:
    grey = grey_map(np.dtype(dtype), 0, 100)
    assert ValueMap(**json.loads(json.dumps(vars(grey)))) == grey
    wider = grey_map(np.dtype(dtype), 1, 101)
    for maps in (FrameMaps((grey,)), FrameMaps((grey, wider, grey))):
        assert FrameMaps.from_json(json.loads(json.dumps(maps.to_json())), 3) == maps
    assert FrameMaps((grey, wider)).range == (0, 101)
    assert FrameMaps((grey, grey)).to_json() == vars(grey)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ([0, 0], [1, 1]),
        ([0, 0, 0], 1),
        (0, [1, 1, 1]),
        ([], []),
        ([0, 0, 2], [1, 1, 1]),
        ([0, 0, "0"], [1, 1, 1]),
    ],
)
def test_impossible_maps_of_frames(low: Any, high: Any) -> None:
    with pytest.raises(ValueError, match="range"):
        FrameMaps.from_json({"dtype": "int16", "low": low, "high": high, "top": 9}, 3)
