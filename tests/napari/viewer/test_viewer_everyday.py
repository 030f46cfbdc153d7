"""What users do beside moving the slider: type, rename, delete, close, save twice, press Enter."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agvae
from agvae.progress import checkpoint
from napari_agvae.state import session
from tests.napari.viewer.conftest import whole
from tests.support.helpers import picture

Until = Callable[..., None]
IMAGE = picture(80, 64)


def fresh(dock: Any) -> Callable[[], bool]:
    return lambda: dock._engine is not None and not dock._engine.busy and whole(dock)() and not dock.readouts.stale


@pytest.fixture
def dock(viewer: Any) -> Iterator[Any]:
    viewer.add_image(IMAGE, name="photo")
    _, dock = viewer.window.add_plugin_dock_widget("agvae", "AGVAE preview")
    yield dock
    dock.shut_down()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Until it is set, saving goes no further than to the codec."""
    from napari_agvae.io import writer

    gate, encode = threading.Event(), writer.encode_frames

    def held(*args: Any, **options: Any) -> bytes:
        while not gate.wait(0.01):
            checkpoint()
        return encode(*args, **options)

    monkeypatch.setattr(writer, "encode_frames", held)
    yield gate
    gate.set()


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """choose(*paths): what the user answers to the next dialogs."""
    from qtpy.QtWidgets import QFileDialog

    def answer(*paths: Path) -> None:
        replies = iter(paths)
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(next(replies)), ""))

    return answer


def test_a_layer_is_previewed_at_once_as_saving_it_would_code_it(viewer: Any, until: Until, tmp_path: Path) -> None:
    layer = viewer.add_image(IMAGE, name="photo", metadata={"agv": {"quality": 2.0}})
    _, dock = viewer.window.add_plugin_dock_widget("agvae", "AGVAE preview")
    until(fresh(dock))
    assert dock.editor.quality.value() == 2
    np.testing.assert_array_equal(viewer.layers[1].data, agvae.decode(agvae.encode(IMAGE, 2)))
    assert agvae.read_info(layer.save(str(tmp_path / "a.agv"))[0])["quality"] == 2
    viewer.add_image(IMAGE[::-1].copy(), name="other", metadata={"agv": {"quality": 1.5}})
    until(lambda: dock.source.text() == "other" and fresh(dock)())
    assert viewer.layers["other · AGVAE preview"].metadata["agvae"] == {"quality": 1.5}
    viewer.layers.remove("other · AGVAE preview")
    until(lambda: not dock._soon.isActive())
    assert not dock.showing  # deleted is deleted, until the slider moves
    dock.shut_down()


@pytest.mark.parametrize("language", ["de_DE", "ar_EG", "en_US"])
def test_numbers_are_typed_with_point_or_comma_in_any_locale(make_napari_viewer: Any, language: str) -> None:
    from qtpy.QtCore import QLocale, Qt
    from qtpy.QtTest import QTest

    before = QLocale()
    QLocale.setDefault(QLocale(language))
    try:
        viewer = make_napari_viewer(show=True)
        _, dock = viewer.window.add_plugin_dock_widget("agvae", "AGVAE preview")
        for box in (dock.editor.quality, dock.target.native, dock.comparison.gain.native):
            for typed in ("4.25", "4,25"):
                box.setValue(1)
                box.selectAll()
                QTest.keyClicks(box, typed)
                QTest.keyClick(box, Qt.Key.Key_Return)
                assert box.value() == 4.25
                assert box.text().startswith("4.25")
        dock.shut_down()
    finally:
        QLocale.setDefault(before)


def test_names_are_shown_as_they_are(viewer: Any, dock: Any, until: Until, tmp_path: Path, choose: Any) -> None:
    from napari.utils.notifications import notification_manager
    from qtpy.QtCore import Qt

    viewer.layers[0].name = "<b>bold</b>"
    until(fresh(dock))
    assert dock.source.text() == "<b>bold</b>"
    assert dock.source.textFormat() == dock.status.textFormat() == Qt.TextFormat.PlainText
    choose(tmp_path / "<i>x<>.agv")
    dock.save.changed.emit(True)
    assert str(dock._tasks[0]) == "Saving &lt;i&gt;x&lt;&gt;.agv"
    until(lambda: not dock._tasks)
    assert "&lt;i&gt;x" in notification_manager.records[-1].message


