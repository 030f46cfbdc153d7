"""The preview dock in a real viewer."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agvae
from agvae import metrics
from napari_agvae.state import session
from tests.napari.viewer.conftest import IMAGE, whole, workers
from tests.support.helpers import picture

QUALITY = 1 + 3000 / 4096

Until = Callable[..., None]


def test_a_move_adds_one_layer_that_is_what_the_file_holds(viewer: Any, dock: Any, until: Until) -> None:
    source = viewer.layers["photo"]
    dock.editor.slider.setValue(3000)
    until(whole(dock))
    assert [layer.name for layer in viewer.layers] == ["photo", "photo · AGVAE preview"]
    assert viewer.layers.selection.active is source
    preview = viewer.layers[1]
    data = agvae.encode(IMAGE, QUALITY)
    decoded = agvae.decode(data)
    np.testing.assert_array_equal(preview.data, decoded)
    np.testing.assert_array_equal(source.data, IMAGE)
    assert source.metadata == {}
    np.testing.assert_array_equal(preview.extent.world, source.extent.world)
    assert preview.units == source.units
    words = {key: label.text() for key, label in dock.readouts.labels.items()}
    size = int(words["size"].removesuffix(" bytes").replace(" ", ""))
    assert len(data) <= size <= len(data) + 200  # the file of a layer also says where the layer is
    assert words["psnr"] == f"{metrics.psnr(IMAGE, decoded):.2f} dB"
    assert words["ms_ssim"] == f"{metrics.ms_ssim(IMAGE, decoded):.4f}"
    assert session.choice.quality == pytest.approx(QUALITY)


def test_a_drag_shows_intermediate_previews_and_ends_with_the_last_value(viewer: Any, dock: Any, until: Until) -> None:
    dock.editor.slider.setValue(1000)
    until(whole(dock))
    levels = []
    dock._engine.shown.connect(lambda shown: levels.append(shown.request.level))
    dock.editor.slider.setSliderDown(True)
    for value in range(2000, 20000, 300):
        dock.editor.slider.setValue(value)
        until(lambda: True)
    until(lambda: levels)
    dock.editor.slider.setValue(12288)
    dock.editor.slider.setSliderDown(False)
    until(lambda: not dock._engine.busy and whole(dock)() and dock.editor.level == levels[-1])
    assert levels == sorted(levels[:-1]) + levels[-1:] or levels[-1] == 12288
    assert len(viewer.layers) == 2
    np.testing.assert_array_equal(viewer.layers[1].data, agvae.decode(agvae.encode(IMAGE, 4)))


def test_the_canvas_shows_it_with_toggle_curtain_and_difference(viewer: Any, dock: Any, until: Until) -> None:
    def canvas() -> Any:
        return viewer.screenshot(flash=False)[..., :3].astype(int)

    until(lambda: canvas().std() > 10)
    # Four by four pixels for one of the image, none of them on a border, where two textures may round differently.
    viewer.camera.zoom, viewer.camera.center = 8, (0, 67.78125, 48.78125)
    original = canvas()
    dock.editor.quality.setValue(1)
    until(whole(dock))
    until(lambda: np.abs(canvas() - original).max() > 5)
    coded = canvas()
    assert coded.std() > 10

    dock.comparison.toggle.changed.emit(True)
    np.testing.assert_array_equal(canvas(), original)
    dock.comparison.swap()
    np.testing.assert_array_equal(canvas(), coded)

    dock.comparison.curtain.value = True
    dock.comparison.share.value = 50
    split = canvas()
    middle = split.shape[1] // 2
    left, right = np.s_[:, : middle - 4], np.s_[:, middle + 4 :]
    assert (split[left] != original[left]).mean() < 0.01  # two textures may be sampled a pixel apart
    assert (split[right] != coded[right]).mean() < 0.01
    assert (coded[left] != original[left]).mean() > 0.2
    dock.comparison.curtain.value = False

    dock.comparison.difference.value = True
    difference = viewer.layers[2]
    assert difference.name == "photo · AGVAE difference"
    a, b = IMAGE.astype(int), np.asarray(viewer.layers[1].data).astype(int)
    np.testing.assert_array_equal(np.asarray(difference.data), np.minimum(np.abs(a - b) * 8, 255))
    assert np.abs(canvas() - coded).mean() > 5
    dock.comparison.difference.value = False
    assert len(viewer.layers) == 2


def test_the_preview_follows_its_source(viewer: Any, dock: Any, until: Until) -> None:
    dock.editor.slider.setValue(3000)
    until(whole(dock))
    source, preview = viewer.layers
    source.scale = (2, 2)
    np.testing.assert_array_equal(preview.scale, source.scale)
    source.visible = False
    assert not preview.visible
    source.visible = True
    assert preview.visible
    source.name = "other"
    assert dock.source.text() == "other"
    viewer.layers.remove(source)
    until(lambda: not viewer.layers)
    assert dock.readouts.labels["psnr"].text() == "-"
    dock.editor.slider.setValue(4000)


def test_nothing_keeps_the_pixels_of_a_source_that_is_gone(viewer: Any, dock: Any, until: Until) -> None:
    if pytest.importorskip("qtpy").API == "pyside6":
        pytest.skip("napari's own layer controls keep a removed layer with PySide6")
    data = IMAGE.copy()
    gone = weakref.ref(data)
    viewer.add_image(data, name="second", units="um")
    del data
    dock.editor.slider.setValue(3000)
    until(whole(dock))
    viewer.layers.remove("second")
    until(lambda: not workers())

    def collected() -> bool:
        gc.collect()
        return gone() is None

    until(collected, 5)


def test_a_stack_is_previewed_slice_by_slice(viewer: Any, dock: Any, until: Until) -> None:
    stack = np.stack([np.roll(IMAGE[..., 0], 40 * k, axis=1) for k in range(4)])
    source = viewer.add_image(stack, name="stack", scale=(2, 1, 1), rotate=30)

    def canvas() -> Any:
        return viewer.screenshot(flash=False)[..., :3].astype(int)

    viewer.dims.set_current_step(0, 1)
    dock.editor.slider.setValue(3000)
    until(whole(dock))
    preview = viewer.layers["stack · AGVAE preview"]
    assert preview.data.shape == (1, *stack.shape[1:])
    np.testing.assert_array_equal(preview.data[0], agvae.decode(agvae.encode(stack[1], QUALITY)))
    np.testing.assert_allclose(preview.data_to_world((0, 5, 6)), source.data_to_world((1, 5, 6)))
    source.translate = (4, 3, 2)
    np.testing.assert_allclose(preview.data_to_world((0, 5, 6)), source.data_to_world((1, 5, 6)))
    viewer.dims.set_current_step(0, 3)
    seen = canvas()  # before the new slice is coded: the original, and no other slice
    preview.visible = False
    np.testing.assert_array_equal(seen, canvas())
    preview.visible = True
    expected = agvae.decode(agvae.encode(stack[3], QUALITY))
    until(lambda: whole(dock)() and not dock.readouts.stale)  # it is drawn some time after it is painted
    np.testing.assert_array_equal(preview.data[0], expected)
    assert np.abs(canvas() - seen).max() > 5
    viewer.dims.ndisplay = 3
    until(lambda: "two dimensions" in dock.status.text())
    assert dock.readouts.stale
    viewer.dims.ndisplay = 2


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_a_multiscale_layer_of_other_values(viewer: Any, dock: Any, until: Until, dtype: str) -> None:
    image = (np.kron(IMAGE[..., 0], np.ones((5, 5), np.uint8)) * 3.0 + 7).astype(dtype)
    viewer.add_image([image, image[::2, ::2]], name="large", multiscale=True)
    dock.editor.slider.setValue(15000)
    until(whole(dock), 60)
    preview = viewer.layers["large · AGVAE preview"]
    assert preview.multiscale
    assert preview.data[0].dtype == dtype
    assert np.abs(preview.data[0].astype(float) - image).mean() < 10
    assert viewer.screenshot(flash=False)[..., :3].std() > 10


def test_a_layer_that_cannot_be_coded_gets_one_sentence(viewer: Any, dock: Any, until: Until) -> None:
    from napari.utils.notifications import notification_manager

    viewer.add_image(np.full((50, 60), np.nan), name="empty", contrast_limits=(0, 1))
    before = len(notification_manager.records)
    for value in (3000, 4000, 5000):
        dock.editor.slider.setValue(value)
        until(lambda: dock._engine is not None and not dock._engine.busy)
        until(lambda: "NaN" in dock.status.text())
    assert len(notification_manager.records) == before + 1
    viewer.layers.selection.active = viewer.layers["photo"]
    dock.editor.slider.setValue(3000)
    until(whole(dock))


def test_closing_the_dock_in_mid_preview_ends_its_thread(viewer: Any, until: Until) -> None:
    from napari_agvae.docks.preview_dock import PreviewDock

    viewer.add_image(picture(2000, 1500), name="large")
    for _ in range(2):
        dock = PreviewDock(viewer)
        widget = viewer.window.add_dock_widget(dock, name="AGVAE preview")
        dock.editor.slider.setValue(3000)
        until(lambda dock=dock: dock._engine.busy and len(viewer.layers) == 2)
        viewer.window.remove_dock_widget(widget)
        until(lambda: not workers(), 3)
        assert [layer.name for layer in viewer.layers] == ["large"]
        assert session.choice.quality is None
        assert not viewer.keymap


def test_closing_the_window_in_mid_preview_ends_its_thread(viewer: Any, until: Until) -> None:
    from napari_agvae.docks.preview_dock import PreviewDock

    viewer.add_image(picture(2000, 1500), name="large")
    dock = PreviewDock(viewer)
    viewer.window.add_dock_widget(dock, name="AGVAE preview")
    dock.editor.slider.setValue(3000)
    until(lambda: len(viewer.layers) == 2)
    viewer.close()
    until(lambda: not workers(), 3)


def test_a_save_shows_its_progress_and_can_be_cancelled(
    viewer: Any, dock: Any, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari.utils import progress
    from qtpy.QtWidgets import QFileDialog

    target = tmp_path / "large.agv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), ""))
    viewer.add_image(picture(2300, 1500), name="large")
    dock.save.changed.emit(True)
    until(lambda: any(bar.n > 0 for bar in progress._all_instances))
    dock.cancel.changed.emit(True)
    until(lambda: not dock._tasks, 2)
    assert not list(tmp_path.iterdir())
    assert not progress._all_instances

    viewer.layers.selection.active = viewer.layers["photo"]
    dock.save.changed.emit(True)
    until(lambda: not dock._tasks)
    assert target.exists()
    np.testing.assert_array_equal(agvae.decode(target), agvae.decode(agvae.encode(IMAGE, dock.editor.quality.value())))


def test_a_name_without_its_suffix_overwrites_nothing_unasked(
    dock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qtpy.QtWidgets import QFileDialog

    from napari_agvae.docks.controls import ask_for_file

    asked: list[str] = []
    replies = [str(tmp_path / "photo"), str(tmp_path / "photo"), str(tmp_path / "photo.agv"), "photo.v2", ""]

    def reply(parent: Any, title: str, suggestion: str, kinds: str) -> tuple[str, str]:
        asked.append(suggestion)
        return replies[len(asked) - 1], kinds

    def ask() -> Path | None:
        return ask_for_file(dock, "Save", "a.agv", "AGVAE images", ".agv")

    monkeypatch.setattr(QFileDialog, "getSaveFileName", reply)
    assert ask() == tmp_path / "photo.agv"
    (tmp_path / "photo.agv").touch()
    assert ask() == tmp_path / "photo.agv"
    assert asked == ["a.agv", "a.agv", str(tmp_path / "photo.agv")]
    assert ask() == Path("photo.v2.agv")
    assert ask() is None


def test_a_target_moves_the_slider(viewer: Any, dock: Any, until: Until) -> None:
    dock.target.value = 1.0
    dock.unit.value = "bpp"
    dock.search.changed.emit(True)
    assert dock.status.text() == "Looking for 1 bpp …"
    until(lambda: not dock._tasks and whole(dock)(), 60)
    assert not dock.status.text()
    assert 0.97 < float(dock.readouts.labels["rate"].text().removesuffix(" bpp")) < 1.03


def test_weights_that_are_not_here_are_offered_not_fetched(
    viewer: Any, dock: Any, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agvae import weights
    from agvae.weights import places

    with monkeypatch.context() as patch:
        patch.setattr("agvae.coding.loaded._models", {})
        patch.setattr(weights, "locate", lambda name: None)
        patch.setattr(places, "_download", lambda name: pytest.fail("not without being asked"))
        dock.editor.slider.setValue(3000)
        until(lambda: "not on this computer" in dock.status.text())
        assert dock.get.visible
        assert len(viewer.layers) == 1
    dock.get.changed.emit(True)
    until(whole(dock))
    assert not dock.get.visible


def test_at_250_pixels_all_read_outs_are_whole(viewer: Any, dock: Any, until: Until) -> None:
    dock.editor.slider.setValue(3000)
    until(whole(dock))
    dock.parent().setMinimumWidth(0)
    assert dock.minimumSizeHint().width() <= 250
    dock.setParent(None)
    dock.readouts.show_words(
        {"shown": "whole slice, 12000 x 9000", "rate": "12.345 bpp", "size": "123 456 789 bytes", "psnr": "99.99 dB"}
    )
    dock.resize(250, dock.sizeHint().height())
    dock.show()
    until(dock.isVisible)
    for label in dock.readouts.labels.values():
        assert label.fontMetrics().horizontalAdvance(label.text()) <= label.width()
        assert label.mapTo(dock, label.rect().topRight()).x() < 250
    for box in (dock.editor.quality, dock.editor.s, dock.editor.l, dock.target.native):
        assert box.fontMetrics().horizontalAdvance(box.text()) + 4 <= box.lineEdit().width()
    picture_of = dock.grab().toImage()
    colours = {picture_of.pixel(x, y) for x in range(0, 250, 3) for y in range(0, picture_of.height(), 3)}
    assert len(colours) > 20


def test_napari_finds_the_docks_by_their_names(viewer: Any) -> None:
    viewer.add_image(IMAGE, name="photo")
    _, preview = viewer.window.add_plugin_dock_widget("agvae", "AGVAE preview")
    _, curve = viewer.window.add_plugin_dock_widget("agvae", "Rate curve")
    assert preview.source.text() == "photo"
    assert curve.found == []
    preview.shut_down()


def test_the_dock_that_napari_makes_knows_its_layers(viewer: Any, dock: Any, until: Until) -> None:
    """It is given a proxy of the viewer."""
    dock.editor.slider.setValue(3000)
    until(whole(dock))
    engine, (source, preview) = dock._engine, viewer.layers
    viewer.layers.selection.active = preview
    viewer.layers.selection.active = source
    assert dock._engine is engine
    viewer.layers.remove(source)
    until(lambda: not viewer.layers)


def test_opening_the_dock_imports_no_torch() -> None:
    program = (
        "import sys, napari; from napari_agvae.docks.preview_dock import PreviewDock; v = napari.Viewer(show=False);"
        "v.window.add_dock_widget(PreviewDock(v)); assert 'torch' not in sys.modules; v.close()"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
