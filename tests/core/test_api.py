"""The door for arrays: `agvae.encode`, `agvae.decode`, `agvae.read_info`."""

from __future__ import annotations

import io
import json
import os
import random
import re
import subprocess
import sys
import tarfile
import weakref
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageSequence

import agvae
from agvae.coding.frames import Frames
from agvae.container import (
    DamagedFileError,
    Header,
    Metadata,
    Reader,
    TileData,
    TruncatedFileError,
    tile_boxes,
    write_container,
)
from agvae.encoding import encode_frames
from agvae.errors import NotAgvError
from agvae.progress import Stopped, watched
from tests.support.helpers import CountingFile, picture, psnr

pytestmark = pytest.mark.usefixtures("tiny_weights")


def alpha_ramp(width: int, height: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width]
    ramp: NDArray[np.uint8] = ((3 * x + y) % 256).astype(np.uint8)
    return ramp


def deep_picture(width: int, height: int, low: int = 1000, high: int = 21000) -> NDArray[np.uint16]:
    """(height, width) uint16 from low to high."""
    grey = picture(width, height)[..., 0].astype(np.float64)
    deep = low + (high - low) * (grey - grey.min()) / (grey.max() - grey.min())
    values: NDArray[np.uint16] = deep.round().astype(np.uint16)
    return values


def rebuilt(data: bytes, header: Header | None = None, tiles: list[TileData] | None = None) -> bytes:
    """The same file with another header or other tiles, and right checksums."""
    reader = Reader(io.BytesIO(data))
    return write_container(header or reader.header, reader.metadata, tiles or list(reader.tiles()))


@pytest.mark.parametrize("shape", [(50, 70), (50, 70, 1), (50, 70, 2), (50, 70, 3), (50, 70, 4), (1, 1), (3, 1, 3)])
def test_shapes_round_trip(shape: tuple[int, ...]) -> None:
    pixels = np.resize(picture(70, 50), shape).astype(np.uint8)
    decoded = agvae.decode(agvae.encode(pixels))
    assert decoded.dtype == np.uint8
    assert decoded.shape == (shape[:2] if shape[2:] == (1,) else shape)
    assert decoded.flags.c_contiguous


def test_decoded_picture_resembles_the_original() -> None:
    pixels = picture(200, 130)
    assert psnr(agvae.decode(agvae.encode(pixels, 6)), pixels) > 28
    assert psnr(agvae.decode(agvae.encode(pixels[..., 0], 6)), pixels[..., 0]) > 28


def test_alpha_is_exact_over_tiles() -> None:
    pixels = np.dstack((picture(1100, 70), alpha_ramp(1100, 70)))
    data = agvae.encode(pixels, 1)
    assert agvae.read_info(data)["tiles"] == 2
    np.testing.assert_array_equal(agvae.decode(data)[..., 3], pixels[..., 3])


def test_grey_stays_exactly_grey() -> None:
    grey = picture(60, 40)[..., 0]
    data = agvae.encode(np.dstack((grey, grey, grey)))
    decoded = agvae.decode(data)
    assert decoded.shape == (40, 60, 3)
    np.testing.assert_array_equal(decoded[..., 0], decoded[..., 1])
    np.testing.assert_array_equal(decoded[..., 0], decoded[..., 2])
    np.testing.assert_array_equal(decoded[..., 0], agvae.decode(agvae.encode(grey)))
    assert Reader(io.BytesIO(data)).header.grey
    assert not Reader(io.BytesIO(agvae.encode(picture(60, 40)))).header.grey


def test_memory_layout_does_not_matter() -> None:
    pixels = picture(64, 48)
    assert agvae.encode(np.asfortranarray(pixels)) == agvae.encode(pixels)
    assert agvae.encode(pixels[::-1][::-1]) == agvae.encode(pixels)


def test_images_give_the_same_bytes_as_arrays() -> None:
    pixels = picture(64, 48)
    assert agvae.encode(Image.fromarray(pixels), 2) == agvae.encode(pixels, 2) == agvae.encode(pixels, s=2)


