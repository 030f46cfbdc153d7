"""The range coder as docs/FORMAT.md words it, in plain integers, against the one that codes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

import constriction
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from agvae.entropy.coder import SYMBOL_LIMIT, TableCoder
from agvae.entropy.tables import Tables, asymmetric_tables, with_mirror_images

FORMAT = (Path(__file__).parents[2] / "docs" / "FORMAT.md").read_text(encoding="utf-8")
TABLES = with_mirror_images(asymmetric_tables())
CODER = TableCoder(TABLES)


def bounds(counts: Sequence[int]) -> list[int]:
    """B_0 .. B_n of a table."""
    n = len(counts)
    starts = [0, *accumulate(counts)][:n]
    return [start * (2**24 - n) // 2**16 + i for i, start in enumerate(starts)] + [2**24]


def intervals(tables: Tables, symbols: Sequence[int], indices: Sequence[int]) -> Iterator[tuple[int, int]]:
    """[a, b) of everything that a set of symbols codes, in order."""
    escaped = []
    for symbol, index in sorted(zip(symbols, indices, strict=True), key=lambda pair: pair[1]):
        counts = [int(count) for count in tables.counts[index]]
        if len(counts) > 1:
            position = symbol - int(tables.low[index])
            if not 0 <= position < len(counts) - 1:
                position = len(counts) - 1
                escaped.append(symbol + 32768)
            edges = bounds(counts)
            yield edges[position], edges[position + 1]
    for value in escaped:
        yield 256 * value, 256 * (value + 1)


def encoded(coded: Sequence[tuple[int, int]]) -> list[int]:
    low, size, words = 0, 2**64 - 1, 0
    for a, b in coded:
        scale = size // 2**24
        low, size = low + scale * a, scale * (b - a)
        if size < 2**32:
            low, size, words = low * 2**32, size * 2**32, words + 1
    if not coded:
        return []
    p = (low + 2**32 - 1) // 2**32
    result = [p >> 32 * k & 0xFFFFFFFF for k in range(words, -1, -1)]
    return result + [0] * ((low + size) // 2**32 == p)


def decoded(words: Sequence[int], coded: Sequence[tuple[int, int]]) -> bool:
    """Whether the decoder finds each of the intervals."""
    source = iter(words)
    point, size = next(source, 0) * 2**32 + next(source, 0), 2**64 - 1
    for a, b in coded:
        scale = size // 2**24
        if not a <= point // scale < b:
            return False
        point, size = point - scale * a, scale * (b - a)
        if size < 2**32:
            point, size = point * 2**32 + next(source, 0), size * 2**32
    return True


def coder_words(coder: TableCoder, symbols: np.ndarray, indices: np.ndarray) -> list[int]:
    encoder = constriction.stream.queue.RangeEncoder()
    coder.encode(encoder, symbols, indices)
    words: list[int] = encoder.get_compressed().tolist()
    return words


@given(
    hnp.arrays(np.int32, 48, elements=st.one_of(st.integers(-4, 4), st.integers(-SYMBOL_LIMIT, SYMBOL_LIMIT))),
    hnp.arrays(np.int64, 48, elements=st.integers(0, len(CODER.sizes) - 1)),
    st.integers(0, 48),
)
def test_the_rules_give_the_words_of_the_coder(symbols: np.ndarray, indices: np.ndarray, count: int) -> None:
    symbols, indices = symbols[:count], indices[:count]
    symbols[CODER.skipped[indices]] = 0
    coded = list(intervals(TABLES, symbols.tolist(), indices.tolist()))
    words = coder_words(CODER, symbols, indices)
    assert encoded(coded) == words
    assert decoded(words, coded)


def test_likely_symbols_carry_through_many_words() -> None:
    """Long runs at either end of the interval, where carries and the last words are special."""
    tables = Tables(np.array([0, 0]), [np.array([65534, 1, 1]), np.array([1, 65534, 1])])
    rng = np.random.default_rng(0)
    for _ in range(300):
        indices = rng.integers(0, 2, rng.integers(1, 200))
        symbols = np.where(rng.random(len(indices)) < 0.9, indices, rng.integers(0, 3, len(indices))).astype(np.int32)
        coded = list(intervals(tables, symbols.tolist(), indices.tolist()))
        words = coder_words(TableCoder(tables), symbols, indices)
        assert encoded(coded) == words
        assert decoded(words, coded)


def test_the_example_of_the_specification() -> None:
    found = re.search(r"counts (\[.*?\]), low (-?\d+)\D+symbols (\[.*?\]).*?words `([0-9A-F ]+)`", FORMAT, re.DOTALL)
    assert found is not None
    counts, low, symbols = json.loads(found[1]), int(found[2]), json.loads(found[3])
    tables = Tables(np.array([low]), [np.array(counts)])
    words = coder_words(TableCoder(tables), np.array(symbols, np.int32), np.zeros(len(symbols), np.int64))
    assert " ".join(f"{word:08X}" for word in words) == found[4]


def test_words_that_no_encoder_writes_are_noticed() -> None:
    decoder = constriction.stream.queue.RangeDecoder(np.full(2, 0xFFFFFFFF, np.uint32))
    with pytest.raises(AssertionError):
        CODER.decode(decoder, np.full(1, np.flatnonzero(~CODER.skipped)[0]))
