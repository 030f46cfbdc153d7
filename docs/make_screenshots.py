"""Make the pictures of the napari plugin in docs/images.

xvfb-run -a -s "-screen 0 1600x1000x24" python docs/make_screenshots.py
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import napari
from qtpy.QtWidgets import QApplication

from napari_agvae.docks.preview_dock import PreviewDock
from napari_agvae.docks.rate_curve import RateCurveDock
from napari_agvae.samples import photo

FOLDER = Path(__file__).parent / "images"


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    """Run the event loop until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit("a picture did not come about")
        QApplication.processEvents()
        time.sleep(0.005)


def pause(seconds: float) -> None:
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() > end)


def shoot(viewer: napari.Viewer, name: str) -> None:
    pause(1)
    viewer.screenshot(str(FOLDER / f"napari-{name}.png"), canvas_only=False, flash=False)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    viewer = napari.Viewer()
    viewer.window.resize(1200, 760)
    ((data, attributes, *_),) = photo()
    viewer.add_image(data, **attributes)
    dock = PreviewDock(viewer)
    tab = viewer.window.add_dock_widget(dock, name="AGVAE preview")
    pause(1)
    viewer.reset_view()

    def coded() -> bool:
        return "whole" in dock.readouts.labels["shown"].text() and not dock.readouts.stale and not dock._engine.busy

    dock.editor.quality.setValue(3.0)
    until(coded)
    shoot(viewer, "preview")
    dock.editor.quality.setValue(1.0)
    dock.readouts.show_words({})
    until(coded)
    dock.comparison.curtain.value = True
    shoot(viewer, "compare")
    dock.comparison.curtain.value = False
    dock.comparison.difference.value = True
    shoot(viewer, "difference")
    dock.comparison.difference.value = False
    viewer.window.remove_dock_widget(tab)

    curve = RateCurveDock(viewer)
    viewer.window.add_dock_widget(curve, name="Rate curve")
    curve.start()
    until(lambda: not curve.stop.enabled)
    shoot(viewer, "curve")
    viewer.close()


if __name__ == "__main__":
    main()