def test_metadata_is_stored() -> None:
    metadata = Metadata(comment=b"hello", dpi=(300, 299.5))
    assert Reader(io.BytesIO(agvae.encode(picture(16, 16), metadata=metadata))).metadata == metadata


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((5, 5, 2), np.uint16), "uint16"),
        (np.zeros((5, 5, 5), np.uint8), "shape"),
        (np.zeros(5, np.uint8), "shape"),
        (np.zeros((0, 5, 3), np.uint8), "empty"),
        (np.zeros((5, 0), np.uint8), "empty"),
        (np.zeros((5, 5, 0), np.uint8), "shape"),
        ([[0.5]], "uint8"),
    ],
)
def test_other_arrays_are_refused(pixels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        agvae.encode(pixels)


def test_other_arguments_are_refused() -> None:
    pixels = picture(16, 16)
    with pytest.raises(TypeError, match=r"metadata must be an agvae\.Metadata, not dict"):
        agvae.encode(pixels, metadata={})  # type: ignore[arg-type]
    for model in ("", "../x", 5):
        with pytest.raises(ValueError, match="not a model name"):
            agvae.encode(pixels, model=model)  # type: ignore[arg-type]
    for source in (None, 5, {}):
        for function in (agvae.decode, agvae.read_info):
            with pytest.raises(TypeError, match="source must be the bytes of a file, its path"):
                function(source)


def test_any_buffer_is_read() -> None:
    data = agvae.encode(picture(16, 16))
    for source in (bytearray(data), memoryview(data), array("B", data), np.frombuffer(data, np.uint8)):
        np.testing.assert_array_equal(agvae.decode(source), agvae.decode(data))  # type: ignore[arg-type]
        assert agvae.read_info(source) == agvae.read_info(data)  # type: ignore[arg-type]


def test_read_info_leaves_a_file_where_it_was() -> None:
    fp = io.BytesIO(b"before" + agvae.encode(picture(16, 16)))
    fp.seek(6)
    agvae.read_info(fp)
    assert fp.tell() == 6


def test_unknown_model_is_refused() -> None:
    with pytest.raises(OSError, match="'nonesuch'"):
        agvae.encode(picture(16, 16), model="nonesuch")
    data = agvae.encode(picture(16, 16))
    header = Reader(io.BytesIO(data)).header
    with pytest.raises(OSError, match="nonesuch"):
        agvae.decode(rebuilt(data, replace(header, model="nonesuch")))
    with pytest.raises(OSError, match="SHA-256"):
        agvae.decode(rebuilt(data, replace(header, digest=bytes(8))))


def test_read_info(tmp_path: Path) -> None:
    data = agvae.encode(picture(100, 50), 3.25, metadata=Metadata(xmp=b"<x/>"))
    path = tmp_path / "a.agv"
    path.write_bytes(data)
    with path.open("rb") as fp:
        infos = [agvae.read_info(source) for source in (data, bytearray(data), path, str(path), fp)]
        assert not fp.closed
    info = infos[0]
    assert all(other == info for other in infos)
    header = Reader(io.BytesIO(data)).header
    assert info == {
        "width": 100,
        "height": 50,
        "mode": "RGB",
        "range": None,
        "ranges": None,
        "quality": 3.25,
        "s": 3,
        "l": 0.25,
        "bytes": len(data),
        "bpp": 8 * len(data) / 5000,
        "model": "tiny",
        "digest": header.digest.hex(),
        "frames": 1,
        "durations": None,
        "loop": None,
        "tiles": 1,
        "tile_size": 1024,
        "thumbnail": None,
        "lossless": False,
        "metadata": ["xmp"],
    }
    assert json.loads(json.dumps(info)) == info


def test_read_info_of_16_bit_frames_with_a_thumbnail() -> None:
    pixels = 3 * deep_picture(400, 20)
    data = agvae.encode([pixels, pixels], 1, metadata=Metadata(durations=(40, 0.5), loop=0), thumbnail=True)
    info = agvae.read_info(data)
    assert (info["mode"], info["frames"], info["bpp"]) == ("I;16", 2, 8 * len(data) / 16000)
    assert info["range"] == [int(pixels.min()), int(pixels.max())]
    assert (info["durations"], info["loop"], info["thumbnail"]) == ([40.0, 0.5], 0, [384, 19])
    assert info["metadata"] == ["durations", "loop", "thumbnail"]
    assert json.loads(json.dumps(info)) == info


def test_decode_takes_paths_and_files(tmp_path: Path) -> None:
    data = agvae.encode(picture(30, 20))
    path = tmp_path / "a.agv"
    path.write_bytes(data)
    expected = agvae.decode(data)
    np.testing.assert_array_equal(agvae.decode(path), expected)
    np.testing.assert_array_equal(agvae.decode(io.BytesIO(data)), expected)


class Endless(io.RawIOBase):
    """A file that only goes on, as an answer of a server does, in small parts; counts what was taken."""

    def __init__(self, data: bytes) -> None:
        self._data, self.taken = data, 0

    def read(self, size: int = -1) -> bytes:
        assert size >= 0
        part = (self._data + bytes(size))[self.taken : self.taken + min(size, 700)] or bytes(min(size, 700))
        self.taken += len(part)
        return part


def test_what_cannot_seek_is_read_as_far_as_needed() -> None:
    frames = [picture(1100, 70), picture(1100, 70, 1)]
    data = agvae.encode(frames, 1)
    for frame in range(2):
        stream = Endless(data)
        np.testing.assert_array_equal(agvae.decode(stream, frame=frame), agvae.decode(data, frame=frame))
        assert stream.taken <= len(data)
    assert agvae.read_info(Endless(data)) == agvae.read_info(data)
    np.testing.assert_array_equal(agvae.decode_batch([Endless(data)])[0], agvae.decode(data))
    with pytest.raises(NotAgvError):
        agvae.decode(Endless(b"GIF89a"))


def test_pipes_and_readers_without_more_than_read() -> None:
    data = agvae.encode(picture(60, 40), 1)

    class Plain:
        read = staticmethod(io.BytesIO(data).read)

    def piped(content: bytes) -> io.BufferedReader:
        receiver, sender = os.pipe()
        with os.fdopen(sender, "wb") as file:
            file.write(content)
        return os.fdopen(receiver, "rb")

    np.testing.assert_array_equal(agvae.decode(Plain()), agvae.decode(data))  # type: ignore[arg-type]
    with piped(data) as pipe:
        np.testing.assert_array_equal(agvae.decode(pipe), agvae.decode(data))
    with piped(data[:-9]) as pipe, pytest.raises(TruncatedFileError):
        agvae.decode(pipe)


@pytest.mark.parametrize("mode", ["r|", "r|*"])
def test_members_of_tar_streams(mode: Literal["r|", "r|*"]) -> None:
    """Their `seekable` is an AttributeError in some versions of Python."""
    data, archive = agvae.encode(picture(60, 40), 1), io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo("a.agv")
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    archive.seek(0)
    with tarfile.open(fileobj=archive, mode=mode) as tar:
        for member in tar:
            file = tar.extractfile(member)
            assert file is not None
            np.testing.assert_array_equal(agvae.decode(file), agvae.decode(data))


def test_files_whose_place_is_not_to_be_had() -> None:
    data = agvae.encode(picture(60, 40), 1)

    class Lost(io.BytesIO):
        def tell(self) -> int:
            raise io.UnsupportedOperation

    assert agvae.read_info(Lost(data)) == agvae.read_info(data)


@pytest.mark.parametrize("kind", ["cut.png", "cut.qoi", "ink.tif", "grey.png"])
def test_errors_of_images_name_their_files(kind: str, tmp_path: Path) -> None:
    path = tmp_path / kind
    if kind == "cut.qoi":
        path.write_bytes(b"qoif\0\0\0\x28\0\0\0\x1e\3\0\xfe")
    elif kind == "grey.png":
        Image.fromarray(np.zeros((30, 40), np.uint16)).save(path, transparency=3)
    else:
        Image.fromarray(picture(40, 30)).convert("CMYK" if kind == "ink.tif" else "RGB").save(path)
    if kind == "cut.png":
        path.write_bytes(path.read_bytes()[:-900])
    with Image.open(path) as image, pytest.raises(ValueError if kind == "grey.png" else OSError) as raised:
        agvae.encode(image)
    assert str(raised.value).startswith(f"{path}: ")


def test_other_files_are_an_error_of_their_own() -> None:
    with pytest.raises(NotAgvError, match="not an AGV file"):
        agvae.decode(b"GIF89a")


def test_truncated_file_is_an_error_or_grey() -> None:
    data = agvae.encode(np.dstack((picture(40, 30), alpha_ramp(40, 30))))
    with pytest.raises(TruncatedFileError, match=r"image file is truncated \(\d+ bytes not processed\)"):
        agvae.decode(data[:-1])
    decoded = agvae.decode(data[:-1], damaged_ok=True)
    assert (decoded[..., :3] == 128).all()
    assert (decoded[..., 3] == 255).all()


def test_damage_costs_its_tile_alone() -> None:
    pixels = np.dstack((picture(1100, 70), alpha_ramp(1100, 70)))
    data = agvae.encode(pixels, 3)
    whole = agvae.decode(data)
    tiles = list(Reader(io.BytesIO(data)).tiles())
    assert tiles[1].payload is not None
    broken_payload = tiles[1].payload[:8] + bytes(len(tiles[1].payload) - 8)
    cases = [
        data[:-1],
        rebuilt(data, tiles=[tiles[0], replace(tiles[1], payload=broken_payload)]),
    ]
    halo = 300
    for damaged in cases:
        with pytest.raises((DamagedFileError, TruncatedFileError)):
            agvae.decode(damaged)
        decoded = agvae.decode(damaged, damaged_ok=True)
        np.testing.assert_array_equal(decoded[:, : 1024 - halo], whole[:, : 1024 - halo])
        assert (decoded[:, 1024:, :3] == 128).all()
    decoded = agvae.decode(rebuilt(data, tiles=[tiles[0], replace(tiles[1], alpha=b"?")]), damaged_ok=True)
    np.testing.assert_array_equal(decoded[..., :3], whole[..., :3])
    assert (decoded[:, 1024:, 3] == 255).all()


def test_frames_decode_by_themselves() -> None:
    data = agvae.encode(picture(40, 30))
    reader = Reader(io.BytesIO(data))
    tiles = [*reader.tiles(), TileData(b"not a payload")]
    two = write_container(replace(reader.header, frames=2), Metadata(), tiles)
    np.testing.assert_array_equal(agvae.decode(two), agvae.decode(data))
    with pytest.raises(DamagedFileError):
        agvae.decode(two, frame=1)
    assert (agvae.decode(two, frame=1, damaged_ok=True) == 128).all()


# Frames


def test_frames_round_trip() -> None:
    frames = [picture(70, 50, seed) for seed in range(5)]
    data = agvae.encode(frames, 5)
    assert agvae.read_info(data)["frames"] == 5
    for index, pixels in enumerate(frames):
        decoded = agvae.decode(data, frame=index)
        assert decoded.shape == pixels.shape
        assert psnr(decoded, pixels) > psnr(agvae.decode(agvae.encode(pixels, 5)), pixels) - 0.1
    assert agvae.encode(tuple(map(Image.fromarray, frames)), 5) == data


def test_one_frame_is_a_plain_file() -> None:
    assert agvae.encode([picture(40, 30)]) == agvae.encode(picture(40, 30))


@pytest.mark.parametrize(
    ("modes", "mode"),
    [
        (("L", "L"), "L"),
        (("L", "LA"), "LA"),
        (("L", "RGB"), "RGB"),
        (("LA", "RGB"), "RGBA"),
        (("RGB", "RGBA"), "RGBA"),
        (("P", "L"), "RGB"),
        (("1", "L"), "L"),
    ],
)
def test_frames_of_several_modes_become_the_least_that_holds_all(modes: tuple[str, ...], mode: str) -> None:
    image = Image.fromarray(picture(40, 30))
    image.putalpha(Image.fromarray(alpha_ramp(40, 30)))
    frames = [(image.convert("RGB") if mode == "P" else image).convert(mode) for mode in modes]
    for order in (frames, frames[::-1]):
        data = agvae.encode(order, 6)
        assert agvae.read_info(data)["mode"] == mode
        for index, frame in enumerate(order):
            wanted = np.asarray(frame.convert("RGBA"))
            decoded = np.asarray(Image.fromarray(agvae.decode(data, frame=index)).convert("RGBA"))
            assert psnr(decoded[..., :3], wanted[..., :3]) > (5 if frame.mode in ("1", "P") else 20)  # dithered
            np.testing.assert_array_equal(decoded[..., 3], wanted[..., 3])


def test_grey_is_said_of_all_frames_or_none() -> None:
    grey = np.repeat(picture(40, 30)[..., :1], 3, axis=2)
    for frames, expected in (([grey, grey[..., 0]], True), ([grey, picture(40, 30)], False)):
        assert Reader(io.BytesIO(agvae.encode(frames))).header.grey is expected


def test_frames_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(
        ValueError, match="all frames must be of the size of the first, 40 x 30, not 30 x 40 as frame 1"
    ):
        agvae.encode([picture(40, 30), picture(30, 40)])
    for frames in ([picture(40, 30), deep_picture(40, 30)], [deep_picture(40, 30), picture(40, 30)]):
        with pytest.raises(ValueError, match="8 and of 16 bits"):
            agvae.encode(frames)
    with pytest.raises(ValueError, match="at least one frame"):
        agvae.encode([])
    with pytest.raises(ValueError, match="durations of 2 frames"):
        agvae.encode([picture(40, 30)] * 2, metadata=Metadata(durations=(1,)))


@pytest.mark.parametrize("frame", [-1, 2, 2**40])
def test_there_is_no_such_frame(frame: int) -> None:
    with pytest.raises(ValueError, match="frame must be from 0 to 1"):
        agvae.decode(agvae.encode([picture(16, 16)] * 2), frame=frame)


def test_frames_are_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that makes its frames anew is gone through twice, and few of its frames are alive at any time."""
    monkeypatch.setattr(agvae.coding.frames, "KEPT", 2**20)
    alive: set[int] = set()
    most = 0

    class Source:
        def __iter__(self) -> Iterator[NDArray[np.uint8]]:
            nonlocal most
            for seed in range(24):
                pixels = picture(512, 256, seed)
                alive.add(seed)
                weakref.finalize(pixels, alive.discard, seed)
                most = max(most, len(alive))
                yield pixels

    data = encode_frames(Frames(Source()), 0)
    assert agvae.read_info(data)["frames"] == 24
    assert most < 12


def test_few_frames_are_kept() -> None:
    rounds = 0

    class Source:
        def __iter__(self) -> Iterator[NDArray[np.uint8]]:
            nonlocal rounds
            rounds += 1
            return iter([picture(64, 48, 0), picture(64, 48, 1)])

    data = encode_frames(Frames(Source()), 0)
    assert data == agvae.encode([picture(64, 48, 0), picture(64, 48, 1)], 1)
    assert rounds == 1


# 16 bits


@pytest.mark.parametrize(("low", "high"), [(0, 65535), (1000, 21000), (300, 700), (65534, 65535), (0, 1)])
def test_16_bit_grey_keeps_its_range(low: int, high: int) -> None:
    pixels = deep_picture(200, 130, low, high)
    data = agvae.encode(pixels, 6)
    decoded = agvae.decode(data)
    assert (decoded.dtype, decoded.shape) == (np.uint16, pixels.shape)
    assert agvae.read_info(data)["range"] == [low, high]
    assert low <= decoded.min() <= decoded.max() <= high
    error = (decoded.astype(float) - pixels) / (high - low)
    assert 10 * np.log10(1 / np.mean(error**2)) > (28 if high - low > 1 else 10)


def test_16_bit_grey_is_finer_than_8_bits() -> None:
    smooth = np.linspace(0, 65535, 64 * 256).reshape(256, 64).round().astype(np.uint16)
    assert len(np.unique(agvae.decode(agvae.encode(smooth, 6)))) > 2000


@pytest.mark.parametrize("value", [0, 7, 65535])
def test_constant_16_bit_grey_is_exact(value: int) -> None:
    pixels = np.full((20, 30), value, np.uint16)
    np.testing.assert_array_equal(agvae.decode(agvae.encode(pixels)), pixels)


def test_16_bit_layouts_give_the_same_bytes() -> None:
    pixels = deep_picture(60, 40)
    data = agvae.encode(pixels)
    assert agvae.encode(pixels[..., None]) == agvae.encode(pixels.astype(">u2")) == data
    assert agvae.encode(Image.fromarray(pixels)) == data
    for mode, layout in (("I;16", "<u2"), ("I;16L", "<u2"), ("I;16B", ">u2"), ("I;16N", "=u2")):
        image = Image.frombytes(mode, (60, 40), pixels.astype(layout).tobytes())
        assert agvae.encode(image) == data, mode


def test_many_small_frames_share_batches_of_bounded_memory() -> None:
    """Networks work on 32 x 32 pixels of a frame of 8 x 8."""
    batches: list[int] = []
    with watched(batches.append):
        data = agvae.encode(list(np.random.default_rng(0).integers(0, 256, (300, 8, 8), np.uint8)), 1)
    assert agvae.read_info(data)["frames"] == 300
    assert sum(batches) == 300 * 64
    assert max(batches) == 256 * 64


def test_16_bit_frames_have_their_own_ranges() -> None:
    dim, bright = deep_picture(120, 90, 100, 200), deep_picture(120, 90, 5000, 60000)
    hot = dim.copy()
    hot[5, 5] = 65535
    data = agvae.encode([dim, bright, hot, np.full_like(dim, 7)], 4)
    info = agvae.read_info(data)
    assert info["range"] == [7, 65535]
    assert info["ranges"] == [[100, 200], [5000, 60000], [100, 65535], [7, 7]]
    assert json.loads(json.dumps(info)) == info
    alone = agvae.encode([dim], 4)
    np.testing.assert_array_equal(agvae.decode(data), agvae.decode(alone))
    np.testing.assert_array_equal(agvae.decode(data, (3, 4, 50, 60)), agvae.decode(data)[4:60, 3:50])
    np.testing.assert_array_equal(agvae.decode(data, frame=1), agvae.decode(agvae.encode(bright, 4)))
    np.testing.assert_array_equal(agvae.decode(data, frame=3), 7)


def test_16_bit_frames_of_one_range_say_it_once() -> None:
    pixels = deep_picture(40, 30)
    data = agvae.encode([pixels, pixels[::-1]])
    assert (agvae.read_info(data)["range"], agvae.read_info(data)["ranges"]) == ([1000, 21000], None)
    assert b"RANG" not in data


def test_a_target_psnr_counts_each_16_bit_frame_in_its_own_range() -> None:
    frames = [deep_picture(120, 90, 100, 200), deep_picture(120, 90, 5000, 60000)]
    data = agvae.encode(frames, target_psnr=28)
    errors = [
        np.mean(((agvae.decode(data, frame=k).astype(float) - frame) / np.ptp(frame)) ** 2)
        for k, frame in enumerate(frames)
    ]
    assert -10 * np.log10(np.mean(errors)) == pytest.approx(28, abs=0.06)


def test_a_damaged_16_bit_frame_is_the_middle_of_its_own_range() -> None:
    data = agvae.encode([deep_picture(40, 30, 100, 300), deep_picture(40, 30, 5000, 6000)])
    assert (agvae.decode(data[:-1], frame=1, damaged_ok=True) == 5500).all()


def test_damaged_16_bit_grey_is_the_middle_of_its_range() -> None:
    data = agvae.encode(deep_picture(40, 30, 100, 300))
    assert (agvae.decode(data[:-1], damaged_ok=True) == 200).all()


def test_16_bit_transparency_is_refused() -> None:
    image = Image.fromarray(deep_picture(40, 30))
    image.info["transparency"] = 1000
    with pytest.raises(ValueError, match="cannot have transparency"):
        agvae.encode(image)


# Boxes


@pytest.fixture
def tiled() -> bytes:
    """Two frames with alpha, of 3 x 2 tiles each."""
    frames = [np.dstack((picture(2100, 1030, seed), alpha_ramp(2100, 1030) ^ seed)) for seed in (0, 1)]
    return agvae.encode(frames, 1)


def test_a_box_is_a_part_of_its_frame(tiled: bytes) -> None:
    whole = agvae.decode(tiled, frame=1)
    boxes = [(0, 0, 1, 1), (2099, 1029, 2100, 1030), (1000, 1000, 1050, 1030), (5, 7, 12, 20), (0, 0, 2100, 1030)]
    for left, top, right, bottom in boxes:
        part = agvae.decode(tiled, (left, top, right, bottom), frame=1)
        wanted = whole[top:bottom, left:right]
        assert (part.dtype, part.shape) == (np.uint8, wanted.shape)
        np.testing.assert_array_equal(part[..., 3], wanted[..., 3])
        assert np.abs(part.astype(int) - wanted).max() <= 1  # other shapes of tensors, other rounding of sums


def test_a_box_in_other_modes() -> None:
    for pixels in (picture(100, 80)[..., 0], deep_picture(100, 80), np.repeat(picture(100, 80)[..., :1], 3, axis=2)):
        data = agvae.encode(pixels)
        part, whole = agvae.decode(data, (10, 20, 50, 30)), agvae.decode(data)[20:30, 10:50]
        assert (part.dtype, part.shape) == (whole.dtype, whole.shape)
        assert np.abs(part.astype(int) - whole).max() <= 1


def test_a_box_reads_and_checks_its_own_tiles_alone(tiled: bytes) -> None:
    fp = CountingFile(tiled)
    agvae.decode(fp, (0, 0, 100, 100))
    assert fp.total < len(tiled) / 4
    damaged = tiled[:-1]
    with pytest.raises(TruncatedFileError):
        agvae.decode(damaged, frame=1)
    with pytest.raises(TruncatedFileError):
        agvae.decode(damaged, (2090, 1024, 2100, 1030), frame=1)
    np.testing.assert_array_equal(
        agvae.decode(damaged, (0, 0, 100, 100), frame=1), agvae.decode(tiled, (0, 0, 100, 100), frame=1)
    )


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 0, 5),
        (5, 5, 5, 6),
        (-1, 0, 5, 5),
        (0, 0, 41, 5),
        (0, 0, 5, 31),
        (0, 0, 2**70, 5),
        (7, 0, 6, 5),
        (1, 2, 3),
        (1, 2, 3, 4, 5),
        (0.0, 0.0, 1.0, 1.0),
        "abcd",
        5,
    ],
)
def test_impossible_boxes_are_refused(box: Any) -> None:
    with pytest.raises(ValueError, match="box must be"):
        agvae.decode(agvae.encode(picture(40, 30)), box)


def test_a_box_of_a_bomb_may_be_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = agvae.encode(picture(40, 30))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    assert agvae.decode(data, (0, 0, 10, 10)).shape == (10, 10, 3)
    with pytest.raises(Image.DecompressionBombError):
        agvae.decode(data, (0, 0, 11, 10))


# Batches


def test_batches_give_what_single_calls_give() -> None:
    images: list[Any] = [picture(64, 48, seed) for seed in range(4)]
    images += [picture(64, 48, 7)[..., 0], np.dstack((picture(30, 20), alpha_ramp(30, 20))), deep_picture(50, 30)]
    images += [Image.fromarray(picture(64, 48, 9)), [picture(64, 48, 10), picture(64, 48, 11)]]
    files = agvae.encode_batch(images, 4)
    assert len(files) == len(images)
    for image, data in zip(images, files, strict=True):
        alone = agvae.read_info(agvae.encode(image, 4))
        assert {**agvae.read_info(data), "bytes": 0, "bpp": 0} == {**alone, "bytes": 0, "bpp": 0}
    for data, decoded in zip(files, agvae.decode_batch(files), strict=True):
        single = agvae.decode(data)
        assert (decoded.dtype, decoded.shape) == (single.dtype, single.shape)
        assert np.abs(decoded.astype(int) - single).max() <= (1 if single.dtype == np.uint8 else 16)
    assert agvae.encode_batch([]) == agvae.decode_batch([]) == []


class OneBuffer(Sequence[NDArray[np.uint8]]):
    """Frames that all come in the same array."""

    def __init__(self, frames: list[NDArray[np.uint8]]) -> None:
        self.frames, self.buffer = frames, np.empty_like(frames[0])

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, k: Any) -> Any:
        self.buffer[:] = self.frames[k]
        return self.buffer


@pytest.mark.parametrize("kept", [0, 2**26])
def test_one_buffer_for_all_images(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a generator, a sequence, a list that is filled anew, and a Pillow image that goes on to its next frame."""
    monkeypatch.setattr("agvae.coding.frames.KEPT", kept)
    images = [picture(40, 30, seed) for seed in range(4)]
    each = [agvae.encode(image) for image in images]
    together = agvae.encode(images)

    def refilled() -> Iterator[list[NDArray[np.uint8]]]:
        frames: list[NDArray[np.uint8]] = []
        for image in images:
            frames[:] = [image]
            yield frames

    moving = io.BytesIO()
    first, *rest = map(Image.fromarray, images)
    first.save(moving, "TIFF", save_all=True, append_images=rest)
    assert agvae.encode_batch(iter(OneBuffer(images))) == each
    assert agvae.encode_batch(OneBuffer(images)) == each
    assert agvae.encode_batch(refilled()) == each
    assert agvae.encode_batch(ImageSequence.Iterator(Image.open(moving))) == each
    assert agvae.encode(OneBuffer(images)) == together
    assert agvae.encode_batch([OneBuffer(images)] * 2) == [together] * 2


def test_batches_say_which_image_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="image 1: cannot write mode CMYK as AGV"):
        agvae.encode_batch([picture(40, 30), Image.new("CMYK", (4, 4))])
    path = tmp_path / "a.tif"
    Image.new("CMYK", (4, 4)).save(path)
    with Image.open(path) as image, pytest.raises(OSError, match=re.escape(str(path))):
        agvae.encode(image)


