"""`agvae reproduce` with small models of the default kind under the names of the runs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import agvae
from agvae.cli import main, running
from agvae.coding.choice import encode_images
from agvae.coding.loaded import load_model
from agvae.entropy import asymmetric
from agvae.evaluation.measure import Point
from agvae.metrics import psnr
from agvae.quality import MAX_LEVEL
from agvae.training.export import export_checkpoint
from agvae.training.options import TrainingOptions
from agvae.weights.registration import register
from reproduction import card, results
from reproduction.densities import matched_normal, normal_mass
from reproduction.experiments import EXPERIMENTS
from reproduction.kinds import Setup
from reproduction.latents import code, read_centre
from reproduction.measurements import deviations, trained_qualities
from reproduction.models import models_from, sha256_of
from reproduction.outcome import reproduce
from reproduction.prose import read, read_sections
from reproduction.recipe import how_to_train, train_command
from reproduction.runs import ROOT, RUNS, WEIGHTS
from reproduction.verdicts import decide, difference, spread
from tests.support.helpers import TINY, picture, started

SIX, COARSE, ONE = "agvae", "sgvae", "minnen-single-1"
"""Runs for which there is a model of its own; the others get a copy of the first."""
MSE_ONLY = ("fig9", "fig10", "fig11", "fig12")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """On pictures as small as these, threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model for every run: small ones of six rates and of one."""
    folder = tmp_path_factory.mktemp("models")
    coarse = started()
    with torch.no_grad():
        coarse.gain.log2 -= 0.3
        coarse.inverse_gain.log2 += 0.3
    for name, model in ((SIX, started()), (COARSE, coarse), (ONE, started(replace(TINY, betas=(0.01,))))):
        state = {"config": model.config.to_dict(), "average": model.state_dict(), "options": {"batch": 1}, "step": 0}
        torch.save({**state, "elapsed": 0.0, "device": "cpu"}, folder / "c.pt")
        export_checkpoint(folder / "c.pt", folder / f"{name}.safetensors", name)
    (folder / "c.pt").unlink()
    for name in RUNS.keys() - {SIX, COARSE, ONE}:
        source = ONE if "single" in name else COARSE if name.startswith("sgvae") else SIX
        named_copy(folder / f"{source}.safetensors", folder / f"{name}.safetensors", name)
    assert register(folder).bad == {}
    return folder


def named_copy(source: Path, target: Path, name: str) -> None:
    """A model file with another name in its card."""
    with safe_open(source, "pt") as file:
        metadata = file.metadata()
    card = {**json.loads(metadata["card"]), "name": name}
    save_file(load_file(source), target, {**metadata, "card": json.dumps(card)})


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for k in range(2):
        Image.fromarray(picture(192, 176, k)).save(folder / f"{k}.png")
    return folder


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, so that models are measured once."""
    return tmp_path_factory.mktemp("out")


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name != "table1"])
def test_every_figure_is_drawn(name: str, folder: Path, images: Path, out: Path, capsys: Any) -> None:
    arguments = ["reproduce", name, "--out", str(out), "--images", str(images), "--weights", str(folder)]
    assert main(arguments) == 0
    assert "no trained weights" not in capsys.readouterr().err
    numbers = json.loads((out / f"{name}.json").read_text())
    assert numbers["missing"] == []
    assert any("Models of MSE only" in note for note in numbers["notes"]) == (name in MSE_ONLY)
    assert numbers["command"] == shlex.join(["agvae", *arguments])
    assert all(entry["sha256"] for entry in numbers["models"].values())
    assert numbers["machine"]["torch"]
    with Image.open(out / f"{name}.png") as drawn:
        assert drawn.format == "PNG"
        assert len(np.unique(np.asarray(drawn))) > 10
    assert main(arguments) == 1
    assert "exists already, and is replaced only with --force" in capsys.readouterr().err


