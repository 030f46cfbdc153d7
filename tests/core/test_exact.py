"""The entropy path has one result, whatever the kernel, the layout, the summation order or the thread count."""

from __future__ import annotations

import itertools
from decimal import Decimal, getcontext
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from agvae.entropy.exact import ACTIVATION_LIMIT, exact_exp2, fix, freeze
from agvae.networks.autoencoder import StepParameters, follow
from agvae.networks.configs import BORDERS
from agvae.networks.gain import level_weights
from agvae.networks.layers import Block, Depthwise, Pointwise
from agvae.networks.model import EntropyModel
from tests.support.helpers import TINY, settings_that_must_not_matter, started


def frozen_entropy_model() -> EntropyModel:
    entropy = started().entropy
    freeze(entropy)
    return entropy


def parameters(entropy: EntropyModel, seed: int = 0) -> list[Tensor]:
    """All entropy parameters for random symbols of random size."""
    generator = torch.Generator().manual_seed(seed)
    weights = level_weights(torch.tensor([2.3173828125], dtype=torch.float64), TINY.levels)
    z = torch.randint(-3, 4, (1, 3, 4, TINY.hyper_latent), generator=generator).double()
    result = [entropy.features(z, weights, 12, 16)]

    def visit(p: StepParameters) -> Tensor:
        result.extend([p.mu, p.log2_sigma, p.asymmetry])
        return p.mu + torch.randint(-20, 21, p.mu.shape, generator=generator)

    follow(entropy.walk(z, weights, 12, 16), visit)
    return result


def test_activations_stay_on_the_grid() -> None:
    for value in parameters(frozen_entropy_model()):
        assert torch.equal(value * 1024, (value * 1024).round())
        assert value.abs().max() <= ACTIVATION_LIMIT


def test_same_bits_for_contiguous_and_channels_last_input() -> None:
    entropy = frozen_entropy_model()
    weights = level_weights(torch.tensor([2.3173828125], dtype=torch.float64), TINY.levels)
    z = torch.randint(-3, 4, (1, 3, 4, TINY.hyper_latent)).double()
    other = z.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
    assert other.stride() != z.stride()
    assert torch.equal(entropy.features(z, weights, 12, 16), entropy.features(other, weights, 12, 16))
    features = entropy.features(z, weights, 12, 16)
    strided = features.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
    levels = entropy.of_levels(weights)
    for a, b in zip(
        entropy.parameters_of_step(features, [], levels),
        entropy.parameters_of_step(strided, [], levels),
        strict=True,
    ):
        assert torch.equal(a, b)


def test_same_bits_for_threads_layouts_and_precision_settings() -> None:
    entropy = frozen_entropy_model()
    reference = parameters(entropy)
    for _ in settings_that_must_not_matter():
        again = parameters(entropy)
        assert all(torch.equal(a, b) for a, b in zip(reference, again, strict=True))


def test_pointwise_is_the_exact_rational_result_in_any_order() -> None:
    torch.manual_seed(1)
    layer = Pointwise(40, 6)
    freeze(layer)
    x = fix(torch.randn(1, 2, 2, 40, dtype=torch.float64) * 100)
    layer.requires_grad_(False)
    expected = layer(x)
    for row, (value, weight) in enumerate(itertools.product(x.reshape(4, 40), layer.weight)):
        exact = sum((Fraction(float(a)) * Fraction(float(w)) for a, w in zip(value, weight, strict=True)), Fraction(0))
        exact += Fraction(float(layer.bias[row % 6]))
        assert float(expected.reshape(-1)[row]) == round(exact * 1024) / 1024
    shuffled = torch.randperm(40)
    permuted = fix((x[..., shuffled] @ layer.weight[:, shuffled].T) + layer.bias)
    assert torch.equal(permuted, expected)


@pytest.mark.parametrize("border", BORDERS)
def test_depthwise_equals_torchs_own_convolution(border: str) -> None:
    layer = Depthwise(5, border)
    freeze(layer)
    x = fix(torch.randn(2, 7, 9, 5, dtype=torch.float64) * 10)
    mode = {"zeros": "constant", "replicate": "replicate"}[border]
    nchw = torch.nn.functional.pad(x.permute(0, 3, 1, 2), (1, 1, 1, 1), mode)
    for source in (nchw.contiguous(), nchw.contiguous(memory_format=torch.channels_last)):
        y = torch.nn.functional.conv2d(source, layer.weight, layer.bias, groups=5)
        assert torch.equal(fix(y.permute(0, 2, 3, 1).contiguous()), layer(x))


def test_float_and_exact_block_agree() -> None:
    torch.manual_seed(2)
    block = Block(16)
    x = torch.randn(1, 6, 6, 16)
    approximate = block(x)
    freeze(block)
    torch.testing.assert_close(block(x.double()).float(), approximate, atol=1e-2, rtol=0)


def test_exp2_is_within_half_a_unit_of_the_true_value() -> None:
    getcontext().prec = 60
    x = torch.arange(-3 * 1024, 3 * 1024, 7, dtype=torch.float64) / 1024
    for argument, value in zip(x.tolist(), exact_exp2(x).tolist(), strict=True):
        true = Decimal(2) ** Decimal(argument)
        whole = int(argument // 1)
        assert abs(Decimal(value) - true) <= Decimal(2) ** (whole - 17) * Decimal("1.0001")


def test_weights_too_large_for_exactness_are_refused() -> None:
    layer = Pointwise(4, 1)
    with torch.no_grad():
        layer.weight.fill_(2.0**14)
    with pytest.raises(ValueError, match="too large"):
        freeze(layer)
