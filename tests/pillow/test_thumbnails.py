"""Thumbnails: stored, found by `draft` and `thumbnail`, and never in the way."""

from __future__ import annotations

import io
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import agvae
from agvae.container import Metadata, Reader, TileData, write_container
from tests.support.helpers import picture
from tests.support.plugin import opened, reopened, saved

pytestmark = pytest.mark.usefixtures("tiny_weights")


@pytest.fixture
def large() -> Image.Image:
    return Image.fromarray(picture(960, 640))


def test_thumbnail_option(large: Image.Image, photo: Image.Image, data: bytes) -> None:
    plain, with_thumbnail = saved(large, quality=2), saved(large, quality=2, thumbnail=True)
    assert agvae.read_info(with_thumbnail)["thumbnail"] == [384, 256]
    assert agvae.read_info(plain)["thumbnail"] is None
    assert plain == saved(large, quality=2, thumbnail=False)
    assert opened(with_thumbnail).tobytes() == opened(plain).tobytes()
    assert opened(with_thumbnail).info == {}
    assert saved(photo, thumbnail=True) == data


@pytest.fixture
def with_thumbnail(large: Image.Image) -> bytes:
    return saved(large, quality=2, thumbnail=True)


@pytest.mark.parametrize("size", [(1, 1), (128, 128), (256, 256), (384, 256)])
def test_draft_takes_the_thumbnail(size: tuple[int, int], large: Image.Image) -> None:
    im = reopened(large, thumbnail=True)
    assert im.draft("RGB", size) == ("RGB", (0, 0, 384, 256))
    assert im.size == (384, 256)
    assert im.draft("RGB", (1, 1)) is None  # only once, as for JPEG
    wanted = large.resize((384, 256))
    assert np.abs(np.asarray(im).astype(int) - np.asarray(wanted)).mean() < 15
    assert im.size == (384, 256)


@pytest.mark.parametrize("size", [(385, 1), (1, 257), (960, 640), None])
def test_draft_of_more_than_the_thumbnail(size: Any, large: Image.Image) -> None:
    im = reopened(large, thumbnail=True)
    assert im.draft(None, size) is None
    assert im.size == (960, 640)
    im.load()
    assert im.draft(None, (1, 1)) is None
    assert im.size == (960, 640)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_thumbnail_is_made_of_the_thumbnail(mode: str, large: Image.Image) -> None:
    if mode == "I;16":
        large = Image.fromarray(np.asarray(large)[..., 0].astype(np.uint16) * 200)
    im = reopened(large.convert(mode) if mode != "I;16" else large, thumbnail=True)
    wanted = np.asarray(im.copy().resize((120, 80), Image.Resampling.BOX)).astype(float)
    im = reopened(large.convert(mode) if mode != "I;16" else large, thumbnail=True)
    im.thumbnail((120, 120), Image.Resampling.BOX)
    assert (im.mode, im.size) == (mode, (120, 80))
    assert np.abs(np.asarray(im) - wanted).mean() < wanted.mean() / 5


def test_thumbnail_decodes_little(large: Image.Image) -> None:
    data = bytearray(saved(large.resize((2000, 1400)), thumbnail=True))
    data[-100:] = bytes(100)  # whoever decodes the image will notice
    im = opened(bytes(data))
    im.thumbnail((100, 100))
    assert im.size == (100, 70)
    im = opened(bytes(data))
    with pytest.raises(OSError, match="broken data stream"):
        im.thumbnail((500, 500))


