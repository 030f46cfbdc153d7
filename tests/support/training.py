"""Runs of a trainer: alone, resumed, in several processes, and what is exported of them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pillow_agvae  # noqa: F401  # so that .agv files can be read and written
from agvae.coding.engine import Latents, Model
from agvae.training.export import export_checkpoint
from agvae.training.options import TrainingOptions
from agvae.training.trainer import Trainer
from tests.support.helpers import picture

SCRIPT = """
import json, os, sys
from pathlib import Path
import agvae.cli
from agvae.networks import PRESETS
from tests.support.helpers import TINY
from tests.support.training import in_processes

PRESETS["tiny"] = TINY
if sys.argv[1] == "train":
    sys.exit(agvae.cli.main(sys.argv[1:]))
result = json.dumps(in_processes(json.loads(sys.argv[1])))
Path(__file__).with_name(f"result{os.environ['RANK']}.json").write_text(result)
os._exit(0)  # PyTorch's own threads may abort while Python ends
"""


def train(trainer: Trainer, steps: int) -> Trainer:
    """The trainer itself, after so many steps more."""
    for _ in range(steps):
        trainer.train_step()
    return trainer


def check_that_a_resumed_run_is_the_uninterrupted_run(
    options: TrainingOptions,
    folder: Path,
    steps: int = 4,
    first: TrainingOptions | None = None,
    rest: TrainingOptions | None = None,
) -> Trainer:
    """To the last bit of weights and averaged weights, also where parts of the run have options of their own.

    Returns:
        The resumed run.
    """
    whole = train(Trainer(options), steps)
    train(Trainer(first or options), steps // 2).save(folder / "half.pt")
    resumed = Trainer(rest or options)
    resumed.resume(folder / "half.pt")
    train(resumed, steps - steps // 2)
    for name in ("model", "average"):
        assert digest(getattr(resumed, name)) == digest(getattr(whole, name)), name
    return resumed


def check_that_the_export_codes_like_the_training_graph(trainer: Trainer, tmp_path: Path) -> None:
    """Within 0.02 dB, and 2 % of the bits."""
    trainer.save(tmp_path / "c.pt")
    export_checkpoint(tmp_path / "c.pt", tmp_path / "m.safetensors", "tiny")
    model = Model(tmp_path / "m.safetensors", "tiny", "cpu")
    pixels = picture(128, 128, 9)
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    trainer.average.eval()
    for level in (0, 8192, 20480):
        with torch.no_grad():
            output = trainer.average(x, torch.tensor([level / 4096]))
        graph_mse = float(((output.x_hat.clamp(0, 1) * 255).round() / 255 - x).square().mean())
        ((payload, bits, _),) = model.pack(model.analyse(x, [level]), [level])
        (latents,) = model.unpack([payload], [level], 8, 8)
        assert isinstance(latents, Latents)
        decoded = model.synthesise(latents.y_hat[None], [level])[0].mul(255).round().numpy()
        mse = float(np.mean((decoded / 255.0 - pixels / 255.0) ** 2))
        assert abs(10 * np.log10(mse / graph_mse)) < 0.02
        assert bits == pytest.approx(float(output.y_bits + output.z_bits), rel=0.02, abs=100)


def digest(model: torch.nn.Module) -> str:
    """SHA-256 of all weights."""
    found = hashlib.sha256()
    for value in model.state_dict().values():
        found.update(value.numpy().tobytes())
    return found.hexdigest()


def in_processes(options: dict[str, Any], steps: int = 6) -> dict[str, Any]:
    """In each of several processes: losses and weights of a run, and weights of one that was resumed half-way."""
    whole = Trainer(TrainingOptions(**options))
    losses = [float(whole.train_step()) for _ in range(steps)]
    first = train(Trainer(whole.options), steps // 2)
    path = first.output / "half.pt"
    if first.rank == 0:
        first.save(path)
    torch.distributed.barrier()
    second = Trainer(whole.options)
    second.resume(path)
    train(second, steps - steps // 2)
    whole.close()
    return {"losses": losses, "whole": digest(whole.model), "resumed": digest(second.model)}


def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def environment() -> dict[str, str]:
    root = Path(__file__).parents[2]
    return os.environ | {"PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}", "OMP_NUM_THREADS": "1"}


def two_processes(options: TrainingOptions, tmp_path: Path) -> list[dict[str, Any]]:
    """What `in_processes` gives in each of two."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", script(tmp_path)]
    arguments = json.dumps(asdict(options))
    done = subprocess.run([*command, arguments], capture_output=True, text=True, env=environment(), timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads((tmp_path / f"result{rank}.json").read_text()) for rank in range(2)]


def check_that_two_processes_train_like_one(options: TrainingOptions, tmp_path: Path) -> None:
    alone = Trainer(options)
    one, other = two_processes(options, tmp_path)
    assert one == other
    assert one["resumed"] == one["whole"]
    assert one["losses"] == pytest.approx([float(alone.train_step()) for _ in one["losses"]], rel=1e-4)
