"""Sample data: bundled, small and readable without a network."""

from __future__ import annotations

import itertools
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_agvae
from agvae.metrics import psnr
from napari_agvae import samples


def test_the_file_is_the_photograph(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        msg = "a sample wanted the network"
        raise AssertionError(msg)

    monkeypatch.setattr(socket.socket, "connect", refuse)
    ((photo, attributes, _),) = samples.photo()
    ((coded, found, _),) = samples.coded()
    assert attributes["rgb"]
    assert found["rgb"]
    assert photo.shape == coded.shape == (300, 451, 3)
    assert psnr(photo, coded) > 32
    assert found["metadata"]["agv"]["quality"] == 3.5
    assert (Path(napari_agvae.__file__).parent / "data" / "chelsea.agv").stat().st_size < 50_000


def test_the_stack_is_the_same_everywhere_and_each_frame_another() -> None:
    ((cells, attributes, _),) = samples.stack()
    assert (cells.shape, cells.dtype) == (samples.SHAPE, np.uint16)
    assert np.array_equal(cells, samples.stack()[0][0])
    assert all((a != b).mean() > 0.5 for a, b in itertools.pairwise(cells))
    assert len(attributes["scale"]) == cells.ndim


@pytest.mark.parametrize(("key", "rgb"), [("photo", True), ("coded", True), ("stack", False)])
def test_a_viewer_opens_them(viewer: Any, key: str, rgb: bool) -> None:
    (layer,) = viewer.open_sample("agvae", key)
    assert layer.rgb == rgb
    assert layer.data.max() > layer.data.min()
