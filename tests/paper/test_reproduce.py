"""`agvae reproduce` with the networks of the paper: its own commands train what it draws; table 1."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from PIL import Image

from agvae.cli import main
from agvae.networks.complexity import parameters
from agvae.weights import find, read_model_file
from agvae.weights.registration import register
from reproduction import runs
from reproduction.models import models_from
from tests.support.helpers import picture

pytest.importorskip("compressai")

from compressai.models import JointAutoregressiveHierarchicalPriors, ScaleHyperprior

from reproduction.table1 import PAPER, count, equation_1, equation_2

SMALL = {"width": 8, "latent": 12, "patches": 16, "batch": 2, "crop": 64}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for k in range(2):
        Image.fromarray(picture(192, 176, k)).save(folder / f"{k}.png")
    return folder


def test_the_printed_commands_make_the_figure(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in SMALL.items():
        monkeypatch.setitem(runs.COMMON, name, value)
    figure = ["reproduce", "fig9", "--weights", "mine", "--images", str(images), "--out", "out"]
    assert main(figure) == 1
    lines = capsys.readouterr().err.splitlines()
    commands = [line for line in lines if line.startswith("agvae train")]
    assert [line.split("runs/")[1].split()[0] for line in commands] == [
        *("minnen-single-1", "minnen-single-2", "minnen-single-3"),
        *("minnen-hcvr", "minnen-bottleneck", "minnen-conditional"),
    ]
    for line in commands:
        for part in line.split(" && "):
            words = [str(images) if word == "DATA" else word for word in shlex.split(part)]
            assert main(words[1:]) == 0
    assert lines[-2] == "agvae weights register mine"
    again = shlex.split(lines[-1])[1:]
    assert sorted(again) == sorted(figure)
    assert register(tmp_path / "mine").bad == {}
    assert main(again) == 0
    numbers = json.loads(Path("out/fig9.json").read_text())
    assert numbers["missing"] == []
    assert set(numbers["models"]) == {line.split("--name ")[1] for line in commands}
    with models_from(tmp_path / "mine"):
        single, scaled = (read_model_file(find(f"minnen-{name}")) for name in ("single-3", "bottleneck"))
    assert (single.config.levels, scaled.config.levels) == (1, 6)
    fixed = [name for name in single.state if name.startswith(("analysis", "synthesis"))]
    assert all((single.state[name] == scaled.state[name]).all() for name in fixed)


def test_table_1() -> None:
    found = count()
    rows = {(row["backbone"], row["method"]): row for row in found["rows"]}
    assert set(rows) == set(PAPER)
    for (backbone, width), zoo in zip(
        (("balle2018", 128), ("minnen2018", 192)),
        (ScaleHyperprior(128, 192), JointAutoregressiveHierarchicalPriors(192, 192)),
        strict=True,
    ):
        base = found["bases"][backbone]
        assert base["parameters"] == parameters(zoo)
        assert base["flops_per_pixel"] > base["flops_per_pixel_without_inserted_zeros"]
        hcvr, scaling = rows[backbone, "hcvr"], rows[backbone, "bottleneck"]
        assert (hcvr["parameters"], hcvr["flops_per_pixel"]) == equation_2(192, 6, width, 6)
        assert scaling["parameters"] * 2 == equation_1(192, 6)[0]
        assert scaling["flops_per_pixel"] == equation_1(192, 6)[1]
        assert rows[backbone, "conditional"]["parameters"] == 2 * 6 * (6 * width + 192 + 3)
        assert hcvr["percent"][0] == pytest.approx(100 * hcvr["parameters"] / parameters(zoo))
    agreed = {key for key, row in rows.items() if row["agrees"] == [True, True]}
    assert agreed == {("balle2018", "hcvr"), ("balle2018", "bottleneck")}
    assert rows["minnen2018", "hcvr"]["agrees"] == rows["minnen2018", "bottleneck"]["agrees"] == [False, True]
