"""`agvae reproduce`: one figure or table of the paper into a folder, numbers and picture."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from agvae.evaluation.run import machine
from agvae.reproduce.models import config_of, how_to_train, models_from, sha256_of
from agvae.reproduce.runs import CAVEATS, EXPERIMENTS, RUNS, TRAINING, WEIGHTS
from agvae.whole_file import write_whole

PHOTOGRAPH = "chelsea.png"
DEFAULT_MODEL = "agvae"
OF_ONE_MODEL = ("fig2", "fig3", "fig4", "supp-fig1", "supp-fig2")
"""Experiments with any one model; the others have models of their own."""
ON_ONE_IMAGE = ("fig2", "supp-fig1", "supp-fig2")
SYMMETRIC = {"agvae": "sgvae", "agvae-seed2": "sgvae-seed2"}


@dataclass(frozen=True)
class Request:
    """What to reproduce.

    Attributes:
        experiment: a name in `EXPERIMENTS`.
        out: folder for EXPERIMENT.json, EXPERIMENT.png (of table1: .md) and the measurements; made if missing.
        weights: folder of the models and their registry.
        images: folder of images, which the rate-distortion figures need.
        image: of fig2 and supp-fig2; the bundled photograph if None.
        model: of the experiments in `OF_ONE_MODEL`.
        command: the command line, recorded with the numbers.
    """

    experiment: str
    out: Path
    weights: Path = WEIGHTS
    images: Path | None = None
    image: Path | None = None
    model: str = DEFAULT_MODEL
    command: str = ""


@dataclass(frozen=True)
class Result:
    """What came of it.

    Attributes:
        numbers: what EXPERIMENT.json holds.
        files: what was written.
        missing: the commands that train the models which are missing, "" if none is.
    """

    numbers: dict[str, Any]
    files: list[Path]
    missing: str


def reproduce(request: Request, progress: Callable[[str], None] = lambda _: None) -> Result:
    """Make the numbers and the picture, as far as there are models; writes nothing if there is none.

    Raises:
        ValueError: the experiment needs a folder of images, or there are none in it, or its model has not what
            it shows, or the weights folder has no registry.
        OSError: a file or a model cannot be read, or the output cannot be written.
        ModuleNotFoundError: CompressAI is not installed, and the models or the counts need it.
    """
    picture: bytes | None
    missing: list[str] = []
    with models_from(request.weights):
        if request.experiment == "table1":
            from agvae.reproduce.table1 import markdown, table

            numbers = table()
            picture = markdown(numbers).encode()
        elif request.experiment in ON_ONE_IMAGE:
            numbers, missing, picture = _of_one_image(request)
        else:
            from agvae.reproduce.curves import Measurements
            from agvae.reproduce.figures import models_of, rate_distortion

            names = models_of(request.experiment, request.model)
            if request.experiment == "fig4" and sha256_of(request.model) and config_of(request.model).levels == 1:
                msg = f"model {request.model} has one gain vector, and fig4 is about what is between two"
                raise ValueError(msg)
            if request.images is not None:
                measurements = Measurements(request.images, request.out, progress)
                numbers, missing, picture = rate_distortion(request.experiment, request.model, measurements)
            elif any(sha256_of(name) for name in names):
                msg = f"{request.experiment} needs --images DIR, a folder of images such as Kodak's"
                raise ValueError(msg)
            else:
                numbers, missing, picture = {}, names, None
        there = list(numbers.get("models", {}))
        commands = how_to_train(missing, there, request.weights, _command(request)) if missing else ""
    numbers = {
        "experiment": f"{request.experiment}: {EXPERIMENTS[request.experiment]}",
        "command": request.command,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(),
        "notes": _notes(request),
        **numbers,
        "missing": missing,
    }
    return Result(numbers, [] if picture is None else _write(request, numbers, picture), commands)


def _notes(request: Request) -> list[str]:
    """In what this differs from the paper; of the training, if the models are those of the runs."""
    if request.experiment == "table1":
        return []
    notes = [CAVEATS[request.experiment]] if request.experiment in CAVEATS else []
    if request.model in RUNS and request.weights == WEIGHTS:
        notes.append(" ".join(TRAINING.split()))
    return notes


def _command(request: Request) -> list[str]:
    """The words of the command that asks for this, without the folder of models."""
    words = ["agvae", "reproduce", request.experiment]
    if request.model != DEFAULT_MODEL:
        words += ["--model", request.model]
    if request.image is not None:
        words += ["--image", str(request.image)]
    if request.experiment not in ON_ONE_IMAGE:
        words += ["--images", str(request.images or "IMAGES")]
    return [*words, "--out", str(request.out)]


def _of_one_image(request: Request) -> tuple[dict[str, Any], list[str], bytes | None]:
    from agvae.reproduce.latents import channel_importance, entropy_models, gain_vectors

    names = [request.model]
    if request.experiment == "supp-fig2" and request.model in SYMMETRIC:
        names.append(SYMMETRIC[request.model])
    digests = {name: sha256_of(name) for name in names}
    missing = [name for name, digest in digests.items() if digest is None]
    there = [name for name in names if name not in missing]
    about: dict[str, Any] = {"models": {name: {"sha256": digests[name]} for name in there}}
    if not there:
        return about, missing, None
    photograph = files("agvae") / "data" / PHOTOGRAPH
    with nullcontext(request.image) if request.image else as_file(photograph) as path:
        if request.experiment == "supp-fig1":
            numbers, picture = gain_vectors(request.model)
        elif request.experiment == "fig2":
            numbers, picture = channel_importance(request.model, path)
        else:
            numbers, picture = entropy_models(there, path)
        if request.experiment != "supp-fig1":
            about["images"] = [path.name]
    return about | numbers, missing, picture


def _write(request: Request, numbers: dict[str, Any], picture: bytes) -> list[Path]:
    request.out.mkdir(parents=True, exist_ok=True)
    name = request.experiment
    contents = {
        request.out / f"{name}.json": (json.dumps(numbers, indent=1, allow_nan=False) + "\n").encode(),
        request.out / (f"{name}.md" if name == "table1" else f"{name}.png"): picture,
    }
    for path, data in contents.items():
        write_whole(path, data)
    return list(contents)
