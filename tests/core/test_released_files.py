"""The conformance files of several frames, of 16 bits and with a thumbnail, by the released model."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import agvae
import pillow_agvae  # noqa: F401
from agvae.container import Reader

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def golden() -> Iterator[Any]:
    with np.load(DATA / "conformance.npz") as archive:
        yield archive


def check(found: NDArray[Any], expected: NDArray[Any]) -> None:
    """Pixels may differ by rounding between machines."""
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_frames(golden: Any) -> None:
    path = DATA / "frames-q2.agv"
    info = agvae.read_info(path)
    assert (info["frames"], info["durations"], info["loop"]) == (3, [40.0, 33.367, 0.0], 3)
    names = ["frames-q2.agv", "frames-q2.agv frame 1", "frames-q2.agv frame 2"]
    with Image.open(path) as im:
        for frame, name in enumerate(names):
            check(agvae.decode(path, frame=frame), golden[name])
            im.seek(frame)
            check(np.asarray(im), golden[name])
            assert im.info == {"loop": 3, "duration": info["durations"][frame]}


def test_16_bit_grey(golden: Any) -> None:
    path = DATA / "deep-q5.agv"
    assert agvae.read_info(path)["mode"] == "I;16"
    assert agvae.read_info(path)["range"] == [2568, 5080]
    check(agvae.decode(path), golden["deep-q5.agv"])
    with Image.open(path) as im:
        assert im.mode == "I;16"
        check(np.asarray(im), golden["deep-q5.agv"])


def test_16_bit_frames_of_different_ranges(golden: Any) -> None:
    path = DATA / "deep-frames-q3.agv"
    names = ["deep-frames-q3.agv", "deep-frames-q3.agv frame 1", "deep-frames-q3.agv frame 2"]
    ranges = [[int(golden[name].min()), int(golden[name].max())] for name in names]
    for (low, high), (darkest, brightest) in zip(agvae.read_info(path)["ranges"], ranges, strict=True):
        assert low <= darkest <= brightest <= high
    with Image.open(path) as im:
        for frame, name in enumerate(names):
            assert np.abs(agvae.decode(path, frame=frame).astype(int) - golden[name]).max() <= 1
            im.seek(frame)
            assert im.mode == "I;16"
            assert np.abs(np.asarray(im).astype(int) - golden[name]).max() <= 1


@pytest.mark.parametrize(("name", "mode"), [("rgba", "RGBA"), ("deep", "I;16"), ("palette", "P"), ("bilevel", "1")])
def test_without_loss(name: str, mode: str, golden: Any) -> None:
    path = DATA / f"exact-{name}.agv"
    assert agvae.read_info(path)["mode"] == mode
    np.testing.assert_array_equal(agvae.decode(path), golden[path.name])
    with Image.open(path) as im:
        assert im.mode == mode
        shown = im.convert({"P": "RGB", "1": "L"}.get(mode, mode))
        np.testing.assert_array_equal(np.asarray(shown), golden[path.name])


def test_thumbnail(golden: Any) -> None:
    path = DATA / "thumbnail-q1.5.agv"
    assert agvae.read_info(path)["thumbnail"] == [384, 29]
    with path.open("rb") as fp:
        thumbnail = Reader(fp).metadata.thumbnail
    assert thumbnail is not None
    expected = golden["thumbnail-q1.5.agv thumbnail"]
    check(agvae.decode(thumbnail), expected)
    with Image.open(BytesIO(path.read_bytes())) as im:
        im.draft(None, (300, 20))
        check(np.asarray(im), expected)
