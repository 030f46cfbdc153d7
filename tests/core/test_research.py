"""The programs of docs/RESEARCH.md as they stand there, and networks of installed packages."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import agvae
from agvae.cli import main
from agvae.coding.loaded import forget_models, load_model
from agvae.networks import AGVAE, PRESETS, ModelConfig, Output, architectures, build, register, register_preset
from agvae.training import Trainer, TrainingOptions, export_checkpoint
from agvae.weights import read_model_file, registered
from tests.support.helpers import TINY, picture

DOCUMENT = (Path(__file__).parents[2] / "docs" / "RESEARCH.md").read_text(encoding="utf-8")
PROGRAMS = dict(re.findall(r"^## ([^\n]*)\n[^#]*?^```python\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    for k in range(2):
        Image.fromarray(picture(96, 80, k)).save(tmp_path / "pictures" / f"{k}.png")
    return tmp_path


def run(folder: Path, program: str) -> str:
    """What a program prints."""
    (folder / "program.py").write_text(program, encoding="utf-8")
    environment = {**os.environ, "AGVAE_DEVICE": "cpu", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=folder, capture_output=True, text=True, timeout=300, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_three_short_programs() -> None:
    assert len(PROGRAMS) == 3
    assert [name for name, program in PROGRAMS.items() if program.count("\n") >= 60] == []


@pytest.mark.parametrize(
    ("heading", "printed"),
    [
        ("A preset of your own", "tiny (96, 96)"),
        ("A backbone of four convolutions", "four (80, 112, 3)"),
        ("An entropy model without context", "plain (80, 112, 3)"),
    ],
)
def test_programs(heading: str, printed: str, folder: Path) -> None:
    assert run(folder, PROGRAMS[heading]).splitlines()[-1] == printed


@pytest.fixture
def package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The second program as the installed package "four-nets"; its entry points are in this folder."""
    (folder / "four_nets.py").write_text(PROGRAMS["A backbone of four convolutions"], encoding="utf-8")
    information = folder / "four_nets-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: four-nets\nVersion: 1.0\n")
    (information / "top_level.txt").write_text("four_nets\n")
    (information / "entry_points.txt").write_text("[agvae.networks]\nbroken = no_such_module\nfour = four_nets\n")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    forget()
    yield information
    forget()


def forget() -> None:
    """As in a new process."""
    sys.modules.pop("four_nets", None)
    forget_models()
    for known in (architectures._known, PRESETS):
        for name in [name for name in known if name.startswith("four") or name == "other"]:
            del known[name]


TRAIN = ["train", "--data=pictures", "--batch=2", "--crop=64", "--precision=fp32", "--device=cpu"]