@pytest.mark.parametrize("gap", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("size", [(384, 384), (256, 256), (384.5, 1000), (1000, 256), (383, 255), (300, 7), (1, 1)])
def test_thumbnail_needs_no_more_than_its_result(size: Any, gap: float, with_thumbnail: bytes) -> None:
    data = bytearray(with_thumbnail)
    data[-100:] = bytes(100)  # whoever decodes the image will notice
    wanted = Image.new("RGB", (960, 640))
    wanted.thumbnail(size)
    im = opened(bytes(data))
    im.thumbnail(size, reducing_gap=gap)
    im.load()
    assert im.size == wanted.size


@pytest.mark.parametrize("size", [(385, 385), (1000, 257), (959, 2000)])
def test_thumbnail_that_is_larger_than_the_embedded_one(size: Any, with_thumbnail: bytes, large: Image.Image) -> None:
    wanted = opened(saved(large, quality=2))
    for im in (wanted, small := opened(with_thumbnail)):
        im.thumbnail(size)
    assert small.tobytes() == wanted.tobytes()


def test_thumbnail_without_a_gap_is_made_of_the_image(with_thumbnail: bytes, large: Image.Image) -> None:
    wanted = opened(saved(large, quality=2))
    for im in (wanted, small := opened(with_thumbnail)):
        im.thumbnail((100, 100), reducing_gap=None)
    assert small.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("size", [(1000, 333), (333, 1000), (4000, 11), (501, 500), (385, 385)])
@pytest.mark.parametrize("box", [(384, 384), (200, 200), (50, 51), (3, 384), (2.9, 384)])
def test_thumbnail_has_the_size_that_it_has_without_an_embedded_one(size: Any, box: Any) -> None:
    image = Image.new("L", size, 99)
    im = reopened(image, quality=1, thumbnail=True)
    im.thumbnail(box)
    image.thumbnail(box)
    assert im.size == image.size


def test_thumbnail_of_a_closed_or_loaded_or_copied_image(with_thumbnail: bytes) -> None:
    im = opened(with_thumbnail)
    im.load()
    for other in (im, pickle.loads(pickle.dumps(im)), im.copy()):
        other.thumbnail((96, 96))
        assert other.size == (96, 64)
    im = opened(with_thumbnail)
    im.close()
    with pytest.raises(ValueError, match="Operation on closed image"):
        im.thumbnail((100, 100))


def with_broken_thumbnail(kind: str, large: Image.Image) -> bytes:
    """A sound file whose thumbnail is not, though the checksum of its chunk is right."""
    small = bytearray(agvae.encode(large.resize((384, 256)), 1))
    if kind == "truncated":
        small = small[:-40]
    elif kind == "damaged":
        small[-40] ^= 1
    else:  # nonsense with right checksums, or a model that nobody has
        header = Reader(io.BytesIO(bytes(small))).header
        header = replace(header, model="no-such-model") if kind == "model" else header
        small = bytearray(write_container(header, Metadata(), [TileData(bytes(range(200)))]))
    return agvae.encode(large, 2, metadata=Metadata(thumbnail=bytes(small)))


@pytest.mark.parametrize("kind", ["truncated", "damaged", "nonsense", "model"])
def test_a_broken_thumbnail_does_no_harm(kind: str, large: Image.Image) -> None:
    data = with_broken_thumbnail(kind, large)
    wanted = opened(saved(large, quality=2))
    im = opened(data)
    im.draft(None, (100, 100))
    im.load()
    assert (im.size, im.tobytes()) == (wanted.size, wanted.tobytes())
    wanted.thumbnail((384, 384))
    im = opened(data)
    im.thumbnail((384, 384))
    assert (im.size, im.tobytes()) == (wanted.size, wanted.tobytes())
    assert agvae.read_info(data)["thumbnail"] == ([384, 256] if kind in ("nonsense", "model") else None)


def test_a_broken_thumbnail_is_never_grey(large: Image.Image, truncated_ok: None) -> None:
    im = opened(with_broken_thumbnail("nonsense", large))
    im.thumbnail((100, 100))
    assert np.asarray(im).std() > 5


@pytest.mark.parametrize("thumbnail", [np.array([1, 2]), "yes", [], 1.5, 15, 1025, (128, 128), 1.0])
def test_thumbnail_is_true_or_false_or_a_side(thumbnail: Any, photo: Image.Image) -> None:
    with pytest.raises(ValueError, match="thumbnail must be True, False, or"):
        saved(photo, thumbnail=thumbnail)


def test_draft_of_several_frames(large: Image.Image) -> None:
    data = saved(large, save_all=True, append_images=[large.rotate(180)], thumbnail=True, quality=1)
    im = opened(data)
    assert im.draft(None, (100, 100)) is not None
    im.load()
    im.seek(1)
    assert im.size == (960, 640)
    assert im.draft(None, (100, 100)) is None
    assert im.tobytes() == agvae.decode(data, frame=1).tobytes()
    im.seek(0)
    assert im.tobytes() == agvae.decode(data).tobytes()
    im.close()
    im = opened(data)
    assert im.draft(None, (100, 100)) is not None
    im.seek(1)
    im.seek(0)
    assert im.size == (960, 640)


def test_draft_then_close(large: Image.Image) -> None:
    im = reopened(large, thumbnail=True)
    im.draft(None, (100, 100))
    im.close()
    with pytest.raises(ValueError, match="Operation on closed image"):
        im.load()


def test_pickled_draft(large: Image.Image) -> None:
    im = reopened(large, thumbnail=True)
    im.draft(None, (100, 100))
    twin = pickle.loads(pickle.dumps(im))
    assert (twin.size, twin.tobytes()) == ((384, 256), im.tobytes())
