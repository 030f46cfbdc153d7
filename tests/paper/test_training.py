"""The trainer with the paper's networks: options, metrics, starts, baselines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from agvae.networks import PRESETS
from agvae.networks.presets import B_MSE
from agvae.training.export import export_checkpoint
from agvae.training.optimizers import trained_parameters
from agvae.training.options import TrainingOptions
from agvae.training.trainer import Trainer
from tests.support.helpers import picture
from tests.support.training import (
    check_that_a_resumed_run_is_the_uninterrupted_run,
    check_that_the_export_codes_like_the_training_graph,
    check_that_two_processes_train_like_one,
    train,
)

pytest.importorskip("compressai")

from compressai.models import JointAutoregressiveHierarchicalPriors, MeanScaleHyperprior, ScaleHyperprior


@pytest.fixture
def options(tmp_path: Path) -> TrainingOptions:
    (tmp_path / "images").mkdir()
    for k in range(3):
        Image.fromarray(picture(210, 200, k)).save(tmp_path / "images" / f"{k}.png")
    return TrainingOptions(
        data=str(tmp_path / "images"),
        output=str(tmp_path / "out"),
        preset="minnen2018-gained",
        width=8,
        latent=12,
        patches=1000,
        batch=2,
        crop=64,
        warmup=1,
        adam_lr=1e-3,
        precision="fp32",
        device="cpu",
    )


def test_options_change_the_preset(options: TrainingOptions) -> None:
    config = options.config()
    assert (config.preset, config.width, config.latent, config.betas) == ("minnen2018-gained", 8, 12, B_MSE)
    changed = replace(options, rate="cvr", entropy="asymmetric", betas="0.001,0.01,0.1").config()
    assert (changed.rate, changed.asymmetric, changed.betas) == ("cvr", True, (0.001, 0.01, 0.1))
    assert replace(options, preset="agvae2021").config().asymmetric
    for wrong in (
        {"rate": "dvr"},
        {"betas": "1,2,x"},
        {"betas": "2,1"},
        {"betas": "0,1"},
        {"preset": "light", "width": 8},
        {"width": -3},
        {"width": 1025},
    ):
        with pytest.raises(ValueError, match=r"rate|betas|width|channels"):
            replace(options, **wrong).config()


@pytest.mark.parametrize("preset", ["agvae2021", "minnen2018-gained", "balle2018-gained"])
@pytest.mark.parametrize("metric", ["mse", "ms-ssim"])
def test_the_loss_falls(preset: str, metric: str, options: TrainingOptions) -> None:
    crop = 64 if metric == "mse" else 192
    changes = {"preset": preset, "metric": metric, "crop": crop, "betas": "0.001,0.1"}
    trainer = Trainer(replace(options, **changes))
    x, _ = trainer.draw()
    before = float(trainer.loss(x, torch.tensor([0.0, 1.0])).detach())
    train(trainer, 60)
    assert float(trainer.loss(x, torch.tensor([0.0, 1.0])).detach()) < 0.97 * before


@pytest.mark.parametrize("preset", ["agvae2021", "minnen2018-gained"])
def test_a_resumed_run_is_the_uninterrupted_run(preset: str, options: TrainingOptions, tmp_path: Path) -> None:
    check_that_a_resumed_run_is_the_uninterrupted_run(replace(options, preset=preset), tmp_path)


def test_two_processes_train_like_one(options: TrainingOptions, tmp_path: Path) -> None:
    check_that_two_processes_train_like_one(replace(options, preset="agvae2021"), tmp_path)


def test_the_export_codes_like_the_training_graph(options: TrainingOptions, tmp_path: Path) -> None:
    trainer = Trainer(replace(options, preset="agvae2021", adam_lr=5e-3, ema=0.9))
    train(trainer, 100)  # before that, sigma is so wrong that symbols are lost which tables leave no room for
    check_that_the_export_codes_like_the_training_graph(trainer, tmp_path)


def test_training_starts_from_a_zoo_checkpoint_with_gains_alone(options: TrainingOptions, tmp_path: Path) -> None:
    zoo = JointAutoregressiveHierarchicalPriors(8, 12)
    zoo.context_prediction(torch.zeros(1, 12, 8, 8))  # sets weights under the mask to zero, as training does
    torch.save(zoo.state_dict(), tmp_path / "zoo.pth.tar")
    trainer = Trainer(replace(options, trained="gains"), from_zoo=str(tmp_path / "zoo.pth.tar"))
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    assert torch.equal(before["analysis.layers.0.weight"], zoo.g_a[0].weight)
    train(trainer, 3)
    changed = {name for name, value in trainer.model.named_parameters() if not torch.equal(value, before[name])}
    assert changed == {
        "gain.log2",
        "inverse_gain.log2",
        "hyper_gain.log2",
        "entropy.inverse_hyper_gain.log2",
    }


@pytest.mark.parametrize("trained", ["gains", "entropy"])
def test_scales_and_biases_of_a_rate_count_as_gains(trained: str, options: TrainingOptions) -> None:
    trainer = Trainer(replace(options, rate="conditional", trained=trained))
    trainer.train_step()  # sets weights under the mask to zero
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    train(trainer, 2)
    changed = {name for name, value in trainer.model.named_parameters() if not torch.equal(value, before[name])}
    of_rate = {name for name in before if name.split(".")[1] in ("scales", "biases")}
    assert len(of_rate) == 16
    assert {name for name in changed if name.startswith(("analysis", "synthesis"))} == of_rate
    assert (changed == of_rate) == (trained == "gains")


def older(name: str, form: str) -> str:
    """A parameter's name in states of earlier releases of CompressAI."""
    for kind in ("matrices", "biases", "factors"):
        singular = {"matrices": "matrix", "biases": "bias", "factors": "factor"}[kind]
        new = f"_{kind}." if form == "lists" else f"_{singular}"
        name = name.replace(f"entropy_bottleneck.{kind}.", f"entropy_bottleneck.{new}")
    return name


