"""Damaged files are errors, or grey where Pillow is told to show what is left."""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
import zlib

import pytest
from PIL import Image, ImageFile

from pillow_agvae.AgvImagePlugin import AgvImageFile
from tests.support.plugin import SIZE, opened

pytestmark = pytest.mark.usefixtures("tiny_weights")


def test_every_prefix_is_an_error(data: bytes) -> None:
    for length in range(len(data)):
        with pytest.raises(OSError, match=r"truncated|Truncated|cannot identify"):
            opened(data[:length]).load()


def test_every_prefix_with_load_truncated(data: bytes, truncated_ok: None) -> None:
    loaded = 0
    for length in range(len(data)):
        try:
            im = opened(data[:length])
        except OSError:
            continue
        im.load()
        assert im.size == SIZE
        assert im.getpixel((5, 5)) == (128, 128, 128)
        loaded += 1
    assert loaded > 0.8 * len(data)


def test_byte_flips(data: bytes) -> None:
    rng = random.Random(0)
    for _ in range(300):
        flipped = bytearray(data)
        flipped[rng.randrange(len(data))] ^= rng.randrange(1, 256)
        with pytest.raises(OSError, match=r"\w"):
            opened(bytes(flipped)).load()


def test_byte_flips_with_load_truncated(data: bytes, truncated_ok: None) -> None:
    rng = random.Random(1)
    for _ in range(100):
        flipped = bytearray(data)
        flipped[rng.randrange(len(data))] ^= rng.randrange(1, 256)
        try:
            im = opened(bytes(flipped))
            im.load()
        except OSError:
            continue
        assert im.size == SIZE


def test_truncated_file_fails_on_every_load(data: bytes) -> None:
    im = opened(data[:-1])
    for _ in range(3):
        with pytest.raises(OSError, match=r"image file is truncated \(\d+ bytes not processed\)"):
            im.load()


def test_corrupt_file_fails_on_every_load(data: bytes) -> None:
    im = opened(data[:-20] + bytes(20))
    for _ in range(3):
        with pytest.raises(OSError, match="broken data stream when reading image file"):
            im.load()


def test_flag_may_be_set_between_loads(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    im = opened(data[:-1])
    with pytest.raises(OSError, match="truncated"):
        im.load()
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert im.getpixel((0, 0)) == (128, 128, 128)


def test_trailing_bytes_are_ignored(data: bytes, expected: bytes) -> None:
    assert opened(data + bytes(100)).tobytes() == expected


@pytest.mark.filterwarnings("error")
def test_decompression_bomb_rule(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = SIZE[0] * SIZE[1]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels - 1)
    with pytest.raises(Image.DecompressionBombWarning):
        opened(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels // 2 - 1)
    with pytest.raises(Image.DecompressionBombError):
        opened(data)
    im = AgvImageFile(io.BytesIO(data))
    with pytest.raises(Image.DecompressionBombError):
        im.load()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    opened(data).load()


def test_impossible_sizes_allocate_nothing(data: bytes) -> None:
    for sides in ((2**31 - 1, 2**31 - 1), (2**31 - 1, 1), (2**32 - 1, 1), (0, 5), (4096, 2**20)):
        claim = bytearray(data[:200])
        (length,) = struct.unpack_from(">I", claim, 12)
        struct.pack_into(">II", claim, 16 + 6, *sides)
        struct.pack_into(">I", claim, 16 + length, zlib.crc32(claim[8:12] + claim[16 : 16 + length]))
        tracemalloc.start()
        with pytest.raises((OSError, Image.DecompressionBombError)):
            opened(bytes(claim))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 500_000
