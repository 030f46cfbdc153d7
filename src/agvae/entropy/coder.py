"""Coding symbols by table index with constriction's range coder.

Symbols that share a table are coded in one call: the indices are sorted (stably), both sides know them, and
every group is a concrete categorical model.  Integer arithmetic only.
"""

from __future__ import annotations

import constriction
import numpy as np
from numpy.typing import NDArray

from agvae.entropy.tables import TOTAL, Tables
from agvae.lazy import lazy

ESCAPE_OFFSET = 1 << 15
SYMBOL_LIMIT = ESCAPE_OFFSET - 1
"""Largest magnitude of a symbol."""

_PLAIN = constriction.stream.model.Uniform(1 << 16)

Symbols = NDArray[np.int32]
Indices = NDArray[np.int64]


class TableCoder:
    """Encodes and decodes int32 symbols, each with the table that its index names."""

    def __init__(self, tables: Tables) -> None:
        self.low = tables.low.astype(np.int32)
        self.sizes = np.array([len(c) for c in tables.counts])
        self._counts = tables.counts
        self._models: dict[int, constriction.stream.model.Categorical] = {}

    @lazy
    def skipped(self) -> NDArray[np.bool_]:
        """(T,): tables that code nothing, their symbols being zero."""
        return self.sizes == 1

    @lazy
    def _costs(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        costs = [-np.log2(c / TOTAL) + 16.0 * (np.arange(len(c)) == len(c) - 1) * (len(c) > 1) for c in self._counts]
        return np.concatenate(costs), np.cumsum([0, *self.sizes[:-1]])

    def bits(self, symbols: Symbols, indices: Indices) -> float:
        """Code length in bits, without coding."""
        costs, start = self._costs
        return float(costs[start[indices] + self._positions(symbols, indices)].sum())

    def encode(self, encoder: constriction.stream.queue.RangeEncoder, symbols: Symbols, indices: Indices) -> None:
        """Append symbols (N,) with table indices (N,); |symbol| <= SYMBOL_LIMIT, zero where the table is skipped."""
        order, groups = self._groups(indices)
        symbols, indices = symbols[order], indices[order]
        positions = self._positions(symbols, indices)
        for table, start, stop in groups:
            encoder.encode(positions[start:stop], self._model(table))
        escaped = positions == self.sizes[indices] - 1
        if escaped.any():
            encoder.encode(symbols[escaped] + ESCAPE_OFFSET, _PLAIN)

    def decode(self, decoder: constriction.stream.queue.RangeDecoder, indices: Indices) -> Symbols:
        """The next len(indices) symbols, int32 (N,)."""
        order, groups = self._groups(indices)
        positions = np.empty(len(order), np.int32)
        for table, start, stop in groups:
            positions[start:stop] = decoder.decode(self._model(table), stop - start)
        sorted_indices = indices[order]
        values = positions + self.low[sorted_indices]
        escaped = positions == self.sizes[sorted_indices] - 1
        if escaped.any():
            values[escaped] = decoder.decode(_PLAIN, int(escaped.sum())) - ESCAPE_OFFSET
        symbols = np.zeros(len(indices), np.int32)
        symbols[order] = values
        return symbols

    def _positions(self, symbols: Symbols, indices: Indices) -> Symbols:
        """Position of each symbol in its table; the last one is the escape."""
        escape = self.sizes[indices] - 1
        position = symbols - self.low[indices]
        return np.where((position < 0) | (position > escape), escape, position).astype(np.int32)

    def _groups(self, indices: Indices) -> tuple[NDArray[np.int64], list[tuple[int, int, int]]]:
        """Positions of coded symbols sorted by table, and (table, start, stop) of each group of them."""
        coded = np.flatnonzero(~self.skipped[indices])
        keys = indices[coded].astype(np.uint16)
        order = coded[np.argsort(keys, kind="stable")]
        counts = np.bincount(keys, minlength=len(self.sizes))
        stops = np.cumsum(counts)
        used = np.flatnonzero(counts)
        return order, [(int(t), int(stops[t] - counts[t]), int(stops[t])) for t in used]

    def _model(self, table: int) -> constriction.stream.model.Categorical:
        model = self._models.get(table)
        if model is None:
            # k / 2^16 is a float: the conversion back to fixed point is exact on every machine
            model = constriction.stream.model.Categorical(self._counts[table] / TOTAL, perfect=False)
            self._models[table] = model
        return model
