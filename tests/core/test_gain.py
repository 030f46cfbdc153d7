"""Gain units and exponential interpolation (equations 2, 3, 5 and 8)."""

from __future__ import annotations

import pytest
import torch

from agvae.networks.gain import GainUnit, level_weights


@pytest.fixture
def unit() -> GainUnit:
    torch.manual_seed(0)
    unit = GainUnit(6, 8)
    torch.nn.init.normal_(unit.log2)
    return unit


@pytest.mark.parametrize("s", range(6))
def test_whole_levels_give_the_trained_vectors(unit: GainUnit, s: int) -> None:
    gain = unit(level_weights(torch.tensor([float(s)]), 6))
    torch.testing.assert_close(gain[0, 0, 0], 2 ** unit.log2[s])


@pytest.mark.parametrize("length", [0.1, 0.5, 0.9])
def test_between_levels_equation_8_holds(unit: GainUnit, length: float) -> None:
    gain = unit(level_weights(torch.tensor([2 + length]), 6))[0, 0, 0]
    m_t, m_r = 2 ** unit.log2[2], 2 ** unit.log2[3]
    torch.testing.assert_close(gain, m_r**length * m_t ** (1 - length))


def test_each_image_of_a_batch_has_its_own_level(unit: GainUnit) -> None:
    both = unit(level_weights(torch.tensor([1.25, 4.0]), 6))
    for row, q in enumerate((1.25, 4.0)):
        torch.testing.assert_close(both[row : row + 1], unit(level_weights(torch.tensor([q]), 6)))


def test_reciprocal_gains_invert_gains(unit: GainUnit) -> None:
    weights = level_weights(torch.tensor([3.7]), 6)
    torch.testing.assert_close(unit(weights) * unit(weights, reciprocal=True), torch.ones(1, 1, 1, 8))


def test_exact_path_agrees_with_the_float_path(unit: GainUnit) -> None:
    weights = level_weights(torch.tensor([2.625], dtype=torch.float64), 6)
    torch.testing.assert_close(unit(weights).float(), unit(weights.float()), rtol=2e-3, atol=0)
