"""The models of the runs: which folder they are taken from, which are there, how to train the others."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from agvae import weights
from agvae.coding.loaded import forget_models
from agvae.networks import AnyConfig
from agvae.reproduce.runs import RUNS, WEIGHTS
from agvae.settings import options

OWN = Path("my-experiments")
"""Where the commands put models, unless told a folder."""


@contextmanager
def models_from(folder: Path) -> Iterator[None]:
    """Take models from a folder, beside the bundled ones, for the time of the block.

    A folder that is not there, or is empty, has no models yet.

    Raises:
        ValueError: it has model files and no registry.
    """
    if any(folder.glob("*.safetensors")) and not (folder / weights.REGISTRY_FILE).is_file():
        msg = f"{folder} has no {weights.REGISTRY_FILE}; make one with: {_registry_command(folder)}"
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


def config_of(name: str) -> AnyConfig:
    """The configuration of a model that is there."""
    return weights.read_model_file(weights.find(name)).config


def how_to_train(missing: Sequence[str], there: Sequence[str], folder: Path, figure: Sequence[str]) -> str:
    """The shell commands that train the missing models, and those that they start from, and make the figure again.

    Models are never put beside the bundled ones: in place of the default folder, the commands fill one of the user's
    own, and copy what is there into it.

    Args:
        missing, there: the models of the figure.
        figure: the command that makes it, without the folder of models.
    """
    place = OWN if folder == WEIGHTS else folder
    steps = list(dict.fromkeys(step for name in missing for step in (RUNS[name].start, name) if step))
    ready = [name for name in dict.fromkeys([*there, *steps]) if name in RUNS and sha256_of(name)]
    lines = []
    if ready and place != folder:
        copied = [str(folder / f"{name}.safetensors") for name in ready]
        lines = [shlex.join(["mkdir", "-p", str(place)]), shlex.join(["cp", *copied, str(place)])]
    lines += [RUNS[name].commands(name, str(place)) for name in steps if name not in ready]
    lines += [_registry_command(place), shlex.join([*figure, "--weights", str(place)])]
    return "\n".join(lines)


def _registry_command(folder: Path) -> str:
    return shlex.join(["python", "-m", "agvae.reproduce.registry", str(folder)])
