"""The bar of what napari waits for, on napari's own progress objects; tests/napari/viewer has windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agvae
from napari_agvae import activity as progress
from napari_agvae.io.reader import get_reader
from napari_agvae.io.writer import write_image
from tests.support.helpers import picture

napari_progress = pytest.importorskip("napari.utils.progress")
pytestmark = pytest.mark.napari


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """As if there were a window; what is in the activity dock whenever a bar is updated."""
    found: list[Any] = []
    update = napari_progress.progress.update

    def seen(bar: Any, n: int = 1) -> None:
        update(bar, n)
        found.append((bar, bar.n, len(napari_progress.progress._all_instances)))

    monkeypatch.setattr(progress, "_has_window", lambda: True)
    monkeypatch.setattr(progress, "_PATIENCE", 0)
    monkeypatch.setattr(progress, "_INTERVAL", 0)
    monkeypatch.setattr(napari_progress.progress, "update", seen)
    return found


def stack(count: int = 3) -> Any:
    return np.stack([picture(60, 40, seed) for seed in range(count)])


def test_saving_comes_to_all_pixels(bars: list[Any], tmp_path: Path) -> None:
    write_image(str(tmp_path / "x.agv"), stack(), {"rgb": True})
    total = progress.saving(3 * 40 * 60)
    assert {(bar.desc, bar.total, shown) for bar, _, shown in bars} == {("Saving x.agv", total, 1)}
    assert [n for _, n, _ in bars] == sorted(n for _, n, _ in bars)
    assert bars[-1][1] == total
    assert not napari_progress.progress._all_instances


def test_opening_has_a_bar(bars: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "x.agv"
    path.write_bytes(agvae.encode(picture(60, 40)))
    read = get_reader(str(path))
    assert read is not None
    read(str(path))
    assert {bar.desc for bar, _, _ in bars} == {"Opening x.agv"}
    assert not napari_progress.progress._all_instances


@pytest.mark.parametrize("saving", [True, False])
def test_cancelling_leaves_everything_as_it_was(
    bars: list[Any], saving: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.agv"
    path.write_bytes(agvae.encode(picture(60, 40)))
    before = path.read_bytes()
    update = napari_progress.progress.update

    def cancelling(bar: Any, n: int = 1) -> None:
        update(bar, n)
        bar.cancel()

    monkeypatch.setattr(napari_progress.progress, "update", cancelling)
    read = get_reader(str(path))
    assert read is not None
    work = (lambda: write_image(str(path), stack(), {"rgb": True})) if saving else (lambda: read(str(path)))
    with pytest.raises(OSError, match=r"x\.agv .*: it was cancelled"):
        work()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    assert not napari_progress.progress._all_instances


def test_short_work_and_work_without_a_window_have_none(
    bars: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_PATIENCE", 100)
    write_image(str(tmp_path / "x.agv"), stack(), {"rgb": True})
    monkeypatch.setattr(progress, "_PATIENCE", 0)
    monkeypatch.setattr(progress, "_has_window", lambda: False)
    write_image(str(tmp_path / "x.agv"), stack(), {"rgb": True})
    assert bars == []
