"""Settings: napari's page where there is one, else the defaults."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agvae
from napari_agvae.io.reader import read_agv, viewer_layers
from napari_agvae.io.writer import write_agv, write_image
from napari_agvae.preferences import Settings, plugin_settings, wanted_device
from napari_agvae.state import Choice, session
from tests.support.helpers import picture


def test_defaults_without_napari() -> None:
    code = "from napari_agvae.preferences import Settings, plugin_settings; assert plugin_settings() == Settings()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)


def test_the_page_has_the_defaults(settings_page: Any) -> None:
    assert (settings_page.coding.device, settings_page.coding.quality, settings_page.preview.visible_only) == (
        "auto",
        3.5,
        True,
    )
    assert plugin_settings() == Settings()


def test_changes_are_used_and_kept(settings_page: Any, tmp_path: Path) -> None:
    settings_page.coding.quality = 1.5
    settings_page.coding.value_range = "contrast limits"
    settings_page.preview.visible_only = False
    assert plugin_settings() == Settings(quality=1.5, value_range="contrast limits", visible_only=False)
    assert "quality: 1.5" in (tmp_path / "agvae.yaml").read_text()
    write_image(str(tmp_path / "x.agv"), picture(20, 10), {"rgb": True})
    assert agvae.read_info(tmp_path / "x.agv")["quality"] == 1.5


def test_limits_hold(settings_page: Any) -> None:
    for name, value in (("quality", 7), ("device", "abacus"), ("value_range", "none")):
        with pytest.raises(ValueError, match=name):
            setattr(settings_page.coding, name, value)


def test_device() -> None:
    assert wanted_device(Settings(device="cpu")) == "cpu"
    assert wanted_device(Settings()) is None
    session.use(1, Choice(device="cuda"))
    assert wanted_device(Settings(device="cpu")) == "cuda"
    session.use(1, Choice(device="auto"))
    assert wanted_device(Settings(device="cpu")) is None


def test_the_device_of_the_dock_holds_for_our_own_work_alone(tmp_path: Path) -> None:
    path = write_agv(tmp_path / "x.agv", [(np.stack([picture(20, 10)] * 2), {"rgb": True}, "image")])
    ((lazy, _, _),) = viewer_layers(path)
    session.use(1, Choice(device="cuda:99"))
    for work in (
        lambda: write_image(str(tmp_path / "y.agv"), picture(20, 10), {"rgb": True}),
        lambda: lazy[0].compute(),
        lambda: viewer_layers(write_agv(tmp_path / "z.agv", [(picture(20, 10), {"rgb": True}, "image")])),
    ):
        with pytest.raises((TypeError, OSError), match="cannot use the device 'cuda:99'"):
            work()
    assert agvae.options.device == "auto"
    ((again, _, _),) = read_agv(path)
    assert np.asarray(again).shape == (2, 10, 20, 3)


def test_effort_of_the_dock_goes_before_that_of_the_settings(settings_page: Any, tmp_path: Path) -> None:
    settings_page.coding.effort = 3
    files = []
    for choice in (Choice(), Choice(effort=1), Choice(effort=4)):
        session.use(1, choice)
        write_image(str(tmp_path / "x.agv"), picture(96, 64), {"rgb": True})
        files.append((tmp_path / "x.agv").read_bytes())
    levels = [3, 1, 4]
    assert [agvae.decode(data).tolist() for data in files] == [
        agvae.decode(agvae.encode(picture(96, 64), effort=effort)).tolist() for effort in levels
    ]
    with pytest.raises(ValueError, match="effort must be"):
        write_agv(tmp_path / "x.agv", [(picture(20, 10), {"rgb": True}, "image")], effort=10)
