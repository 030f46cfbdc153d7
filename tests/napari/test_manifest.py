"""The manifest: what npe2 accepts, and what it does not look at."""

from __future__ import annotations

import importlib
import importlib.resources
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import napari_agvae
from napari_agvae.preferences import Settings
from napari_agvae.texts import TOOLTIPS

yaml = pytest.importorskip("yaml", reason="PyYAML comes with napari")
pytestmark = pytest.mark.napari
FOLDER = Path(napari_agvae.__file__).parent
MANIFEST = yaml.safe_load((FOLDER / "napari.yaml").read_text(encoding="utf-8"))
CONTRIBUTIONS = MANIFEST["contributions"]
COMMANDS = {command["id"]: command["python_name"] for command in CONTRIBUTIONS["commands"]}
QT_FREE = [
    name for name in COMMANDS.values() if name.partition(":")[0].rpartition(".")[2] in ("reader", "writer", "samples")
]


@pytest.mark.parametrize("arguments", [["validate", "agvae"], ["validate", "--imports", "agvae"]])
def test_npe2_validates(arguments: list[str]) -> None:
    if "--imports" in arguments:
        pytest.importorskip("qtpy", reason="the docks need a Qt binding", exc_type=Exception)
    done = subprocess.run(
        [sys.executable, "-m", "npe2", *arguments], check=False, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "valid" in done.stdout


def test_loading_the_manifest_imports_nothing_heavy() -> None:
    code = """
import sys
from npe2 import PluginManager
manager = PluginManager.instance()
manager.discover()
assert manager.get_manifest("agvae").display_name == "AGVAE image codec"
assert {"agvae", "napari_agvae", "torch"}.isdisjoint(sys.modules), [name for name in sys.modules if "agvae" in name]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)


@pytest.mark.parametrize("name", QT_FREE)
def test_commands_without_qt_are_functions(name: str) -> None:
    module, _, function = name.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_contributions_name_commands_that_are_there() -> None:
    named = {
        item["command"] for kind in ("readers", "writers", "widgets", "sample_data") for item in CONTRIBUTIONS[kind]
    }
    named |= {
        item["command"] for items in CONTRIBUTIONS.get("menus", {}).values() for item in items if "command" in item
    }
    assert named <= set(COMMANDS)
    assert "keybindings" not in CONTRIBUTIONS  # napari ignores them


def test_what_is_offered() -> None:
    assert CONTRIBUTIONS["readers"][0]["filename_patterns"] == ["*.agv"]
    assert [writer["layer_types"] for writer in CONTRIBUTIONS["writers"][:2]] == [["image"], ["image+"]]
    assert [widget["display_name"] for widget in CONTRIBUTIONS["widgets"]] == ["AGVAE preview", "Rate curve"]
    assert [sample["key"] for sample in CONTRIBUTIONS["sample_data"]] == ["photo", "coded", "stack"]


def test_settings_are_those_of_the_code() -> None:
    """Names, defaults, texts; `Settings` is what the code reads, the manifest what the user sees."""
    pages: dict[str, Any] = CONTRIBUTIONS["configurations"]
    properties = {name: found for page in pages.values() for name, found in page["properties"].items()}
    assert {name: found["default"] for name, found in properties.items()} == vars(Settings())
    page = (FOLDER.parents[1] / "docs" / "napari.md").read_text(encoding="utf-8")
    for name, found in properties.items():
        assert found["description"] == TOOLTIPS[f"settings.{name}"]
        assert f"| {found['title']} |" in page


def test_the_icon_is_there() -> None:
    package, _, name = MANIFEST["icon"].partition(":")
    assert importlib.resources.files(package).joinpath(name).read_text(encoding="utf-8").startswith("<svg")


def test_modules_and_manifest_stay_small() -> None:
    lines = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in FOLDER.rglob("*.[py]*")}
    assert lines["napari.yaml"] <= 160
    assert max(lines.values()) <= 300