def test_batches_take_generators_and_options(tmp_path: Path) -> None:
    metadata = Metadata(comment=b"c")
    files = agvae.encode_batch(
        (picture(40, 30, seed) for seed in range(3)), s=2, l=0.5, metadata=metadata, model="tiny"
    )
    assert [agvae.read_info(data)["quality"] for data in files] == [2.5] * 3
    assert all(Reader(io.BytesIO(data)).metadata == metadata for data in files)
    path = tmp_path / "a.agv"
    path.write_bytes(files[0])
    sources: list[Any] = [path, io.BytesIO(files[1]), memoryview(files[2])]
    for decoded, data in zip(agvae.decode_batch(iter(sources)), files, strict=True):
        assert np.abs(decoded.astype(int) - agvae.decode(data)).max() <= 1


@pytest.mark.parametrize("options", [{"effort": 3}, {"tile_size": 64}, {"tile_size": 64, "lossless": True}])
def test_each_of_a_batch_is_coded_as_alone(options: dict[str, Any]) -> None:
    images = [picture(140, 90, seed) for seed in range(2)]
    files = agvae.encode_batch(images, **options)
    assert files == [agvae.encode(image, **options) for image in images] != agvae.encode_batch(images)
    for bad in ({"effort": 10}, {"tile_size": 65}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            agvae.encode_batch(images, **bad)


@pytest.mark.parametrize(
    "images",
    [picture(8, 8), picture(8, 8)[0], "photo.png", Path("photo.png"), b"x", Image.new("L", (8, 8)), 5, None],
)
def test_a_batch_of_images_is_a_list(images: Any) -> None:
    with pytest.raises(TypeError, match="images must be a list"):
        agvae.encode_batch(images)


def test_a_batch_of_sources_is_a_list(tmp_path: Path) -> None:
    data = agvae.encode(picture(8, 8))
    for source in (data, bytearray(data), memoryview(data), "photo.agv", tmp_path, io.BytesIO(data), picture(8, 8), 5):
        with pytest.raises(TypeError, match="sources must be a list"):
            agvae.decode_batch(source)  # type: ignore[arg-type]


def test_an_array_of_four_axes_is_a_list() -> None:
    images = np.stack([picture(8, 8), picture(8, 8)[::-1]])
    assert agvae.encode_batch(images) == agvae.encode_batch(list(images))  # type: ignore[arg-type]


def test_masked_pixels_are_refused() -> None:
    pixels = picture(16, 16)
    masked = np.ma.masked_array(pixels, pixels > 200)
    for call in (lambda: agvae.encode(masked), lambda: agvae.encode_batch([pixels, masked])):
        with pytest.raises(ValueError, match="masked"):
            call()
    assert agvae.encode(np.ma.masked_array(pixels)) == agvae.encode(pixels)


class Lazy:
    """Like an array of dask: `numpy.asarray` drops the mask of what it computes."""

    def __init__(self, pixels: Any) -> None:
        self._pixels = pixels

    def compute(self) -> Any:
        return self._pixels

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self._pixels)


