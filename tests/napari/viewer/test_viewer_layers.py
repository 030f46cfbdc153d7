"""Layers that change, go away or are not on view while the dock previews them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.napari.viewer.conftest import IMAGE, whole
from tests.support.helpers import picture

Until = Callable[..., None]
NAMES = ["photo", "photo · AGVAE preview", "photo · AGVAE difference", "photo · AGVAE curtain"]


def names(viewer: Any) -> list[str]:
    return [layer.name for layer in viewer.layers]


@pytest.fixture
def compared(viewer: Any, dock: Any, until: Until) -> Any:
    """The dock with all its layers."""
    dock.comparison.difference.value = dock.comparison.curtain.value = True
    dock.editor.slider.setValue(3000)
    until(whole(dock))
    assert names(viewer) == NAMES
    return dock


def test_the_difference_of_a_slice_of_more_than_a_megapixel(viewer: Any, dock: Any, until: Until) -> None:
    image = picture(1100, 1100)[..., 0]
    viewer.add_image(image, name="large")
    dock.comparison.difference.value = True
    dock.editor.slider.setValue(3000)
    until(whole(dock), 60)
    difference, preview = viewer.layers["large · AGVAE difference"], viewer.layers["large · AGVAE preview"]
    expected = np.minimum(np.abs(np.asarray(preview.data[0]).astype(int) - image) * 8, 255)
    np.testing.assert_array_equal(np.asarray(difference.data[0]), expected)
    np.testing.assert_array_equal(np.asarray(difference.data[1]), expected[::2, ::2])
    assert expected.any()


def test_the_key_works_while_an_image_is_selected(viewer: Any, dock: Any, until: Until) -> None:
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    dock.preview()
    until(whole(dock))
    source, preview = viewer.layers
    assert viewer.layers.selection.active is source
    canvas = viewer.window._qt_viewer.canvas.native
    for visible in (False, True):
        QTest.keyClick(canvas, Qt.Key.Key_H)
        until(lambda visible=visible: preview.visible == visible)
        assert source.visible


def test_other_axes_or_types_begin_a_preview_anew(viewer: Any, compared: Any, until: Until) -> None:
    source = viewer.layers["photo"]
    source.data = np.stack([IMAGE, IMAGE[::-1]])
    source.scale = (3, 1, 1)
    source.translate = (1, 2, 3)
    until(lambda: names(viewer) == NAMES and viewer.layers[1].data.shape == (1, *IMAGE.shape))
    np.testing.assert_array_equal(viewer.layers[1].extent.world, [[1, 2, 3], [1, 261, 362]])
    before = viewer.layers[1]
    source.data = source.data.astype(np.float32) / 255
    until(lambda: names(viewer) == NAMES and viewer.layers[1].dtype == np.float32)
    assert viewer.layers[1] is not before


def test_a_preview_deleted_by_hand_goes_with_all_that_belongs_to_it(viewer: Any, compared: Any, until: Until) -> None:
    viewer.layers.remove(viewer.layers[1])
    until(lambda: names(viewer) == ["photo"])
    assert compared.readouts.labels["psnr"].text() == "-"
    compared.comparison.swap()
    compared.comparison.gain.value = 4
    assert names(viewer) == ["photo"]
    compared.editor.slider.setValue(4000)
    until(whole(compared))
    assert names(viewer) == NAMES


@pytest.mark.parametrize("way", ["selected", "clear"])
def test_all_layers_can_be_deleted_at_once(viewer: Any, compared: Any, until: Until, way: str) -> None:
    viewer.layers.move(0, 4)
    viewer.layers.move(0, 2)
    if way == "clear":
        viewer.layers.clear()
    else:
        viewer.layers.selection = set(viewer.layers)
        viewer.layers.remove_selected()
    until(lambda: not viewer.layers)
    assert compared.source.text() == "Select an image layer."


@pytest.mark.parametrize("saving", [False, True])
def test_what_goes_on_is_told_when_the_source_is_gone(
    viewer: Any, dock: Any, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saving: bool
) -> None:
    from qtpy.QtWidgets import QFileDialog

    target = tmp_path / "large.agv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), ""))
    viewer.add_image(picture(1500, 1200), name="large")
    if saving:
        dock.save.changed.emit(True)
    dock.preview()
    until(lambda: "large · AGVAE preview" in names(viewer))
    assert dock.cancel.enabled
    viewer.layers.remove("large")
    until(lambda: names(viewer) == ["photo"])
    assert dock.cancel.enabled == saving
    assert dock.status.text() == ("Saving large.agv …" if saving else "")
    until(lambda: not dock._tasks, 60)
    assert not dock.cancel.enabled
    assert not dock.status.text()
    assert target.exists() == saving


def test_where_there_is_nothing_to_preview_the_dock_says_why(viewer: Any, dock: Any, until: Until) -> None:
    viewer.add_image(np.zeros((9, 20, 20), np.uint8), name="long")
    viewer.add_image(np.stack([IMAGE[..., 0]] * 3), name="short")
    viewer.dims.set_current_step(0, 7)
    dock.preview()
    assert "outside this layer" in dock.status.text()
    viewer.dims.ndisplay = 3
    dock.preview()
    assert "two dimensions" in dock.status.text()
    viewer.dims.ndisplay = 2
    viewer.dims.set_current_step(0, 1)
    dock.preview()
    until(whole(dock))
    assert not dock.status.text()


@pytest.mark.parametrize("value_range", ["values", "contrast limits"])
def test_contrast_limits_redo_the_preview_where_they_are_coded(
    settings_page: Any, viewer: Any, dock: Any, until: Until, value_range: str
) -> None:
    settings_page.coding.value_range = value_range
    viewer.add_image(IMAGE[..., 0] * np.float32(2), name="grey", contrast_limits=(0, 510))
    dock.preview()
    until(lambda: whole(dock)() and not dock._engine.busy)
    until(lambda: True)
    preview = viewer.layers["grey · AGVAE preview"]
    viewer.layers["grey"].contrast_limits = (100, 200)
    if value_range == "values":
        assert not dock._engine.busy
    else:
        until(lambda: preview.data.max() <= 200 and preview.data.min() >= 100)


def test_targets_have_three_decimals(dock: Any) -> None:
    dock.target.value = 0.125
    assert dock.target.value == 0.125
    assert dock.target.min == 0.001
    dock.target.value = 0.001
    assert dock.target.value == 0.001


def test_the_slice_is_the_one_that_napari_shows_whatever_the_units(viewer: Any, dock: Any, until: Until) -> None:
    stack = np.stack([np.full((200, 220), 10 * k, np.uint8) for k in range(20)])
    viewer.layers.clear()
    viewer.add_image(stack, name="seconds", units=("s", "pixel", "pixel"))
    slow = viewer.add_image(stack[:3], name="minutes", scale=(0.1, 1, 1), units=("min", "pixel", "pixel"))
    viewer.layers.selection.active = slow
    viewer.dims.set_point(0, 6)
    dock.preview()
    until(whole(dock))
    preview = viewer.layers["minutes · AGVAE preview"]
    napari_s = int(np.asarray(slow._slice.image.raw).mean())
    assert abs(int(np.asarray(preview.data).mean()) - napari_s) <= 1
    if getattr(viewer.dims, "units", None) is not None:  # earlier versions convert nothing
        assert napari_s == 10
    assert preview._slice.image.raw.shape[-2:] == (200, 220)


def test_in_a_composite_the_preview_takes_the_place_of_its_source(viewer: Any, dock: Any, until: Until) -> None:
    viewer.layers.clear()
    flat = np.full((2, 200, 220), 4000, np.uint16)
    flat[:, 0, 0] = 0
    other = viewer.add_image(flat, name="other", colormap="red", blending="additive", contrast_limits=(0, 8000))
    source = viewer.add_image(
        flat, name="source", colormap="green", blending="additive", contrast_limits=(0, 8000), opacity=0.5
    )
    viewer.reset_view()

    def centre() -> list[int]:
        shot = viewer.screenshot(canvas_only=True, flash=False)
        return [int(part) for part in shot[shot.shape[0] // 2, shot.shape[1] // 2, :3]]

    before = centre()
    assert min(before[:2]) > 30
    viewer.layers.selection.active = source
    dock.preview()
    until(whole(dock))
    preview = viewer.layers["source · AGVAE preview"]
    assert (preview.blending, preview.opacity, viewer.layers.index(preview)) == ("additive", 0.5, 2)
    assert np.abs(np.subtract(centre(), before)).max() <= 3
    dock.comparison.curtain.value = True
    assert np.abs(np.subtract(centre(), before)).max() <= 3
    dock.comparison.curtain.value = False
    assert (source.visible, other.visible) == (False, True)

    viewer.dims.set_point(0, 1)  # before its preview is made, the slice itself is seen
    assert source.visible
    until(lambda: not source.visible)
    preview.visible = False
    assert source.visible
    preview.visible = True
    assert not source.visible
    source.visible = True  # the user wants to see it
    assert (source.visible, preview.visible) == (True, False)
    preview.visible = True
    source.opacity = 0.25
    assert preview.opacity == 0.25
    source.blending, source.opacity = "translucent", 1
    assert (preview.blending, source.visible) == ("translucent", True)
    source.blending = "additive"
    viewer.layers.move(viewer.layers.index(source), 0)
    assert [layer.name for layer in viewer.layers] == ["source", "source · AGVAE preview", "other"]
    viewer.layers.remove(preview)
    assert source.visible


def test_in_3d_and_with_other_rows_and_columns_the_source_is_on_view(viewer: Any, dock: Any, until: Until) -> None:
    viewer.layers.clear()
    source = viewer.add_image(np.stack([IMAGE[..., 1], IMAGE[..., 0]]), name="source", blending="additive")
    until(whole(dock))
    assert not source.visible
    viewer.dims.ndisplay = 3
    assert source.visible
    viewer.dims.ndisplay = 2
    assert not source.visible
    viewer.dims.order = (1, 0, 2)
    assert source.visible
    viewer.dims.order = (0, 1, 2)


def test_the_only_stack_can_be_deleted_while_its_preview_is_on_view(viewer: Any, dock: Any, until: Until) -> None:
    viewer.layers.clear()
    viewer.add_image(np.stack([IMAGE[..., 1], IMAGE[..., 0]]))
    until(whole(dock))
    viewer.layers.remove_selected()
    until(lambda: not viewer.layers)
    assert dock.source.text() == "Select an image layer."


def test_the_preview_of_a_hidden_layer_is_hidden(viewer: Any, dock: Any, until: Until) -> None:
    hidden = viewer.add_image(IMAGE[..., 0], name="hidden", visible=False)
    dock.comparison.difference.value = True
    until(lambda: dock.source.text() == "hidden" and whole(dock)() and len(viewer.layers) == 4)
    assert [layer.visible for layer in viewer.layers] == [True, False, False, False]
    hidden.visible = True
    assert all(layer.visible for layer in viewer.layers)
