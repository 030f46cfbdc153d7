"""The rate curve dock in a real viewer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agvae
from agvae.boxes import Box
from napari_agvae.preview.curve import Point, levels, on_line, part, to_csv
from napari_agvae.state import Choice, session
from tests.support.helpers import picture

IMAGE = picture(200, 180)


def test_levels_begin_with_the_current_one() -> None:
    assert levels(5000)[0] == 5000
    assert sorted(levels(0)) == list(range(0, 20481, 2048))


def test_of_a_large_slice_the_middle_of_the_view_is_coded() -> None:
    assert part(Box(5, 5, 20, 20), (1024, 1024)) == (0, 0, 1024, 1024)
    assert part(Box(1000, 0, 5000, 3000), (6000, 4000)) == (2488, 988, 3512, 2012)


def test_a_level_lies_between_its_neighbours() -> None:
    line = [(8192, 4.0, 40.0), (0, 1.0, 20.0), (4096, 2.0, 30.0)]
    assert on_line(line, 4096) == (2.0, 30.0)
    assert on_line(line, 1024) == (1.25, 22.5)
    assert on_line(line, 8193) is on_line(line[:1], 0) is on_line([], 0) is None


def test_the_table_is_in_order() -> None:
    found = [Point(4096, 20, 1.5, 30.0, 0.9), Point(0, 10, 0.75, np.inf, None)]
    lines = to_csv(found).splitlines()
    assert lines == ["quality,bytes,bpp,psnr_db,ms_ssim", "1,10,0.750000,inf,", "2,20,1.500000,30.0000,0.900000"]


def test_the_curve_is_drawn_and_exported(
    make_napari_viewer: Any, until: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qtpy.QtWidgets import QFileDialog

    from napari_agvae.docks.rate_curve import RateCurveDock

    viewer = make_napari_viewer(show=True)
    viewer.add_image(IMAGE, name="photo")
    dock = RateCurveDock(viewer)
    viewer.window.add_dock_widget(dock, name="Rate curve")
    dock.draw.changed.emit(True)
    until(lambda: len(dock.found) == 1)
    assert "of 11" in dock.status.text()
    until(lambda: len(dock.found) == 11 and not dock.stop.enabled, 60)
    by_level = {point.level: point for point in dock.found}
    assert by_level[20480].size == len(agvae.encode(IMAGE, 6))
    rates = [by_level[level].bpp for level in sorted(by_level)]
    assert rates == sorted(rates)
    assert dock.plot.marked == (by_level[10240].bpp, by_level[10240].psnr)
    session.use(1, Choice(2.0))
    assert dock.plot.marked == (by_level[4096].bpp, by_level[4096].psnr)
    session.use(1, Choice(2.25))
    expected = 0.5 * np.add(by_level[4096][2:4], by_level[6144][2:4])
    np.testing.assert_allclose(dock.plot.marked, expected)
    session.leave(1)
    assert dock.plot.marked == (by_level[10240].bpp, by_level[10240].psnr)
    for metric in ("MS-SSIM", "PSNR"):
        dock.metric.value = metric
        image = dock.plot.grab().toImage()
        colours = {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())}
        assert {"#3b9dff", "#ffb000"} <= colours

    for button, name in ((dock.png, "a.png"), (dock.csv, "a.csv")):
        target = tmp_path / name
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, target=target: (str(target), ""))
        button.changed.emit(True)
        assert target.stat().st_size > 100
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 12
    dock.shut_down()
    assert not session.listeners
