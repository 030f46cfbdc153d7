"""Integer probability tables, made once at export and stored with the weights.

A table is a run of counts that sum to 2^16: one for each symbol low .. low + K - 1 and, last, one for the
escape, after which the symbol follows as 16 plain bits.  Nothing here is recomputed where files are decoded,
so no platform's erf or exp can change a table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agvae.entropy import asymmetric
from agvae.entropy.factorized import Density

TOTAL = 1 << 16
TAIL = 2.0**-19
"""Probability mass left to the escape."""
CERTAIN = 2.0**-11
"""A table whose mass outside zero is below this codes nothing: its symbols are zero."""

SIGMA_LEVELS = round((asymmetric.LOG2_SIGMA_MAX - asymmetric.LOG2_SIGMA_MIN) * asymmetric.SIGMA_STEPS) + 1
ASYMMETRY_LEVELS = round(2 * asymmetric.ASYMMETRY_MAX * asymmetric.ASYMMETRY_STEPS) + 1


@dataclass(frozen=True)
class Tables:
    """A family of integer probability tables.

    Attributes:
        low: (T,) int64, the smallest symbol of each table that needs no escape.
        counts: T arrays of int64 counts, escape last, each summing to 2^16; an array of one count is a table
            whose only symbol is zero and which is skipped.
    """

    low: NDArray[np.int64]
    counts: list[NDArray[np.int64]]

    def to_tensors(self, name: str) -> dict[str, Tensor]:
        """As integer tensors for the weights file: counts modulo 2^16 in int16, lengths and lows."""
        flat = np.concatenate(self.counts).astype(np.uint16).view(np.int16)
        lengths = np.array([len(c) for c in self.counts], np.int16)
        return {
            f"{name}_counts": torch.from_numpy(flat),
            f"{name}_lengths": torch.from_numpy(lengths),
            f"{name}_low": torch.from_numpy(self.low.astype(np.int16)),
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], name: str) -> Tables:
        """Inverse of `to_tensors`.

        Raises:
            ValueError: lengths do not fit the counts, or counts do not sum to 2^16.
        """
        flat = tensors[f"{name}_counts"].numpy().view(np.uint16).astype(np.int64)
        lengths = tensors[f"{name}_lengths"].numpy().astype(np.int64)
        low = tensors[f"{name}_low"].numpy().astype(np.int64)
        if len(low) != len(lengths) or lengths.min() < 1 or lengths.sum() != len(flat):
            msg = f"tables {name} are inconsistent"
            raise ValueError(msg)
        counts = np.split(flat, np.cumsum(lengths)[:-1])
        for table in counts:
            if len(table) == 1:
                table[0] = TOTAL
            elif table.sum() != TOTAL or table.min() < 1:
                msg = f"a table of {name} does not sum to 2^16"
                raise ValueError(msg)
        return cls(low, counts)


def integer_counts(probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """Counts of at least 1 that sum to 2^16, nearest to the probabilities (largest remainders)."""
    scaled = probabilities / probabilities.sum() * (TOTAL - len(probabilities))
    counts = np.floor(scaled).astype(np.int64)
    missing = TOTAL - len(probabilities) - int(counts.sum())
    counts[np.argsort(counts - scaled, kind="stable")[:missing]] += 1
    return counts + 1


def _table(probability: NDArray[np.float64], low: int) -> tuple[int, NDArray[np.int64]]:
    """Cut the tails of a mass function over low, low + 1, ... and make it integer."""
    zero = probability[-low]
    if 1 - zero < CERTAIN:
        return 0, np.array([TOTAL])
    below, above = np.cumsum(probability), np.cumsum(probability[::-1])[::-1]
    first = min(int(np.searchsorted(below, TAIL / 2)), -low)
    last = max(len(above) - 1 - int(np.searchsorted(above[::-1], TAIL / 2)), -low)
    kept = probability[first : last + 1]
    return low + first, integer_counts(np.append(kept, max(1 - kept.sum(), 1e-9)))


def asymmetric_tables() -> Tables:
    """Tables of the asymmetric Gaussian for log2 sigma times asymmetry >= 0, asymmetry fastest.

    `with_mirror_images` adds those of negative asymmetry.
    """
    reach = 1024
    r = torch.arange(-reach, reach + 1, dtype=torch.float64)
    low, counts = [], []
    for i in range(SIGMA_LEVELS):
        for j in range(ASYMMETRY_LEVELS // 2 + 1):
            log2_sigma = torch.tensor(asymmetric.LOG2_SIGMA_MIN + i / asymmetric.SIGMA_STEPS, dtype=torch.float64)
            asymmetry = torch.tensor(j / asymmetric.ASYMMETRY_STEPS, dtype=torch.float64)
            mass = asymmetric.interval_probability(r, log2_sigma, asymmetry).numpy()
            first, table = _table(mass, -reach)
            low.append(first)
            counts.append(table)
    return Tables(np.array(low), counts)


def with_mirror_images(tables: Tables) -> Tables:
    """The whole grid from the tables of asymmetry >= 0: swapping left and right negates the symbols."""
    half = ASYMMETRY_LEVELS // 2
    low, counts = [], []
    for i in range(SIGMA_LEVELS):
        for j in range(-half, half + 1):
            source = i * (half + 1) + abs(j)
            table, first = tables.counts[source], int(tables.low[source])
            if j < 0:
                table = np.append(table[-2::-1], table[-1])
                first = -(first + len(table) - 2) if len(table) > 1 else 0
            low.append(first)
            counts.append(table)
    return Tables(np.array(low), counts)


def table_index(log2_sigma: Tensor, asymmetry: Tensor) -> Tensor:
    """Index of the nearest table, int64; exact for parameters on the grid of 2^-10."""
    log2_sigma, asymmetry = asymmetric.clamp_parameters(log2_sigma, asymmetry)
    i = ((log2_sigma - asymmetric.LOG2_SIGMA_MIN) * asymmetric.SIGMA_STEPS + 0.5).floor()
    j = ((asymmetry + asymmetric.ASYMMETRY_MAX) * asymmetric.ASYMMETRY_STEPS + 0.5).floor()
    return (i * ASYMMETRY_LEVELS + j).to(torch.int64)


@torch.no_grad()
def factorized_tables(density: Density, channels: int) -> Tables:
    """One table per channel of z, of a density in float32 on the CPU."""
    reach = 512
    z = torch.arange(-reach, reach + 1, dtype=torch.float32).expand(channels, -1)
    mass = density.probability(z).double().numpy()
    low, counts = [], []
    for channel in mass:
        first, table = _table(channel, -reach)
        low.append(first)
        counts.append(table)
    return Tables(np.array(low), counts)