def test_the_layers_follow_the_name_of_their_source(viewer: Any, dock: Any, until: Until) -> None:
    dock.comparison.difference.value = dock.comparison.curtain.value = True
    until(fresh(dock))
    viewer.layers["photo · AGVAE curtain"].name = "mine"
    viewer.layers["photo"].name = "cat"
    names = [layer.name for layer in viewer.layers]
    assert names == ["cat", "cat · AGVAE preview", "cat · AGVAE difference", "mine"]


@pytest.mark.parametrize("kind", ["difference", "curtain"])
def test_a_comparison_that_is_deleted_stays_away(viewer: Any, dock: Any, until: Until, kind: str) -> None:
    getattr(dock.comparison, kind).value = True
    until(fresh(dock))
    viewer.layers.remove(f"photo · AGVAE {kind}")
    assert not getattr(dock.comparison, kind).value
    dock.editor.quality.setValue(2)
    until(fresh(dock))
    assert [layer.name for layer in viewer.layers] == ["photo", "photo · AGVAE preview"]


def test_the_key_shows_the_original_under_all_comparisons(viewer: Any, dock: Any, until: Until) -> None:
    dock.comparison.difference.value = dock.comparison.curtain.value = True
    until(fresh(dock))
    dock.comparison.swap()
    assert [layer.visible for layer in viewer.layers] == [True, False, False, False]
    dock.comparison.swap()
    assert all(layer.visible for layer in viewer.layers)


def test_enter_in_the_target_finds_it(dock: Any, until: Until) -> None:
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    dock.unit.value = "bpp"
    dock.target.native.selectAll()
    QTest.keyClicks(dock.target.native, "2.5")
    QTest.keyClick(dock.target.native, Qt.Key.Key_Return)
    assert dock.status.text() == "Looking for 2.5 bpp …"
    dock._cancel()
    until(lambda: not dock._tasks)


def test_what_is_out_of_date_is_marked(viewer: Any, dock: Any, until: Until) -> None:
    until(fresh(dock))
    dock.editor.quality.setValue(2)
    assert dock.readouts.stale
    assert dock.readouts.labels["shown"].text() == "coding …"
    dock._cancel()
    until(lambda: not dock._engine.busy and dock.readouts.labels["shown"].text() == "out of date")
    assert dock.readouts.stale
    viewer.layers[0].data = IMAGE[::-1].copy()  # other pixels: the preview follows
    until(fresh(dock))
    np.testing.assert_array_equal(viewer.layers[1].data, agvae.decode(agvae.encode(IMAGE[::-1], 2)))


