"""What must not happen in a real viewer: waiting, leftovers, dialogs, stale or mixed-up previews."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agvae
from napari_agvae.state import session
from tests.napari.timing import Stopwatch
from tests.napari.viewer.conftest import IMAGE, whole, workers
from tests.support.helpers import picture

Until = Callable[..., None]
QUALITY = 1 + 3000 / 4096


def coded(image: np.ndarray, quality: float = QUALITY) -> np.ndarray:
    return agvae.decode(agvae.encode(image, quality))


def volume() -> np.ndarray:
    """(T, Z, Y, X)"""
    return np.stack([picture(120, 100, seed)[..., 0] for seed in range(6)]).reshape(2, 3, 100, 120)


def test_slider_quality_s_and_l_stay_in_step(dock: Any) -> None:
    editor = dock.editor

    def shown() -> tuple[float, int, float]:
        return editor.quality.value(), editor.s.value(), editor.l.value()

    editor.slider.setValue(round(2.5 * 4096))
    assert shown() == (3.5, 3, 0.5)
    editor.quality.setValue(2.25)
    assert (shown(), editor.slider.value()) == ((2.25, 2, 0.25), 5120)
    editor.s.setValue(5)
    assert (shown(), editor.slider.value()) == ((5.25, 5, 0.25), 17408)
    editor.l.setValue(0.5)
    assert (shown(), editor.slider.value()) == ((5.5, 5, 0.5), 18432)
    editor.s.setValue(6)
    assert (shown()[0], editor.slider.value()) == (6, 20480)
    dock._cancel()


def test_fifty_moves_leave_one_layer_and_the_numbers_of_the_last(viewer: Any, dock: Any, until: Until) -> None:
    for level in range(0, 20000, 400):
        dock.editor.slider.setValue(level)
        until(lambda: True)
    dock.editor.slider.setValue(3000)
    until(lambda: not dock._engine.busy)
    until(whole(dock))
    preview = viewer.layers[1]
    assert len(viewer.layers) == 2
    np.testing.assert_array_equal(preview.data, coded(IMAGE))
    assert preview.metadata["agvae"]["quality"] == QUALITY


@pytest.mark.parametrize(
    ("image", "index"),
    [
        (IMAGE[..., 0], ()),
        (np.dstack((IMAGE, IMAGE[..., 1])), ()),
        (np.stack((IMAGE, IMAGE[::-1])), (1,)),
        (volume(), (1, 2)),
        (volume().astype(np.uint16) * 200, (0, 1)),
        (volume().astype(np.float32) / 7 - 3, (1, 0)),
    ],
    ids=["grey", "rgba", "rgb stack", "T, Z", "uint16", "float32"],
)
@pytest.mark.parametrize("lazy", [False, True], ids=["numpy", "dask"])
def test_every_kind_of_layer_has_a_preview(
    viewer: Any, dock: Any, until: Until, image: np.ndarray, index: tuple[int, ...], lazy: bool
) -> None:
    import dask.array as da

    data = da.from_array(image, chunks=(*(1 for _ in index), *image.shape[len(index) :])) if lazy else image
    viewer.add_image(data, name="image")
    for axis, k in enumerate(index):
        viewer.dims.set_current_step(axis, k)
    dock.editor.slider.setValue(3000)
    until(whole(dock))
    preview = viewer.layers["image · AGVAE preview"]
    assert preview.rgb == (image.shape[-1] in (3, 4))
    assert preview.data.shape == (*(1 for _ in index), *image.shape[len(index) :])
    assert preview.data.dtype == image.dtype
    found = np.asarray(preview.data[(0,) * len(index)])
    if image.dtype == np.uint8:
        np.testing.assert_array_equal(found, coded(image[index]))
    else:
        assert 0 < np.abs(found.astype(float) - image[index]).mean() < 0.05 * np.ptp(image)


def test_channels_are_previewed_as_the_layers_they_are(viewer: Any, dock: Any, until: Until) -> None:
    viewer.add_image(IMAGE.transpose(2, 0, 1), channel_axis=0, name=["r", "g", "b"])
    for name, channel in (("r", 0), ("b", 2)):
        viewer.layers.selection.active = viewer.layers[name]
        dock.editor.slider.setValue(3000 - channel)
        dock.editor.slider.setValue(3000)
        until(whole(dock))
        np.testing.assert_array_equal(viewer.layers[f"{name} · AGVAE preview"].data, coded(IMAGE[..., channel]))
        assert sum("preview" in layer.name for layer in viewer.layers) == 1


def test_while_dims_play_one_request_waits_at_most(viewer: Any, dock: Any, until: Until) -> None:
    stack = np.stack([np.roll(IMAGE[..., 0], 9 * k, axis=1) for k in range(30)])
    viewer.add_image(stack, name="stack")
    viewer.dims.set_current_step(0, 0)
    dock.editor.slider.setValue(3000)
    until(whole(dock))
    indices = []
    dock._engine.shown.connect(lambda shown: indices.append(shown.request.index))
    for k in range(1, 30):
        viewer.dims.set_current_step(0, k)
        until(lambda: True)
        assert len(dock._engine._latest._waiting) <= 1
    until(lambda: not dock._engine.busy)
    until(lambda: np.array_equal(viewer.layers[-1].data[0], coded(stack[29])))
    assert len(set(indices)) < 29


def test_a_codec_error_is_told_once_and_the_next_move_works(
    viewer: Any, dock: Any, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari.utils.notifications import notification_manager

    import agvae.coding.preview

    msg = "out of order"

    def broken(*_: Any) -> None:
        raise RuntimeError(msg)

    before = len(notification_manager.records)
    with monkeypatch.context() as patch:
        patch.setattr(agvae.coding.preview.Preview, "parts", broken)
        for level in (3000, 4000):
            dock.editor.slider.setValue(level)
            until(lambda: msg in dock.status.text() and not dock._engine.busy)
            until(lambda: not dock.cancel.enabled)
    (told,) = notification_manager.records[before:]
    assert told.message == f"AGVAE preview: {msg}; move the slider to try again"
    dock.editor.slider.setValue(3000)
    until(whole(dock))
    assert not dock.status.text()


@pytest.mark.timing
@pytest.mark.parametrize("job", ["preview", "save", "find", "re-encode"])
def test_cancelling_takes_less_than_300_ms(
    viewer: Any, dock: Any, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: str
) -> None:
    from napari.utils import progress
    from qtpy.QtWidgets import QFileDialog

    from napari_agvae import commands
    from napari_agvae.docks import tasks

    viewer.add_image(picture(2500, 2000), name="large")
    if job == "preview":
        dock.editor.slider.setValue(3000)
        until(lambda: len(viewer.layers) == 3)
        with Stopwatch() as watch:
            dock.cancel.changed.emit(True)
            until(lambda: not dock._engine.busy)
    else:
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "large.agv"), ""))
        begin = {
            "save": lambda: dock.save.changed.emit(True),
            "find": lambda: dock.search.changed.emit(True),
            "re-encode": lambda: commands.reencode(viewer),
        }
        dock._cancel()  # of the preview, which would keep the processor busy
        begin[job]()
        (task,) = tasks._running
        until(lambda: task.progress.done > 0)
        (bar,) = progress._all_instances
        with Stopwatch() as watch:
            if job == "re-encode":
                bar.cancel()
            else:
                dock.cancel.changed.emit(True)
            until(lambda: not tasks._running)
        assert not progress._all_instances
    assert watch.seconds < 0.3
    assert not list(tmp_path.iterdir())
    viewer.layers.selection.active = viewer.layers["photo"]
    dock.editor.slider.setValue(2999)
    dock.editor.slider.setValue(3000)
    until(whole(dock))


@pytest.mark.timing
def test_closing_while_a_preview_runs_is_quick_and_asks_nothing(
    make_napari_viewer: Any, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari._qt import qt_main_window

    monkeypatch.setattr(qt_main_window, "ConfirmCloseDialog", lambda *_, **__: pytest.fail("no dialog"))
    seconds = []
    for previewing in (False, True):
        viewer = make_napari_viewer(show=True)
        viewer.add_image(picture(2500, 2000), name="large")
        _, dock = viewer.window.add_plugin_dock_widget("agvae", "AGVAE preview")
        if previewing:
            dock.editor.slider.setValue(3000)
            until(lambda viewer=viewer: len(viewer.layers) == 2)
        assert not viewer.window._task_status_manager.is_busy()
        with Stopwatch() as watch:
            viewer.close()
        seconds.append(watch.seconds)
    assert seconds[1] < 0.3 + 3 * seconds[0]  # the preview would take half a minute; napari itself takes a while
    until(lambda: not workers(), 3)


def test_a_closed_dock_can_be_opened_again(viewer: Any, until: Until) -> None:
    viewer.add_image(IMAGE, name="photo")
    for quality in (2.0, 4.0):
        wrapper, dock = viewer.window.add_plugin_dock_widget("agvae", "AGVAE preview")
        assert not dock.showing
        dock.editor.quality.setValue(quality)
        until(whole(dock))
        assert session.choice.quality == quality
        viewer.window.remove_dock_widget(wrapper)
        assert [layer.name for layer in viewer.layers] == ["photo"]
        assert session.choice.quality is None
        until(lambda: not workers(), 3)


def test_two_viewers_do_not_mix(make_napari_viewer: Any, until: Until) -> None:
    viewers = [make_napari_viewer(show=True) for _ in range(2)]
    images = [IMAGE, IMAGE[::-1].copy()]
    docks = []
    for viewer, image in zip(viewers, images, strict=True):
        viewer.add_image(image, name="photo")
        docks.append(viewer.window.add_plugin_dock_widget("agvae", "AGVAE preview")[1])
    for dock, quality in zip(docks, (2.0, 4.0), strict=True):
        dock.editor.quality.setValue(quality)
    for viewer, dock, image, quality in zip(viewers, docks, images, (2.0, 4.0), strict=True):
        until(whole(dock))
        assert dock.editor.quality.value() == quality
        np.testing.assert_array_equal(viewer.layers[1].data, coded(image, quality))
    docks[0].shut_down()
    assert docks[1].showing
    assert session.choice.quality == 4
    docks[1].shut_down()


def test_a_save_goes_on_when_its_window_closes_before_another(
    make_napari_viewer: Any, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qtpy.QtCore import QEvent
    from qtpy.QtWidgets import QApplication, QFileDialog

    from napari_agvae.docks import tasks

    target = tmp_path / "large.agv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), ""))
    first, other = (make_napari_viewer(show=True) for _ in range(2))
    first.add_image(picture(700, 600), name="large")
    _, dock = first.window.add_plugin_dock_widget("agvae", "AGVAE preview")
    gone: list[object] = []
    dock.destroyed.connect(gone.append)
    dock.save.changed.emit(True)
    (task,) = tasks._running
    until(lambda: task.progress.done > 0)
    first.close()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    until(lambda: gone)
    until(lambda: not tasks._running)
    assert target.exists()
    assert not other.layers


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the memory in use from Linux")
def test_two_hundred_previews_take_no_more_memory(viewer: Any, until: Until) -> None:
    def resident() -> float:
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    viewer.add_image(picture(64, 64), name="small")
    _, dock = viewer.window.add_plugin_dock_widget("agvae", "AGVAE preview")
    ended = []

    def preview(count: int) -> None:
        for k in range(count):
            ended.clear()
            dock.editor.slider.setValue(3000 + k % 2)
            until(lambda: ended)

    dock.editor.slider.setValue(2000)
    until(whole(dock))
    dock._engine.shown.connect(lambda shown: ended.append(1) if shown.numbers and shown.numbers.whole else None)
    preview(40)
    before = resident()
    preview(200)
    assert resident() - before < 20
    dock.shut_down()


QUITTING = """
import sys
from pathlib import Path
import napari
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication
from napari._qt.dialogs.confirm_close_dialog import ConfirmCloseDialog
from napari.settings import get_settings
from napari_agvae.docks.tasks import writing
from tests.support.helpers import picture

