"""`registry.json` of a folder of models of one's own, from what their files say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from agvae.errors import WeightsError
from agvae.file.header import check_model_name
from agvae.settings import options
from agvae.weights.model_file import read_model_file
from agvae.weights.registries import REGISTRY_FILE, ModelEntry, registry
from agvae.whole_file import write_whole


@dataclass(frozen=True)
class Registration:
    """What became of the files of a folder.

    Attributes:
        models: the entries by name.
        bad: by file *.safetensors that is not registered, what is wrong with it.
        gone: names that were registered, and of which no file is there.
    """

    models: dict[str, ModelEntry]
    bad: dict[str, str]
    gone: list[str]


def register(folder: Path) -> Registration:
    """Register every model file of a folder under the name in its card.

    An entry of a file that is the same as before stays as it is, and so does what the registry says beside models.

    Raises:
        WeightsError: the folder has a `registry.json` that is none.
        OSError: the folder cannot be read or written.
    """
    before = _read(folder / REGISTRY_FILE)
    models: dict[str, ModelEntry] = {}
    bad: dict[str, str] = {}
    for path in sorted(file for file in folder.iterdir() if file.suffix == ".safetensors"):
        try:
            check_model_name(path.stem)  # a registry knows plain names of files only
            name, entry = describe_model(path)
            if name in models:
                msg = f"{models[name]['file']} is model {name!r}, too"
                raise ValueError(msg)
        except (OSError, ValueError) as error:
            bad[path.name] = str(error)
        else:
            old = before["models"].get(name)
            same = isinstance(old, dict) and (old.get("file"), old.get("sha256")) == (path.name, entry["sha256"])
            models[name] = old if same else entry
    content = {**before, "models": models}
    write_whole(folder / REGISTRY_FILE, (json.dumps(content, indent=1) + "\n").encode())
    return Registration(models, bad, sorted(before["models"].keys() - models.keys()))


def describe_model(path: Path) -> tuple[str, ModelEntry]:
    """The name in the card of a model file, and its entry in a registry.

    Raises:
        ValueError: the name of the model cannot be in a registry.
        OSError: it cannot be read or is not that of a model.
    """
    model = read_model_file(path)
    name, options = str(model.card.get("name", "")), model.card.get("options")
    check_model_name(name)
    return name, {
        "preset": model.config.preset,
        "file": path.name,
        "size": path.stat().st_size,
        "sha256": model.sha256,
        "quality_range": [1, 6],
        "metric": str(options.get("metric", "mse")) if isinstance(options, dict) else "mse",
    }


@contextmanager
def registered(path: Path) -> Iterator[str]:
    """Have a model that is in no registry known within a block, in this thread or task, under the name that it gives.

        with registered(Path("mine.safetensors")) as name:
            data = agvae.encode(image, model=name)

    The name is that in its card, unless a released model has it: then part of the SHA-256 follows.  Other models that
    `agvae.options.weights` names are not known meanwhile.

    Raises:
        WeightsError: it is not a model file.
        ValueError: its card gives it no name that a model can have.
    """
    name, entry = describe_model(path)
    with TemporaryDirectory() as place, options.using(weights=place):
        if name in registry()["models"]:
            name = f"{name[:55]}-{entry['sha256'][:8]}"
        entry["file"] = "model.safetensors"
        shutil.copyfile(path, Path(place) / entry["file"])
        (Path(place) / REGISTRY_FILE).write_text(json.dumps({"models": {name: entry}}))
        yield name


def _read(file: Path) -> dict[str, Any]:
    """What a registry holds; no models if it is not there."""
    if not file.exists():
        return {"models": {}}
    try:
        content = json.loads(file.read_bytes())
        if not isinstance(content["models"], dict):
            raise TypeError
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        msg = f"{file} is not a registry of models, and is not replaced"
        raise WeightsError(msg) from error
    return dict(content)