def test_curves_are_those_of_real_files(folder: Path, images: Path, out: Path) -> None:
    numbers = reproduce("fig12", Setup(out, folder, images)).numbers
    curve = numbers["panels"]["AG-VAE"]["curves"]["symmetric (SG-VAE)"]
    assert (curve["setting"], set(curve["model"])) == ([1, 2, 3, 4, 5, 6], {"sgvae"})
    with models_from(folder):
        for k, quality in enumerate(curve["setting"]):
            pixels = [np.asarray(Image.open(images / f"{n}.png")) for n in range(2)]
            coded = [agvae.encode(array, quality, model="sgvae") for array in pixels]
            assert curve["bpp"][k] == pytest.approx(
                np.mean([8 * (len(data) - len("sgvae")) / 192 / 176 for data in coded])
            )
            found = [psnr(array, agvae.decode(data)) for array, data in zip(pixels, coded, strict=True)]
            assert curve["psnr"][k] == pytest.approx(np.mean(found), abs=1e-9)
    deltas = {(bd["test"], bd["anchor"], bd["metric"]): bd["rate"] for bd in numbers["panels"]["AG-VAE"]["bd"]}
    assert deltas["asymmetric (AG-VAE), seed 2", "asymmetric (AG-VAE)", "psnr"] == 0  # copies of one file
    assert deltas["asymmetric (AG-VAE)", "symmetric (SG-VAE)", "psnr"] != 0


def test_nothing_is_coded_twice(folder: Path, images: Path, tmp_path: Path) -> None:
    shutil.copytree(images, tmp_path / "images")
    Image.fromarray(picture(192, 176, 7)).save(tmp_path / "images" / "1.png")

    def coded(experiment: str, pictures: Path) -> list[str]:
        """What had to be coded, image by image."""
        lines: list[str] = []
        assert reproduce(experiment, Setup(tmp_path / "out", folder, pictures), lines.append).files
        assert lines.pop(0).startswith(f"{pictures}: 2 images")
        return [line.split(", ")[1] for line in lines]

    assert coded("fig3", images) == ["0.png", "1.png"]
    first = (tmp_path / "out" / "fig3.png").read_bytes()
    assert coded("fig3", images) == []
    assert (tmp_path / "out" / "fig3.png").read_bytes() == first
    assert coded("fig4", images) == ["0.png", "1.png"]  # between the trained vectors
    assert coded("fig4", images) == []
    assert coded("fig3", tmp_path / "images") == ["1.png"]
    assert (tmp_path / "out" / "fig3.png").read_bytes() != first


def test_one_model_against_models_of_one_rate(folder: Path, images: Path, out: Path) -> None:
    panel = reproduce("fig9", Setup(out, folder, images)).numbers["panels"]["Minnen et al."]
    assert [entry["model"] for entry in panel["single_rate"]] == [f"minnen-single-{k}" for k in (1, 2, 3)]
    one = panel["curves"]["HCVR"]
    for entry in panel["single_rate"]:
        assert entry["rate_percent_at_equal_psnr"] is not None
        rate = entry["bpp"] * (1 + entry["rate_percent_at_equal_psnr"] / 100)
        above = next(k for k in range(6) if one["psnr"][k] >= entry["psnr"])
        assert one["bpp"][above - 1] < rate <= one["bpp"][above]
        assert (entry["db_at_equal_rate"] > 0) == (entry["rate_percent_at_equal_psnr"] < 0)


