"""Transforms, context partition and the training graph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from agvae.networks import AGVAE, PRESETS, ModelConfig
from agvae.networks.autoencoder import StepParameters, follow
from agvae.networks.context import STEPS, join_steps, of_step, split_steps
from agvae.networks.gain import level_weights
from agvae.networks.layers import depth_to_space, space_to_depth
from agvae.networks.transforms import SynthesisTransform
from tests.support.helpers import TINY, picture, started


def crops(count: int = 2, size: int = 128) -> torch.Tensor:
    return torch.from_numpy(np.stack([picture(size, size, k) for k in range(count)])).permute(0, 3, 1, 2).float() / 255


def test_space_to_depth_and_back() -> None:
    x = torch.randn(2, 8, 12, 3)
    assert torch.equal(depth_to_space(space_to_depth(x, 4), 4), x)


def test_steps_partition_the_latents() -> None:
    y = torch.randn(2, 6, 8, 16)
    steps = split_steps(y)
    assert sum(step.numel() for step in steps) == y.numel()
    assert torch.equal(join_steps(steps), y)


@pytest.mark.parametrize("known", range(STEPS))
def test_unknown_steps_are_zero(known: int) -> None:
    y = torch.randn(1, 4, 4, 8) + 10
    partial = join_steps(split_steps(y)[: known + 1])
    assert int((partial != 0).sum()) == y.numel() * (known + 1) // STEPS
    assert torch.equal(partial[partial != 0], y[partial != 0])


def test_every_class_codes_every_quarter_once() -> None:
    table = torch.stack([of_step(torch.arange(4), k) for k in range(STEPS)])
    assert all(sorted(column.tolist()) == [0, 1, 2, 3] for column in table.T)
    assert all(sorted(row.tolist()) == [0, 1, 2, 3] for row in table)


def test_a_step_sees_what_was_decoded_before_it_and_nothing_else() -> None:
    model = started()
    weights = level_weights(torch.tensor([2.0]), TINY.levels)
    z = torch.randn(1, 1, 1, TINY.hyper_latent)
    first, second = (model.entropy.split(torch.randn(1, 4, 4, TINY.latent)) for _ in range(2))

    def walk(targets: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        means: list[Tensor] = []

        def visit(p: StepParameters) -> Tensor:
            means.append(p.mu)
            return targets[len(means) - 1]

        return means, follow(model.entropy.walk(z, weights, 4, 4), visit)

    with torch.no_grad():
        means, y_hat = walk(first)
        for step in range(STEPS):
            others, _ = walk([*first[:step], *second[step:]])
            equal = [torch.equal(a, b) for a, b in zip(means, others, strict=True)]
            assert equal == [True] * (step + 1) + [False] * (STEPS - 1 - step)
    assert all(torch.equal(a, b) for a, b in zip(model.entropy.split(y_hat), first, strict=True))


def test_the_dct_start_is_nearly_lossless_at_high_rates() -> None:
    config = PRESETS["light"]
    torch.manual_seed(0)
    model = AGVAE(config)
    x = crops()
    model.start(x)
    for block in (
        *model.analysis.blocks8,
        *model.analysis.blocks16,
        *model.synthesis.blocks8,
        *model.synthesis.blocks16,
    ):
        torch.nn.init.constant_(block.gain.log2, -30)
    weights = level_weights(torch.full((2,), 5.0), config.levels)
    x_hat = model.synthesise(model.analyse(x, weights), weights)
    assert float((x_hat - x).square().mean()) < 1e-4


def test_rate_and_quality_rise_with_the_level() -> None:
    model = started()
    x = crops(1)
    outputs = [model(x, torch.tensor([float(s)])) for s in range(TINY.levels)]
    rates = [float(o.y_bits) for o in outputs]
    errors = [float((o.x_hat - x).square().mean()) for o in outputs]
    assert rates == sorted(rates)
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("config", [TINY, replace(TINY, border="replicate")])
def test_gradients_reach_every_parameter(config: ModelConfig) -> None:
    model = started(config).train()
    torch.nn.init.constant_(model.hyper_gain.log2, 6.0)  # so that z is not all zero at the start
    output = model(crops(), torch.tensor([0.5, 4.0]))
    (output.y_bits.sum() + output.z_bits.sum() + 1e4 * (output.x_hat - crops()).square().mean()).backward()
    missing = [name for name, p in model.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)]
    assert missing == []


@pytest.mark.parametrize("config", [TINY, replace(TINY, border="replicate")])
def test_halos_cover_the_receptive_fields(config: ModelConfig) -> None:
    """Changing a pixel or latent one step outside the halo leaves the region as it is."""
    model = started(config)
    weights = level_weights(torch.tensor([3.0]), TINY.levels)
    halo = model.analysis.halo()
    x = torch.rand(1, 256, 256, 3)
    y = model.analysis(x, weights)
    far = x.clone()
    far[:, :, 128 + halo :] += 1
    torch.testing.assert_close(model.analysis(far, weights)[:, :, : 128 // 16], y[:, :, : 128 // 16])
    latents = torch.randn(1, 16, 16, TINY.latent)
    far = latents.clone()
    far[:, :, (128 + model.synthesis.halo()) // 16 :] += 1
    torch.testing.assert_close(model.synthesis(far, weights)[:, :, :128], model.synthesis(latents, weights)[:, :, :128])


@pytest.mark.parametrize("border", ["zeros", "replicate"])
@pytest.mark.parametrize(
    "inner", [(0, 256, 0, 320), (0, 50, 0, 33), (96, 160, 128, 192), (200, 256, 1, 320), (101, 102, 77, 78)]
)
def test_a_part_of_a_synthesis_is_that_of_the_whole(inner: tuple[int, int, int, int], border: str) -> None:
    model = started(replace(TINY, border=border, synthesis8=2, synthesis16=2))
    weights = level_weights(torch.tensor([3.0, 1.0]), TINY.levels)
    y = torch.randn(2, 16, 20, TINY.latent)
    top, bottom, left, right = inner
    part = model.synthesise(y, weights, (slice(top, bottom), slice(left, right)))
    torch.testing.assert_close(part, model.synthesise(y, weights)[:, :, top:bottom, left:right], rtol=0, atol=1e-6)


def test_a_part_of_a_synthesis_of_ones_own_is_cut_out() -> None:
    class Mine(SynthesisTransform):
        def forward(self, y: Tensor, weights: Tensor) -> Tensor:  # type: ignore[override]
            return super().forward(y, weights).flip(1)

    model = started(TINY)
    model.synthesis.__class__ = Mine
    weights = level_weights(torch.tensor([3.0]), TINY.levels)
    y = torch.randn(1, 8, 8, TINY.latent)
    part = model.synthesise(y, weights, (slice(10, 20), slice(30, 40)))
    torch.testing.assert_close(part, model.synthesise(y, weights)[:, :, 10:20, 30:40])


@pytest.mark.parametrize("name", ["base", "light"])
def test_presets_build_on_the_meta_device(name: str) -> None:
    with torch.device("meta"):
        model = AGVAE(PRESETS[name])
    assert sum(p.numel() for p in model.parameters()) > 1e6


def test_latents_of_a_flat_picture_are_flat_up_to_its_edges_where_borders_repeat() -> None:
    model = started(replace(TINY, border="replicate"))
    with torch.no_grad():
        flat = torch.tensor([-0.5, 0.5, -0.5]).expand(1, 96, 128, 3)
        y = model.analysis(flat, level_weights(torch.tensor([3.0]), TINY.levels))
    torch.testing.assert_close(y, y[:, :1, :1].expand_as(y))
