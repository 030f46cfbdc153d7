"""Fixtures of the plugin's tests; those that need napari are skipped where it is not installed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import agvae
from napari_agvae.state import session

# Settings of whoever runs the tests must not matter, nor be changed.  napari reads this when it is imported.
os.environ["NAPARI_CONFIG"] = str(Path(tempfile.mkdtemp(prefix="napari-")) / "settings.yaml")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs napari by its fixtures and its folder."""
    for item in items:
        if "viewer" in getattr(item, "fixturenames", ()) or item.path.is_relative_to(Path(__file__).parent / "viewer"):
            item.add_marker("napari")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("napari"):
        pytest.importorskip("napari")


@pytest.fixture(autouse=True)
def no_session() -> Iterator[None]:
    """No dock has been used before."""
    yield
    session.choices.clear()


@pytest.fixture
def viewer() -> Any:
    """napari's viewer without a window and without Qt, with the plugins that are installed."""
    from napari.components import ViewerModel
    from npe2 import PluginManager

    PluginManager.instance().discover()
    return ViewerModel()


@pytest.fixture
def settings_page(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The plugin's settings in napari, in a folder of their own."""
    settings = pytest.importorskip("napari.settings")
    if not hasattr(settings, "get_plugin_settings"):
        pytest.skip("this napari has no settings of plugins")
    request.getfixturevalue("viewer")  # after the skip, which napari's own fixture does not outlive
    monkeypatch.setattr(settings, "_CFG_PATH", str(tmp_path / "settings.yaml"))
    settings._clear_plugin_settings_cache()
    yield settings.get_plugin_settings("agvae")
    settings._clear_plugin_settings_cache()
    agvae.options.device = None
