"""Files of several frames, open and closed, copied, changed and damaged."""

from __future__ import annotations

import copy
import io
import pickle
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageFile, ImageSequence

from pillow_agvae import AgvImagePlugin
from pillow_agvae.AgvImagePlugin import AgvImageFile
from tests.support.plugin import SIZE, opened

pytestmark = pytest.mark.usefixtures("tiny_weights")


@pytest.mark.parametrize("held", [0, AgvImagePlugin.HELD])
def test_file_of_several_frames(
    held: int, frames_path: Path, expected_frames: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is large stays open until the image is closed, others until a frame is loaded."""
    monkeypatch.setattr(AgvImagePlugin, "HELD", held)
    with Image.open(frames_path) as im:
        fp = im.fp  # type: ignore[attr-defined]
        for frame in (2, 0):
            im.seek(frame)
            assert im.tobytes() == expected_frames[frame]
            assert fp.closed is (held > 0)
            assert im.fp is not None  # type: ignore[attr-defined]
    assert fp.closed
    assert im.tobytes() == expected_frames[0]
    im.seek(0)
    with pytest.raises(ValueError, match="Operation on closed image"):
        im.seek(1)
    assert im.tell() == 0
    assert im.tobytes() == expected_frames[0]


def test_seek_after_close(frames_path: Path) -> None:
    im = Image.open(frames_path)
    im.load()
    im.close()
    for operation in (lambda: im.seek(1), im.verify, lambda: im.getpixel((0, 0))):  # type: ignore[attr-defined]
        with pytest.raises(ValueError, match="Operation on closed image"):
            operation()
    with pytest.raises(EOFError):
        im.seek(3)
    im = Image.open(frames_path)
    im.seek(1)
    im.close()
    with pytest.raises(ValueError, match="Operation on closed image"):
        im.load()


@pytest.mark.parametrize("held", [0, AgvImagePlugin.HELD])
def test_foreign_file_of_several_frames(
    held: int, frames_path: Path, expected_frames: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AgvImagePlugin, "HELD", held)
    with frames_path.open("rb") as fp:
        first, second = Image.open(fp), Image.open(fp) if fp.seek(0) == 0 else None
        assert second is not None
        for frame in (1, 2):
            first.seek(frame)
            second.seek(3 - frame)
            assert first.tobytes() == expected_frames[frame]
            assert second.tobytes() == expected_frames[3 - frame]
        first.close()
        assert fp.closed is (held == 0)  # as in all of Pillow, where WebP and AVIF let go of it before
        second.seek(0)
        if held:
            assert second.tobytes() == expected_frames[0]
        else:
            with pytest.raises(ValueError, match="closed file"):
                second.load()


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("copier", [lambda im: pickle.loads(pickle.dumps(im)), copy.deepcopy])
def test_pickled_frame(copier: Any, loaded: bool, frames_path: Path, expected_frames: list[bytes]) -> None:
    with Image.open(frames_path) as im:
        im.seek(1)
        if loaded:
            im.load()
        twin = copier(im)
        im.seek(2)
        assert im.tobytes() == expected_frames[2]
    assert isinstance(twin, AgvImageFile)
    assert twin.tobytes() == expected_frames[1]
    assert (twin.n_frames, twin.is_animated, twin.tell()) == (1, False, 0)
    assert twin.info["duration"] == 20.5
    twin.seek(0)
    with pytest.raises(EOFError):
        twin.seek(1)
    twin.load()
    twin.verify()
    twin.save(io.BytesIO(), "AGV", save_all=True)
    assert twin.draft(None, (1, 1)) is None
    twin.close()


def test_copied_frame(frames_data: bytes, expected_frames: list[bytes]) -> None:
    im = opened(frames_data)
    im.seek(1)
    twins = [im.copy(), copy.copy(im), im.crop((0, 0, *SIZE)), im.convert("RGB")]
    im.seek(2)
    im.load()
    for twin in twins:
        assert twin.tobytes() == expected_frames[1]
        assert twin.format is None
        assert getattr(twin, "n_frames", 1) == 1


def test_changes_of_a_frame_are_lost_by_seeking(frames_data: bytes, expected_frames: list[bytes]) -> None:
    im = opened(frames_data)
    im.paste(0, (0, 0, *SIZE))
    im.seek(0)
    assert im.getextrema() == ((0, 0),) * 3
    im.putalpha(3)
    im.thumbnail((10, 10))
    for frame in (1, 0):
        im.seek(frame)
        assert (im.mode, im.size, im.tobytes()) == ("RGB", SIZE, expected_frames[frame])


def test_verify_looks_at_all_frames(frames_path: Path, frames_data: bytes) -> None:
    for loaded in (False, True):
        im = Image.open(frames_path)
        if loaded:
            im.load()
        im.verify()
        assert im.fp is None  # type: ignore[attr-defined]
        with pytest.raises(ValueError, match="Operation on closed image"):
            im.seek(1)
    for broken in (frames_data[:-1], frames_data[:-5] + bytes(5)):
        im = opened(broken)
        im.load()
        with pytest.raises(OSError, match=r"truncated|broken data stream"):
            im.verify()


def test_damaged_frame(frames_data: bytes, expected_frames: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    im = opened(frames_data[:-1])
    assert im.n_frames == 3  # type: ignore[attr-defined]
    im.seek(2)
    for _ in range(2):
        with pytest.raises(OSError, match="image file is truncated"):
            im.load()
    im.seek(1)
    assert im.tobytes() == expected_frames[1]
    with pytest.raises(OSError, match="image file is truncated"):
        ImageSequence.all_frames(im)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    frames = [frame.tobytes() for frame in ImageSequence.all_frames(im)]
    assert frames == [*expected_frames[:2], bytes([128]) * len(expected_frames[2])]


def test_prefixes_of_several_frames(frames_data: bytes, truncated_ok: None) -> None:
    for length in range(0, len(frames_data), 37):
        try:
            im = opened(frames_data[:length])
        except OSError:
            continue
        assert [frame.size for frame in ImageSequence.Iterator(im) if frame.load()] == [SIZE] * 3