class Convertible:
    """Gives a masked array where one asks for an array, as NDData of astropy."""

    def __init__(self, pixels: Any) -> None:
        self._pixels = pixels

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self._pixels


class Tagged(np.ndarray):
    """An array whose type has a mask beside it, as Masked of astropy."""

    mask: Any = False


@pytest.mark.parametrize("kind", [Lazy, Convertible])
def test_masks_of_what_is_only_like_an_array_are_not_lost(kind: Any) -> None:
    pixels = picture(16, 16)
    masked = np.ma.masked_array(pixels, pixels > 200)
    for given in (kind(masked), [pixels, kind(masked)]):
        with pytest.raises(ValueError, match="masked pixels cannot be stored"):
            agvae.encode(given)
    assert agvae.encode(kind(np.ma.masked_array(pixels))) == agvae.encode(pixels)


def test_masks_beside_an_array_are_not_lost() -> None:
    tagged = picture(16, 16).view(Tagged)
    assert agvae.encode(tagged) == agvae.encode(picture(16, 16))
    tagged.mask = np.eye(16) > 0
    with pytest.raises(ValueError, match="masked pixels cannot be stored"):
        agvae.encode(tagged)


def test_errors_of_a_batch() -> None:
    good = agvae.encode(picture(40, 30))
    with pytest.raises(ValueError, match="quality"):
        agvae.encode_batch([picture(40, 30)], 7)
    with pytest.raises(ValueError, match="empty"):
        agvae.encode_batch([picture(40, 30), np.zeros((0, 3), np.uint8)])
    with pytest.raises(TruncatedFileError):
        agvae.decode_batch([good, good[:-1]])
    assert [pixels.shape for pixels in agvae.decode_batch([good, good[:-1]], damaged_ok=True)] == [(30, 40, 3)] * 2


