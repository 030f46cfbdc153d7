"""What saving does while docks are open: as the dock used last."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import agvae
from agvae.weights import registry
from napari_agvae.state import Choice, session
from tests.napari.viewer.conftest import IMAGE, whole

Until = Callable[..., None]
DEFAULT = registry()["default"]
OTHER = "tiny"


def test_the_choice_made_last_holds_and_the_one_before_when_its_dock_closes() -> None:
    told: list[Choice] = []
    session.listeners.append(lambda: told.append(session.choice))
    assert session.choice == Choice(None, None, None)
    first, second, third = Choice(2.0, "", "auto"), Choice(4.0, "x", "cpu"), Choice(3.0, "", "cpu")
    session.use(1, first)
    session.use(2, second)
    session.use(1, third)
    session.leave(1)
    session.leave(1)
    session.leave(2)
    session.listeners.clear()
    assert told == [first, second, third, second, Choice()]


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Any], tuple[str, float]]:
    """Model and quality of the file that a layer is saved to."""

    def save(layer: Any) -> tuple[str, float]:
        info = agvae.read_info(layer.save(str(tmp_path / "saved.agv"))[0])
        return info["model"], info["quality"]

    return save


def test_each_way_of_saving_takes_the_model_that_the_dock_shows(
    settings_page: Any,
    viewer: Any,
    until: Until,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tiny_weights_folder: Path,
    saved: Callable[[Any], tuple[str, float]],
) -> None:
    from qtpy.QtWidgets import QFileDialog

    monkeypatch.setenv("AGVAE_WEIGHTS_URL", str(tiny_weights_folder))
    target = tmp_path / "dock.agv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), ""))
    settings_page.coding.model = OTHER
    layer = viewer.add_image(IMAGE[:64, :64], name="photo")
    _, dock = viewer.window.add_plugin_dock_widget("agvae", "AGVAE preview")
    assert dock.model.value == OTHER
    for model in (OTHER, DEFAULT):
        dock.model.value = "" if model == DEFAULT else model
        dock.save.changed.emit(True)
        until(lambda: not dock._tasks)
        assert agvae.read_info(target)["model"] == model
        assert saved(layer)[0] == model
    dock.shut_down()
    assert saved(layer)[0] == OTHER


def test_a_model_that_is_not_known_fails_alike_in_preview_and_saving(
    settings_page: Any, viewer: Any, until: Until, saved: Callable[[Any], tuple[str, float]]
) -> None:
    settings_page.coding.model = "nonsense-1"
    layer = viewer.add_image(IMAGE[:64, :64], name="photo")
    _, dock = viewer.window.add_plugin_dock_widget("agvae", "AGVAE preview")
    assert dock.model.value == "nonsense-1"
    with pytest.raises(OSError, match="nonsense-1") as error:
        saved(layer)
    dock.preview()
    until(lambda: dock.status.text() == str(error.value))
    dock.model.value = ""
    dock.preview()
    until(whole(dock))
    dock.shut_down()


def test_what_is_previewed_is_what_is_saved(
    viewer: Any, until: Until, saved: Callable[[Any], tuple[str, float]]
) -> None:
    from napari_agvae import commands

    layer = viewer.add_image(IMAGE, name="photo")
    layer.metadata["agv"] = {"quality": 5.0}
    wrapper, dock = viewer.window.add_plugin_dock_widget("agvae", "AGVAE preview")
    assert saved(layer) == (DEFAULT, 5.0)
    commands.split(viewer)
    until(whole(dock))
    assert saved(layer) == (DEFAULT, dock.editor.quality.value()) == (DEFAULT, 5.0)
    dock.editor.quality.setValue(2.5)
    assert saved(layer) == (DEFAULT, 2.5)
    viewer.window.remove_dock_widget(wrapper)
    assert saved(layer) == (DEFAULT, 5.0)


def test_of_two_viewers_the_dock_used_last_says_and_then_the_other(make_napari_viewer: Any, until: Until) -> None:
    docks = []
    for quality in (2.0, 4.0):
        viewer = make_napari_viewer(show=True)
        viewer.add_image(IMAGE, name="photo")
        wrapper, dock = viewer.window.add_plugin_dock_widget("agvae", "AGVAE preview")
        dock.editor.quality.setValue(quality)
        docks.append((viewer, wrapper, dock))
    assert session.choice.quality == 4.0
    docks[1][0].window.remove_dock_widget(docks[1][1])
    assert session.choice.quality == 2.0
    docks[0][2].shut_down()
    assert session.choice.quality is None
