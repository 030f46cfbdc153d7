"""Several frames: written, read, counted, sought, and with times of their own."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
from PIL import Image, ImageSequence

import agvae
from agvae.coding import frames
from pillow_agvae.AgvImagePlugin import AgvImageFile
from tests.support.plugin import SIZE, opened, reopened, saved

pytestmark = pytest.mark.usefixtures("tiny_weights")


def test_single_frame(data: bytes, expected: bytes) -> None:
    im = opened(data)
    assert isinstance(im, AgvImageFile)
    assert (im.n_frames, im.is_animated, im.tell()) == (1, False, 0)
    im.seek(0)
    for frame in (1, -1):
        with pytest.raises(EOFError, match="attempt to seek outside sequence"):
            im.seek(frame)
    assert im.tobytes() == expected
    assert [frame.tobytes() for frame in ImageSequence.Iterator(im)] == [expected]


def test_save_all_of_one_frame(photo: Image.Image, data: bytes) -> None:
    assert saved(photo, save_all=True) == data
    assert saved(photo, save_all=True, append_images=[]) == data
    assert saved(photo, save_all=True, append_images=None) == data
    assert reopened(photo, save_all=True, duration=40, loop=2).info == {"duration": 40, "loop": 2}


def test_frames_round_trip(frames_data: bytes, expected_frames: list[bytes], photos: list[Image.Image]) -> None:
    im = opened(frames_data)
    assert isinstance(im, AgvImageFile)
    assert (im.n_frames, im.is_animated, im.tell(), im.size, im.mode) == (3, True, 0, SIZE, "RGB")
    for frame in (0, 1, 2, 0, 2, 1, 1):
        im.seek(frame)
        assert im.tell() == frame
        assert im.info == {"comment": b"c", "loop": 0, "duration": [40, 20.5, 0][frame]}
        assert im.tobytes() == expected_frames[frame]
        assert im.readonly == 0
    assert [frame.tobytes() for frame in ImageSequence.Iterator(im)] == expected_frames
    assert ImageSequence.Iterator(im)[1].tobytes() == expected_frames[1]
    assert [frame.tobytes() for frame in ImageSequence.all_frames(opened(frames_data))] == expected_frames


def test_whole_durations_are_integers(frames_data: bytes) -> None:
    im = opened(frames_data)
    assert isinstance(im.info["duration"], int)
    im.seek(1)
    assert isinstance(im.info["duration"], float)


def test_seek_outside(frames_data: bytes, expected_frames: list[bytes]) -> None:
    im = opened(frames_data)
    im.seek(2)
    for frame in (3, -1, 10**20):
        with pytest.raises(EOFError, match="attempt to seek outside sequence"):
            im.seek(frame)
        assert im.tell() == 2
    with pytest.raises(TypeError):
        im.seek(0.5)  # type: ignore[arg-type]
    assert im.tobytes() == expected_frames[2]


def test_frames_of_several_images_are_joined(photos: list[Image.Image]) -> None:
    gif = io.BytesIO()
    photos[0].save(gif, "GIF", save_all=True, append_images=photos[1:], duration=[30, 60, 90], loop=5)
    with Image.open(gif) as first, opened(saved(photos[2], save_all=True, append_images=photos[:1])) as second:
        first.seek(1)
        second.seek(1)
        joined = reopened(first, save_all=True, append_images=[photos[1], second])
        assert (first.tell(), second.tell()) == (1, 1)
    assert isinstance(joined, AgvImageFile)
    assert joined.n_frames == 6
    durations = []
    for frame, wanted in zip(ImageSequence.Iterator(joined), [*photos, photos[1], photos[2], photos[0]], strict=True):
        durations.append(frame.info["duration"])
        assert np.abs(np.asarray(frame).astype(int) - np.asarray(wanted)).mean() < 25
    assert durations == [30, 60, 90, 0, 0, 0]
    assert joined.info["loop"] == 5


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animations_of_other_formats(format: str, photos: list[Image.Image]) -> None:
    source = io.BytesIO()
    photos[0].save(source, format, save_all=True, append_images=photos[1:], duration=[30, 60, 90], lossless=True)
    with Image.open(source) as animation:
        im = reopened(animation, save_all=True, quality=5)
    assert isinstance(im, AgvImageFile)
    assert im.n_frames == 3
    durations = [frame.info.get("duration") for frame in ImageSequence.Iterator(im)]
    assert durations == ([None] * 3 if format == "TIFF" else [30, 60, 90])


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_frames_save_as_other_formats(format: str, frames_data: bytes, expected_frames: list[bytes]) -> None:
    target = io.BytesIO()
    opened(frames_data).save(target, format, save_all=True, lossless=True)
    with Image.open(target) as animation:
        assert animation.n_frames == 3  # type: ignore[attr-defined]
        if format != "GIF":
            animation.seek(2)
            assert animation.convert("RGB").tobytes() == expected_frames[2]


class Layers(Image.Image):
    """Counts its frames from 1, as Pillow does for the layers of a PSD file."""

    _min_frame = 1
    n_frames = 2

    def __init__(self, images: list[Image.Image]) -> None:
        super().__init__()
        self._images, self._place = images, 0
        self.seek(1)

    def seek(self, frame: int) -> None:
        if not 1 <= frame <= len(self._images):
            raise EOFError
        self._place = frame
        image = self._images[frame - 1]
        self.im, self._size, self._mode = image.im, image.size, image.mode

    def tell(self) -> int:
        return self._place


def test_frames_that_are_counted_from_one(photos: list[Image.Image]) -> None:
    layers = Layers(photos[1:])
    layers.seek(2)
    for im in (reopened(layers, save_all=True), reopened(photos[0], save_all=True, append_images=[layers])):
        *_, first, last = (frame.copy() for frame in ImageSequence.Iterator(im))
        assert np.abs(np.asarray(first).astype(int) - np.asarray(photos[1])).mean() < 25
        assert np.abs(np.asarray(last).astype(int) - np.asarray(photos[2])).mean() < 25
    assert layers.tell() == 2


def test_a_generator_may_paint_its_frames_on_one_image(photos: list[Image.Image]) -> None:
    def painted() -> Iterator[Image.Image]:
        canvas = photos[0].copy()
        for photo in photos:
            canvas.paste(photo)
            yield canvas

    assert saved(photos[0], save_all=True, append_images=painted()) == saved(
        photos[0], save_all=True, append_images=photos
    )


@pytest.mark.skipif(int(PIL.__version__.split(".")[0]) < 12, reason="older Pillows ignore it")
def test_append_images_implies_save_all(photos: list[Image.Image]) -> None:
    assert reopened(photos[0], append_images=photos[1:]).n_frames == 3  # type: ignore[attr-defined]


def test_plain_save_gives_the_current_frame(photos: list[Image.Image], expected_frames: list[bytes]) -> None:
    fp = io.BytesIO()
    photos[0].save(fp, "GIF", save_all=True, append_images=photos[1:])
    with Image.open(fp) as gif:
        gif.seek(1)
        im = reopened(gif)
        assert (im.n_frames, im.info) == (1, {})  # type: ignore[attr-defined]
        assert im.tobytes() == reopened(gif.convert("RGB")).tobytes()
        assert gif.tell() == 1


@pytest.mark.parametrize(
    "duration",
    [-1, float("nan"), "40", [40, 40], [1, 2, 3, 4], [], [1, 2, None], 1e10, object(), True, [1, True, 2], b"abc"],
)
def test_wrong_durations(duration: Any, photos: list[Image.Image], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="duration"):
        photos[0].save(tmp_path / "x.agv", save_all=True, append_images=photos[1:], duration=duration)
    assert not (tmp_path / "x.agv").exists()


@pytest.mark.parametrize("loop", [-1, 1.5, "1", 2**32, True])
def test_wrong_loop(loop: Any, photos: list[Image.Image]) -> None:
    with pytest.raises(ValueError, match="loop"):
        saved(photos[0], save_all=True, append_images=photos[1:], loop=loop)


@pytest.mark.parametrize("duration", [(1, 2, 3), range(1, 4), np.arange(1, 4), np.arange(1, 4, dtype=np.float32)])
def test_durations_are_any_sequence_of_numbers(duration: Any, photos: list[Image.Image]) -> None:
    data = saved(photos[0], save_all=True, append_images=photos[1:], duration=duration)
    assert agvae.read_info(data)["durations"] == [1, 2, 3]


@pytest.mark.parametrize(
    "duration", [[10, 20], -1, "7", None, True, float("nan"), {}, pytest.param(10**400, id="huge")]
)
def test_unusable_durations_in_info_are_ignored(duration: Any, photos: list[Image.Image]) -> None:
    photos[0].info["duration"] = duration
    assert agvae.read_info(saved(photos[0], save_all=True, append_images=photos[1:]))["durations"] is None
    photos[1].info["duration"] = 7
    assert agvae.read_info(saved(photos[0], save_all=True, append_images=photos[1:]))["durations"] == [0, 7, 0]


@pytest.mark.parametrize("loop", [1.0, -1, "1", [], 2**32, True])
def test_an_unusable_loop_in_info_is_ignored(loop: Any, photos: list[Image.Image]) -> None:
    photos[0].info["loop"] = loop
    assert agvae.read_info(saved(photos[0], save_all=True, append_images=photos[1:]))["loop"] is None


@pytest.mark.parametrize("profile", ["", "sRGB", 5, [1]])
def test_an_unusable_profile_in_info_is_ignored(profile: Any, photo: Image.Image, data: bytes) -> None:
    photo.info["icc_profile"] = profile
    assert saved(photo) == data


@pytest.mark.parametrize("others", ["ab", 5, [5], [None], [np.zeros((64, 96), np.uint8)], [Path("x.agv")]])
@pytest.mark.parametrize("of_file", [False, True])
def test_append_images_takes_images_alone(others: Any, of_file: bool, photo: Image.Image, frames_data: bytes) -> None:
    with pytest.raises(ValueError, match="append_images must be a list of Pillow images"):
        saved(opened(frames_data) if of_file else photo, save_all=True, append_images=others)


def test_append_images_may_be_a_generator(photos: list[Image.Image], frames_data: bytes) -> None:
    for first in (photos[0], opened(frames_data)):
        data = saved(first, save_all=True, append_images=(photo for photo in photos[1:]))
        assert agvae.read_info(data)["frames"] == getattr(first, "n_frames", 1) + 2


def test_frames_that_do_not_fit_together(photo: Image.Image, tmp_path: Path) -> None:
    for other, message in ((photo.rotate(90, expand=True), "size"), (Image.new("I;16", SIZE), "16 bits")):
        with pytest.raises(ValueError, match=message):
            photo.save(tmp_path / "x.agv", save_all=True, append_images=[other])
        assert not (tmp_path / "x.agv").exists()
    with pytest.raises(OSError, match="cannot write mode CMYK as AGV"):
        saved(photo, save_all=True, append_images=[Image.new("CMYK", SIZE)])


def test_frames_of_mixed_modes(photo: Image.Image) -> None:
    alpha = photo.convert("LA")
    alpha.putalpha(7)
    im = reopened(photo, save_all=True, append_images=[alpha, photo.convert("1")])
    assert im.mode == "RGBA"
    assert [frame.getchannel("A").getextrema() for frame in ImageSequence.Iterator(im)] == [
        (255, 255),
        (7, 7),
        (255, 255),
    ]


def test_a_failed_save_leaves_frames_where_they_were(frames_data: bytes, photos: list[Image.Image]) -> None:
    im = opened(frames_data)
    im.seek(1)
    with pytest.raises(ValueError, match="size"):
        saved(im, save_all=True, append_images=[photos[0].resize((5, 5))])
    assert im.tell() == 1


def test_many_frames_are_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "KEPT", 2**20)
    path = tmp_path / "many.gif"
    tones = [Image.new("L", (320, 240), tone) for tone in range(0, 250, 5)]
    tones[0].save(path, save_all=True, append_images=tones[1:])
    tracemalloc.start()
    with Image.open(path) as gif:
        gif.save(tmp_path / "many.agv", save_all=True, quality=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    with Image.open(tmp_path / "many.agv") as im:
        assert im.n_frames == len(tones)  # type: ignore[attr-defined]
    assert peak < len(tones) * 320 * 240 * 3 / 2
