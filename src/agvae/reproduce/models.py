"""The models of the runs: which folder they are taken from, which are there, how to train the others."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from agvae import codec, weights
from agvae.networks import AnyConfig
from agvae.reproduce.runs import RUNS, WEIGHTS
from agvae.settings import options


@contextmanager
def models_from(folder: Path) -> Iterator[None]:
    """Take models from a folder, beside the bundled ones, for the time of the block.

    Raises:
        ValueError: it is not the default folder and has no registry.
    """
    if folder != WEIGHTS and not (folder / weights.REGISTRY_FILE).is_file():
        msg = f"{folder} has no {weights.REGISTRY_FILE}; make one with: {_registry_command(folder)}"
        raise ValueError(msg)
    before = options.weights
    options.weights = folder
    codec.forget_models()
    try:
        yield
    finally:
        options.weights = before or None
        codec.forget_models()


def sha256_of(name: str) -> str | None:
    """SHA-256 of a model's file; None if it is that of a run which has not been trained.

    Raises:
        agvae.weights.WeightsError: it is neither registered nor a run, or its file is missing or damaged.
    """
    models = weights.registry()["models"]
    if name not in models and name in RUNS:
        return None
    weights.find(name)
    return models[name]["sha256"]


def config_of(name: str) -> AnyConfig:
    """The configuration of a model that is there."""
    return weights.read_model_file(weights.find(name)).config


def how_to_train(names: Sequence[str], experiment: str, folder: Path) -> str:
    """The shell commands that train the models, and those that they start from, and then make the figure again."""
    place = folder if folder.is_dir() else Path("my-models")
    wanted = []
    for name in names:
        for step in (RUNS[name].start, name):
            if step and step not in wanted and (place != folder or sha256_of(step) is None):
                wanted.append(step)
    lines = [RUNS[name].commands(name, str(place)) for name in wanted]
    lines += [_registry_command(place), shlex.join(["agvae", "reproduce", experiment, "--weights", str(place), "..."])]
    return "\n".join(lines)


def _registry_command(folder: Path) -> str:
    return shlex.join(["python", "-m", "agvae.reproduce.registry", str(folder)])