def test_networks_of_packages_are_found_when_a_file_names_them(
    folder: Path, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agvae.encode(picture(20, 20))
    assert "four_nets" not in sys.modules
    for words in (
        [*TRAIN, "--output=run", "--preset=four-tiny", "--patches=2"],
        ["train", "--resume=run/checkpoint.pt", "--patches=4"],
        ["export", "run/checkpoint.pt", "models/four.safetensors", "--name=four"],
        ["weights", "register", "models"],
        [*TRAIN, "--output=more", "--init-from=models/four.safetensors", "--patches=2"],
        ["info", "--model=models/four.safetensors"],
        ["info", "--model=four-tiny"],
        ["evaluate", "pictures", "-o=measured", "--peers", "-q", "2", "--model=run/checkpoint.pt"],
    ):
        forget()
        assert main(words) == 0, (words, capsys.readouterr().err)
    assert main([*TRAIN, "--output=none", "--preset=none"]) == 1
    message = capsys.readouterr().err
    assert "four-tiny, not 'none'; no_such_module, which four-nets offers as 'broken', cannot be imported" in message
    with agvae.options.using(weights="models"):
        forget()
        data = agvae.encode(picture(50, 40), model="four")
        forget()
        assert agvae.decode(data).shape == (40, 50, 3)
        (folder / "four_nets.py").unlink()
        forget()
        with pytest.raises(agvae.AgvError, match="four_nets, which four-nets offers as 'four', cannot be imported"):
            agvae.decode(data)
        (package / "entry_points.txt").unlink()
        missing = "its architecture 'four' is not known here: the package 'four-nets' that registers it is not "
        with pytest.raises(agvae.AgvError, match=missing):
            agvae.decode(data)
    for words in (
        ["info", "--model=models/four.safetensors"],
        ["train", "--resume=run/checkpoint.pt"],
        ["export", "run/checkpoint.pt", "again.safetensors"],
    ):
        assert main(words) == 1
        assert missing in capsys.readouterr().err


@dataclass(frozen=True)
class OtherConfig(ModelConfig):
    """Of a network that is not registered."""


OTHER = OtherConfig("other", 24, 32, 32, 8, 16, 1, 1, 1, 1, (0.01, 0.1))


def test_a_subclass_of_a_configuration_is_no_agvae(folder: Path, package: Path) -> None:
    with pytest.raises(ValueError, match=r"no architecture is registered for tests\.core\.test_research\.OtherConfig"):
        build(OTHER)
    with pytest.raises(ValueError, match="no architecture is registered"):
        register_preset(OTHER)
    options = TrainingOptions((str(folder / "pictures"),), str(folder / "run"), batch=1, crop=64, device="cpu")
    trainer = Trainer(options, network=AGVAE(OTHER))
    trainer.save(folder / "c.pt")
    Trainer(options, network=AGVAE(OTHER)).resume(folder / "c.pt")
    with pytest.raises(ValueError, match=r"c\.pt gives no model .*OtherConfig' is not known here: the package 'tests'"):
        export_checkpoint(folder / "c.pt", folder / "m.safetensors", "other")
    with pytest.raises(ValueError, match=r"a shape of its own: no betas can be chosen"):
        Trainer(replace(options, betas="1"), network=AGVAE(OTHER))
    register("four-other", OtherConfig, AGVAE, [OTHER])
    assert build(OTHER).config is PRESETS["other"] is OTHER


@pytest.mark.parametrize(
    ("name", "kind", "presets", "message"),
    [
        ("agvae", OtherConfig, [], "another architecture is registered under the name 'agvae'"),
        ("four", ModelConfig, [], "is the configuration of the architecture 'agvae' already"),
        ("../four", OtherConfig, [], "is no name"),
        ("four", OtherConfig, [replace(OTHER, preset="light")], "there is another preset 'light'"),
        ("four", OtherConfig, [TINY], "preset 'tiny' is no tests.core.test_research.OtherConfig"),
    ],
)
def test_what_would_change_other_networks_is_not_registered(
    name: str, kind: type, presets: list[Any], message: str, package: Path
) -> None:
    before = dict(architectures._known), dict(PRESETS)
    with pytest.raises(ValueError, match=message):
        register(name, kind, AGVAE, presets)
    assert (architectures._known, PRESETS) == before


class Picture:
    """Crops that follow from the generator."""

    def draw(self, batch: int, crop: int, generator: torch.Generator, share: slice) -> torch.Tensor:
        return torch.rand(batch, 3, 1, 1, generator=generator)[share].expand(-1, -1, crop, crop).clone()


def test_data_and_loss_of_ones_own(folder: Path) -> None:
    seen: list[tuple[Any, ...]] = []

    def loss(output: Output, x: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        seen.append((output.x_hat.shape, x.shape, q.shape))
        return (output.x_hat - x).square().mean() + 0 * output.y_bits.sum()

    options = TrainingOptions((), str(folder / "run"), batch=3, crop=64, precision="fp32", device="cpu", patches=30)
    network = AGVAE(replace(TINY, preset="mine"))
    trainer = Trainer(options, network=network, data=Picture(), loss=loss)
    assert trainer.model is network
    for _ in range(2):
        trainer.train_step()
    assert seen == 2 * [(torch.Size([3, 3, 64, 64]), torch.Size([3, 3, 64, 64]), torch.Size([3]))]
    trainer.save(folder / "c.pt")
    again = Trainer(options, network=AGVAE(replace(TINY, preset="mine")), data=Picture(), loss=loss)
    again.resume(folder / "c.pt")
    assert float(again.train_step()) == float(trainer.train_step())


class WithBuffers(AGVAE):
    """A network with a mean that it learns by itself, and an order in its entropy model."""

    def __init__(self, config: OtherConfig) -> None:
        super().__init__(config)
        self.register_buffer("mean", torch.zeros(3, 1, 1))
        self.entropy.register_buffer("order", torch.arange(4))
        self.entropy.register_buffer("slope", torch.tensor(0.3))

    def forward(self, x: torch.Tensor, q: torch.Tensor, noise: Any = torch.rand_like) -> Output:
        self.mean.lerp_(x.mean((0, 2, 3))[:, None, None], 0.5)
        return super().forward(x, q, noise)


def test_buffers_are_averaged_and_exported(folder: Path, package: Path) -> None:
    register("four-buffers", OtherConfig, WithBuffers)
    options = TrainingOptions((), str(folder / "run"), batch=2, crop=64, precision="fp32", device="cpu", patches=4)
    trainer = Trainer(options, network=WithBuffers(OTHER), data=Picture())
    trainer.run()
    other = Trainer(options, network=WithBuffers(OTHER), data=Picture())
    for _ in range(2):
        other.train_step()
    assert torch.equal(other.model.get_buffer("mean"), trainer.model.get_buffer("mean"))  # that no trial has changed
    export_checkpoint(folder / "run" / "checkpoint.pt", folder / "m.safetensors", "buffers")
    file = read_model_file(folder / "m.safetensors")
    assert file.buffers == {"mean", "entropy.order", "entropy.slope"}
    assert torch.equal(file.state["mean"], trainer.model.get_buffer("mean"))
    assert bool(file.state["mean"].any())
    assert file.state["entropy.order"].tolist() == [0, 1, 2, 3]
    assert float(file.state["entropy.slope"]) == round(0.3 * 2**16) / 2**16
    with registered(folder / "m.safetensors") as name:
        assert name == "buffers"
        assert agvae.decode(agvae.encode(picture(40, 30), model=name)).shape == (30, 40, 3)
        assert torch.equal(load_model(name).network.get_buffer("mean"), file.state["mean"])


def test_a_model_in_no_registry_has_another_name_than_a_released_one(tiny_weights: Path) -> None:
    with registered(tiny_weights / "tiny.safetensors") as name:
        found = agvae.read_info(agvae.encode(picture(40, 30), model=name))
    digest = hashlib.sha256((tiny_weights / "tiny.safetensors").read_bytes()).hexdigest()
    assert name == found["model"] == f"tiny-{digest[:8]}"
    assert found["digest"] == digest[:16]


class Unmade(AGVAE):
    """A network that cannot be made twice."""

    broken = False

    def __init__(self, config: OtherConfig) -> None:
        if self.broken:
            raise AttributeError
        super().__init__(config)


def test_a_network_that_cannot_be_made_is_an_error_of_its_model(
    folder: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register("four-unmade", OtherConfig, Unmade)
    options = TrainingOptions((), str(folder / "run"), batch=1, crop=64, device="cpu")
    Trainer(options, network=Unmade(OTHER), data=Picture()).save(folder / "c.pt")
    export_checkpoint(folder / "c.pt", folder / "m.safetensors", "unmade")
    monkeypatch.setattr(Unmade, "broken", True)
    with registered(folder / "m.safetensors") as name, pytest.raises(agvae.AgvError, match="no network can be made"):
        agvae.encode(picture(20, 20), model=name)
