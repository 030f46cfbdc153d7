"""The paper's networks on CompressAI's layers: shapes, gradients, exact walks, and whole files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import agvae
from agvae.boxes import Box
from agvae.coding.choice import encode_images
from agvae.coding.loaded import forget_models, load_model
from agvae.coding.memory import Limits
from agvae.coding.reconstruction import DecodeRequest
from agvae.coding.tiles import _analyse, _decode
from agvae.entropy.exact import freeze
from agvae.networks import PRESETS, GainedAutoencoder, ReferenceConfig, build
from agvae.networks.autoencoder import StepParameters, follow
from agvae.networks.gain import level_weights
from agvae.training.export import export_checkpoint
from agvae.training.loss import rate_distortion
from agvae.weights import registries
from tests.support.helpers import picture

pytest.importorskip("compressai")

from compressai.models import JointAutoregressiveHierarchicalPriors, ScaleHyperprior

from agvae.networks.reference import EntropyModel, ReferenceAGVAE, fronts

BETAS = (0.001, 0.01, 0.1)
CONFIGS = [
    ReferenceConfig("tiny", backbone, 16, 24, rate, asymmetric, BETAS)
    for backbone in ("agvae2021", "minnen2018", "balle2018")
    for rate, asymmetric in (("hcvr", True), ("cvr", False), ("bottleneck", False), ("conditional", True))
]
CONFIGS.append(ReferenceConfig("tiny", "minnen2018", 16, 24, "cvr", False, (0.01,)))


def crops(count: int = 2, size: int = 64) -> Tensor:
    return torch.from_numpy(np.stack([picture(size, size, k) for k in range(count)])).permute(0, 3, 1, 2).float() / 255


def started(config: ReferenceConfig) -> ReferenceAGVAE:
    torch.manual_seed(0)
    model = build(config)
    assert isinstance(model, ReferenceAGVAE)
    model.start(crops())
    return model


def name_of(config: ReferenceConfig) -> str:
    return f"{config.backbone}-{config.rate}-{'ag' if config.asymmetric else 'sg'}-{config.levels}"


every_config = pytest.mark.parametrize("config", CONFIGS, ids=name_of)


@every_config
def test_the_loss_falls_and_everything_learns(config: ReferenceConfig) -> None:
    model = started(config)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    x = crops()
    q = torch.linspace(0, config.levels - 1, 2)
    losses = []
    for step in range(25):
        torch.manual_seed(step % 5)
        loss = rate_distortion(model.train()(x, q), x, q, config.betas, 0.4)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
            assert set(silent) <= {"density.bottleneck.quantiles"} | set(zero_at_start(model)), silent
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def zero_at_start(model: GainedAutoencoder) -> list[str]:
    """Factors of the density multiply tanh of values that may all be of one sign, biases before a ReLU may be dead."""
    return [name for name, _ in model.named_parameters() if "bottleneck" in name or "hyper_synthesis" in name]


@every_config
def test_the_walk_gives_what_the_masked_convolution_gives(config: ReferenceConfig) -> None:
    """Front by front, with exact equality: a decoder that has y-hat so far computes what the encoder computed."""
    model = started(config)
    freeze(model.entropy)
    level = level_weights(torch.tensor([0.0 if config.levels == 1 else 1.25], dtype=torch.float64), config.levels)
    generator = torch.Generator().manual_seed(1)
    z = torch.randint(-4, 5, (2, 2, 2, config.hyper_latent), generator=generator).double()
    level = level.expand(2, -1)
    height, width = 6, 8
    y = torch.randint(-9000, 9000, (2, height, width, config.latent), generator=generator).double() / 1024
    targets = iter(model.entropy.split(y))
    seen: list[StepParameters] = []

    def visit(p: StepParameters) -> Tensor:
        seen.append(p)
        return next(targets)

    with torch.no_grad():
        assert torch.equal(follow(model.entropy.walk(z, level, height, width), visit), y)
        exact_layers = exact_at_once(model.entropy, z, level, y)
    for name in ("mu", "log2_sigma", "asymmetry"):
        for part, expected in zip(seen, model.entropy.split(getattr(exact_layers, name)), strict=True):
            assert torch.equal(getattr(part, name), expected)


def exact_at_once(entropy: EntropyModel, z: Tensor, level: Tensor, y: Tensor) -> StepParameters:
    """`EntropyModel.at_once` with every layer on the grid."""
    from agvae.entropy.exact import fix
    from agvae.networks.reference.fronts import _exactly

    features = entropy.features(z, level, *y.shape[1:3])
    if entropy.context is None:
        return entropy._split(features)
    raw = torch.cat((features.permute(0, 3, 1, 2), fix(entropy.context(y.permute(0, 3, 1, 2)))), dim=1)
    assert entropy.parameters_network is not None
    for layer in entropy.parameters_network:
        raw = _exactly(layer, raw)
    return entropy._split(raw.permute(0, 2, 3, 1))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 2), (5, 9), (9, 4)])
def test_fronts_hold_every_position_once_and_after_what_it_sees(height: int, width: int) -> None:
    when = {}
    for k, (rows, columns) in enumerate(fronts(height, width)):
        assert len(rows) > 0 or width < 3
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            assert (row, column) not in when
            when[row, column] = k
    assert len(when) == height * width
    for row, column in when:
        causal = [(r, c) for r in (row - 2, row - 1) for c in range(column - 2, column + 3)]
        causal += [(row, column - 2), (row, column - 1)]
        assert all(when[place] < when[row, column] for place in causal if place in when)


@pytest.fixture(params=[CONFIGS[0], CONFIGS[1], CONFIGS[4], CONFIGS[8], CONFIGS[7], CONFIGS[-1]], ids=name_of)
def exported(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A model "tiny" in the place of the bundled weights, and the network that it was made from."""
    model = started(request.param).eval()
    state = {"config": request.param.to_dict(), "average": model.state_dict(), "options": {"batch": 1}, "step": 0}
    torch.save({**state, "elapsed": 0.0, "device": "cpu"}, tmp_path / "c.pt")
    export_checkpoint(tmp_path / "c.pt", tmp_path / "tiny.safetensors", "tiny")
    data = (tmp_path / "tiny.safetensors").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    entry = {"preset": "tiny", "file": "tiny.safetensors", "size": len(data), "sha256": digest}
    registry = {"default": "tiny", "models": {"tiny": {**entry, "quality_range": [1, 6], "metric": "mse"}}}
    (tmp_path / "registry.json").write_text(json.dumps(registry))
    monkeypatch.setattr(registries, "BUNDLED", tmp_path)
    forget_models()
    yield model
    forget_models()


