"""Lossless coding of an 8-bit plane."""

from __future__ import annotations

import contextlib
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from agvae.container import DamagedFileError
from agvae.file.alpha import decode_alpha, encode_alpha

planes = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40))


def ramp(height: int, width: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width]
    plane: NDArray[np.uint8] = ((x + 2 * y) % 256).astype(np.uint8)
    return plane


@given(planes)
def test_round_trip(plane: NDArray[np.uint8]) -> None:
    height, width = plane.shape
    decoded = decode_alpha(encode_alpha(plane), width, height)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, plane)


@pytest.mark.parametrize("slices", [np.s_[::2, ::3], np.s_[::-1], np.s_[:, 5:17]])
def test_views_round_trip(slices: tuple[slice, ...]) -> None:
    plane = ramp(40, 60)[slices]
    np.testing.assert_array_equal(decode_alpha(encode_alpha(plane), plane.shape[1], plane.shape[0]), plane)


@pytest.mark.parametrize("value", [0, 7, 255])
def test_constant_plane_takes_two_bytes(value: int) -> None:
    assert len(encode_alpha(np.full((1024, 1024), value, np.uint8))) == 2


def test_gradient_is_small() -> None:
    assert len(encode_alpha(ramp(256, 256))) < 600


def test_noise_costs_little_more_than_itself() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300), np.uint8)
    assert len(encode_alpha(noise)) <= 200 * 300 + 64


def test_same_plane_same_bytes() -> None:
    assert encode_alpha(ramp(30, 40)) == encode_alpha(np.asfortranarray(ramp(30, 40)))


@pytest.mark.parametrize(("width", "height"), [(60, 41), (59, 40), (40, 61), (1, 1), (61, 40)])
def test_wrong_size_is_damage(width: int, height: int) -> None:
    with pytest.raises(DamagedFileError):
        decode_alpha(encode_alpha(ramp(40, 60)), width, height)


def test_every_truncation_is_damage() -> None:
    data = encode_alpha(ramp(20, 20))
    for length in range(len(data)):
        with pytest.raises(DamagedFileError):
            decode_alpha(data[:length], 20, 20)


def test_trailing_bytes_are_damage() -> None:
    for plane in (ramp(20, 20), np.zeros((20, 20), np.uint8)):
        with pytest.raises(DamagedFileError):
            decode_alpha(encode_alpha(plane) + b"\0", 20, 20)


def test_decompression_is_bounded() -> None:
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = b"\0" + bomb.compress(bytes(100_000_000)) + bomb.flush()
    tracemalloc.start()
    with pytest.raises(DamagedFileError):
        decode_alpha(data, 16, 16)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@settings(max_examples=300)
@given(st.binary(max_size=60), st.integers(1, 40), st.integers(1, 40))
def test_any_bytes_give_a_plane_or_damage(data: bytes, width: int, height: int) -> None:
    with contextlib.suppress(DamagedFileError):
        assert decode_alpha(data, width, height).shape == (height, width)
