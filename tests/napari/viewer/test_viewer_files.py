"""What the dock says and finds is what a saved file holds; what cannot be saved is said before."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest

import agvae
from agvae.quality import parse_quality
from napari_agvae.io.reader import read_agv
from tests.napari.viewer.conftest import whole
from tests.support.helpers import picture

search: Any = pytest.importorskip("napari_agvae.docks.search")

Until = Callable[..., None]
STACK = np.stack([picture(80, 64, seed) // (1 + seed) for seed in range(5)])


@pytest.fixture
def dock(viewer: Any) -> Iterator[Any]:
    _, dock = viewer.window.add_plugin_dock_widget("agvae", "AGVAE preview")
    yield dock
    dock.shut_down()


def settled(dock: Any) -> Callable[[], bool]:
    """Whether the read-outs are of the whole slice and nothing more is to come."""
    return lambda: (
        not dock._soon.isActive()
        and dock._engine is not None
        and not dock._engine.busy
        and whole(dock)()
        and not dock.readouts.stale
    )


def find(dock: Any, until: Until, value: float, unit: str) -> None:
    dock.target.value = value
    dock.unit.value = unit
    dock.search.changed.emit(True)
    until(lambda: not dock._tasks, 60)
    until(settled(dock))


def saved(layer: Any, path: Path) -> bytes:
    layer.save(str(path))
    return path.read_bytes()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_size_is_that_of_the_file_of_all_slices(
    viewer: Any, dock: Any, until: Until, tmp_path: Path, dtype: Any
) -> None:
    layer = viewer.add_image(STACK.astype(dtype), rgb=True, name="stack", metadata={"note": "x" * 500})
    find(dock, until, 3.5, "kB")
    data = saved(layer, tmp_path / "a.agv")
    assert 3465 <= len(data) <= 3500
    assert dock.readouts.labels["stack"].text() == f"{len(data) / 1000:.3g} kB (5)"
    dock.editor.slider.setValue(3000)
    until(settled(dock))
    assert dock.readouts.labels["stack"].text().startswith("≈")


def test_the_size_of_a_large_stack_is_told_from_some_slices(
    viewer: Any, dock: Any, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FEWEST", 2)
    monkeypatch.setattr(search, "ENOUGH", 1)
    frames = [picture(80, 64, seed) for seed in (0, 1)] * 6
    computed: list[int] = []

    def frame(block_id: tuple[int, ...]) -> Any:
        computed.append(block_id[0])
        return frames[block_id[0]][None]

    lazy = da.map_blocks(
        frame, chunks=((1,) * 12, (64,), (80,), (3,)), dtype=np.uint8, meta=np.empty((0,) * 4, np.uint8)
    )
    layer = viewer.add_image(lazy, rgb=True, name="stack", contrast_limits=(0, 255))
    find(dock, until, 20, "kB")
    assert {3, 9} < set(computed) <= {0, 3, 5, 9}  # also what is on view
    assert dock.readouts.labels["stack"].text().startswith("≈ ")
    assert 17_000 < len(saved(layer, tmp_path / "a.agv")) < 23_000
    dock.target.value = 0.5
    dock.search.changed.emit(True)
    until(lambda: not dock._tasks)
    from napari.utils.notifications import notification_manager

    assert "(of 2 of the 12 slices)" in notification_manager.records[-1].message


def test_numbers_are_those_of_the_saved_file(viewer: Any, dock: Any, until: Until, tmp_path: Path) -> None:
    values = (STACK / 255 * 0.2).astype(np.float32)  # far below 1, so that rounding to 8 bits counts
    values[3] = values[3].mean(axis=2, keepdims=True)  # a grey slice in a stack of colour
    layer = viewer.add_image(values, rgb=True, name="stack")
    dock.editor.quality.setValue(5)
    for number in (0, 3):
        viewer.dims.set_current_step(0, number)
        until(lambda number=number: settled(dock)() and viewer.layers[1].translate[0] == number)
        saved(layer, tmp_path / "a.agv")
        ((read, _, _),) = read_agv(tmp_path / "a.agv")
        there = np.asarray(read[number])
        psnr = -10 * np.log10(np.mean(np.square(there.astype(float) - values[number])))
        assert dock.readouts.labels["psnr"].text() == f"{psnr:.2f} dB"
        np.testing.assert_array_equal(viewer.layers[1].data[0], there)
        find(dock, until, round(psnr - 1, 2), "dB")
        found = float(dock.readouts.labels["psnr"].text().removesuffix(" dB"))
        assert -0.06 <= found - psnr + 1 < 0.5  # or more, where that takes fewer bytes
        dock.editor.quality.setValue(5)


def test_a_size_follows_what_else_is_in_the_file(viewer: Any, dock: Any, until: Until, tmp_path: Path) -> None:
    from qtpy.QtCore import QPointF
    from qtpy.QtGui import QEnterEvent
    from qtpy.QtWidgets import QApplication

    layer = viewer.add_image(STACK[0, ..., 0] * np.uint16(200), name="cells")

    def check() -> None:
        size = f"{len(saved(layer, tmp_path / 'a.agv')):,} bytes".replace(",", " ")
        until(lambda: settled(dock)() and dock.readouts.labels["size"].text() == size)

    changes: list[tuple[str, Any]] = [
        ("contrast_limits", (1000.5, 20000.25)),
        ("colormap", "viridis"),
        ("scale", (0.123, 0.456)),
        ("units", ("um", "um")),
        ("interpolation2d", "cubic"),
        ("metadata", {"note": "x" * 3000}),
    ]
    check()
    for name, value in changes:
        setattr(layer, name, value)
        assert dock.readouts.stale
        check()
    layer.metadata["more"] = "y" * 500  # of which napari tells nobody
    QApplication.sendEvent(dock, QEnterEvent(QPointF(), QPointF(), QPointF()))
    check()
    layer.opacity = 0.5
    dock.editor.slider.setValue(3000)
    check()


@pytest.mark.parametrize("what", ["layer", "slider", "data", "model"])
def test_what_is_done_while_a_quality_is_looked_for_counts(viewer: Any, dock: Any, until: Until, what: str) -> None:
    first = viewer.add_image(picture(300, 260), name="first")
    other = viewer.add_image(picture(80, 64), name="other")
    viewer.layers.selection.active = first
    until(lambda: dock.source.text() == "first" and settled(dock)())
    dock.editor.quality.setValue(2)
    dock.target.value, dock.unit.value = 46, "dB"
    dock.search.changed.emit(True)
    until(lambda: dock._tasks[0].progress.done > 0)
    if what == "layer":
        viewer.layers.selection.active = other
    elif what == "slider":
        dock.editor.quality.setValue(1.5)
    elif what == "data":
        first.data = first.data // 2
    else:
        dock.model.value = dock.model.choices[1]
    until(lambda: not dock._tasks)
    until(settled(dock))
    assert dock.editor.quality.value() == (1.5 if what == "slider" else 2)


@pytest.mark.parametrize("kind", ["NaN", "masked"])
def test_a_stack_that_cannot_be_saved_is_said_to_be_so(
    viewer: Any, dock: Any, until: Until, tmp_path: Path, kind: str
) -> None:
    grey = STACK[..., 1].astype(np.float32)
    if kind == "NaN":
        bad = grey.copy()
        bad[3, 5, 5] = np.nan
    else:
        bad = np.ma.masked_array(grey, np.arange(grey.size).reshape(grey.shape) == 3 * grey[0].size)
    layer = viewer.add_image(bad, name="stack", contrast_limits=(0, 255))
    viewer.dims.set_current_step(0, 0)
    until(dock.unsavable.text)
    assert f"layer 'stack' cannot be saved as .agv: it holds {kind}" in dock.unsavable.text()
    assert "in slice 3" in dock.unsavable.text()
    assert dock.unsavable.isVisible()
    with pytest.raises(TypeError, match="in slice 3"):
        saved(layer, tmp_path / "a.agv")
    layer.data = grey
    until(settled(dock))
    assert not dock.unsavable.isVisible()


def test_of_a_lazy_stack_no_more_is_read_to_know_whether_it_can_be_saved(viewer: Any, dock: Any, until: Until) -> None:
    computed: list[int] = []

    def frame(block_id: tuple[int, ...]) -> Any:
        computed.append(block_id[0])
        return np.full((1, 64, 80), np.nan if block_id[0] == 3 else 1, np.float32) * np.arange(80)

    lazy = da.map_blocks(frame, chunks=((1,) * 5, (64,), (80,)), dtype=np.float32, meta=np.empty((0,) * 3, np.float32))
    viewer.add_image(lazy, name="stack", contrast_limits=(0, 255))
    viewer.dims.set_current_step(0, 0)
    until(settled(dock))
    assert set(computed) <= {0, 2}  # napari begins in the middle
    assert not dock.unsavable.text()
    viewer.dims.set_current_step(0, 3)
    until(lambda: "in slice 3" in dock.status.text())
    viewer.dims.set_current_step(0, 1)
    until(dock.unsavable.text)
    assert "in slice 3" in dock.unsavable.text()
    assert not dock.status.text()


def test_layers_of_the_preview_are_not_saved_with_all_layers(
    viewer: Any, dock: Any, until: Until, tmp_path: Path
) -> None:
    layer = viewer.add_image(STACK[0], name="photo")
    dock.comparison.difference.value = dock.comparison.curtain.value = True
    until(settled(dock))
    assert len(viewer.layers) == 4
    with pytest.warns(UserWarning, match="'photo · AGVAE preview', .* is not saved: it only shows a preview"):
        assert viewer.layers.save(str(tmp_path / "all.agv")) == [str(tmp_path / "all.agv")]
    assert (tmp_path / "all.agv").read_bytes() == saved(layer, tmp_path / "one.agv")
    preview = viewer.layers["photo · AGVAE preview"]
    with pytest.raises(TypeError, match="only shows a preview; save the layer itself, or duplicate this one first"):
        preview.save(str(tmp_path / "preview.agv"))
    assert not (tmp_path / "preview.agv").exists()
    viewer.layers.selection = {preview}
    from napari.layers._layer_actions import _duplicate_layer

    _duplicate_layer(viewer.layers)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert saved(viewer.layers.selection.active, tmp_path / "copy.agv")
    assert agvae.decode(tmp_path / "copy.agv").shape == STACK[0].shape


@pytest.mark.parametrize(("name", "typed"), [("quality", "3.14159"), ("l", "0.71828"), ("quality", "2,00025")])
def test_all_decimals_that_are_typed_count(dock: Any, name: str, typed: str) -> None:
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    box = getattr(dock.editor, name)
    box.selectAll()
    QTest.keyClicks(box, typed)
    QTest.keyClick(box, Qt.Key.Key_Return)
    number = float(typed.replace(",", "."))
    level = parse_quality(number) if name == "quality" else parse_quality(s=dock.editor.s.value(), l=number)
    assert dock.editor.level == level
    assert abs(float(box.text()) - number) < 0.0002
    QTest.keyClick(box, Qt.Key.Key_Return)
    dock.editor.s.setFocus()
    assert dock.editor.level == level


@pytest.mark.parametrize(("written", "number"), [("40,5", 40.5), (" 12.5 ", 12.5), ("1.500,5", 1500.5), ("1e3", 1000)])
@pytest.mark.parametrize("way", ["typed", "pasted", "composed"])
def test_numbers_count_however_they_are_written(dock: Any, written: str, number: float, way: str) -> None:
    from qtpy.QtCore import Qt
    from qtpy.QtGui import QInputMethodEvent
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QApplication

    box = dock.target.native
    box.selectAll()
    if way == "typed":
        QTest.keyClicks(box, written)
    elif way == "pasted":
        QApplication.clipboard().setText(written)
        box.lineEdit().paste()
    else:
        event = QInputMethodEvent()
        event.setCommitString(written)
        QApplication.sendEvent(box.lineEdit(), event)
    QTest.keyClick(box, Qt.Key.Key_Tab)
    assert dock.wanted == (number, "kB")
    assert float(box.text()) == number


def test_every_box_shows_its_number(viewer: Any, dock: Any, until: Until) -> None:
    until(lambda: True)
    for box in (dock.editor.quality, dock.editor.s, dock.editor.l, dock.target.native, dock.comparison.gain.native):
        assert box.fontMetrics().horizontalAdvance(box.text()) + 4 <= box.lineEdit().width()