@pytest.mark.parametrize("quality", [1, 3.7, 6])
def test_a_file_decodes_to_what_the_training_graph_gives(exported: ReferenceAGVAE, quality: float) -> None:
    pixels = picture(128, 64, 5)
    decoded = agvae.decode(agvae.encode(pixels, quality))
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        output = exported(x, torch.tensor([(quality - 1) / 5 * (exported.config.levels - 1)]))
    graph = float(((output.x_hat.clamp(0, 1) * 255).round() / 255 - x).square().mean())
    mse = float(np.mean((decoded / 255.0 - pixels / 255.0) ** 2))
    assert abs(10 * np.log10(mse / graph)) < 0.02


def test_tiles_leave_no_seam(exported: ReferenceAGVAE) -> None:
    model = load_model()
    pixels = picture(400, 272, 2)
    whole = _analyse(model, [(pixels, Box(0, 0, 400, 272))], 9000, 1024)
    parts = _analyse(model, [(pixels, Box(0, 0, 400, 272))], 9000, 64)
    torch.testing.assert_close(parts, whole, atol=2e-3, rtol=1e-3)
    encoded = next(encode_images([pixels], 9000))
    header = agvae.container.Header(400, 272, "RGB", 9000, encoded.model, encoded.digest)
    request = DecodeRequest(header, dict(enumerate(encoded.payloads)))
    one, many = (_decode(model, Limits(1, side), [request], damaged_ok=False)[0] for side in (1024, 64))
    assert np.abs(one.astype(int) - many).max() <= 1


