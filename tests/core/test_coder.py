"""The table coder: every symbol comes back, whatever its size, at the cost that the tables promise."""

from __future__ import annotations

import constriction
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from agvae.entropy.coder import SYMBOL_LIMIT, TableCoder
from agvae.entropy.tables import ASYMMETRY_LEVELS, asymmetric_tables, with_mirror_images

CODER = TableCoder(with_mirror_images(asymmetric_tables()))


def round_trip(symbols: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, int]:
    encoder = constriction.stream.queue.RangeEncoder()
    CODER.encode(encoder, symbols, indices)
    decoder = constriction.stream.queue.RangeDecoder(encoder.get_compressed())
    return CODER.decode(decoder, indices), encoder.num_bits()


@given(
    hnp.arrays(np.int32, 64, elements=st.one_of(st.integers(-4, 4), st.integers(-SYMBOL_LIMIT, SYMBOL_LIMIT))),
    hnp.arrays(np.int64, 64, elements=st.integers(0, len(CODER.sizes) - 1)),
)
def test_any_symbols_come_back(symbols: np.ndarray, indices: np.ndarray) -> None:
    symbols[CODER.skipped[indices]] = 0
    decoded, _ = round_trip(symbols, indices)
    np.testing.assert_array_equal(decoded, symbols)


def test_the_stream_is_as_long_as_promised() -> None:
    rng = np.random.default_rng(0)
    indices = rng.integers(0, len(CODER.sizes), 20_000)
    sigma = 2.0 ** (-3.25 + indices // ASYMMETRY_LEVELS / 8)
    symbols = np.rint(rng.normal(0, sigma)).astype(np.int32)
    symbols[CODER.skipped[indices]] = 0
    _, bits = round_trip(symbols, indices)
    assert bits == pytest.approx(CODER.bits(symbols, indices), rel=1e-3, abs=64)


def test_nothing_is_coded_where_the_table_is_certain() -> None:
    certain = np.flatnonzero(CODER.skipped)
    assert len(certain) > 0
    decoded, bits = round_trip(np.zeros(1000, np.int32), np.full(1000, certain[0]))
    assert bits == 0
    assert not decoded.any()
