"""The asymmetric Gaussian (equation 10) against direct arithmetic, and its integer tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agvae.entropy import asymmetric
from agvae.entropy.tables import (
    ASYMMETRY_LEVELS,
    SIGMA_LEVELS,
    TOTAL,
    Tables,
    asymmetric_tables,
    integer_counts,
    table_index,
    with_mirror_images,
)


def cumulative(x: float, left: float, right: float) -> float:
    """Distribution function of the two-piece normal with mode 0, from the definition."""
    total = left + right
    if x < 0:
        return left / total * (1 + math.erf(x / left / math.sqrt(2)))
    return left / total + right / total * math.erf(x / right / math.sqrt(2))


@given(st.floats(-20, 20), st.floats(-3, 3), st.floats(-2, 2))
def test_interval_probability_is_a_difference_of_the_distribution(
    r: float, log2_sigma: float, asymmetry: float
) -> None:
    left, right = 2 ** (log2_sigma - asymmetry / 2), 2 ** (log2_sigma + asymmetry / 2)
    expected = cumulative(r + 0.5, left, right) - cumulative(r - 0.5, left, right)
    values = (torch.tensor(v, dtype=torch.float64) for v in (r, log2_sigma, asymmetry))
    assert float(asymmetric.interval_probability(*values)) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_symmetric_parameters_give_the_normal_distribution() -> None:
    r = torch.arange(-5.0, 6.0)
    normal = torch.distributions.Normal(0, 1.5)
    mass = asymmetric.interval_probability(r, torch.tensor(1.5).log2(), torch.tensor(0.0))
    torch.testing.assert_close(mass, normal.cdf(r + 0.5) - normal.cdf(r - 0.5), atol=1e-6, rtol=1e-4)


def test_probabilities_have_finite_gradients_far_out() -> None:
    r = torch.tensor([-300.0, -3.0, 0.0, 0.5, 300.0], requires_grad=True)
    asymmetric.bits(r, torch.full((5,), -3.0), torch.full((5,), 1.0)).sum().backward()
    assert r.grad is not None
    assert torch.isfinite(r.grad).all()


@pytest.fixture(scope="module")
def tables() -> Tables:
    return with_mirror_images(asymmetric_tables())


def test_there_is_a_table_for_every_grid_point(tables: Tables) -> None:
    assert len(tables.counts) == SIGMA_LEVELS * ASYMMETRY_LEVELS


def test_tables_code_within_a_hundredth_bit_of_the_density(tables: Tables) -> None:
    r = torch.arange(-200, 201, dtype=torch.float64)
    for index in range(0, len(tables.counts), 7):
        i, j = divmod(index, ASYMMETRY_LEVELS)
        log2_sigma = torch.tensor(asymmetric.LOG2_SIGMA_MIN + i / asymmetric.SIGMA_STEPS, dtype=torch.float64)
        asymmetry = torch.tensor(j / asymmetric.ASYMMETRY_STEPS - asymmetric.ASYMMETRY_MAX, dtype=torch.float64)
        counts, low = tables.counts[index], tables.low[index]
        if len(counts) == 1 or log2_sigma > 4:
            continue
        mass = asymmetric.interval_probability(r, log2_sigma, asymmetry).numpy()
        symbols = low + np.arange(len(counts) - 1)
        p = mass[symbols + 200]
        excess = float((p * (np.log2(p) - np.log2(counts[:-1] / TOTAL))).sum())
        assert excess < 0.01


def test_negative_asymmetry_mirrors_positive(tables: Tables) -> None:
    for index in range(0, len(tables.counts), ASYMMETRY_LEVELS):
        for j in range(ASYMMETRY_LEVELS // 2):
            left, right = index + j, index + ASYMMETRY_LEVELS - 1 - j
            assert tables.counts[left][-1] == tables.counts[right][-1]
            assert (tables.counts[left][:-1] == tables.counts[right][:-1][::-1]).all()
            symbols = len(tables.counts[left]) - 1
            assert symbols == 0 or tables.low[left] == -(tables.low[right] + symbols - 1)


def test_table_index_takes_the_nearest_grid_point() -> None:
    def index(log2_sigma: float, asymmetry: float) -> int:
        return int(table_index(torch.tensor([log2_sigma]).double(), torch.tensor([asymmetry]).double()))

    assert index(-99.0, -99.0) == 0
    assert index(99.0, 99.0) == SIGMA_LEVELS * ASYMMETRY_LEVELS - 1
    assert index(asymmetric.LOG2_SIGMA_MIN + 0.125, -2.0) == ASYMMETRY_LEVELS
    assert index(asymmetric.LOG2_SIGMA_MIN + 0.06, -2.0) == 0


def test_tables_survive_the_weights_file(tables: Tables) -> None:
    again = Tables.from_tensors(tables.to_tensors("y"), "y")
    assert (again.low == tables.low).all()
    assert all((a == b).all() for a, b in zip(again.counts, tables.counts, strict=True))


def test_inconsistent_tables_are_refused(tables: Tables) -> None:
    tensors = tables.to_tensors("y")
    tensors["y_counts"][-3] += 1
    with pytest.raises(ValueError, match="2\\^16"):
        Tables.from_tensors(tensors, "y")


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=300).filter(lambda p: sum(p) > 0.01))
def test_integer_counts_sum_to_the_total_and_are_positive(probabilities: list[float]) -> None:
    counts = integer_counts(np.array(probabilities))
    assert counts.sum() == TOTAL
    assert counts.min() >= 1
