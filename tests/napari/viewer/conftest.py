"""A real viewer needs napari, a Qt binding and a display with OpenGL; Xvfb with software rendering will do."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import pytest


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
