"""A real viewer needs napari, a Qt binding and a display with OpenGL; Xvfb with software rendering will do."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.helpers import picture

IMAGE = picture(360, 260)


def whole(dock: Any) -> Callable[[], bool]:
    """Whether the read-outs are of the whole slice."""
    return lambda: "whole" in dock.readouts.labels["shown"].text()


def workers() -> list[str]:
    """The threads of previews."""
    return [thread.name for thread in threading.enumerate() if thread.name == "agvae preview"]


@pytest.fixture(autouse=True)
def _display() -> None:
    pytest.importorskip("napari")
    pytest.importorskip("pytestqt")
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        pytest.skip("no display: run under xvfb-run")


@pytest.fixture
def until(qapp: object) -> Callable[..., None]:
    """until(condition, seconds=30): run the event loop until it holds."""

    def wait(condition: Callable[[], object], seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not happen"
            qapp.processEvents()  # type: ignore[attr-defined]
            time.sleep(0.002)

    return wait


@pytest.fixture
def viewer(make_napari_viewer: Any) -> Any:
    """A viewer whose canvas is drawn."""
    return make_napari_viewer(show=True)


@pytest.fixture
def dock(viewer: Any) -> Iterator[Any]:
    """The preview dock beside a photograph."""
    viewer.add_image(IMAGE, name="photo", scale=(0.5, 0.25), translate=(3, 4), units="um")
    _, dock = viewer.window.add_plugin_dock_widget("agvae", "AGVAE preview")
    yield dock
    dock.shut_down()