def test_what_is_missing_is_named_with_its_commands(folder: Path, images: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "few").mkdir()
    shutil.copy(folder / "agvae.safetensors", tmp_path / "few")
    register(tmp_path / "few")
    weights = ["--weights", str(tmp_path / "few"), "--out", str(tmp_path / "out")]
    assert main(["reproduce", "fig11", *weights, "--images", str(images)]) == 0
    error = capsys.readouterr().err
    numbers = json.loads((tmp_path / "out" / "fig11.json").read_text())
    assert list(numbers["panels"]["AG-VAE"]["curves"]) == ["HCVR"]
    assert len(numbers["missing"]) == 6
    assert all(f"agvae train --data DATA --output runs/{name} " in error for name in numbers["missing"])
    assert main(["reproduce", "fig9", *weights, "--images", str(images)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert sum("runs/minnen-single-3 " in line for line in lines) == 1  # although another run starts from it
    assert not (tmp_path / "out" / "fig9.json").exists()


@pytest.mark.parametrize("given", [[], ["--images", "some images"]])
@pytest.mark.parametrize("there", [False, True])
def test_a_folder_without_models_gets_all_commands(
    given: list[str], there: bool, images: Path, tmp_path: Path, capsys: Any
) -> None:
    new, out = tmp_path / "new", tmp_path / "out"
    if there:
        new.mkdir()
    given = [given[0], str(images)] if given else []
    assert main(["reproduce", "fig10", "--weights", str(new), "--out", str(out), *given]) == 1
    lines = capsys.readouterr().err.splitlines()
    trained = [line.split("--name ")[1] for line in lines if line.startswith("agvae train ")]
    assert trained == [*(f"{b}-{m}" for b in ("balle", "minnen") for m in ("single-1", "single-2", "single-3", "hcvr"))]
    asked = ["--images", str(images) if given else "IMAGES", "--out", str(out), "--weights", str(new)]
    assert lines[-2:] == [
        shlex.join(["agvae", "weights", "register", str(new)]),
        shlex.join(["agvae", "reproduce", "fig10", *asked]),
    ]
    assert not out.exists()


def test_commands_leave_the_bundled_models_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reproduction.recipe.WEIGHTS", folder)
    with models_from(folder):
        lines = how_to_train(["balle-hcvr"], ["minnen-hcvr"], folder, ["agvae"]).splitlines()
    assert lines[:2] == [
        "mkdir -p my-experiments",
        shlex.join(["cp", str(folder / "minnen-hcvr.safetensors"), str(folder / "balle-hcvr.safetensors")])
        + " my-experiments",
    ]
    assert lines[2:] == ["agvae weights register my-experiments", "agvae --weights my-experiments"]


def test_no_bd_rate_against_an_incomplete_curve(folder: Path, images: Path, out: Path, tmp_path: Path) -> None:
    for name in ("minnen-hcvr", "minnen-single-1", "minnen-single-3"):
        shutil.copy(folder / f"{name}.safetensors", tmp_path)
    register(tmp_path)
    panel = reproduce("fig9", Setup(tmp_path / "out", tmp_path, images)).numbers["panels"]["Minnen et al."]
    assert {label: curve["incomplete"] for label, curve in panel["curves"].items()} == {
        "single-rate models": True,
        "HCVR": False,
    }
    assert panel["bd"] == []
    whole = reproduce("fig9", Setup(out, folder, images)).numbers["panels"]["Minnen et al."]
    assert not whole["curves"]["single-rate models"]["incomplete"]
    assert {bd["test"] for bd in whole["bd"]} >= {"bottleneck scaling", "conditional convolution"}


@pytest.mark.parametrize("name", [name for name, experiment in EXPERIMENTS.items() if not experiment.any_model])
def test_a_figure_with_models_of_its_own_takes_no_other(name: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as usage:
        main(["reproduce", name, "--model", "agvae"])
    assert usage.value.code == 2
    assert "--model is for fig2" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["cut", "empty field", "text", "header"])
def test_damaged_measurements_are_measured_again(damage: str, folder: Path, images: Path, tmp_path: Path) -> None:
    setup = Setup(tmp_path, folder, images)
    before = reproduce("fig3", setup).numbers["panels"]["agvae"]["curves"]["trained vectors (DVR)"]
    (file,) = (tmp_path / "rows").iterdir()
    good = file.read_text()
    header, first, *_ = good.splitlines()
    file.write_text(
        {
            "cut": good[: len(header) + len(first) // 2],
            "empty field": good.replace(f",{first.split(',')[8]},", ",,", 1),
            "text": "no table\n\0\n",
            "header": f"{first}\n{first}\n",
        }[damage]
    )
    lines: list[str] = []
    after = reproduce("fig3", setup, lines.append).numbers["panels"]["agvae"]["curves"]["trained vectors (DVR)"]
    assert all(after[key] == before[key] for key in ("setting", "bpp", "psnr"))
    assert str(images) in lines.pop(0)
    assert str(file) in lines[0]
    assert len(lines) == 3
    assert file.read_text().splitlines()[0] == header


@pytest.mark.parametrize("name", RUNS)
def test_commands_of_every_run_are_good(name: str) -> None:
    train, export = (shlex.split(part)[1:] for part in train_command(name, Path("some where")).split(" && "))
    args = vars(running._parser(train).parse_args(train))
    options = TrainingOptions(**{key[7:]: value for key, value in args.items() if key.startswith("option_")})
    rates = {"single": 1, "n3": 3}
    assert options.config().levels == next((n for part, n in rates.items() if part in name), 6)
    assert args["init_from"] == (f"some where/{RUNS[name].start}.safetensors" if RUNS[name].start else None)
    assert running._parser(export).parse_args(export).output == Path("some where") / f"{name}.safetensors"


def test_what_cannot_be_done_is_an_error(folder: Path, images: Path, tmp_path: Path, capsys: Any) -> None:
    arguments = ["--out", str(tmp_path / "out"), "--weights"]
    assert main(["reproduce", "fig9", *arguments, str(folder)]) == 1
    assert "--images" in capsys.readouterr().err
    shutil.copytree(folder, tmp_path / "models")
    (tmp_path / "models" / "registry.json").unlink()
    assert main(["reproduce", "fig2", *arguments, str(tmp_path / "models")]) == 1
    assert "has no registry.json; make one with" in capsys.readouterr().err
    assert main(["reproduce", "fig4", "--model", ONE, "--images", str(images), *arguments, str(folder)]) == 1
    assert "one gain vector" in capsys.readouterr().err
    assert main(["reproduce", "fig2", "--model", "none", *arguments, str(folder)]) == 1
    assert "unknown model 'none'" in capsys.readouterr().err
    Image.fromarray(picture(63, 200)).save(tmp_path / "small.png")
    assert main(["reproduce", "fig2", "--image", str(tmp_path / "small.png"), *arguments, str(folder)]) == 1
    assert "64 x 64" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_good_models_are_registered_beside_bad_ones(folder: Path, tmp_path: Path, capsys: Any) -> None:
    shutil.copy(folder / "agvae.safetensors", tmp_path)
    shutil.copy(folder / "sgvae.safetensors", tmp_path / "renamed.safetensors")
    shutil.copy(folder / "sgvae.safetensors", tmp_path / "twice.safetensors")
    (tmp_path / "bad.safetensors").write_bytes((folder / "agvae.safetensors").read_bytes()[:1000])
    shutil.copy(folder / "agvae-cvr.safetensors", tmp_path / "no name.safetensors")
    assert main(["weights", "register", str(tmp_path)]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in errors] == ["warning:", "error:", "error:", "error:"]
    assert all(name in line for name, line in zip(("renamed", "bad", "no name", "twice"), errors, strict=True))
    with models_from(tmp_path):
        assert sha256_of("agvae")
        assert load_model("sgvae").name == "sgvae"
        assert sha256_of("agvae-cvr") is None
    for name in ("bad", "no name", "twice"):
        (tmp_path / f"{name}.safetensors").unlink()
    assert main(["weights", "register", str(tmp_path)]) == 0


def test_the_card_names_betas_and_needs_no_validation(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "agvae").mkdir()
    rows = [f"{step},{step},1,{s},{step + s}.5,30,1" for step in (1, 2) for s in range(6)]
    (tmp_path / "agvae" / "validation.csv").write_text("\n".join(["step,patches,minutes,s,bpp,psnr,loss", *rows]))
    lines = card.describe(tmp_path, folder).splitlines()
    (own,) = (line for line in lines if line.startswith("| agvae |"))
    assert [cell.split(" / ")[0] for cell in own.split(" | ")[3:]] == [f"{2 + s}.500" for s in range(6)]
    (without,) = (line for line in lines if line.startswith("| sgvae |"))
    assert without.endswith("| - | - | - | - | - | - |")
    (single,) = (line for line in lines if line.startswith(f"| {ONE} |"))
    assert single.endswith("| 0.01 | - |")
    assert any("--beta-exponent 0.4" in line for line in lines)


def test_models_come_from_the_folder_for_a_time(folder: Path) -> None:
    before = agvae.options.weights
    with models_from(folder):
        assert sha256_of("agvae") == register(folder).models["agvae"]["sha256"]
        assert load_model("agvae").network.config.preset == "tiny"
    assert agvae.options.weights == before


def test_importance_of_channels(folder: Path, tmp_path: Path) -> None:
    Image.fromarray(picture(200, 130, 3)).save(tmp_path / "a.png")
    numbers = reproduce("fig2", Setup(tmp_path, folder, image=tmp_path / "a.png")).numbers
    pixels = read_centre(tmp_path / "a.png")
    assert pixels.shape == (128, 192, 3)
    with models_from(folder):
        whole = psnr(pixels, agvae.decode(agvae.encode(pixels, 6, model="agvae")))
    assert numbers["psnr"] == pytest.approx(whole, abs=1e-6)
    assert len(numbers["loss"]) == 32
    assert numbers["psnr_of_scale"][0] == pytest.approx(numbers["psnr"] - max(numbers["loss"]))
    assert numbers["psnr_of_scale"][-1] == numbers["psnr"]


@pytest.mark.parametrize("name", ["fig2", "supp-fig2"])
def test_models_whose_entropy_model_works_in_integers(name: str, tmp_path: Path) -> None:
    Image.fromarray(picture(64, 64, 3)).save(tmp_path / "a.png")
    out = tmp_path / "out"
    assert main(["reproduce", name, "--model", "base-1", "--image", str(tmp_path / "a.png"), "--out", str(out)]) == 0
    numbers = json.loads((out / f"{name}.json").read_text())
    if name == "fig2":
        pixels = read_centre(tmp_path / "a.png")
        whole = psnr(pixels, agvae.decode(agvae.encode(pixels, 6, model="base-1")))
        assert numbers["psnr"] == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize("level", [0, 9000, MAX_LEVEL])
@pytest.mark.parametrize("name", ["agvae", "base-1"])
def test_latents_are_those_of_the_file(name: str, level: int, folder: Path, tmp_path: Path) -> None:
    Image.fromarray(picture(192, 128, 4)).save(tmp_path / "a.png")
    pixels = read_centre(tmp_path / "a.png")
    with models_from(folder):
        model = load_model(name)
        coded = code(model, pixels, level)
        (data,) = (encoded.payloads[0] for encoded in encode_images([pixels], level, model=name))
        (latents,) = model.unpack([data], [level], 8, 12)
        assert not isinstance(latents, Exception)
        steps = model.network.entropy.split(coded.residual[None])
    for mine, theirs in zip(steps, latents.y, strict=True):
        np.testing.assert_array_equal(mine.flatten().numpy(), theirs)
    bits = asymmetric.bits(coded.residual, coded.log2_sigma, coded.asymmetry).sum()
    assert 0.5 * 8 * len(data) < float(bits) < 1.02 * 8 * len(data)


def test_entropy_models_are_compared_on_one_channel(folder: Path, out: Path) -> None:
    numbers = reproduce("supp-fig2", Setup(out, folder)).numbers["of"]
    assert set(numbers) == {"agvae", "sgvae"}
    for found in numbers.values():
        assert found["bpp"] <= 0.5
        assert 0 < found["bits"] < found["y_bits"]
        assert found["bits_of_matched_normal"] > 0


@pytest.mark.parametrize(("log2_sigma", "asymmetry"), [(0.0, 0.0), (2.0, 1.5), (3.0, -2.0)])
def test_the_matched_normal_has_the_moments_of_the_density(log2_sigma: float, asymmetry: float) -> None:
    parameters = torch.tensor([log2_sigma], dtype=torch.float64), torch.tensor([asymmetry], dtype=torch.float64)
    r = torch.arange(-200, 201, dtype=torch.float64)
    mean, sigma = matched_normal(*parameters)
    own, normal = asymmetric.interval_probability(r, *parameters), normal_mass(r, mean, sigma)
    for mass in (own, normal):
        assert float(mass.sum()) == pytest.approx(1)
        assert float((mass * r).sum()) == pytest.approx(float(mean), abs=1e-3)
        assert float((mass * (r - mean) ** 2).sum()) == pytest.approx(float(sigma**2) + 1 / 12, rel=1e-3)


def test_gains_are_those_of_the_model(folder: Path, out: Path) -> None:
    numbers = reproduce("supp-fig1", Setup(out, folder)).numbers
    with models_from(folder):
        log2 = load_model("agvae").network.gain.log2
    np.testing.assert_allclose(np.log2(numbers["gains"]), log2.numpy(), atol=1e-6)
    assert np.shape(numbers["correlation_of_log_gains"]) == (6, 6)


def test_deviation_from_the_curve_through_trained_points() -> None:
    def point(setting: float, bpp: float, quality: float) -> Point:
        return Point(setting, 1, bpp, quality, None, None, 0, 0, 0, 0)

    trained = [point(s, 2.0**s, 20 + 3 * s) for s in (1, 2, 3)]
    between = [point(1.5, 2**1.5, 24.5), point(2.5, 2**2.5, 27.0), point(3.5, 2**3.5, 99.0)]
    found = deviations(trained, [*trained, *between], "psnr")
    assert found == {1.5: pytest.approx(0, abs=1e-9), 2.5: pytest.approx(-0.5)}
    assert deviations(trained, between, "ms_ssim_db") == {}
    assert deviations(trained[:1], between, "psnr") == {}


def test_trained_qualities() -> None:
    assert trained_qualities(6) == [1, 2, 3, 4, 5, 6]
    assert trained_qualities(3) == [1, 3.5, 6]
    assert trained_qualities(1) == [1]


def test_verdicts() -> None:
    assert decide([-2.0, -3.0], 1.0) == "yes"
    assert decide([2.0, 3.0], 1.0) == "no"
    assert decide([-2.0, -3.0], 2.5) == "not decided: below the spread of the seeds"
    assert decide([-9.0, 1.0], 0.5) == "not decided: below the spread of the seeds"
    assert decide([-9.0, None], None) == "not decided: one seed"
    assert decide([None], 1.0) == "not measured yet"


def test_results_in_words(folder: Path, images: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_table = {name: experiment for name, experiment in EXPERIMENTS.items() if name != "table1"}
    monkeypatch.setattr(results, "EXPERIMENTS", without_table)  # it needs CompressAI
    text = results.describe(*results.reproduce_all(images, out, folder))
    numbers = json.loads((out / "fig12.json").read_text())
    rate = difference(numbers, "AG-VAE", "asymmetric (AG-VAE)", "symmetric (SG-VAE)")
    noise = spread(numbers, "AG-VAE", ("asymmetric (AG-VAE)", "symmetric (SG-VAE)"))
    assert rate is not None
    assert noise == 0
    (row,) = (line for line in text.splitlines() if "asymmetric against symmetric" in line)
    assert f"| {rate:+.1f} %, {rate:+.1f} % | 0.0 % | {decide([rate], noise)} |" in row
    assert all(f"## {name}: " in text for name in without_table)
    assert "None" not in text


def test_the_document_is_that_of_its_numbers() -> None:
    folder = ROOT / "docs" / "results" / "reproduce"
    found = {name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in EXPERIMENTS}
    assert results.describe(found) == (ROOT / "docs" / "RESULTS.md").read_text(encoding="utf-8")


@pytest.mark.skipif(not WEIGHTS.joinpath("agvae.safetensors").exists(), reason="an sdist has no models of the runs")
def test_the_card_is_that_of_the_models(tmp_path: Path) -> None:
    def without_validation(line: str) -> str:
        return re.sub(r"(\| \d\.\d+ / \d+\.\d+ / \d+\.\d+ )+\|$", "|", re.sub(r"(\| - )+\|$", "|", line))

    written = (WEIGHTS / "README.md").read_text(encoding="utf-8").splitlines()
    described = card.describe(tmp_path, WEIGHTS).splitlines()
    assert [*map(without_validation, described)] == [*map(without_validation, written)]


def test_differences_are_those_of_experiments() -> None:
    assert read_sections("differences").keys() <= EXPERIMENTS.keys()
    assert read_sections("settings").keys() <= EXPERIMENTS.keys()
    assert all("{" not in read(name) for name in ("differences", "settings", "training"))


def test_models_that_an_sdist_lacks_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("kinds", "outcome", "recipe"):
        monkeypatch.setattr(f"reproduction.{module}.WEIGHTS", tmp_path / "none")
    outcome = reproduce("fig2", Setup(tmp_path / "out", tmp_path / "none"))
    assert outcome.files == []
    assert "of agvae; those of the runs, weights/experiments, are in the repository alone" in outcome.lack
    assert reproduce("fig2", Setup(tmp_path / "out", tmp_path / "other")).lack == "no trained weights of agvae"


def test_both_doors_lead_to_the_same(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(agvae.__file__).parents[1])}

    def printed(*words: str, folder: Path) -> str:
        command = [sys.executable, "-m", *words, "--help"]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder, env=environment).stdout

    assert "fig9" in (printed_here := printed("reproduction", folder=ROOT))
    assert printed("agvae", "reproduce", folder=tmp_path) == printed_here