# One after the other


def test_iterators_give_what_batches_give_as_it_is_asked_for(tmp_path: Path) -> None:
    images = [picture(40, 30, seed) for seed in range(3)]
    files = agvae.encode_iter(iter(images), 4)
    assert list(files) == agvae.encode_batch(images, 4)
    taken: list[int] = []

    def sources() -> Iterator[bytes]:
        for number in range(3):
            taken.append(number)
            yield agvae.encode(picture(520, 520), 1)

    found = agvae.decode_iter(sources())
    assert taken == []
    assert next(found).shape == (520, 520, 3)
    assert taken == [0]
    with pytest.raises(TypeError, match="sources must be a list"):
        agvae.decode_iter(b"x")  # at once
    with pytest.raises(ValueError, match="quality"):
        agvae.encode_iter(images, 7)
    with pytest.raises(TypeError, match="images must be a list"):
        agvae.encode_iter(images[0])


def test_a_box_of_each_file_and_another_frame() -> None:
    box = (3, 5, 20, 28)
    files = [agvae.encode([picture(40, 30, k), picture(40, 30, k + 5)]) for k in range(3)]
    for data, pixels in zip(files, agvae.decode_batch(files, box, frame=1), strict=True):
        assert np.abs(pixels.astype(int) - agvae.decode(data, box, frame=1)).max() <= 1
    with pytest.raises(ValueError, match="frame must be from 0 to 1"):
        agvae.decode_batch(files, frame=2)
    with pytest.raises(ValueError, match="box must be"):
        agvae.decode_batch(files, (0, 0, 50, 10))


