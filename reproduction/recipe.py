"""How to train the models of the runs: shell commands."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from reproduction.models import register_command, sha256_of
from reproduction.runs import COMMON, RUNS, WEIGHTS

OWN = Path("my-experiments")
"""Where the commands put models, unless told a folder."""


def train_command(name: str, folder: Path) -> str:
    """Trains a run on the images in DATA and exports it to a folder as a model of its name."""
    run = RUNS[name]
    words = ["agvae", "train", "--data", "DATA", "--output", f"runs/{name}"]
    for key, value in {**COMMON, **run.options}.items():
        words += [f"--{key.replace('_', '-')}", str(value)]
    if run.start:
        words += ["--init-from", str(folder / f"{run.start}.safetensors")]
    model = str(folder / f"{name}.safetensors")
    export = ["agvae", "export", f"runs/{name}/checkpoint.pt", model, "--name", name]
    return f"{shlex.join(words)} && {shlex.join(export)}"


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
    lines += [train_command(name, place) for name in steps if name not in ready]
    lines += [register_command(place), shlex.join([*figure, "--weights", str(place)])]
    return "\n".join(lines)
