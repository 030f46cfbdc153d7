"""Fixtures that several test modules share."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# Threads of OpenMP that wait do so without a core, which other tests or programs may need: three times less work where
# all cores are busy.  Read when torch is imported, and by the Pythons that tests start.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch
from hypothesis import settings

from agvae.coding.loaded import forget_models
from agvae.training.export import export_checkpoint
from agvae.weights import registries
from tests.support.helpers import TINY, pictures, started

settings.register_profile("patient", deadline=None)  # machines differ in speed
settings.load_profile("patient")


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a small network at the start of its training: it codes, if not well."""
    path = tmp_path_factory.mktemp("run") / "checkpoint.pt"
    options = {"data": "", "valid": "", "output": "", "batch": 1}
    state = {"config": TINY.to_dict(), "average": started().state_dict(), "options": options}
    torch.save(state | {"step": 0, "elapsed": 0.0, "device": "cpu"}, path)
    return path


@pytest.fixture(scope="session")
def tiny_weights_folder(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a registry whose only model, "tiny", is there."""
    folder = tmp_path_factory.mktemp("weights")
    path = folder / "tiny.safetensors"
    export_checkpoint(tiny_checkpoint, path, "tiny", calibrate=pictures(4))
    entry = {
        "preset": "tiny",
        "file": path.name,
        "size": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "quality_range": [1, 6],
        "metric": "mse",
    }
    registry = {"base_url": "", "default": "tiny", "models": {"tiny": entry}}
    (folder / "registry.json").write_text(json.dumps(registry))
    return folder


@pytest.fixture(scope="session")
def float64_model(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a model "tiny-float64": the same network, whose entropy model is in float64 for want of pictures."""
    path = tmp_path_factory.mktemp("float64") / "tiny-float64.safetensors"
    export_checkpoint(tiny_checkpoint, path, "tiny-float64")
    return path


@pytest.fixture
def tiny_weights(tiny_weights_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The model "tiny" in the place of the bundled weights."""
    monkeypatch.setattr(registries, "BUNDLED", tiny_weights_folder)
    forget_models()
    yield tiny_weights_folder
    forget_models()