WAY = sys.argv[2]
ASKED = WAY == "asked"
viewer = napari.Viewer()
layer = viewer.add_image(picture(1200, 1000), name="large")
get_settings().application.confirm_close_window = WAY != "not asked"
task = writing(layer, Path(sys.argv[1]), 10240, None, 1)
asked = []

def answer():
    dialog = next((w for w in QApplication.topLevelWidgets() if isinstance(w, ConfirmCloseDialog)), None)
    if dialog is None:
        QTimer.singleShot(20, answer)
    else:
        asked.append(dialog)
        dialog.accept()

def leave():
    if task.progress.done == 0:
        QTimer.singleShot(20, leave)
    else:
        QTimer.singleShot(20, answer)
        if WAY == "quit":
            QApplication.quit()
        else:
            viewer.window._qt_window.close(quit_app=True, confirm_need=True)

task.start()
leave()
napari.run()
assert task._done_with.wait(60)
assert bool(asked) == task.progress.cancelled == ASKED
print("left")
"""


@pytest.mark.parametrize("way", ["asked", "not asked", "quit"])
def test_closing_the_window_cancels_a_save_if_that_was_asked_else_ends_it(tmp_path: Path, way: str) -> None:
    target = tmp_path / "out" / "large.agv"
    target.parent.mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", QUITTING, str(target), way],
        check=False,
        capture_output=True,
        text=True,
        timeout=180,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert "left" in done.stdout
    for word in ("Traceback", "wrapped C/C++ object", "QThread: Destroyed"):
        assert word not in done.stderr
    assert [path.name for path in target.parent.iterdir()] == ([] if way == "asked" else ["large.agv"])