def broken_payload(data: bytes) -> bytes:
    """A file with right checksums whose tile decodes to nothing."""
    reader = Reader(io.BytesIO(data))
    (tile,) = reader.tiles()
    assert tile.payload is not None
    return write_container(reader.header, Metadata(), [replace(tile, payload=tile.payload[:-8] + bytes(8))])


def test_one_bad_file_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = [agvae.encode(picture(40, 30, seed)) for seed in range(3)]
    exact = agvae.encode(picture(40, 30), lossless=True)
    (tmp_path / "cut.agv").write_bytes(good[0][:-1])
    other = agvae.encode(picture(40, 30))
    unknown = write_container(
        Header(40, 30, "RGB", 0, "unknown-1", bytes(8)), Metadata(), list(Reader(io.BytesIO(other)).tiles())
    )
    deep = agvae.encode(deep_picture(8, 8))
    sources: list[Any] = [
        good[0], b"no file", broken_payload(good[1]), good[1], tmp_path / "cut.agv", exact, tmp_path / "none.agv",
        unknown, unknown, 5, exact[:-30], deep, good[2],
    ]  # fmt: skip
    right = {0, 3, 5, 11, 12}
    wrong = {
        1: NotAgvError, 2: DamagedFileError, 4: TruncatedFileError, 6: FileNotFoundError, 7: agvae.AgvError,
        8: agvae.AgvError, 9: TypeError, 10: agvae.AgvError,
    }  # fmt: skip
    for found in (
        agvae.decode_batch(sources, return_exceptions=True),
        list(agvae.decode_iter(iter(sources), return_exceptions=True)),
        list(agvae.decode_tensors(sources, return_exceptions=True)),
    ):
        assert {k for k, one in enumerate(found) if not isinstance(one, Exception)} == right
        assert {
            k: type(one) for k, one in enumerate(found) if k in wrong and isinstance(one, wrong[k])
        }.keys() == wrong.keys()
        assert "cut.agv" in str(found[4])
        for k in right:
            pixels = agvae.decode(sources[k])
            bands_last = found[k] if isinstance(found[k], np.ndarray) else bands_last_of(found[k])
            assert np.abs(bands_last.astype(int) - pixels).max() <= (1 if pixels.dtype == np.uint8 else 16)
    assert agvae.decode_batch([b"", b""], return_exceptions=True)[1].args  # type: ignore[union-attr]
    small = agvae.decode_batch([good[0], good[1]], (0, 0, 41, 5), return_exceptions=True)
    assert [type(error) for error in small] == [ValueError, ValueError]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    (bomb, tiny) = agvae.decode_batch([good[0], agvae.encode(picture(8, 8))], return_exceptions=True)
    assert isinstance(bomb, Image.DecompressionBombError)
    assert isinstance(tiny, np.ndarray)


def test_one_bad_image_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(b"")
    images: list[Any] = [
        Image.new("CMYK", (4, 4)), picture(40, 30), np.zeros((0, 3), np.uint8), "photo.png", picture(30, 20),
        [picture(8, 8), picture(9, 9)], None, Image.new("F", (4, 4)),
    ]  # fmt: skip
    for options in ({}, {"lossless": True}, {"thumbnail": 16}):
        found = agvae.encode_batch(images, **options, return_exceptions=True)  # type: ignore[call-overload]
        assert [isinstance(one, bytes) for one in found] == [False, True, False, False, True, False, False, False]
        assert [found[1], found[4]] == [agvae.encode(images[k], **options) for k in (1, 4)]
        assert "image 0: cannot write mode CMYK" in str(found[0])
    assert agvae.encode_batch([None], return_exceptions=True)[0].args  # type: ignore[union-attr, list-item]

    def failing() -> Iterator[Any]:
        yield picture(8, 8)
        msg = "the list itself"
        raise ValueError(msg)

    with pytest.raises(ValueError, match="the list itself"):
        list(agvae.encode_iter(failing(), return_exceptions=True))
    with pytest.raises(ValueError, match="quality"):
        agvae.encode_batch(images, 9, return_exceptions=True)


