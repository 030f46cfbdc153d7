"""Saves over a file that the images come from, or that cannot be replaced; whole files."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageSequence

import agvae
import pillow_agvae
from pillow_agvae import AgvImagePlugin
from tests.support.helpers import files_of_at_most
from tests.support.plugin import SIZE, opened, saved, some_exif

pytestmark = pytest.mark.usefixtures("tiny_weights")


@pytest.mark.parametrize("held", [0, AgvImagePlugin.HELD])
@pytest.mark.parametrize("name", ["path", "bytes", "link", "hard link", "file"])
def test_saving_frames_over_their_source(
    name: str, held: int, frames_path: Path, expected_frames: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AgvImagePlugin, "HELD", held)
    target = alias(frames_path, name)
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(frames_path.open("rb")) if name == "file" else frames_path
        im = stack.enter_context(Image.open(source))
        im.seek(1)
        im.save(target, save_all=True, quality=6)
        im.seek(2)
        assert im.tobytes() == expected_frames[2]
    with Image.open(os.fsdecode(target)) as im:
        assert im.n_frames == 3  # type: ignore[attr-defined]
        assert [frame.info["duration"] for frame in ImageSequence.Iterator(im) if frame.load()] == [40, 20.5, 0]


def alias(path: Path, kind: str) -> Any:
    """Another way to name a file."""
    link = path.with_name("link.agv")
    if kind == "link":
        link.symlink_to(path)
    elif kind == "hard link":
        link.hardlink_to(path)
    return {"bytes": os.fsencode(path), "link": link, "hard link": link}.get(kind, path)


@pytest.mark.parametrize("name", ["path", "bytes", "link", "hard link"])
@pytest.mark.parametrize("first", ["new", "file"])
def test_saving_over_an_appended_image(
    name: str, first: str, frames_path: Path, expected_frames: list[bytes], photo: Image.Image
) -> None:
    """Whatever the first image is, and though nothing of the others was read when Pillow empties their file."""
    wanted = saved(opened(frames_path.read_bytes()), save_all=True)
    target = alias(frames_path, name)
    with Image.open(frames_path) as one, Image.open(frames_path) as other:
        if first == "file":
            one.save(target, save_all=True, append_images=[other])
        else:
            photo.save(target, save_all=True, append_images=[one, other])
    with Image.open(os.fsdecode(target)) as im:
        assert im.n_frames == (6 if first == "file" else 7)  # type: ignore[attr-defined]
        im.seek(im.n_frames - 1)  # type: ignore[attr-defined]
        again = opened(wanted)
        again.seek(2)
        assert im.tobytes() == again.tobytes()


def test_a_large_file_among_its_own_sources(
    frames_path: Path, frames_data: bytes, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AgvImagePlugin, "HELD", 0)
    with Image.open(frames_path) as one, Image.open(frames_path) as other:
        one.save(frames_path, save_all=True, append_images=[other])
    assert agvae.read_info(frames_path)["frames"] == 6
    frames_path.write_bytes(frames_data)
    with Image.open(frames_path) as other:
        pillow_agvae.save(photo, frames_path, save_all=True, append_images=[other])
    assert agvae.read_info(frames_path)["frames"] == 4
    with Image.open(frames_path) as other, pytest.raises(OSError, match=r"frames\.agv: .* use pillow_agvae\.save"):
        photo.save(frames_path, save_all=True, append_images=[other])


@pytest.mark.parametrize("format", ["GIF", "TIFF", "PNG"])
def test_frames_that_pillow_emptied_are_told_of(format: str, photos: list[Image.Image], tmp_path: Path) -> None:
    """It truncates the target before it calls a plugin: frames of other formats are gone, but not without a word."""
    path = tmp_path / "frames.agv"
    for first in (None, photos[0]):
        photos[0].save(path, format, save_all=True, append_images=photos[1:])
        with Image.open(path) as im, pytest.raises(OSError, match=r"Pillow emptied it .* use pillow_agvae\.save"):
            (first or im).save(path, save_all=True, append_images=[im] if first else [])
        photos[0].save(path, format, save_all=True, append_images=photos[1:])
        with Image.open(path) as im:
            pillow_agvae.save(first or im, path, save_all=True, append_images=[im] if first else [])
        assert agvae.read_info(path)["frames"] == (4 if first else 3)


def test_single_images_over_themselves(photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "a.agv"
    for format in ("PNG", "TIFF", "WEBP"):
        photo.save(path, format, lossless=True)
        with Image.open(path) as im:
            im.save(path, save_all=True)
        assert agvae.read_info(path)["frames"] == 1


def test_a_failed_save_over_itself_changes_nothing(frames_path: Path, frames_data: bytes) -> None:
    for options in ({"quality": 7}, {"append_images": [Image.new("CMYK", SIZE)]}, {"append": True}):
        with Image.open(frames_path) as im, pytest.raises((ValueError, OSError), match=r"frames\.agv: "):
            im.save(frames_path, save_all=True, **options)
    with Image.open(frames_path) as im, pytest.raises(ValueError, match="quality"):
        im.save(frames_path, "AGV", quality=7)
    assert frames_path.read_bytes() == frames_data
    assert list(frames_path.parent.iterdir()) == [frames_path]
    link = alias(frames_path, "hard link")
    with Image.open(frames_path) as im, pytest.raises(ValueError, match="quality"):
        im.save(link, quality=7)
    assert frames_path.read_bytes() == frames_data
    with Image.open(frames_path) as im:
        im.save(link)
    assert frames_path.read_bytes() == link.read_bytes() != frames_data


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
@pytest.mark.parametrize("kept_by", ["hard link", "folder"])
def test_a_save_over_a_file_that_cannot_be_replaced_puts_the_old_one_back(
    kept_by: str, frames_path: Path, frames_data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk; Pillow's own writers empty the file first."""
    import resource

    if kept_by == "hard link":
        alias(frames_path, "hard link")
    else:
        access = os.access
        monkeypatch.setattr(os, "access", lambda path, mode: path != frames_path.parent and access(path, mode))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Image.open(frames_path) as im:
        im.load()
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(frames_data) - 100, limits[1]))
        try:
            with pytest.raises(OSError, match="too large") as caught:
                im.save(frames_path, quality=6, save_all=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert caught.value.filename == str(frames_path)
        assert frames_path.read_bytes() == frames_data
        im.save(frames_path, quality=6, save_all=True)
    assert agvae.read_info(frames_path)["quality"] == 6


def test_a_link_to_another_kind_of_file_is_not_written_through(frames_path: Path, photo: Image.Image) -> None:
    target, link = frames_path.with_name("photo.png"), frames_path.with_name("link.agv")
    photo.save(target)
    before = target.read_bytes()
    link.symlink_to(target)
    with pytest.raises(OSError, match="another kind"):
        pillow_agvae.save(photo, link)
    with Image.open(frames_path) as im, pytest.raises(OSError, match="another kind"):
        im.save(link)
    assert target.read_bytes() == before


def test_a_full_disk_is_told_of_by_name(frames_path: Path, frames_data: bytes) -> None:
    """A new file goes; one that is saved over itself stays."""
    folder = frames_path.parent
    with Image.open(frames_path) as im:
        with files_of_at_most(len(frames_data) + 10), pytest.raises(OSError, match=r"File too large: .*frames\.agv"):
            im.save(frames_path, save_all=True, quality=6)
        assert frames_path.read_bytes() == frames_data
    noise = Image.effect_noise((120, 120), 99)
    with files_of_at_most(100), pytest.raises(OSError, match=r"File too large: .*new\.agv"):
        noise.save(folder / "new.agv", quality=6)
    assert list(folder.iterdir()) == [frames_path]


def test_saving_into_the_file_that_it_was_opened_from(frames_path: Path, frames_data: bytes, data: bytes) -> None:
    with Image.open(frames_path) as im:
        for _ in range(2):
            with pytest.raises((OSError, ValueError), match=r"write|not writable"):
                im.save(im.fp, "AGV", save_all=True)  # type: ignore[attr-defined]
            im.load()
    assert frames_path.read_bytes() == frames_data
    fp = io.BytesIO(data)
    im = Image.open(fp)
    fp.seek(0)
    im.save(fp, "AGV", quality=6)
    fp.truncate()
    assert agvae.read_info(fp.getvalue())["quality"] == 6


def test_whole_files(photo: Image.Image, data: bytes, frames_path: Path, frames_data: bytes, tmp_path: Path) -> None:
    photo.info["icc_profile"] = b"profile"
    for path in (tmp_path / "a.agv", str(tmp_path / "b.x"), os.fsencode(tmp_path / "c")):
        pillow_agvae.save(photo, path, exif=some_exif())
        with Image.open(path) as im:
            assert im.info == {"icc_profile": b"profile", "exif": some_exif().tobytes()}
    with pytest.raises(ValueError, match=r"frames\.agv: .*quality"):
        pillow_agvae.save(photo, frames_path, quality=7)
    with pytest.raises(OSError, match="cannot write mode"):
        pillow_agvae.save(photo.convert("CMYK"), frames_path)
    assert frames_path.read_bytes() == frames_data
    with pytest.raises(ValueError, match=r"x\.png: this is a name for PNG, not for AGV"):
        pillow_agvae.save(photo, tmp_path / "x.png")
    (tmp_path / "link.agv").hardlink_to(frames_path)
    with pytest.raises(OSError, match="hard links"):
        pillow_agvae.save(photo, frames_path)
    assert frames_path.read_bytes() == frames_data
    with pytest.raises(FileNotFoundError) as caught:
        pillow_agvae.save(photo, tmp_path / "no" / "a.agv")
    assert caught.value.filename == str(tmp_path / "no" / "a.agv")
