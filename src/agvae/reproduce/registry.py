"""`registry.json` of a folder of models: `python -m agvae.reproduce.registry FOLDER` writes it anew."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from agvae.container import check_model_name
from agvae.weights import REGISTRY_FILE, ModelEntry, read_model_file


def register(folder: Path) -> dict[str, ModelEntry]:
    """Register every model file NAME.safetensors of a folder as model NAME.

    Raises:
        agvae.weights.WeightsError: a file is not that of a model.
        ValueError: a file's name is no model name.
        OSError: the folder cannot be read or written.
    """
    models: dict[str, ModelEntry] = {}
    for path in sorted(folder.glob("*.safetensors")):
        check_model_name(path.stem)
        model = read_model_file(path)
        models[path.stem] = {
            "preset": model.config.preset,
            "file": path.name,
            "size": path.stat().st_size,
            "sha256": model.sha256,
            "quality_range": [1, 6],
            "metric": model.card.get("options", {}).get("metric", "mse"),
        }
    part = folder / f"{REGISTRY_FILE}.part"
    part.write_text(json.dumps({"models": models}, indent=1) + "\n", encoding="utf-8")
    part.replace(folder / REGISTRY_FILE)
    return models


if __name__ == "__main__":
    for name, entry in register(Path(sys.argv[1])).items():
        print(entry["sha256"], name)
