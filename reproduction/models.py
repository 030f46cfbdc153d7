"""The models of the runs: which folder they are taken from, and which are there."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from agvae import weights
from agvae.settings import options
from reproduction.runs import RUNS

if TYPE_CHECKING:
    from agvae.networks import Config


def register_command(folder: Path) -> str:
    return shlex.join(["agvae", "weights", "register", str(folder)])


@contextmanager
def models_from(folder: Path) -> Iterator[None]:
    """Take models from a folder, beside the bundled ones, for the time of the block.

    A folder that is not there, or is empty, has no models yet.

    Raises:
        ValueError: it has model files and no registry.
    """
    from agvae.coding.loaded import forget_models

    if any(folder.glob("*.safetensors")) and not (folder / weights.REGISTRY_FILE).is_file():
        msg = f"{folder} has no {weights.REGISTRY_FILE}; make one with: {register_command(folder)}"
        raise ValueError(msg)
    forget_models()
    try:
        with options.using(weights=folder):
            yield
    finally:
        forget_models()


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


def config_of(name: str) -> Config:
    """The configuration of a model that is there."""
    return weights.read_model_file(weights.find(name)).config