def test_what_watches_ends_a_batch_with_errors_too() -> None:
    def stop(_: int) -> None:
        raise Stopped

    files = [agvae.encode(picture(40, 30))] * 2
    with watched(stop), pytest.raises(Stopped):
        agvae.decode_batch(files, return_exceptions=True)


# Tensors


def bands_last_of(tensor: torch.Tensor) -> NDArray[Any]:
    bands: NDArray[Any] = tensor.cpu().numpy().transpose(1, 2, 0)
    return bands[..., 0] if bands.shape[2] == 1 else bands


def test_tensors_are_what_decode_gives() -> None:
    colour, alpha = picture(70, 50), alpha_ramp(70, 50)
    palette = Image.fromarray(colour).quantize(8)
    images: list[Any] = [
        colour, colour[..., 0], np.dstack((colour[..., 0], alpha)), np.dstack((colour, alpha)),
        np.repeat(colour[..., :1], 3, axis=2), deep_picture(70, 50), chart_beside(colour),
    ]  # fmt: skip
    files = [agvae.encode(image) for image in images]
    files += [agvae.encode(image, lossless=True) for image in (*images, palette, palette.convert("1"))]
    for data, batched in zip(files, agvae.decode_tensors(files), strict=True):
        pixels, tensor = agvae.decode(data), agvae.decode_tensor(data)
        assert (tensor.ndim, tensor.is_contiguous(), tensor.requires_grad) == (3, True, False)
        assert tensor.dtype == (torch.uint16 if pixels.dtype == np.uint16 else torch.uint8)
        np.testing.assert_array_equal(bands_last_of(tensor), pixels)
        assert batched.shape == tensor.shape
    box = (5, 3, 66, 40)
    np.testing.assert_array_equal(bands_last_of(agvae.decode_tensor(files[6], box)), agvae.decode(files[6], box))
    with pytest.raises(TruncatedFileError):
        agvae.decode_tensor(files[0][:-1])
    lost = agvae.decode_tensor(files[0][:-1], damaged_ok=True)
    assert bool((lost == 128).all())


