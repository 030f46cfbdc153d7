"""Images load late, and may then be closed, copied, pickled and changed as any other."""

from __future__ import annotations

import copy
import gc
import io
import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agvae.progress import watched
from pillow_agvae.AgvImagePlugin import AgvImageFile
from tests.support.plugin import SIZE, opened, reopened

pytestmark = pytest.mark.usefixtures("tiny_weights")


def test_second_load_decodes_nothing(data: bytes) -> None:
    im = opened(data)
    first = im.load()
    steps: list[object] = []
    with watched(steps.append):
        second = im.load()
        assert not steps
        opened(data).load()
        assert steps
    assert first is not None
    assert second is not None
    assert first[3, 4] == second[3, 4]


def test_own_file_is_closed_after_load(path: Path) -> None:
    im = Image.open(path)
    assert isinstance(im, AgvImageFile)
    fp = im.fp
    assert fp is not None
    im.load()
    assert fp.closed
    assert im.fp is None


def test_foreign_file_stays_open(path: Path, expected: bytes) -> None:
    with path.open("rb") as fp:
        for _ in range(2):
            assert Image.open(fp).tobytes() == expected
        assert not fp.closed


def test_pixels_outlive_the_with_block(path: Path) -> None:
    with Image.open(path) as im:
        im.load()
    assert isinstance(im.getpixel((0, 0)), tuple)


def test_closed_before_load(path: Path, data: bytes) -> None:
    with Image.open(path) as im:
        pass
    with pytest.raises(ValueError, match="Operation on closed image"):
        im.load()
    im = Image.open(path)
    im.close()
    with pytest.raises(ValueError, match="Operation on closed image"):
        im.load()
    with pytest.raises(ValueError, match="Operation on closed image"):
        im.verify()


def test_the_file_may_change_or_go_once_it_is_opened(path: Path, data: bytes, expected: bytes) -> None:
    fp = io.BytesIO(data)
    with path.open("rb") as file:
        images = [Image.open(path), Image.open(file), Image.open(fp)]
    fp.seek(0)
    fp.write(bytes(len(data)))
    fp.truncate(9)
    path.write_bytes(b"")
    path.unlink()
    for im in images:
        assert im.tobytes() == expected


def test_closed_after_load(path: Path) -> None:
    im = Image.open(path)
    im.load()
    im.close()
    with pytest.raises(ValueError, match="Operation on closed image"):
        im.getpixel((0, 0))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_no_descriptors_leak(path: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.agv"
    broken.write_bytes(path.read_bytes()[:-1])
    headless = tmp_path / "headless.agv"
    headless.write_bytes(path.read_bytes()[:20])
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(50):
            Image.open(path).load()
            with pytest.raises(OSError, match="runcated"):
                Image.open(headless)
            with Image.open(broken) as im, pytest.raises(OSError, match="runcated"):
                im.load()
        gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("copier", [lambda im: pickle.loads(pickle.dumps(im)), copy.deepcopy])
def test_pickle_and_deepcopy(copier: Any, loaded: bool, path: Path, expected: bytes) -> None:
    with Image.open(path) as im:
        if loaded:
            im.load()
        twin = copier(im)
    assert twin.tobytes() == expected
    assert twin.tell() == 0
    twin.seek(0)
    twin.load()
    twin.verify()
    assert (twin.n_frames, twin.is_animated, twin.size) == (1, False, SIZE)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_pickle_protocols(protocol: int, mode: str, photo: Image.Image) -> None:
    im = reopened(photo.convert("I").convert("I;16") if mode == "I;16" else photo.convert(mode))
    twin = pickle.loads(pickle.dumps(im, protocol))
    assert (twin.mode, twin.tobytes()) == (mode, im.tobytes())


@pytest.mark.parametrize(
    "operation",
    [
        lambda im: im.copy(),
        copy.copy,
        lambda im: im.crop((1, 2, 30, 40)),
        lambda im: im.convert("L"),
        lambda im: im.resize((7, 5)),
        lambda im: im.rotate(90),
        lambda im: Image.fromarray(np.asarray(im)),
        lambda im: Image.merge("RGB", im.split()),
        lambda im: im.reduce(2),
        lambda im: im.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    ],
)
def test_operations_on_a_lazy_image(operation: Any, data: bytes) -> None:
    loaded = opened(data)
    loaded.load()
    result = operation(opened(data))
    assert result.tobytes() == operation(loaded).tobytes()
    assert result.format is None


def test_equality(data: bytes) -> None:
    assert opened(data) == opened(data)
    assert opened(data).copy() == opened(data).copy()


def test_loaded_image_can_be_changed(data: bytes) -> None:
    for mode in ("L", "RGB"):
        im = reopened(opened(data).convert(mode))
        before = im.getpixel((1, 1))
        im.putpixel((0, 0), 7)
        im.paste(9, (2, 2, 4, 4))
        assert im.getpixel((1, 1)) == before


def test_draft_without_a_thumbnail(data: bytes) -> None:
    im = opened(data)
    assert im.draft("RGB", (10, 10)) is None
    assert im.size == SIZE
    im.thumbnail((20, 20))
    assert im.size == (20, 13)
