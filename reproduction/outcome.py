"""One experiment made: its numbers and its picture in a folder, and how to train the models that it lacks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import agvae
from agvae.evaluation.run import machine
from agvae.weights import REGISTRY_FILE
from agvae.whole_file import make_folder, write_whole
from reproduction.experiments import EXPERIMENTS
from reproduction.kinds import DEFAULT_MODEL, Experiment, Numbers, Progress, Setup
from reproduction.models import models_from
from reproduction.prose import read, read_sections
from reproduction.recipe import how_to_train
from reproduction.runs import ROOT, RUNS, WEIGHTS


@dataclass(frozen=True)
class Outcome:
    """What came of an experiment.

    Attributes:
        numbers: what NAME.json holds.
        files: what was written; nothing if there was no model.
        lack: a sentence on the models that are missing, "" if none is.
        recipe: the commands that train them.
    """

    numbers: Numbers
    files: list[Path]
    lack: str
    recipe: str


def reproduce(name: str, setup: Setup, progress: Progress = lambda _: None) -> Outcome:
    """Make the numbers and the picture of an experiment, as far as there are models.

    Raises:
        ValueError: see `Experiment.make`; or the weights folder has no registry.
        OSError: a file or a model cannot be read, or the output cannot be written.
        ModuleNotFoundError: CompressAI is not installed, and the models or the counts need it.
    """
    experiment = EXPERIMENTS[name]
    with models_from(setup.weights):
        made = experiment.make(setup, progress)
        there = list(made.numbers.get("models", {}))
        again = _command(experiment, setup)
        recipe = how_to_train(made.missing, there, setup.weights, again) if made.missing else ""
    numbers = {
        "experiment": f"{name}: {experiment.title}",
        "command": setup.command,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(),
        "notes": _notes(name, there, setup.weights),
        **made.numbers,
        "missing": made.missing,
    }
    files = {}
    if made.picture is not None:
        content = (json.dumps(numbers, indent=1, allow_nan=False) + "\n").encode()
        files = {setup.out / f"{name}.json": content, setup.out / f"{name}{experiment.suffix}": made.picture}
        make_folder(setup.out)
    for path, data in files.items():
        write_whole(path, data)
    return Outcome(numbers, list(files), _lack(made.missing, setup.weights), recipe)


def _lack(missing: list[str], weights: Path) -> str:
    if not missing:
        return ""
    sentence = f"no trained weights of {', '.join(missing)}"
    if weights == WEIGHTS and not (WEIGHTS / REGISTRY_FILE).is_file():
        sentence += "; those of the runs, weights/experiments, are in the repository alone and not in an sdist"
    return sentence


def _notes(name: str, models: list[str], weights: Path) -> list[str]:
    """In what this differs from the paper; of the training, if the models are those of the runs."""
    differences = read_sections("differences")
    notes = [differences[name]] if name in differences else []
    if weights == WEIGHTS and not RUNS.keys().isdisjoint(models):
        notes.append(" ".join(read("training").split()))
    return notes


def _command(experiment: Experiment, setup: Setup) -> list[str]:
    """The words of the command that asks for this, without the folder of models."""
    here = Path(agvae.__file__).parents[2] == ROOT
    words = [*(["agvae", "reproduce"] if here else ["python", "-m", "reproduction"]), experiment.name]
    if setup.model != DEFAULT_MODEL:
        words += ["--model", setup.model]
    if setup.image is not None:
        words += ["--image", str(setup.image)]
    if experiment.needs_images:
        words += ["--images", str(setup.images or "IMAGES")]
    return [*words, "--out", str(setup.out)]
