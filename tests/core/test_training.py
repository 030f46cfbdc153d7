"""The trainer on a tiny network: it learns, resumes exactly, warm-starts, and exports what it trained."""

from __future__ import annotations

import copy
import csv
import json
import math
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils import backend_registration

import pillow_agvae  # noqa: F401  # so that .agv files can be read and written
from agvae import images, metrics
from agvae.cli import main
from agvae.coding.engine import Model
from agvae.networks import PRESETS
from agvae.networks.gain import level_weights
from agvae.quality import MAX_LEVEL
from agvae.training.calibrate import squared_error_betas
from agvae.training.data import CropPool, load_images, load_pool
from agvae.training.drawn import with_drawn
from agvae.training.export import export_checkpoint, read_checkpoint
from agvae.training.loss import interpolated_betas, random_levels
from agvae.training.ms_ssim import ms_ssim
from agvae.training.muon import Muon, orthogonalized
from agvae.training.options import TrainingOptions
from agvae.training.signals import Interruption
from agvae.training.trainer import DivergedError, Trainer
from agvae.training.validate import FLAT, load_kinds, validate
from agvae.weights import read_model_file
from agvae.weights.model_file import model_file_bytes
from tests.support.helpers import TINY, picture, pictures, started
from tests.support.training import (
    check_that_a_resumed_run_is_the_uninterrupted_run,
    check_that_the_export_codes_like_the_training_graph,
    check_that_two_processes_train_like_one,
    environment,
    script,
    train,
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A network as small as this gains nothing from more, and loses much where other programs use the cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingOptions:
    monkeypatch.setitem(PRESETS, "tiny", TINY)
    (tmp_path / "images").mkdir()
    for k in range(4):
        Image.fromarray(picture(160, 140, k)).save(tmp_path / "images" / f"{k}.png")
    return TrainingOptions(
        data=str(tmp_path / "images"),
        output=str(tmp_path / "out"),
        preset="tiny",
        patches=160,
        batch=4,
        crop=64,
        warmup=5,
        precision="fp32",
        device="cpu",
    )


def test_training_imports_no_more_than_it_needs() -> None:
    """Machines to train on may have torch, NumPy, Pillow and safetensors alone."""
    others = "appdirs compressai constriction filelock matplotlib requests scipy torchvision tqdm urllib3"
    modules = "agvae.training.export, agvae.training.trainer"
    code = f"import sys; sys.modules |= dict.fromkeys({others.split()}); import {modules}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.skipif(not hasattr(backend_registration, "_DummyBackendModule"), reason="needs a newer PyTorch")
def test_no_tensor_meets_one_of_another_device(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.fromarray(picture(80, 70)).save(tmp_path / "images" / "a.png")
    subprocess.run(
        [sys.executable, "-m", "tests.support.fake_device", tmp_path], env=environment(), check=True, timeout=300
    )


def test_the_similarity_of_training_is_that_of_evaluation() -> None:
    image, other = picture(256, 192, 1), picture(256, 192, 2)
    pairs = [(image // 2 + other // 2, image), (255 - image, image)]
    images = torch.from_numpy(np.array(pairs)).permute(1, 0, 4, 2, 3).float() / 255
    x_hat, x = images[0].requires_grad_(), images[1]
    found = ms_ssim(x_hat, x)
    assert found.tolist() == pytest.approx([metrics.ms_ssim(*pair) for pair in pairs], abs=1e-4)
    assert ms_ssim(x, x).tolist() == pytest.approx([1, 1])
    (gradient,) = torch.autograd.grad(found.sum(), x_hat)
    assert bool(gradient.isfinite().all())
    assert ms_ssim(x_hat + 1e-2 * gradient / gradient.abs().max(), x)[0] > found[0]


def test_the_loss_falls(options: TrainingOptions) -> None:
    trainer = Trainer(replace(options, patches=100_000))
    images = [torch.from_numpy(picture(128, 128, 20 + k)) for k in range(2)]
    before = validate(trainer.model, {"pictures": images})
    train(trainer, 60)
    after = validate(trainer.model, {"pictures": images})
    assert sum(math.log(b.loss / a.loss) for a, b in zip(before, after, strict=True)) / len(before) < -0.05


def test_a_resumed_run_is_the_uninterrupted_run(options: TrainingOptions, tmp_path: Path) -> None:
    check_that_a_resumed_run_is_the_uninterrupted_run(options, tmp_path, steps=6)


def test_a_checkpoint_of_recorded_steps_goes_on_in_eager_ones(options: TrainingOptions, tmp_path: Path) -> None:
    first = Trainer(options)
    first.train_step()
    plain = [group.copy() for optimizer in first.optimizers for group in optimizer.param_groups]
    first.save(tmp_path / "eager.pt")
    for group in (group for optimizer in first.optimizers for group in optimizer.param_groups):
        group |= {"lr": torch.tensor(group["lr"]), "capturable": True, "fused": True}
    first.save(tmp_path / "recorded.pt")
    losses = []
    for name in ("eager", "recorded"):
        trainer = Trainer(replace(options, output=str(tmp_path / name)))
        trainer.resume(tmp_path / f"{name}.pt")
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                assert type(group["lr"]) is float
                assert not group.get("fused")
        trainer.train_step()
        losses.append(float(trainer.train_step()))
    assert plain[0]["lr"] == pytest.approx(float(first.optimizers[0].param_groups[0]["lr"]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_only_one_process_with_cuda_records_its_steps(options: TrainingOptions) -> None:
    with pytest.raises(ValueError, match="CUDA"):
        Trainer(replace(options, recorded=1, device="cpu"))


def test_equal_seeds_give_equal_runs_and_others_do_not(options: TrainingOptions) -> None:
    def loss(seed: int) -> float:
        trainer = Trainer(replace(options, seed=seed))
        return [float(trainer.train_step()) for _ in range(2)][-1]

    assert loss(1) == loss(1)
    assert loss(1) != loss(2)


def test_a_checkpoint_of_another_network_is_refused(options: TrainingOptions, tmp_path: Path) -> None:
    trainer = Trainer(options)
    trainer.save(tmp_path / "c.pt")
    PRESETS["tiny"] = replace(TINY, width8=32)
    with pytest.raises(ValueError, match="another network"):
        Trainer(options).resume(tmp_path / "c.pt")


def test_run_validates_saves_and_stops_on_schedule(options: TrainingOptions) -> None:
    trainer = Trainer(replace(options, valid=options.data, patches=20))
    trainer.run()
    assert trainer.step == 5
    assert (Path(options.output) / "checkpoint.pt").exists()
    with (Path(options.output) / "validation.csv").open() as file:
        rows = list(csv.DictReader(file))
    kinds = ["images", *FLAT]
    assert [(r["kind"], int(r["s"])) for r in rows] == [(kind, s) for kind in kinds for s in range(TINY.levels)]
    rates = [float(r["bpp"]) for r in rows[: TINY.levels]]
    assert rates == sorted(rates)


def test_the_export_codes_like_the_training_graph(options: TrainingOptions, tmp_path: Path) -> None:
    trainer = Trainer(options)
    train(trainer, 20)
    check_that_the_export_codes_like_the_training_graph(trainer, tmp_path)


def test_an_export_that_cannot_be_written_is_an_os_error(tiny_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        export_checkpoint(tiny_checkpoint, tmp_path / "missing" / "m.safetensors", "tiny")


def test_an_export_replaces_nothing_unasked(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_weights: Path
) -> None:
    words = ["export", str(tiny_checkpoint), str(tmp_path / "m.safetensors")]
    (tmp_path / "m.safetensors").write_bytes(b"another model")
    for name, reason in (("mine", "m.safetensors: exists already"), ("tiny", "a model 'tiny' exists")):
        assert main([*words, "--name", name]) == 1
        assert reason in capsys.readouterr().err
        assert (tmp_path / "m.safetensors").read_bytes() == b"another model"
    assert main([*words, "--name", "tiny", "--force"]) == 0
    assert read_model_file(tmp_path / "m.safetensors").card["name"] == "tiny"


def test_a_failed_export_leaves_nothing(tiny_checkpoint: Path, tmp_path: Path) -> None:
    state = read_checkpoint(tiny_checkpoint)
    state["config"]["betas"] = (*TINY.betas[:-1], math.inf)
    torch.save(state, tmp_path / "c.pt")
    folder = tmp_path / "models"
    folder.mkdir()
    with pytest.raises(ValueError, match=r"c\.pt gives no model .* betas must be 1 to 64 numbers$"):
        export_checkpoint(tmp_path / "c.pt", folder / "m.safetensors", "tiny")
    assert not list(folder.iterdir())
    export_checkpoint(tiny_checkpoint, folder / "m.safetensors", "tiny")
    before = (folder / "m.safetensors").read_bytes()
    with pytest.raises(ValueError, match="gives no model"):
        export_checkpoint(tmp_path / "c.pt", folder / "m.safetensors", "tiny", replace=True)
    assert [path.name for path in folder.iterdir()] == ["m.safetensors"]
    assert (folder / "m.safetensors").read_bytes() == before


@pytest.mark.parametrize(("changes", "metric"), [({}, "mse"), ({"metric": "ms-ssim", "crop": 192}, "ms-ssim")])
def test_the_printed_registry_entry_is_that_of_the_run(
    options: TrainingOptions,
    changes: dict[str, Any],
    metric: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Image.fromarray(picture(192, 192)).save(tmp_path / "images" / "large.png")
    Trainer(replace(options, betas="0.01,0.1", **changes)).save(tmp_path / "c.pt")
    capsys.readouterr()
    assert main(["export", str(tmp_path / "c.pt"), str(tmp_path / "m.safetensors"), "--name", "two"]) == 0
    entry = json.loads(capsys.readouterr().out)["two"]
    assert (entry["preset"], entry["metric"], entry["quality_range"]) == ("tiny", metric, [1, 6])
    card = read_model_file(tmp_path / "m.safetensors").card
    assert ("squared_error_betas" in card) == (metric != "mse")


def test_what_a_squared_error_costs_is_the_beta_that_a_network_was_made_for() -> None:
    network = started()
    assert squared_error_betas(network, pictures(4)) == pytest.approx(TINY.betas, rel=0.25)
    assert squared_error_betas(network, torch.zeros(1, 3, 64, 64)) == []


def test_a_model_for_the_eye_weighs_errors_of_drawings_as_its_card_says(
    options: TrainingOptions, tmp_path: Path
) -> None:
    Image.fromarray(picture(192, 192)).save(tmp_path / "images" / "large.png")
    Trainer(replace(options, betas="0.01,0.1", metric="ms-ssim", crop=192)).save(tmp_path / "c.pt")
    betas: list[list[Any]] = [[0.002, 0.05], [0.002], [0.002, math.inf], [0.002, "x"], []]
    found = []
    for number, of_card in enumerate(betas):
        path = tmp_path / f"{number}.safetensors"
        export_checkpoint(tmp_path / "c.pt", path, "eye")
        file = read_model_file(path)
        path.write_bytes(model_file_bytes(replace(file, card=file.card | {"squared_error_betas": of_card})))
        found.append(Model(path, "eye", "cpu").beta(MAX_LEVEL // 2))
    assert found == [pytest.approx(0.01), 0, 0, 0, 0]


def test_squared_errors_count_beside_similarity_as_much_as_asked(options: TrainingOptions, tmp_path: Path) -> None:
    Image.fromarray(picture(192, 192)).save(tmp_path / "images" / "large.png")
    plain = replace(options, betas="0.01", metric="ms-ssim", crop=192, beta_exponent=0.0)
    runs = [Trainer(plain), Trainer(replace(plain, mse_weight=0.25))]
    x, q = runs[0].draw(0)
    output = runs[0].model.eval()(x, q)
    with torch.no_grad():
        losses = [float(run.objective(output, x, q)) for run in runs]
        squared = 255**2 * float((output.x_hat - x).square().mean())
    assert losses[1] - losses[0] == pytest.approx(0.01 * 0.25 * squared, rel=1e-3)

    runs[1].save(tmp_path / "c.pt")
    weights: list[Any] = [0.25, 1, -0.25, math.inf, "x"]
    found = []
    for number, of_card in enumerate(weights):
        path = tmp_path / f"{number}.safetensors"
        export_checkpoint(tmp_path / "c.pt", path, "eye")
        file = read_model_file(path)
        changed = file.card | {"options": file.card["options"] | {"mse_weight": of_card}}
        path.write_bytes(model_file_bytes(replace(file, card=changed)))
        found.append(Model(path, "eye", "cpu").mse_weight)
    assert found == [0.25, 1, 0, 0, 0]


def test_a_warm_start_is_the_exported_model(options: TrainingOptions, tmp_path: Path) -> None:
    trainer = Trainer(options)
    trainer.save(tmp_path / "c.pt")
    export_checkpoint(tmp_path / "c.pt", tmp_path / "m.safetensors", "tiny")
    warm = Trainer(options, init_from=str(tmp_path / "m.safetensors"))
    x = torch.from_numpy(picture(64, 64)).permute(2, 0, 1)[None].float() / 255
    weights = level_weights(torch.tensor([3.0]), TINY.levels)
    with torch.no_grad():
        torch.testing.assert_close(
            warm.model.analyse(x, weights), trainer.average.analyse(x, weights), atol=0.05, rtol=0.01
        )


@pytest.fixture
def model_of_two_rates(options: TrainingOptions, tmp_path: Path) -> Path:
    """An exported model of preset tiny, but with a shape of its own."""
    Trainer(replace(options, betas="0.01,0.1", latent=28)).save(tmp_path / "c.pt")
    export_checkpoint(tmp_path / "c.pt", tmp_path / "two.safetensors", "two")
    return tmp_path / "two.safetensors"


def command(options: TrainingOptions) -> list[str]:
    """The words of `agvae train` for the options that are not as by default, but for the preset."""
    default = TrainingOptions("", "")
    changed = {k: v for k, v in asdict(options).items() if v != getattr(default, k) and k != "preset"}
    words = ["train"]
    for name, value in changed.items():
        values = value if isinstance(value, tuple) else [value]
        words += [f"--{name.replace('_', '-')}={value}" for value in values]
    return words


def test_a_run_from_a_model_goes_on_with_its_preset_and_shape(
    options: TrainingOptions, model_of_two_rates: Path
) -> None:
    words = command(replace(options, patches=4))
    assert main([*words, "--init-from", str(model_of_two_rates)]) == 0
    checkpoint = Path(options.output) / "checkpoint.pt"
    first = read_checkpoint(checkpoint)
    assert first["options"]["preset"] == "tiny"
    assert (first["config"]["latent"], first["config"]["betas"]) == (28, (0.01, 0.1))
    assert main(["train", "--resume", str(checkpoint), "--patches", "8"]) == 0
    second = read_checkpoint(checkpoint)
    assert (second["step"], second["config"]) == (2, first["config"])


def test_a_run_starts_from_a_model_by_its_name(options: TrainingOptions, tiny_weights: Path) -> None:
    assert main([*command(replace(options, patches=4)), "--init-from", "tiny"]) == 0
    assert read_checkpoint(Path(options.output) / "checkpoint.pt")["step"] == 1


def test_help_explains_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "ascending order with commas between them, such as 0.001,0.01,0.1" in text
    assert "--adam-lr X peak learning rate of all else, which AdamW trains; default 0.002" in text
    assert "--between 0 --beta-exponent 0 --adam-lr 1e-4" in text
    assert '--mse-weight X for the metric "ms-ssim" alone' in text
    for option in ("memory", "drawn", "minutes", "mse-weight", "seed", "width"):
        assert re.search(rf"--{option} [XN] ((?! --).)*; default 0 ", text), option


def test_threads_of_the_command_do_not_spin_for_long() -> None:
    program = (
        "import os; from agvae.cli import main\ntry: main(['train'])\nfinally: print(os.environ.get('GOMP_SPINCOUNT'))"
    )
    for policy, expected in (({}, "3000"), ({"OMP_WAIT_POLICY": "active"}, "None"), ({"GOMP_SPINCOUNT": "9"}, "9")):
        ours = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
        done = subprocess.run([sys.executable, "-c", program], env=ours | policy, capture_output=True, text=True)
        assert (done.returncode, done.stdout.strip()) == (2, expected)


def test_the_example_in_the_help_is_taken(options: TrainingOptions) -> None:
    closest = {"between": 0.0, "beta_exponent": 0.0, "adam_lr": 1e-4}
    trainer = Trainer(replace(options, betas="0.001,0.01,0.1", **closest))
    assert trainer.model.config.betas == (0.001, 0.01, 0.1)
    assert math.isfinite(float(trainer.train_step()))


def test_a_run_cannot_go_on_with_another_shape(
    options: TrainingOptions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Trainer(options).save(tmp_path / "c.pt")
    for change, reason in (("--latent=28", "checkpoint of another network"), ("--preset=base", "of preset tiny")):
        assert main(["train", "--resume", str(tmp_path / "c.pt"), change]) == 1
        assert reason in capsys.readouterr().err


def test_a_run_goes_on_with_another_metric(options: TrainingOptions) -> None:
    """The weight beside MS-SSIM goes with it, unless one is asked for."""
    both = replace(options, metric="ms-ssim", mse_weight=0.1, crop=192, batch=1, patches=1)
    Trainer(both).run()
    checkpoint = Path(options.output) / "checkpoint.pt"
    words = ["train", f"--resume={checkpoint}"]
    assert main([*words, "--patches=2"]) == 0
    assert read_checkpoint(checkpoint)["options"]["mse_weight"] == 0.1
    assert main([*words, "--patches=3", "--metric=mse", "--mse-weight=0.1"]) == 1
    assert main([*words, "--patches=3", "--metric=mse"]) == 0
    found = read_checkpoint(checkpoint)["options"]
    assert (found["metric"], found["mse_weight"]) == ("mse", 0.0)


def test_a_model_of_another_preset_is_refused(
    options: TrainingOptions, model_of_two_rates: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command(options), "--preset", "light", "--init-from", str(model_of_two_rates)]) == 1
    message = "agvae: error: preset is light, but the model to start from is of preset tiny\n"
    assert capsys.readouterr().err == message


@pytest.mark.parametrize(
    "wrong",
    [
        {"crop": 0},
        {"crop": 96},
        {"crop": -64},
        {"batch": 0},
        {"patches": 0},
        {"minutes": -1.0},
        {"minutes": math.nan},
        {"precision": "fp16"},
        {"device": "tpu"},
        {"seed": -1},
        {"seed": 2**64},
        {"ema": 2.0},
        {"ema": 1.0},
        {"clip": 0.0},
        {"clip": math.nan},
        {"warmup": -5},
        {"decay": 1.5},
        {"drawn": -0.1},
        {"schedule": "linear"},
        {"adam_lr": -1e-3},
        {"muon_lr": math.inf},
        {"beta_exponent": math.nan},
        {"memory": -1.0},
        {"save_every": math.nan},
        {"validate_every": -1.0},
        {"entropy": "nonsense"},
        {"crop": 128, "metric": "ms-ssim"},
        {"mse_weight": -0.1, "metric": "ms-ssim", "crop": 192},
        {"mse_weight": math.nan, "metric": "ms-ssim", "crop": 192},
    ],
)
def test_options_outside_their_range_are_refused(options: TrainingOptions, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))} must be"):
        replace(options, **wrong)


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"latent": 30}, "the channels of y must be a multiple of 4"),
        ({"latent": -4}, "numbers of channels must be 1 to 1024"),
        ({"latent": 1028}, "numbers of channels must be 1 to 1024"),
        ({"betas": ",".join(map(str, range(1, 66)))}, "betas must be 1 to 64 numbers"),
    ],
)
def test_networks_that_no_model_file_may_have_are_refused(
    options: TrainingOptions, wrong: dict[str, Any], rule: str
) -> None:
    with pytest.raises(ValueError, match=f"^preset tiny: {rule}$"):
        Trainer(replace(options, **wrong))
    assert not Path(options.output).exists()


def test_a_weight_of_squared_errors_beside_themselves_is_refused(options: TrainingOptions) -> None:
    with pytest.raises(ValueError, match=r"^mse_weight is for"):
        replace(options, mse_weight=0.1)


def test_an_unknown_preset_is_refused(options: TrainingOptions, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command(options), "--preset", "heavy"]) == 1
    assert "preset must be one of light, base" in capsys.readouterr().err
    assert not Path(options.output).exists()


@pytest.mark.parametrize("kind", ["data", "valid"])
def test_without_pictures_no_folder_is_made(
    kind: str, options: TrainingOptions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for name, reason in (("none", "No such file"), ("empty", "no image in")):
        assert main(command(replace(options, **{kind: (str(tmp_path / name),)}))) == 1
        error = capsys.readouterr().err
        assert reason in error
        assert str(tmp_path / name) in error
        assert not Path(options.output).exists()


@pytest.mark.parametrize("wrong", [{"rate": "cvr"}, {"width": 8}])
def test_options_that_a_preset_does_not_have_are_refused(options: TrainingOptions, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^preset tiny has no option {next(iter(wrong))}$"):
        replace(options, **wrong).config()


def test_broken_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        load_images(tmp_path / "none")
    assert raised.value.filename == str(tmp_path / "none")
    (tmp_path / "broken.tar").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"no image in .*broken\.tar: "):
        load_images(tmp_path / "broken.tar")
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"no image in .*broken\.png: "):
        load_images(tmp_path / "broken.png")


def test_crops_are_pieces_of_the_images() -> None:
    image = torch.arange(80 * 70 * 3).remainder(251).to(torch.uint8).reshape(80, 70, 3)
    pool = CropPool([[image]], torch.device("cpu"))
    crop = (pool.draw(1, 64, torch.Generator().manual_seed(3))[0] * 255).round().to(torch.uint8).permute(1, 2, 0)
    flips = [crop, crop.flip(0), crop.flip(1), crop.flip(0, 1)]
    windows = [image[top : top + 64, left : left + 64] for top in range(17) for left in range(7)]
    assert any(torch.equal(f, w) for f in flips for w in windows)


def test_crops_larger_than_an_image_are_refused() -> None:
    pool = CropPool([[torch.zeros(50, 90, 3, dtype=torch.uint8)]], torch.device("cpu"))
    with pytest.raises(ValueError, match="at least 64"):
        pool.draw(1, 64, torch.Generator())


def test_tar_archives_are_folders(tmp_path: Path) -> None:
    Image.fromarray(picture(40, 30)).save(tmp_path / "a.png")
    with tarfile.open(tmp_path / "shard.tar", "w") as archive:
        archive.add(tmp_path / "a.png", "a.png")
    assert len(load_images(tmp_path)) == 2


def save_pictures(folder: Path, sides: Sequence[int], value: int) -> None:
    folder.mkdir()
    for k, side in enumerate(sides):
        Image.fromarray(np.full((side, side, 3), value, np.uint8)).save(folder / f"{k}.png")


def values_drawn(pool: CropPool, count: int, size: int) -> dict[int, float]:
    """How often crops of flat pictures show each value."""
    crops = pool.draw(count, size, torch.Generator().manual_seed(0))
    values, counts = crops[:, 0, 0, 0].mul(255).round().int().unique(return_counts=True)
    return dict(zip(values.tolist(), (counts / count).tolist(), strict=True))


def test_crops_follow_the_shares_of_their_sources(tmp_path: Path) -> None:
    save_pictures(tmp_path / "a", [20, 40], 1)
    save_pictures(tmp_path / "b1", [30], 2)
    save_pictures(tmp_path / "b2", [10], 3)
    cpu = torch.device("cpu")
    by_area = values_drawn(load_pool([str(tmp_path)], 10, cpu), 3000, 10)
    assert by_area == pytest.approx({1: 2 / 3, 2: 0.3, 3: 1 / 30}, abs=0.03)
    shared = values_drawn(load_pool([f"{tmp_path / 'a'}=1", f"{tmp_path / 'b?'}=3"], 10, cpu), 3000, 10)
    assert shared == pytest.approx({1: 0.25, 2: 0.675, 3: 0.075}, abs=0.03)


def test_a_source_can_be_a_part_of_a_folder(tmp_path: Path) -> None:
    for k in range(5):
        Image.fromarray(np.full((8, 8, 3), k, np.uint8)).save(tmp_path / f"{k}.png")
    kinds = load_kinds([f"{tmp_path}:2-3=some", f"{tmp_path}:5-9=some", str(tmp_path)])
    found = {kind: [int(image[0, 0, 0]) for image in images] for kind, images in kinds.items()}
    assert found == {"some": [1, 2, 4], tmp_path.name: [0, 1, 2, 3, 4]}


def test_no_data_are_an_error() -> None:
    with pytest.raises(ValueError, match="no data"):
        load_pool([], 8, torch.device("cpu"))


@pytest.mark.parametrize("shares", [["=1", ""], ["=0", "=1"], ["=much", "=1"], ["=nan", "=1"], ["=-1", "=2"]])
def test_shares_that_are_none_are_refused(shares: list[str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="share"):
        load_pool([f"{tmp_path}{share}" for share in shares], 8, torch.device("cpu"))


def test_small_pictures_are_mirrored_or_counted_out(tmp_path: Path) -> None:
    save_pictures(tmp_path / "images", [16, 9, 4], 7)
    said: list[str] = []
    pool = load_pool([str(tmp_path / "images")], 16, torch.device("cpu"), said.append)
    assert pool.height.tolist() == [16, 16]
    (line,) = said
    assert "2 images" in line
    assert "1 of them smaller than a crop and mirrored" in line
    assert "left out 1 smaller than half a crop" in line


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    save_pictures(tmp_path / "images", [8], 7)
    (tmp_path / "images" / "broken.png").write_bytes(b"no image")
    (tmp_path / "images" / "._0.png").write_bytes(b"of another system")
    (tmp_path / "images" / "notes.txt").write_text("none")
    said: list[str] = []
    assert len(load_images(tmp_path / "images", said.append)) == 1
    (line,) = said
    assert "broken.png: cannot identify image file" in line
    assert "left out 2 other files (._*, .txt)" in line


def test_what_pillow_reads_is_read(tmp_path: Path, tiny_weights: Path) -> None:
    image = Image.fromarray(picture(20, 16))
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.GIF", "b.jp2", "d.tga", "e.agv"):
        image.save(folder / name)
    image.save(folder / "f.tiff", save_all=True, append_images=[image])
    inside = tmp_path / "elsewhere"
    inside.mkdir()
    (folder / "link").symlink_to(inside)
    (inside / "back").symlink_to(folder)
    (inside / "g.png").symlink_to(folder / "f.tiff")
    with tarfile.open(inside / "h.tar.gz", "w:gz") as archive:
        archive.add(folder / "a.GIF", "a.gif")
        archive.add(folder / "a.GIF", "._a.gif")
    said: list[str] = []
    assert len(load_images(folder, said.append)) == 7
    (line,) = said
    assert "7 images" in line
    assert "of 2 only the first of several frames" in line
    assert "left out 1 other file (._*)" in line


def test_links_in_an_archive_are_read_or_told_of(tmp_path: Path) -> None:
    """tar makes hard links of files that it has met before."""
    save_pictures(tmp_path / "images", [8], 7)
    folder = tmp_path / "images"
    (folder / "hard.png").hardlink_to(folder / "0.png")
    (folder / "soft.png").symlink_to("0.png")
    (folder / "gone.png").symlink_to("nowhere.png")
    (folder / "circle.png").symlink_to("circle.png")
    for name in ("a.tar", "a.tar.gz"):
        with tarfile.open(tmp_path / name, "w:gz" if name.endswith("gz") else "w") as archive:
            for path in sorted(folder.iterdir()):
                archive.add(path, path.name)
            pipe = tarfile.TarInfo("pipe.png")
            pipe.type = tarfile.FIFOTYPE
            archive.addfile(pipe)
        said: list[str] = []
        assert len(load_images(tmp_path / name, said.append)) == 3
        assert "left out 3 that cannot be read" in said[0]
        assert f"{tmp_path / name}/gone.png: is a link to nowhere.png, which is no file in there" in said[0]
        assert f"{tmp_path / name}/pipe.png: is no regular file" in said[0]


@pytest.mark.skipif(os.name != "posix", reason="devices of POSIX")
def test_what_is_no_regular_file_is_told_of(tmp_path: Path) -> None:
    save_pictures(tmp_path / "images", [8], 7)
    folder = tmp_path / "images"
    (folder / "gone.png").symlink_to("nowhere.png")
    (folder / "zero.tar").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.png")
    said: list[str] = []
    assert len(load_images(folder, said.append)) == 1
    assert "left out 3 that cannot be read" in said[0]
    for sentence in ("gone.png: leads to no file", "pipe.png: is no regular file", "zero.tar: is no regular file"):
        assert f"{folder}/{sentence}" in said[0]
    for name in ("zero.tar", "pipe.png"):
        with pytest.raises(ValueError, match=f"{name}: is no regular file"):
            load_images(folder / name)


def test_packages_that_would_read_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "find_spec", lambda _: None)
    monkeypatch.delitem(Image.EXTENSION, ".heic", raising=False)
    save_pictures(tmp_path / "images", [8], 7)
    (tmp_path / "images" / "a.heic").touch()
    said: list[str] = []
    load_images(tmp_path / "images", said.append)
    assert "left out 1 other file (.heic (pip install pillow-heif))" in said[0]


def test_a_damaged_archive_gives_what_is_before_the_damage(tmp_path: Path) -> None:
    save_pictures(tmp_path / "images", [64, 64], 7)
    whole = BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.add(tmp_path / "images" / "0.png", "0.png")
        archive.add(tmp_path / "images" / "1.png", "1.png")
    (tmp_path / "a.tar").write_bytes(whole.getvalue()[:1200])
    said: list[str] = []
    assert len(load_images(tmp_path / "a.tar", said.append)) == 1
    assert f"left out 1 that cannot be read ({tmp_path / 'a.tar'}: the end is missing)" in said[0]


def test_drawn_crops_take_the_place_of_their_share() -> None:
    pictures = torch.full((64, 3, 32, 32), 2.0)
    generator = torch.Generator().manual_seed(0)
    whole = with_drawn(pictures.clone(), 64, 0.5, generator, slice(None))
    drawn = whole[(whole != 2).all(-1).all(-1).all(-1)]
    assert 20 < len(drawn) < 44
    assert 0 <= float(drawn.min()) < float(drawn.max()) <= 1
    flat = drawn.flatten(2).std(-1).amax(1) == 0
    dark = ~flat & (drawn.mean((1, 2, 3)) < 0.1) & (drawn[:, 0] == drawn[:, 2]).all(-1).all(-1)
    assert 0.2 < float(flat.float().mean()) < 0.6
    assert 0.2 < float(dark.float().mean()) < 0.6
    generator.manual_seed(0)
    half = with_drawn(pictures[:32], 64, 0.5, generator, slice(32, 64))
    assert torch.equal(half, whole[32:])


def test_the_constant_schedule_falls_to_zero_at_its_end(options: TrainingOptions) -> None:
    trainer = Trainer(replace(options, schedule="constant", decay=0.2, patches=400, batch=4, warmup=5))

    def factor(step: int) -> float:
        trainer.step, trainer.patches = step, 4 * step
        return trainer._factor()

    assert [factor(step) for step in (0, 4, 79, 80)] == pytest.approx([0.2, 1, 1, 1])
    assert [factor(step) for step in (85, 95, 100)] == pytest.approx([0.5, 1 - 0.75**0.5, 0])


def test_a_constant_schedule_can_be_made_longer(options: TrainingOptions, tmp_path: Path) -> None:
    options = replace(options, schedule="constant", patches=40)
    check_that_a_resumed_run_is_the_uninterrupted_run(replace(options, patches=400), tmp_path, first=options)


def test_patches_are_counted_whatever_the_batch(options: TrainingOptions, tmp_path: Path) -> None:
    first = Trainer(options)
    first.train_step()
    first.save(tmp_path / "c.pt")
    second = Trainer(replace(options, batch=6))
    second.resume(tmp_path / "c.pt")
    second.train_step()
    assert (second.step, second.patches) == (2, 10)


def test_the_best_weights_are_kept_and_exported(options: TrainingOptions, tmp_path: Path) -> None:
    trainer = Trainer(replace(options, valid=options.data, patches=8))
    trainer.run()
    best = Path(options.output) / "best.pt"
    assert "optimizers" not in read_checkpoint(best)
    export_checkpoint(best, tmp_path / "m.safetensors", "best")
    with pytest.raises(ValueError, match="averaged weights alone"):
        trainer.resume(best)
    resumed = Trainer(trainer.options)
    resumed.resume(Path(options.output) / "checkpoint.pt")
    assert resumed.best == trainer.best < math.inf


def test_a_folder_that_holds_a_run_is_not_trained_into(options: TrainingOptions, tmp_path: Path) -> None:
    options = replace(options, patches=4)
    Trainer(options).run()
    checkpoint = Path(options.output) / "checkpoint.pt"
    before = checkpoint.read_bytes()
    with pytest.raises(ValueError, match="holds a run"):
        Trainer(options).run()
    assert main(command(options)) == 1
    Trainer(options).save(tmp_path / "other.pt")
    assert main(["train", f"--resume={tmp_path / 'other.pt'}", f"--output={options.output}"]) == 1
    assert checkpoint.read_bytes() == before
    assert main(["train", f"--resume={checkpoint}", "--patches=8"]) == 0


def test_a_run_goes_on_in_the_folder_of_its_checkpoint(
    options: TrainingOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wherever that was moved, and from wherever it is named."""
    monkeypatch.chdir(tmp_path)
    options = replace(options, patches=4, output="out")
    Trainer(options).run()
    (tmp_path / "out").rename(tmp_path / "moved")
    assert main(["train", "--resume=moved/checkpoint.pt", "--patches=8"]) == 0
    assert "output is now moved, was out" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
    assert read_checkpoint(tmp_path / "moved" / "checkpoint.pt")["step"] == 2
    (tmp_path / "moved" / "checkpoint.pt").rename(tmp_path / "moved" / "renamed.pt")
    assert main(["train", "--resume=moved/renamed.pt", "--patches=12", "--output=new"]) == 0
    assert read_checkpoint(tmp_path / "new" / "checkpoint.pt")["step"] == 3


def test_another_checkpoint_in_the_folder_of_a_run_is_not_of_that_run(
    options: TrainingOptions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = replace(options, patches=4)
    Trainer(options).run()
    Trainer(replace(options, output=str(tmp_path / "other"), seed=1)).save(Path(options.output) / "other.pt")
    before = (Path(options.output) / "checkpoint.pt").read_bytes()
    assert main(["train", f"--resume={options.output}/other.pt"]) == 1
    assert "holds a run" in capsys.readouterr().err
    assert (Path(options.output) / "checkpoint.pt").read_bytes() == before


def test_the_output_has_a_name(options: TrainingOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="output must be the name of a folder"):
        Trainer(replace(options, output=""))


@pytest.mark.parametrize("name", ["best.pt", "last-good.pt", "validation.csv"])
def test_what_is_left_of_a_run_is_not_trained_into(
    name: str, options: TrainingOptions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left = Path(options.output) / name
    left.parent.mkdir()
    left.write_text("precious")
    assert main(command(options)) == 1
    assert f"{left.parent} holds {name} of another run" in capsys.readouterr().err
    with pytest.raises(ValueError, match="of another run"):
        Trainer(options).run()
    trainer = Trainer(options)
    trainer.save(tmp_path / "moved.pt")
    assert main(["train", f"--resume={tmp_path / 'moved.pt'}", f"--output={options.output}"]) == 1
    assert [(path.name, path.read_text()) for path in left.parent.iterdir()] == [(name, "precious")]


def poison(trainer: Trainer, steps: set[int]) -> None:
    """Give the trainer losses without a value at some steps."""
    loss = trainer.loss

    def poisoned(x: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        return loss(x, q) * (math.nan if trainer.step in steps else 1)

    trainer.loss = poisoned  # type: ignore[method-assign]


def test_training_that_diverges_ends_with_its_last_good_checkpoint(options: TrainingOptions) -> None:
    trainer = Trainer(replace(options, patches=1000, save_every=0))
    poison(trainer, set(range(3, 1000)))
    with pytest.raises(DivergedError, match="20 steps in a row"):
        trainer.run()
    assert read_checkpoint(Path(options.output) / "checkpoint.pt")["step"] == 3


@pytest.mark.parametrize("save_every", [0, 1000])
def test_weights_ruined_by_finite_steps_are_not_saved(
    save_every: float, options: TrainingOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither in the step that ruins them, before any loss has shown it, nor at the end."""
    options = replace(options, patches=8)
    Trainer(options).run()
    checkpoint = Path(options.output) / "checkpoint.pt"
    before = checkpoint.read_bytes()
    words = ["--patches=16", "--muon-lr=1000", f"--save-every={save_every}"]
    assert main(["train", f"--resume={checkpoint}", *words]) == 1
    error = capsys.readouterr().err
    assert f"error: training diverged: after step {3 if save_every == 0 else 4} the loss is " in error
    assert f"{checkpoint} is from before" in error
    assert checkpoint.read_bytes() == before


def test_a_trial_changes_nothing(options: TrainingOptions) -> None:
    trainer, other = Trainer(options), Trainer(options)
    values = [trainer.trial(), trainer.trial()]
    assert values[0] == values[1]
    assert float(trainer.train_step()) == float(other.train_step())
    assert trainer.trial() != values[0]
    next(trainer.average.parameters()).data.fill_(math.nan)
    assert trainer.trial() == math.inf


def test_of_two_runs_in_a_folder_the_second_is_refused(options: TrainingOptions) -> None:
    """Also before the first has saved anything; a run that was killed keeps nobody out."""
    first, second = (Trainer(replace(options, patches=4, seed=seed)) for seed in (1, 2))
    lock = Path(options.output) / ".lock"
    code = f"import filelock, os; filelock.FileLock({str(lock)!r}).acquire(); os.kill(os.getpid(), {signal.SIGTERM})"
    assert subprocess.run([sys.executable, "-c", code]).returncode != 0
    assert lock.exists()
    step = first.train_step

    def train_step() -> torch.Tensor:
        with pytest.raises(ValueError, match="another run is at work in"):
            second.run()
        return step()

    first.train_step = train_step  # type: ignore[method-assign]
    first.run()
    assert (first.step, second.step) == (1, 0)
    checkpoint = Path(options.output) / "checkpoint.pt"
    assert read_checkpoint(checkpoint)["options"]["seed"] == 1
    assert main(["train", f"--resume={checkpoint}", "--patches=8"]) == 0


@pytest.mark.parametrize("name", ["checkpoint.pt", "best.pt", "last-good.pt"])
def test_files_that_cannot_be_replaced_are_told_of_before_the_first_step(name: str, options: TrainingOptions) -> None:
    """Not after hours, when nothing of them can be saved."""
    trainer = Trainer(options)
    checkpoint = trainer.output / "checkpoint.pt"
    trainer.save(checkpoint)
    trainer.resume(checkpoint)
    if name != "checkpoint.pt":
        (trainer.output / name).symlink_to("photo.png")
    else:
        (trainer.output / "kept.pt").hardlink_to(checkpoint)
    with pytest.raises(OSError, match="hard links" if name == "checkpoint.pt" else "another kind"):
        trainer.run()
    assert trainer.step == 0


def test_a_step_that_needs_too_much_memory_is_one_line(
    options: TrainingOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(replace(options, batch=10**13))) == 1
    error = capsys.readouterr().err
    assert "not enough memory for steps of 10000000000000 crops of 64 x 64 pixels" in error


def test_a_run_says_where_it_saved_and_how_to_go_on(
    options: TrainingOptions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "a run"
    trainer = Trainer(replace(options, output=str(output), patches=8))
    trainer.run(stop_after=0)
    line = capsys.readouterr().out.splitlines()[-1]
    assert line == f"step 0 is saved in {output}/checkpoint.pt; to go on: agvae train --resume '{output}/checkpoint.pt'"
    trainer.run()
    logged, line = capsys.readouterr().out.splitlines()
    assert logged.startswith("step 2  patches 8  100.0 %  loss ")
    assert line == f"step 2 is saved in {output}/checkpoint.pt"


def test_skipped_steps_are_counted_and_what_was_before_is_kept(
    options: TrainingOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = Trainer(replace(options, patches=24, save_every=0))
    poison(trainer, {3})
    trainer.run()
    last, good = (read_checkpoint(Path(options.output) / f"{name}.pt") for name in ("checkpoint", "last-good"))
    assert (last["step"], last["skipped"]) == (6, 1)
    assert (good["step"], good["skipped"]) == (3, 0)
    assert all(bool(value.isfinite().all()) for value in last["model"].values())


def test_weights_that_are_not_finite_are_not_saved(options: TrainingOptions, tmp_path: Path) -> None:
    trainer = Trainer(options)
    next(trainer.model.parameters()).data.fill_(math.inf)
    with pytest.raises(DivergedError, match="not finite"):
        trainer.save(tmp_path / "c.pt")
    assert not (tmp_path / "c.pt").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_a_full_disk_does_not_end_a_run(options: TrainingOptions, capsys: pytest.CaptureFixture[str]) -> None:
    import resource

    trainer = Trainer(replace(options, patches=12, save_every=0))
    trainer.save(trainer.output / "checkpoint.pt")
    trainer.resumed = trainer.output / "checkpoint.pt"
    before = trainer.resumed.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            trainer.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert trainer.step == 3
    assert "no checkpoint was written, training goes on" in capsys.readouterr().out
    assert sorted(path.name for path in trainer.output.iterdir()) == [".lock", "checkpoint.pt"]
    assert trainer.resumed.read_bytes() == before


def test_what_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            signal.raise_signal(signal.SIGINT)
        assert interruption.number == 0
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_step_end_and_saves(options: TrainingOptions, number: signal.Signals) -> None:
    trainer = Trainer(options)
    loss = trainer.loss

    def interrupted(x: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        if trainer.step == 2:
            signal.raise_signal(number)
        return loss(x, q)

    trainer.loss = interrupted  # type: ignore[method-assign]
    came: list[int] = []
    before = signal.signal(number, lambda number, _: came.append(number))
    ours = signal.getsignal(number)
    try:
        trainer.run()
        assert signal.getsignal(number) is ours
    finally:
        signal.signal(number, before)
    assert came == [number]
    assert read_checkpoint(Path(options.output) / "checkpoint.pt")["step"] == 3


def test_half_of_the_levels_are_trained_vectors() -> None:
    q = random_levels(4000, 6, torch.Generator().manual_seed(0))
    assert float(q.min()) >= 0
    assert float(q.max()) <= 5
    assert 0.45 < float((q == q.round()).float().mean()) < 0.55


def test_betas_between_levels_are_geometric_means() -> None:
    betas = interpolated_betas(torch.tensor([0.0, 0.5, 5.0]), TINY.betas)
    expected = [TINY.betas[0], (TINY.betas[0] * TINY.betas[1]) ** 0.5, TINY.betas[-1]]
    torch.testing.assert_close(betas, torch.tensor(expected))


@pytest.mark.parametrize("shape", [(20, 50), (50, 20)])
def test_orthogonalized_keeps_singular_vectors_alone(shape: tuple[int, int]) -> None:
    matrix = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    values = u.T @ orthogonalized(matrix[None])[0] @ v.T
    assert float(values.diagonal().min()) > 0.65
    assert float(values.diagonal().max()) < 1.25
    torch.testing.assert_close(values, values.diagonal().diag(), atol=1e-4, rtol=0)


def test_muon_is_that_of_pytorch_in_another_type() -> None:
    start = torch.randn(24, 40, generator=torch.Generator().manual_seed(0))
    theirs, ours, wide = (torch.nn.Parameter(start.clone()) for _ in range(3))
    reference = torch.optim.Muon([theirs], lr=0.01, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    same, other = Muon([ours], 0.01, torch.bfloat16), Muon([wide], 0.01)
    for step in range(4):
        gradient = torch.randn(24, 40, generator=torch.Generator().manual_seed(step + 1))
        for parameter in (theirs, ours, wide):
            parameter.grad = gradient.clone()
        if step == 2:
            same.load_state_dict(copy.deepcopy(reference.state_dict()))
        for optimizer in (reference, same, other):
            optimizer.step()
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(wide, theirs, atol=5e-4, rtol=0)
    assert float((wide.detach() - start).abs().mean()) > 2e-3


def test_two_processes_train_like_one(options: TrainingOptions, tmp_path: Path) -> None:
    check_that_two_processes_train_like_one(options, tmp_path)


def test_a_killed_run_goes_on_exactly(options: TrainingOptions, tmp_path: Path) -> None:
    options = replace(options, save_every=1e-9)
    whole = Trainer(replace(options, output=str(tmp_path / "whole"), save_every=5))
    whole.run()
    arguments = [*command(options)[1:], "--preset=tiny"]
    words = [sys.executable, script(tmp_path), "train"]
    checkpoint = Path(options.output) / "checkpoint.pt"
    with subprocess.Popen([*words, *arguments], env=environment()) as process:
        while not checkpoint.exists() and process.poll() is None:
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert 0 < read_checkpoint(checkpoint)["step"] < whole.step
    subprocess.run([*words, "--resume", checkpoint, "--save-every=5"], env=environment(), check=True, timeout=300)
    resumed = read_checkpoint(checkpoint)
    assert resumed["step"] == whole.step
    for name in ("model", "average"):
        found, expected = resumed[name], getattr(whole, name).state_dict()
        assert all(torch.equal(found[key], value) for key, value in expected.items())
