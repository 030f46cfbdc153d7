"""`agvae weights register`: the registry of a folder of models of one's own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from agvae import weights
from agvae.cli import main
from agvae.settings import options


@pytest.fixture
def folder(tiny_weights_folder: Path, tmp_path: Path) -> Path:
    shutil.copy(tiny_weights_folder / "tiny.safetensors", tmp_path)
    return tmp_path


def test_a_registered_folder_is_known(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "register", str(folder)]) == 0
    entry = json.loads((folder / "registry.json").read_text())["models"]["tiny"]
    assert entry["sha256"] in capsys.readouterr().out
    with options.using(weights=folder):
        assert weights.find("tiny") == folder / "tiny.safetensors"


def test_what_a_registry_says_besides_stays(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "register", str(folder)]) == 0
    file = folder / "registry.json"
    registry = {"base_url": "https://example.org", **json.loads(file.read_text())}
    registry["models"]["tiny"]["quality_range"] = [2, 4]
    registry["models"]["old"] = {**registry["models"]["tiny"], "file": "old.safetensors"}
    file.write_text(json.dumps(registry))
    capsys.readouterr()
    assert main(["weights", "register", str(folder)]) == 0
    assert "warning" in (error := capsys.readouterr().err)
    assert "'old'" in error
    del registry["models"]["old"]
    assert json.loads(file.read_text()) == registry
    registry["models"]["tiny"]["sha256"] = "0" * 64  # that of another file
    file.write_text(json.dumps(registry))
    assert main(["weights", "register", str(folder)]) == 0
    assert json.loads(file.read_text())["models"]["tiny"]["quality_range"] == [1, 6]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"models": []}'])
def test_what_is_no_registry_is_not_replaced(content: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "registry.json").write_text(content)
    assert main(["weights", "register", str(folder)]) == 1
    assert str(folder / "registry.json") in capsys.readouterr().err
    assert (folder / "registry.json").read_text() == content


def test_a_folder_is_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as usage:
        main(["weights", "register"])
    assert usage.value.code == 2
    capsys.readouterr()
    assert main(["weights", "register", str(tmp_path / "none")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
