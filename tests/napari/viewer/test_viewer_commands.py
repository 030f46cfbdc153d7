"""The commands of napari's menus in a real viewer, with and without an open dock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agvae
from napari_agvae.preferences import Settings
from tests.napari.timing import Stopwatch
from tests.napari.viewer.conftest import IMAGE, whole
from tests.support.helpers import picture

commands = pytest.importorskip("napari_agvae.commands")
Until = Callable[..., None]


def open_docks(viewer: Any) -> list[Any]:
    return [dock for name, dock in viewer.window.dock_widgets.items() if "AGVAE" in name]


def idle(until: Until) -> None:
    from napari_agvae.docks.tasks import _running

    until(lambda: not _running, 60)


def test_the_menus_offer_them(viewer: Any) -> None:
    from napari._app_model import get_app_model
    from npe2 import PluginManager

    manifest = PluginManager.instance().get_manifest("agvae")
    app = get_app_model()
    for menu, items in manifest.contributions.menus.items():
        there = {item.command.id for item in app.menus.get_menu(menu) if hasattr(item, "command")}
        assert {item.command for item in items} <= there


def test_napari_gives_them_its_viewer(viewer: Any, until: Until) -> None:
    from napari._app_model import get_app_model

    def run(name: str) -> None:
        get_app_model().commands.execute_command(f"agvae.{name}")

    viewer.add_image(IMAGE, name="photo")
    run("split")
    (dock,) = open_docks(viewer)
    until(whole(dock))
    run("difference")
    kinds = ["photo", "photo · AGVAE preview", "photo · AGVAE difference", "photo · AGVAE curtain"]
    assert [layer.name for layer in viewer.layers] == kinds
    run("compare")
    assert [layer.visible for layer in viewer.layers] == [True, False, False, False]
    run("reencode")
    idle(until)
    assert viewer.layers[-1].name == "photo · AGVAE 3.5"
    assert len(open_docks(viewer)) == 1
    dock.shut_down()


def test_compare_without_a_dock_opens_it_then_toggles(viewer: Any, until: Until) -> None:
    viewer.add_image(IMAGE, name="photo")
    commands.compare(viewer)
    (dock,) = open_docks(viewer)
    until(whole(dock))
    preview = viewer.layers["photo · AGVAE preview"]
    commands.compare(viewer)
    assert not preview.visible
    commands.compare(viewer)
    assert preview.visible
    assert len(open_docks(viewer)) == 1
    dock.shut_down()


def test_split_and_difference_are_switched_on_and_off(viewer: Any, dock: Any, until: Until) -> None:
    commands.split(viewer)
    until(whole(dock))
    assert len(open_docks(viewer)) == 1
    names = ["photo", "photo · AGVAE preview", "photo · AGVAE curtain"]
    assert [layer.name for layer in viewer.layers] == names
    commands.split(viewer)
    commands.difference(viewer)
    assert [layer.name for layer in viewer.layers] == [*names[:2], "photo · AGVAE difference"]
    commands.difference(viewer)
    assert [layer.name for layer in viewer.layers] == names[:2]


@pytest.mark.parametrize("with_dock", [False, True])
def test_a_layer_is_reencoded_at_the_current_quality(viewer: Any, until: Until, with_dock: bool) -> None:
    quality = Settings().quality
    layer = viewer.add_image(IMAGE, name="photo", scale=(0.5, 0.25), units="um")
    if with_dock:
        _, dock = viewer.window.add_plugin_dock_widget("agvae", "AGVAE preview")
        dock.editor.quality.setValue(2.0)
        quality = 2.0
    commands.reencode(viewer)
    idle(until)
    added = viewer.layers[f"photo · AGVAE {quality:g}"]
    np.testing.assert_array_equal(added.data, agvae.decode(agvae.encode(IMAGE, quality)))
    np.testing.assert_array_equal(layer.data, IMAGE)
    np.testing.assert_array_equal(added.scale, layer.scale)
    assert added.units == layer.units
    if with_dock:
        dock.shut_down()


def test_all_frames_of_a_stack_are_reencoded(viewer: Any, until: Until) -> None:
    stack = np.stack([picture(90, 70, seed)[..., 0] for seed in range(6)]).reshape(2, 3, 70, 90) * np.float32(0.25)
    viewer.add_image(stack, name="stack")
    commands.reencode(viewer)
    idle(until)
    added = viewer.layers["stack · AGVAE 3.5"]
    assert isinstance(added.data, np.ndarray)
    assert (added.data.shape, added.data.dtype) == (stack.shape, stack.dtype)
    assert np.abs(added.data - stack).mean() < 3


def test_what_is_no_image_is_not_reencoded(viewer: Any) -> None:
    from napari.utils.notifications import notification_manager

    viewer.add_labels(np.zeros((9, 9), int))
    commands.reencode(viewer)
    assert "Select an image layer" in notification_manager.records[-1].message
    assert len(viewer.layers) == 1


def choose(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
    from qtpy.QtWidgets import QFileDialog

    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(path) for path in paths], ""))


def test_files_open_in_the_background(
    viewer: Any, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.agv"
    path.write_bytes(agvae.encode(IMAGE, 2))
    choose(monkeypatch, path)
    commands.open_files(viewer)
    idle(until)
    (layer,) = viewer.layers
    assert layer.name == "a"
    np.testing.assert_array_equal(layer.data, agvae.decode(path))
    assert layer.metadata["agv"]["quality"] == 2


@pytest.mark.timing
def test_opening_shows_its_progress_and_can_be_cancelled(
    viewer: Any, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari.utils import progress

    path = tmp_path / "large.agv"
    path.write_bytes(agvae.encode(picture(1536, 1536), 3))
    choose(monkeypatch, path)
    commands.open_files(viewer)
    until(lambda: any(bar.n > 0 for bar in progress._all_instances), 60)
    with Stopwatch() as watch:
        for bar in list(progress._all_instances):
            bar.cancel()
        idle(until)
    assert watch.seconds < 0.3
    assert not viewer.layers
    assert not progress._all_instances


def test_a_file_that_does_not_open_gets_one_notification(
    viewer: Any, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari.utils.notifications import notification_manager

    path = tmp_path / "bad.agv"
    path.write_bytes(b"nothing of the kind")
    choose(monkeypatch, path)
    before = len(notification_manager.records)
    commands.open_files(viewer)
    idle(until)
    (told,) = notification_manager.records[before:]
    assert "bad.agv cannot be opened" in told.message
