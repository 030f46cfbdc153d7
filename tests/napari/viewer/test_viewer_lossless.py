"""The box "without loss" of the preview dock in a real viewer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agvae
from napari_agvae.io.reader import read_agv
from napari_agvae.state import session
from tests.napari.timing import Stopwatch
from tests.napari.viewer.conftest import IMAGE, whole
from tests.support.helpers import picture

Until = Callable[..., None]
CELLS = np.random.default_rng(5).poisson(300, (3, 64, 80)).astype(np.uint16)


def exact(dock: Any) -> Callable[[], bool]:
    """Whether the read-outs are of the whole slice without loss."""
    labels = dock.readouts.labels
    return lambda: whole(dock)() and not dock.readouts.stale and labels["psnr"].text() == "∞"


def saved_by(dock: Any, path: Path, until: Until, monkeypatch: pytest.MonkeyPatch) -> Path:
    from qtpy.QtWidgets import QFileDialog

    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    dock.save.changed.emit(True)
    until(lambda: not dock._tasks)
    return path


def test_one_box_shows_the_size_of_an_exact_file_and_saves_it(
    viewer: Any, dock: Any, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dock.lossless.value = True
    until(exact(dock))
    preview = viewer.layers["photo · AGVAE preview"]
    np.testing.assert_array_equal(preview.data, IMAGE)
    assert preview.metadata["agvae"] == {"lossless": True}
    assert dock.readouts.labels["ms_ssim"].text() == "1.0000"
    assert not dock.editor.isEnabled()
    path = saved_by(dock, tmp_path / "a.agv", until, monkeypatch)
    assert dock.readouts.labels["size"].text() == f"{path.stat().st_size:,} bytes".replace(",", " ")
    np.testing.assert_array_equal(agvae.decode(path), IMAGE)
    viewer.layers["photo"].save(str(tmp_path / "b.agv"))  # saving by napari does as the dock
    assert (tmp_path / "b.agv").read_bytes() == path.read_bytes()

    dock.lossless.value = False
    until(lambda: whole(dock)() and not dock.readouts.stale and "dB" in dock.readouts.labels["psnr"].text())
    assert dock.editor.isEnabled()
    np.testing.assert_array_equal(preview.data, agvae.decode(agvae.encode(IMAGE)))
    assert not session.choice.lossless
    viewer.layers["photo"].save(str(tmp_path / "c.agv"))
    assert agvae.read_info(tmp_path / "c.agv")["quality"] == 3.5


def test_a_stack_of_16_bits_is_saved_whole(
    viewer: Any, dock: Any, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer.add_image(CELLS, name="cells", scale=(2, 1, 1))
    dock.lossless.value = True
    until(lambda: dock.source.text() == "cells" and exact(dock)())
    assert dock.readouts.labels["stack"].text().endswith("(3)")
    ((read, attributes, _),) = read_agv(saved_by(dock, tmp_path / "a.agv", until, monkeypatch))
    np.testing.assert_array_equal(np.asarray(read), CELLS)
    assert list(attributes["scale"]) == [2, 1, 1]


def test_what_would_lose_something_is_said_before_it_is_saved(viewer: Any, dock: Any, until: Until) -> None:
    values = CELLS.astype(np.float32)
    values[2] *= 0.1234
    viewer.add_image(values, name="cells")
    viewer.dims.set_current_step(0, 0)
    dock.lossless.value = True
    until(lambda: "in slice 2 that 16 bits do not hold without loss" in dock.unsavable.text())
    viewer.dims.set_current_step(0, 2)
    until(lambda: "without loss" in dock.status.text())
    dock.lossless.value = False
    until(lambda: whole(dock)() and not dock.readouts.stale)
    assert not dock.unsavable.text()
    assert not dock.status.text()


def test_the_box_begins_as_a_layer_or_the_settings_say(settings_page: Any, viewer: Any, until: Until) -> None:
    settings_page.coding.lossless = True
    lossy = viewer.add_image(IMAGE, name="lossy", metadata={"agv": {"quality": 2.0, "lossless": False}})
    _, dock = viewer.window.add_plugin_dock_widget("agvae", "AGVAE preview")
    assert (dock.lossless.value, dock.editor.quality.value()) == (False, 2.0)
    exactly = viewer.add_image(IMAGE, name="exactly", metadata={"agv": {"quality": 6.0, "lossless": True}})
    assert dock.lossless.value
    viewer.layers.selection.active = lossy
    assert not dock.lossless.value
    exactly.metadata.clear()  # so that the settings say
    viewer.layers.selection.active = exactly
    assert dock.lossless.value
    assert not dock.editor.isEnabled()
    dock.shut_down()


def test_what_is_found_is_shown_with_loss(dock: Any, until: Until) -> None:
    dock.lossless.value = True
    until(exact(dock))
    dock.target.value, dock.unit.value = 1.0, "bpp"
    dock.search.changed.emit(True)
    until(lambda: not dock._tasks and whole(dock)() and not dock.readouts.stale, 60)
    assert not dock.lossless.value
    assert 0.97 < float(dock.readouts.labels["rate"].text().removesuffix(" bpp")) < 1.03


@pytest.mark.timing
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("job", ["preview", "save"])
def test_it_can_be_cancelled_at_once(
    viewer: Any, dock: Any, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: Any, job: str
) -> None:
    from qtpy.QtWidgets import QFileDialog

    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "large.agv"), ""))
    large = picture(2048, 1024)[..., 0].astype(dtype) * dtype(1 if dtype == np.uint8 else 250)
    viewer.add_image(large + np.random.default_rng(0).integers(0, 5, large.shape).astype(dtype), name="large")
    dock.lossless.value = True
    if job == "save":
        dock._cancel()
        dock.save.changed.emit(True)
        (task,) = dock._tasks
        until(lambda: task.progress.done > 0)
    else:
        until(lambda: dock._engine is not None and dock._engine.busy and dock._engine._latest._turn is not None)
    with Stopwatch() as watch:
        dock.cancel.changed.emit(True)
        until(lambda: not dock._tasks and not (dock._engine and dock._engine.busy))
    assert watch.seconds < 0.3
    assert not list(tmp_path.iterdir())


def test_the_rate_curve_marks_no_quality_then(viewer: Any, dock: Any, until: Until) -> None:
    _, curve = viewer.window.add_plugin_dock_widget("agvae", "Rate curve")
    dock.lossless.value = True
    curve.draw.changed.emit(True)
    until(lambda: len(curve.found) == 2)
    assert curve.plot.marked is None
    dock.lossless.value = False
    dock.editor.quality.setValue(1)
    assert curve.plot.marked is not None
    curve.shut_down()