def chart_beside(colour: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture with flat blocks, of which some are coded without loss beside a model's."""
    wide = np.concatenate((np.zeros_like(colour), colour), axis=1).repeat(2, axis=0)
    wide[::4, : colour.shape[1] : 3] = 255
    return wide


def test_tensors_can_be_trained_on_whatever_the_mode() -> None:
    data = agvae.encode(picture(40, 30))
    with torch.inference_mode():
        inside = agvae.decode_tensor(data)
    tensor = agvae.decode_tensor(data)
    assert torch.equal(inside, tensor)
    assert not tensor.is_inference()
    weight = torch.ones(3, 1, 1, requires_grad=True)
    (tensor.float() * weight).sum().backward()
    assert weight.grad is not None
    with agvae.options.using(device="cuda:99"), pytest.raises(ValueError, match="cannot use the device"):
        agvae.decode_tensor(data)


# What is beside the pixels


def test_metadata_are_read_as_they_were_written_but_for_the_thumbnail(tmp_path: Path) -> None:
    given = Metadata(icc_profile=b"p", exif=b"e", xmp="x", comment="c", dpi=(72, 72), durations=(5, 6), loop=3)  # type: ignore[arg-type]
    path = tmp_path / "a.agv"
    path.write_bytes(agvae.encode([picture(40, 30)] * 2, metadata=given, thumbnail=16))
    assert "thumbnail" in agvae.read_info(path)["metadata"]
    for source in (path, path.read_bytes(), Unseekable(path.read_bytes())):
        assert agvae.read_metadata(source) == given
    with path.open("rb") as fp:
        assert agvae.read_metadata(fp) == given
        assert fp.tell() == 0
    assert agvae.read_metadata(agvae.encode(picture(8, 8))) == Metadata()
    with pytest.raises(NotAgvError):
        agvae.read_metadata(b"")
    code = "import sys, agvae; print(agvae.read_metadata(sys.argv[1]).comment, {'numpy', 'PIL'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout == "b'c' set()\n"


class Unseekable:
    """As a pipe is."""

    def __init__(self, data: bytes) -> None:
        self.read = io.BytesIO(data).read


# Thumbnails and rates


def thumbnail_of(data: bytes) -> bytes:
    thumbnail = Reader(io.BytesIO(data)).metadata.thumbnail
    assert thumbnail is not None
    return thumbnail


@pytest.mark.parametrize("size", [(600, 400), (90, 800), (385, 384), (3000, 1)])
def test_a_thumbnail_is_384_pixels_long(size: tuple[int, int]) -> None:
    info = agvae.read_info(agvae.encode(picture(*size), 1, thumbnail=True))
    assert max(info["thumbnail"]) == 384
    assert info["thumbnail"] == [max(1, round(side * 384 / max(size))) for side in size]
    assert agvae.read_info(agvae.encode(picture(*size), 1))["thumbnail"] is None


def test_small_images_need_no_thumbnail() -> None:
    pixels = picture(384, 200)
    assert agvae.encode(pixels, thumbnail=True) == agvae.encode(pixels)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_a_thumbnail_is_a_small_version_of_the_image(mode: str) -> None:
    image = Image.fromarray(np.dstack((picture(600, 400), alpha_ramp(600, 400)))).convert(mode)
    small = agvae.decode(thumbnail_of(agvae.encode([image, Image.new(mode, (600, 400))], 2, thumbnail=True)))
    wanted = np.asarray(image.resize((384, 256), Image.Resampling.LANCZOS))
    assert small.shape == wanted.shape
    assert psnr(small, wanted) > 22


def test_a_thumbnail_of_16_bit_grey() -> None:
    pixels = deep_picture(600, 400)
    small = agvae.decode(thumbnail_of(agvae.encode(pixels, 6, thumbnail=True)))
    assert (small.dtype, small.shape) == (np.uint16, (256, 384))
    assert abs(small.mean() - pixels.mean()) < 500


def test_a_thumbnail_has_no_thumbnail_and_one_of_each_file() -> None:
    files = agvae.encode_batch([picture(500, 300), picture(40, 30), picture(300, 500)], 1, thumbnail=True)
    assert [agvae.read_info(data)["thumbnail"] for data in files] == [[384, 230], None, [230, 384]]
    assert agvae.read_info(thumbnail_of(files[0]))["thumbnail"] is None


@pytest.mark.parametrize("thumbnail", [b"x", b"\xe1AGV\r\n\x1a\n", b"frames", b"mode", b"large"])
def test_what_is_no_thumbnail_is_none(thumbnail: bytes) -> None:
    small = {
        b"frames": [picture(16, 16)] * 2,
        b"mode": picture(16, 16)[..., 0],
        b"large": picture(41, 3),
    }
    if thumbnail in small:
        thumbnail = agvae.encode(small[thumbnail])
    data = agvae.encode(picture(40, 30), metadata=Metadata(thumbnail=thumbnail))
    assert agvae.read_info(data)["thumbnail"] is None
    assert agvae.decode(data).shape == (30, 40, 3)


@pytest.mark.parametrize(("frames", "looked_at"), [(1, 1), (2, 0)])
def test_a_thumbnail_is_judged_by_its_header_and_verified_once(
    frames: int, looked_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = agvae.encode([picture(16, 16)] * frames)
    reader = Reader(io.BytesIO(agvae.encode(picture(40, 30), metadata=Metadata(thumbnail=small))))
    tile, tiles = Reader.tile, []
    monkeypatch.setattr(Reader, "tile", lambda *arguments: tiles.append(arguments) or tile(*arguments))
    for _ in range(3):
        assert (reader.thumbnail() is not None) == (frames == 1)
    assert len(tiles) == looked_at


@pytest.mark.parametrize(
    "options",
    [
        {"quality": 3, "target_size": 1000},
        {"s": 3, "target_psnr": 30},
        {"l": 0.5, "target_bpp": 1},
        {"target_size": 1000, "target_bpp": 1},
    ],
)
def test_only_one_rate_is_given(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="only one of"):
        agvae.encode(picture(16, 16), **options)


@pytest.mark.parametrize(
    "value", [0, -1, float("nan"), float("inf"), "1", True, 1j, 1e300, pytest.param(10**400, id="huge")]
)
@pytest.mark.parametrize("name", ["target_size", "target_bpp", "target_psnr"])
def test_impossible_targets_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        agvae.encode(picture(16, 16), **{name: value})


def test_a_target_below_a_byte_is_called_out_of_reach() -> None:
    for options in ({"target_bpp": 0.001}, {"target_size": 0.5}):
        with pytest.raises(ValueError, match=r"target_(bpp|size) 0\.\d+ cannot be reached"):
            agvae.encode(picture(16, 16), **options)  # type: ignore[arg-type]


def test_a_target_beyond_the_best_quality_gives_that() -> None:
    for options in ({"target_bpp": 1e15}, {"target_size": 10**15}):
        assert agvae.encode(picture(16, 16), **options) == agvae.encode(picture(16, 16), 6)  # type: ignore[arg-type]


# Damage


def test_nonsense_payloads_with_right_checksums_are_damage() -> None:
    data = agvae.encode(picture(40, 30), 6)
    payload = next(Reader(io.BytesIO(data)).tiles()).payload
    assert payload is not None
    rng = random.Random(0)
    for _ in range(100):
        damaged = bytearray(payload)
        match rng.randrange(4):
            case 0:
                damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
            case 1:
                del damaged[rng.randrange(len(damaged)) :]
            case 2:
                damaged += rng.randbytes(4 * rng.randint(1, 5))
            case _:
                damaged[:] = rng.randbytes(4 * rng.randrange(50))
        try:
            decoded = agvae.decode(rebuilt(data, tiles=[TileData(bytes(damaged))]))
        except DamagedFileError:
            continue
        assert decoded.shape == (30, 40, 3)


def test_header_that_contradicts_the_payload_is_damage() -> None:
    data = agvae.encode(picture(40, 30), 3)
    header = Reader(io.BytesIO(data)).header
    for wrong in (replace(header, width=80), replace(header, height=700), replace(header, level=20480)):
        with pytest.raises(DamagedFileError):
            agvae.decode(rebuilt(data, wrong))


def test_decompression_bombs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = agvae.encode(picture(40, 30))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 599)
    with pytest.raises(Image.DecompressionBombError):
        agvae.decode(data)
    for limit in (600, None):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert agvae.decode(data).shape == (30, 40, 3)


def test_thin_images_are_bombs_by_what_they_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    """One pixel wide, they are worked on as if they had 32; up to a megapixel of that is free."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300_000)
    header = Header(1, 40_000, "L", 0, "tiny", bytes(8))
    data = write_container(header, Metadata(), [TileData(b"12345678")] * header.tile_count)
    with pytest.raises(Image.DecompressionBombError, match=r"1 x 40000 pixels, which take the work of 1280000"):
        agvae.decode(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 640_000)
    with pytest.raises(agvae.AgvError):
        agvae.decode(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300_000)
    with pytest.raises(agvae.AgvError):
        agvae.decode(data, (0, 0, 1, 30_000))


def test_tile_boxes_match_the_codec() -> None:
    reader = Reader(io.BytesIO(agvae.encode(picture(1030, 20), 1)))
    assert len(tile_boxes(reader.header)) == len(list(reader.tiles())) == 2


def test_import_is_light() -> None:
    code = "import sys, agvae; print(sorted({'torch', 'numpy', 'PIL'} & set(sys.modules))); print(dir(agvae))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded, names = result.stdout.splitlines()
    assert loaded == "[]"
    assert "read_info" in names


def test_coding_imports_no_compiler() -> None:
    """Building a network without values is enough for PyTorch to import its own, which takes seconds."""
    code = (
        "import sys, numpy, agvae; agvae.decode(agvae.encode(numpy.zeros((8, 8), 'u1'))); "
        "print({'torch._dynamo', 'sympy'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_names_of_the_container_are_here_without_numpy() -> None:
    code = "import sys, agvae; agvae.Metadata, agvae.AgvError; print({'torch', 'numpy', 'PIL'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"
    assert agvae.Metadata is Metadata


def test_a_file_is_read_about_without_numpy(tmp_path: Path) -> None:
    """Which cannot be loaded in a second interpreter of a process."""
    (tmp_path / "a.agv").write_bytes(agvae.encode(picture(20, 10), 1))
    code = (
        "import sys, agvae; print(agvae.read_info(sys.argv[1])['width'], {'torch', 'numpy', 'PIL'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, tmp_path / "a.agv"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "20 set()\n"


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="nonesuch"):
        agvae.nonesuch  # noqa: B018


def test_the_version_is_that_of_the_distribution() -> None:
    assert agvae.__version__ == version("agvae")
    assert "__version__" in dir(agvae)


@pytest.mark.parametrize("source", ["photo.png", Path("photo.png"), b"\x89PNG", io.BytesIO(b"\x89PNG")])
def test_encode_says_that_it_wants_pixels(source: Any) -> None:
    with pytest.raises(TypeError, match=r"must be pixels, .*Image\.open"):
        agvae.encode(source)


@pytest.mark.parametrize("shape", [(4,), (4, 4), (4, 4, 3)])
def test_encode_says_how_a_buffer_becomes_pixels(shape: tuple[int, ...]) -> None:
    source: Any = memoryview(np.zeros(shape, np.uint8))
    with pytest.raises(TypeError, match=r"must be pixels, .* not memoryview: make an array of it with numpy\.asarray"):
        agvae.encode(source)