def test_cancel_does_not_wait_for_an_import(dock: Any, until: Until, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_agvae import loading

    until(fresh(dock))
    goes_on = threading.Event()
    monkeypatch.setattr(loading, "_import", None)
    monkeypatch.setattr(loading, "import_module", lambda _: goes_on.wait(20))
    dock.editor.quality.setValue(2)
    until(lambda: "Loading" in dock.status.text())
    dock.cancel.changed.emit(True)
    until(lambda: not dock._engine.busy and not dock.status.text(), 2)
    assert loading._import is not None
    assert loading._import.is_alive()
    dock.editor.quality.setValue(3)
    until(lambda: "Loading" in dock.status.text())
    goes_on.set()
    until(fresh(dock))


def test_a_window_that_stays_open_keeps_preview_and_save(
    viewer: Any, dock: Any, until: Until, tmp_path: Path, gate: threading.Event, choose: Any
) -> None:
    from napari_agvae.docks import tasks

    dock.editor.quality.setValue(1.5)
    until(fresh(dock))
    choose(tmp_path / "a.agv")
    dock.save.changed.emit(True)
    window = viewer.window._qt_window
    window.closeEvent = lambda event: event.ignore()  # what napari does where the user thinks better of it
    window.close()
    del window.closeEvent
    assert dock.showing
    assert session.choice.quality == 1.5
    (task,) = tasks._running
    assert not task.progress.cancelled
    gate.set()
    until(lambda: not tasks._running)
    assert agvae.read_info(tmp_path / "a.agv")["quality"] == 1.5


def test_a_closed_dock_leaves_its_saves_to_end(
    viewer: Any, until: Until, tmp_path: Path, gate: threading.Event, choose: Any
) -> None:
    from napari_agvae.docks import tasks

    viewer.add_image(IMAGE, name="photo")
    wrapper, dock = viewer.window.add_plugin_dock_widget("agvae", "AGVAE preview")
    choose(tmp_path / "a.agv")
    dock.save.changed.emit(True)
    viewer.window.remove_dock_widget(wrapper)
    gate.set()
    until(lambda: not tasks._running)
    assert (tmp_path / "a.agv").exists()


def test_two_saves_run_side_by_side_but_not_to_one_file(
    dock: Any, until: Until, tmp_path: Path, gate: threading.Event, choose: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qtpy.QtWidgets import QMessageBox

    said: list[str] = []
    monkeypatch.setattr(QMessageBox, "exec", lambda box: said.append(box.text()))
    choose(tmp_path / "a.agv", tmp_path / "a.agv", tmp_path / "b.agv")
    dock.save.changed.emit(True)
    dock.save.changed.emit(True)
    assert len(said) == 1
    assert "a.agv is being saved just now" in said[0]
    assert dock.status.text() == "Saving a.agv …\nSaving b.agv …"
    gate.set()
    until(lambda: not dock._tasks)
    assert {path.name for path in tmp_path.iterdir()} == {"a.agv", "b.agv"}


def test_a_file_that_came_meanwhile_is_not_replaced(
    dock: Any, until: Until, tmp_path: Path, gate: threading.Event, choose: Any
) -> None:
    from napari.utils.notifications import notification_manager

    path = tmp_path / "a.agv"
    choose(path)
    dock.save.changed.emit(True)
    until(lambda: dock._tasks[0].progress.done > 0)
    path.write_bytes(b"precious")
    gate.set()
    until(lambda: not dock._tasks)
    assert path.read_bytes() == b"precious"
    assert str(path) in notification_manager.records[-1].message


@pytest.mark.parametrize("way", ["dock", "menu", "duplicate", "derived"])
def test_a_lazy_layer_saved_where_it_is_read_stays_as_it_is(
    viewer: Any, dock: Any, until: Until, tmp_path: Path, choose: Any, way: str
) -> None:
    from napari.layers._layer_actions import _duplicate_layer

    path = tmp_path / "stack.agv"
    path.write_bytes(agvae.encode([IMAGE[..., 0], IMAGE[::-1, :, 0] // 3]))
    viewer.layers.clear()
    (opened,) = viewer.open(path, plugin="agvae")
    saved = opened
    if way == "duplicate":
        viewer.layers.selection = {opened}
        _duplicate_layer(viewer.layers)
        saved = next(layer for layer in viewer.layers if layer.name == "stack copy")
    elif way == "derived":
        saved = viewer.add_image(opened.data // 2, name="half")
    else:
        opened.data = opened.data // 2
    before = {layer: np.asarray(layer.data) for layer in (opened, saved)}
    for _ in range(2):
        if way == "menu":
            saved.save(str(path))
        else:
            viewer.layers.selection.active = saved
            choose(path)
            dock.save.changed.emit(True)
            until(lambda: not dock._tasks)
        for layer, values in before.items():
            np.testing.assert_array_equal(np.asarray(layer.data), values)
        assert abs(float(agvae.decode(path).mean()) - before[saved][0].mean()) < 2


def test_the_numbers_of_a_stack_tell_ratio_and_size_of_the_whole(viewer: Any, dock: Any, until: Until) -> None:
    viewer.add_image(np.stack([IMAGE] * 7), name="stack")
    until(lambda: dock.source.text() == "stack" and fresh(dock)())
    words = {key: label.text() for key, label in dock.readouts.labels.items()}
    size = int(words["size"].removesuffix(" bytes").replace(" ", ""))
    assert words["ratio"] == f"{IMAGE.nbytes / size:.3g} : 1"
    assert words["stack"].endswith("(7)")


def test_both_docks_fit_in_a_low_window(viewer: Any, dock: Any, until: Until) -> None:
    viewer.window.add_plugin_dock_widget("agvae", "Rate curve")
    until(lambda: True)
    assert viewer.window._qt_window.minimumSizeHint().height() < 600
