"""Mistakes in networks of one's own are found before they are trained, not when a picture is coded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import agvae
from agvae.networks import AGVAE, EntropyModel, HyperAnalysis, ModelConfig, architectures, build, register
from agvae.networks.checks import check_network
from agvae.training import Trainer, TrainingOptions, export_checkpoint
from agvae.weights import registered
from tests.support.helpers import TINY, picture


@dataclass(frozen=True)
class MineConfig(ModelConfig):
    """Of a network of one's own."""

    more: Any = None

    def least_weights(self) -> int:
        return self.more if isinstance(self.more, int) else 1


class Mine(AGVAE):
    """One that has a buffer which it makes anew."""

    def __init__(self, config: MineConfig) -> None:
        super().__init__(config)
        self.analysis.register_buffer("order", torch.arange(3.0), persistent=False)


MINE = MineConfig(**{**TINY.to_dict(), "preset": "mine"})  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(architectures, "_known", dict(architectures._known))
    register("mine", MineConfig, Mine)


class Crops:
    def draw(self, batch: int, crop: int, generator: torch.Generator, share: slice) -> Tensor:
        return torch.rand(batch, 3, 1, 1, generator=generator)[share].expand(-1, -1, crop, crop).clone()


def options(folder: Path) -> TrainingOptions:
    return TrainingOptions((), str(folder / "run"), batch=1, crop=64, precision="fp32", device="cpu", patches=1)


def test_a_good_network_is_left_as_it_was() -> None:
    network = Mine(MINE)
    network.analysis.eval()
    before = [module.training for module in network.modules()]
    state = torch.get_rng_state()
    check_network(network)
    assert [module.training for module in network.modules()] == before
    assert torch.equal(torch.get_rng_state(), state)
    check_network(build(TINY))


def test_a_buffer_that_is_made_anew_is_in_no_model_file(tmp_path: Path) -> None:
    trainer = Trainer(options(tmp_path), network=Mine(MINE), data=Crops())
    trainer.save(tmp_path / "c.pt")
    export_checkpoint(tmp_path / "c.pt", tmp_path / "m.safetensors", "mine")
    with registered(tmp_path / "m.safetensors") as name:
        assert agvae.decode(agvae.encode(picture(40, 30), model=name)).shape == (30, 40, 3)


def without_last(network: Any) -> None:
    walk = network.entropy.walk

    def shorter(*args: Any) -> Any:
        yield next(walk(*args))

    network.entropy.walk = shorter


def in_another_order(network: Any) -> None:
    split = network.entropy.split
    network.entropy.split = lambda y: split(y)[::-1]


def with_halo(halo: object) -> Callable[[Any], None]:
    def change(network: Any) -> None:
        network.analysis.halo = lambda: halo

    return change


class Coarse(HyperAnalysis):
    def forward(self, y: Tensor) -> Tensor:
        return super().forward(y)[:, :-1]


class NotInIntegers(EntropyModel):
    in_integers = True

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.more = nn.Conv2d(3, 3, 1)


def of_config(**changes: Any) -> Callable[[Any], None]:
    def change(network: Any) -> None:
        network.config = replace(MINE, **changes)

    return change


MISTAKES: list[tuple[Callable[[Any], None], str]] = [
    (lambda n: delattr(n, "inverse_gain"), "the network has no inverse_gain"),
    (lambda n: delattr(n, "config"), "the network has no config"),
    (lambda n: setattr(n, "analysis", nn.Identity()), "analysis has no halo"),
    (lambda n: setattr(n, "entropy", nn.Identity()), "entropy has no walk"),
    (with_halo(40), r"analysis\.halo\(\) must be a multiple of 16 pixels, not 40"),
    (with_halo(-16), r"halo\(\) must be .* not -16"),
    (with_halo(32.0), r"halo\(\) must be .* not 32\.0"),
    (with_halo(16), r"analysis\.halo\(\) is 16 pixels, but its results depend on more"),
    (lambda n: setattr(n.synthesis, "halo", lambda: 16), r"synthesis\.halo\(\) is 16 pixels"),
    (lambda n: setattr(n, "hyper_analysis", Coarse(n.config)), r"z of .* must be \(2, 2, 3, 8\) .* not \(2, 1, 3, 8\)"),
    (lambda n: setattr(n, "analyse", lambda x, weights: x), r"y of .* must be \(2, 6, 10, 32\)"),
    (lambda n: setattr(n, "synthesise", lambda y, weights: y), "x-hat of synthesis"),
    (without_last, "fewer steps"),
    (lambda n: setattr(n.entropy, "split", lambda y: []), "more steps"),
    (in_another_order, "another order"),
    (lambda n: n.entropy.register_buffer("c", torch.ones(3), persistent=False), r"entropy\.c must be a persistent"),
    (lambda n: setattr(n, "entropy", NotInIntegers(n.config)), "in_integers, but has parameters in layers other than"),
    (of_config(more=Path("x")), "a file cannot hold this MineConfig: .*Path"),
    (of_config(more={1: 2}), "another one after a file"),
    (of_config(more=[1]), "another one after a file"),
    (of_config(more=10**9), "is 1000000000, but the network has"),
]


@pytest.mark.parametrize(("change", "message"), MISTAKES)
def test_mistakes(change: Callable[[Any], None], message: str, tmp_path: Path) -> None:
    network = Mine(MINE)
    change(network)
    with pytest.raises(ValueError, match=message):
        Trainer(options(tmp_path), network=network, data=Crops())


def test_export_finds_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Trainer(options(tmp_path), network=Mine(MINE), data=Crops()).save(tmp_path / "c.pt")
    monkeypatch.setattr(MineConfig, "least_weights", lambda _: None)
    with pytest.raises(ValueError, match=r"c\.pt gives no model .*least_weights\(\) of MineConfig must be an integer"):
        export_checkpoint(tmp_path / "c.pt", tmp_path / "m.safetensors", "mine")


@pytest.mark.parametrize("betas", [(0.3, 0.1), (0.1, 0.1), (0.0, 0.1), (-0.1, 0.1), [0.1, 0.3]])
def test_betas_ascend(betas: Any) -> None:
    with pytest.raises(ValueError, match="betas must be a tuple of positive numbers that ascend"):
        replace(TINY, betas=betas)


@pytest.mark.parametrize("kind", [MINE, Mine, object])
def test_what_is_no_class_of_configurations_is_not_registered(kind: Any) -> None:
    with pytest.raises(ValueError, match="is no class of configurations"):
        register("other", kind, Mine)
