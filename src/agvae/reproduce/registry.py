"""`registry.json` of a folder of models: `python -m agvae.reproduce.registry FOLDER` writes it anew."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from agvae.container import check_model_name
from agvae.weights import REGISTRY_FILE, ModelEntry, read_model_file
from agvae.whole_file import write_whole


def register(folder: Path) -> tuple[dict[str, ModelEntry], dict[str, str]]:
    """Register every model file of a folder under the name in its card.

    Returns:
        The entries by name, and by file what is wrong with those files *.safetensors that have none.

    Raises:
        OSError: the folder cannot be read or written.
    """
    models: dict[str, ModelEntry] = {}
    bad: dict[str, str] = {}
    for path in sorted(file for file in folder.iterdir() if file.suffix == ".safetensors"):
        try:
            name, entry = _entry(path)
            if name in models:
                msg = f"{models[name]['file']} is model {name!r}, too"
                raise ValueError(msg)
        except (OSError, ValueError) as error:
            bad[path.name] = str(error)
        else:
            models[name] = entry
    write_whole(folder / REGISTRY_FILE, (json.dumps({"models": models}, indent=1) + "\n").encode())
    return models, bad


def _entry(path: Path) -> tuple[str, ModelEntry]:
    check_model_name(path.stem)  # a registry knows plain names of files only
    model = read_model_file(path)
    name, options = str(model.card.get("name", "")), model.card.get("options")
    check_model_name(name)
    entry: ModelEntry = {
        "preset": model.config.preset,
        "file": path.name,
        "size": path.stat().st_size,
        "sha256": model.sha256,
        "quality_range": [1, 6],
        "metric": str(options.get("metric", "mse")) if isinstance(options, dict) else "mse",
    }
    return name, entry


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m agvae.reproduce.registry", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of files NAME.safetensors that agvae export wrote")
    folder = parser.parse_args(arguments).folder
    try:
        models, bad = register(folder)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, entry in models.items():
        print(entry["sha256"], name)
        if entry["file"] != f"{name}.safetensors":
            print(f"warning: {folder / entry['file']} is registered as {name!r}, its card's name", file=sys.stderr)
    for file, reason in bad.items():
        print(f"error: {folder / file} is not registered: {reason}", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