@pytest.mark.parametrize(
    ("backbone", "kind"), [("balle2018", ScaleHyperprior), ("minnen2018", JointAutoregressiveHierarchicalPriors)]
)
@pytest.mark.parametrize("asymmetric", [False, True])
def test_a_zoo_checkpoint_fits(backbone: str, kind: Any, asymmetric: bool) -> None:
    zoo = kind(16, 24)
    config = ReferenceConfig("tiny", backbone, 16, 24, "hcvr", asymmetric, BETAS)
    model = build(config)
    assert isinstance(model, ReferenceAGVAE)
    left = model.load_zoo({f"module.{name}": value for name, value in zoo.state_dict().items()})
    assert bool(left) == asymmetric
    x = crops()
    level = level_weights(torch.tensor([1.0, 1.0]), 3)
    with torch.no_grad():  # gains are 1 before training starts
        y = model.analyse(x, level)
        torch.testing.assert_close(y.permute(0, 3, 1, 2), zoo.g_a(x))
        torch.testing.assert_close(model.synthesise(y, level), zoo.g_s(zoo.g_a(x)))
        z = model.hyper_analyse(y, level)
        magnitude = y.abs() if backbone == "balle2018" else y
        torch.testing.assert_close(z.permute(0, 3, 1, 2), zoo.h_a(magnitude.permute(0, 3, 1, 2)))
        if not asymmetric:
            p = model.entropy.at_once(z.round(), level, y.round())
            scales = zoo.h_s(z.round().permute(0, 3, 1, 2))
            if backbone == "minnen2018":
                context = zoo.context_prediction(y.round().permute(0, 3, 1, 2))
                scales, means = zoo.entropy_parameters(torch.cat((scales, context), 1)).chunk(2, 1)
                torch.testing.assert_close(p.mu.permute(0, 3, 1, 2), means)
            torch.testing.assert_close(p.log2_sigma.permute(0, 3, 1, 2), scales.clamp(min=2**-3.25).log2())


def test_another_checkpoint_does_not_fit() -> None:
    model = build(CONFIGS[4])
    assert isinstance(model, ReferenceAGVAE)
    with pytest.raises(ValueError, match="minnen2018"):
        model.load_zoo(ScaleHyperprior(8, 24).state_dict())


@pytest.mark.parametrize("name", ["agvae2021", "minnen2018-gained", "balle2018-gained"])
def test_presets(name: str) -> None:
    model = build(PRESETS[name])
    assert model.config.hyper_latent == model.config.width
    assert sum(p.numel() for p in model.parameters()) > 4e6


def test_one_rate_serves_every_quality(tmp_path: Path) -> None:
    single = replace(CONFIGS[0], betas=(0.01,))
    model = started(single)
    with torch.no_grad():
        gain = model.gain(level_weights(torch.zeros(1), 1))
        assert torch.equal(gain, gain[..., :1].expand(1, 1, 1, 24))


@every_config
def test_training_starts_as_a_transform_codec(config: ReferenceConfig) -> None:
    wide = replace(config, latent=96)  # with 24 numbers for each block of 16 x 16 pixels nothing codes these pictures
    x, top = crops(2, 128), torch.full((2,), float(config.levels - 1))
    with torch.no_grad():
        model = started(wide).eval()
        mse = float((model(x, top).x_hat - x).square().mean())
        start = float((x - x.mean()).square().mean())
    assert mse < 0.2 * start