@pytest.mark.parametrize("form", ["lists", "single"])
def test_older_zoo_checkpoints_are_taken_whole(form: str, options: TrainingOptions, tmp_path: Path) -> None:
    zoo = JointAutoregressiveHierarchicalPriors(8, 12)
    state = {f"module.{older(name, form)}": value for name, value in zoo.state_dict().items()}
    assert {"lists": "module.entropy_bottleneck._matrices.0", "single": "module.entropy_bottleneck._matrix0"}[
        form
    ] in state
    torch.save({"state_dict": state}, tmp_path / "zoo.pth.tar")
    trainer = Trainer(options, from_zoo=str(tmp_path / "zoo.pth.tar"))
    taken = dict(trainer.model.density.bottleneck.named_parameters())
    for name, value in zoo.entropy_bottleneck.named_parameters():
        assert torch.equal(taken[name], value), name


@pytest.mark.parametrize("other", [MeanScaleHyperprior(8, 12), ScaleHyperprior(8, 12)], ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("entropy", ["symmetric", "asymmetric"])
def test_a_zoo_checkpoint_of_another_architecture_is_refused(
    other: torch.nn.Module, entropy: str, options: TrainingOptions, tmp_path: Path
) -> None:
    torch.save(other.state_dict(), tmp_path / "zoo.pth.tar")
    with pytest.raises(ValueError, match="backbone minnen2018, width 8 and latent 12"):
        Trainer(replace(options, entropy=entropy), from_zoo=str(tmp_path / "zoo.pth.tar"))


def test_what_is_not_taken_from_a_zoo_checkpoint_is_said(
    options: TrainingOptions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "zoo.pth.tar"
    torch.save(JointAutoregressiveHierarchicalPriors(8, 12).state_dict(), path)
    Trainer(options, from_zoo=str(path))
    assert "not taken" not in capsys.readouterr().out
    Trainer(replace(options, entropy="asymmetric"), from_zoo=str(path))
    names = "entropy_parameters.4.weight, entropy_parameters.4.bias\n"
    assert capsys.readouterr().out.endswith(names)


def test_what_is_no_zoo_checkpoint(options: TrainingOptions, tmp_path: Path) -> None:
    path = tmp_path / "x.pth.tar"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="minnen2018"):
        Trainer(options, from_zoo=str(path))
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not a checkpoint"):
        Trainer(options, from_zoo=str(path))
    torch.save(JointAutoregressiveHierarchicalPriors(8, 12).state_dict(), path)
    with pytest.raises(ValueError, match="no backbone"):
        Trainer(replace(options, preset="light", width=0, latent=0), from_zoo=str(path))


def test_bottleneck_scaling_keeps_the_autoencoder_of_one_rate(options: TrainingOptions, tmp_path: Path) -> None:
    single = Trainer(replace(options, rate="cvr", betas="0.05"))
    train(single, 3)
    single.save(tmp_path / "c.pt")
    export_checkpoint(tmp_path / "c.pt", tmp_path / "single.safetensors", "single")
    scaled = replace(options, rate="bottleneck", betas="0.0005,0.005,0.05", trained="entropy")
    trainer = Trainer(scaled, init_from=str(tmp_path / "single.safetensors"))
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    train(trainer, 3)
    assert trainer.model.config.levels == 3
    for name, value in trainer.model.named_parameters():
        fixed = name.startswith(("analysis", "synthesis"))
        assert torch.equal(value, before[name]) == (fixed or "quantiles" in name), name
    trained = {name for name, _ in trained_parameters(trainer.model, "entropy")}
    assert "gain.log2" in trained
    assert not any(name.startswith("analysis") for name in trained)


def test_every_preset_is_known_by_name() -> None:
    assert {"light", "base", "agvae2021", "minnen2018-gained", "balle2018-gained"} <= PRESETS.keys()
