"""The container: round trips, every kind of damage, and limits on what a file may claim."""

from __future__ import annotations

import gzip
import io
import lzma
import random
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from agvae.boxes import grid
from agvae.container import (
    MAX_FRAMES,
    MAX_METADATA,
    MAX_SIDE,
    MODES,
    SIGNATURE,
    AgvError,
    DamagedFileError,
    Header,
    Metadata,
    Reader,
    TileData,
    TruncatedFileError,
    UnsupportedFileError,
    tile_box,
    tile_boxes,
    write_container,
)
from agvae.errors import NotAgvError
from agvae.file.payload import kinds as kinds_of_tiles
from tests.support.helpers import CountingFile

DIGEST = bytes(range(8))
HEADER = Header(100, 70, "RGB", 10240, "some-1", DIGEST)


def chunk(kind: bytes, payload: bytes) -> bytes:
    """A chunk as docs/FORMAT.md describes it, made independently of the writer."""
    return kind + struct.pack(">I", len(payload)) + payload + struct.pack(">I", zlib.crc32(kind + payload))


def head(
    version: int = 1,
    mode: int = 3,
    flags: int = 0,
    tile: int = 16,
    level: int = 10240,
    width: int = 100,
    height: int = 70,
    frames: int = 1,
    digest: bytes = DIGEST,
    model: bytes = b"some-1",
    more: bytes = b"",
) -> bytes:
    fixed = struct.pack(">BBBBHIII8sB", version, mode, flags, tile, level, width, height, frames, digest, len(model))
    return chunk(b"HEAD", fixed + model + more)


def read(data: bytes, **options: Any) -> Reader:
    return Reader(io.BytesIO(data), **options)


@contextmanager
def peak_below(limit: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < limit


models = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
ranges = st.tuples(st.integers(0, 65535), st.integers(0, 65535)).map(lambda pair: (min(pair), max(pair)))
modes_and_ranges = st.tuples(st.sampled_from(MODES), ranges).map(
    lambda pair: {
        "mode": pair[0],
        "range": pair[1] if pair[0] == "I;16" else None,
        "palette": bytes(range(4 * (1 + pair[1][0] % 64))) if pair[0] == "P" else None,
    }
)
headers = st.builds(
    lambda kind, **values: Header(**kind, **values),
    kind=modes_and_ranges,
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    level=st.integers(0, 20480),
    model=models,
    digest=st.binary(min_size=8, max_size=8),
    tile_size=st.sampled_from([64, 128, 960, 1024]),
    frames=st.integers(1, 3),
)
blobs = st.none() | st.binary(min_size=1, max_size=50)
densities = st.floats(1e-3, 1e6)
metadatas = st.builds(
    Metadata,
    icc_profile=blobs,
    exif=blobs,
    xmp=blobs,
    comment=blobs,
    dpi=st.none() | st.tuples(densities, densities),
    loop=st.none() | st.integers(0, 2**32 - 1),
    thumbnail=blobs,
    arrays=blobs,
)
durations = st.lists(st.integers(0, 2**32 - 1).map(lambda microseconds: microseconds / 1000), min_size=3, max_size=3)


def random_tiles(header: Header, seed: int, *, any_kind: bool = False) -> list[TileData]:
    rng = random.Random(seed)
    return [
        TileData(
            rng.randbytes(rng.randrange(40)),
            rng.randbytes(rng.randrange(20)) if "A" in header.mode else None,
            kind=rng.choice(kinds_of_tiles(header.mode)) if any_kind else kinds_of_tiles(header.mode)[0],
        )
        for _ in range(header.tile_count)
    ]


def small_files() -> list[tuple[Header, list[TileData], bytes]]:
    cases = [
        (HEADER, Metadata()),
        (Header(150, 100, "RGBA", 3, "m", DIGEST, 64), Metadata(icc_profile=b"icc", dpi=(72.0, 72.0))),
        (Header(70, 60, "L", 0, "x", DIGEST, 64, 2), Metadata(exif=b"II*", xmp=b"<x/>", comment=b"hello")),
        (
            Header(9, 8, "I;16", 20480, "x", DIGEST, frames=3, range=(7, 60000)),
            Metadata(durations=(0, 40.5, 1000), loop=0, thumbnail=b"bytes"),
        ),
        (Header(70, 9, "P", 20480, "lossless", bytes(8), 64, palette=bytes(range(20))), Metadata(comment=b"hello")),
    ]
    return [
        (header, tiles, write_container(header, metadata, tiles))
        for header, metadata in cases
        for tiles in [random_tiles(header, 1)]
    ]


SMALL_FILES = small_files()


@settings(max_examples=200)
@given(headers, metadatas, st.none() | durations, st.integers(0, 2**32))
def test_round_trip(header: Header, metadata: Metadata, times: list[float] | None, seed: int) -> None:
    tiles = random_tiles(header, seed, any_kind=True)
    metadata = replace(metadata, durations=times and times[: header.frames])
    data = write_container(header, metadata, tiles)
    reader = read(data)
    assert reader.header == header
    assert reader.metadata == metadata
    assert list(reader.tiles()) == tiles
    assert list(reader.tiles()) == tiles
    reader.verify()
    for frame in range(header.frames):
        count = header.tiles_per_frame
        assert list(reader.tiles(frame)) == tiles[frame * count : (frame + 1) * count]


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[1] / "data").glob("*.agv")), ids=lambda path: path.name)
def test_released_files_are_rewritten_byte_for_byte(path: Path) -> None:
    data = path.read_bytes()
    reader = read(data)
    assert write_container(reader.header, reader.metadata, reader.tiles()) == data


def test_grey_flag_round_trips() -> None:
    header = replace(HEADER, grey=True)
    assert read(write_container(header, Metadata(), [TileData(b"x")])).header == header


def test_bytes_are_as_documented() -> None:
    metadata = Metadata(b"icc", b"exif", b"xmp", b"comment", (300.0, 72.009), arrays=b"{}")
    written = write_container(HEADER, metadata, [TileData(b"payload")])
    expected = (
        b"\xe1AGV\r\n\x1a\n"
        + head()
        + chunk(b"iccp", b"icc")
        + chunk(b"exif", b"exif")
        + chunk(b"xmpp", b"xmp")
        + chunk(b"cmnt", b"comment")
        + chunk(b"phys", struct.pack(">dd", 300, 72.009))
        + chunk(b"arry", b"{}")
        + chunk(b"TILE", b"payload")
    )
    assert written == expected


def test_tiled_bytes_with_alpha_are_as_documented() -> None:
    header = Header(65, 2, "LA", 20480, "some-1", DIGEST, 64)
    written = write_container(header, Metadata(), [TileData(b"abc", b"A"), TileData(b"", b"")])
    expected = (
        SIGNATURE
        + head(mode=2, tile=1, level=20480, width=65, height=2)
        + chunk(b"INDX", struct.pack(">II", 8, 4))
        + chunk(b"TILE", b"\0\0\0\x03abcA")
        + chunk(b"TILE", b"\0\0\0\0")
    )
    assert written == expected


def test_bytes_of_16_bit_frames_are_as_documented() -> None:
    header = Header(3, 2, "I;16", 0, "some-1", DIGEST, frames=2, range=(258, 65535))
    metadata = Metadata(comment=b"c", durations=(40, 0.0015), loop=2, thumbnail=b"small")
    expected = (
        SIGNATURE
        + head(mode=5, level=0, width=3, height=2, frames=2, more=b"\1\2\xff\xff")
        + chunk(b"cmnt", b"c")
        + chunk(b"durs", struct.pack(">II", 40_000, 2))
        + chunk(b"loop", b"\0\0\0\2")
        + chunk(b"thmb", b"small")
        + chunk(b"INDX", struct.pack(">II", 1, 2))
        + chunk(b"TILE", b"a")
        + chunk(b"TILE", b"bc")
    )
    assert write_container(header, metadata, [TileData(b"a"), TileData(b"bc")]) == expected


def test_bytes_of_ranges_of_frames_are_as_documented() -> None:
    header = Header(3, 2, "I;16", 0, "some-1", DIGEST, frames=2, range=(1, 700), ranges=array("H", (1, 9, 258, 700)))
    written = write_container(header, Metadata(comment=b"c"), [TileData(b"a"), TileData(b"bc")])
    assert written == (
        SIGNATURE
        + head(mode=5, level=0, width=3, height=2, frames=2, more=b"\0\1\2\xbc")
        + chunk(b"RANG", b"\0\1\0\x09\1\2\2\xbc")
        + chunk(b"cmnt", b"c")
        + chunk(b"INDX", struct.pack(">II", 1, 2))
        + chunk(b"TILE", b"a")
        + chunk(b"TILE", b"bc")
    )
    reader = read(written)
    assert reader.header == header
    assert [reader.header.range_of(frame) for frame in (0, 1)] == [(1, 9), (258, 700)]


@pytest.mark.parametrize(
    "ranges",
    [
        pytest.param([b"\0\1\0\x09\1\2\2\xbd"], id="above"),
        pytest.param([b"\0\0\0\x09\1\2\2\xbc"], id="below"),
        pytest.param([b"\0\x09\0\1\1\2\2\xbc"], id="low and high the wrong way"),
        pytest.param([b"\0\1\0\x09"], id="of one frame"),
        pytest.param([b""], id="empty"),
        pytest.param([b"\0\1\0\x09\1\2\2\xbc"] * 2, id="twice"),
    ],
)
def test_impossible_ranges_of_frames_are_damage(ranges: list[bytes]) -> None:
    start = SIGNATURE + head(mode=5, level=0, width=3, height=2, frames=2, more=b"\0\1\2\xbc")
    rest = chunk(b"INDX", struct.pack(">II", 1, 2)) + chunk(b"TILE", b"a") + chunk(b"TILE", b"bc")
    with pytest.raises(DamagedFileError):
        read(start + b"".join(chunk(b"RANG", payload) for payload in ranges) + rest, damaged_ok=True)


def test_only_16_bits_have_ranges_of_frames() -> None:
    data = SIGNATURE + head(mode=1, level=0, width=3, height=2) + chunk(b"RANG", bytes(4)) + chunk(b"TILE", b"a")
    with pytest.raises(DamagedFileError, match="ranges"):
        read(data)


@settings(max_examples=50)
@given(headers, st.integers(0, 2**32))
def test_a_tile_is_read_alone(header: Header, seed: int) -> None:
    tiles = random_tiles(header, seed, any_kind=True)
    reader = read(write_container(header, Metadata(), tiles))
    count = header.tiles_per_frame
    for frame in reversed(range(header.frames)):
        for number in reversed(range(count)):
            assert reader.tile(frame, number) == tiles[frame * count + number]
            assert tile_box(header, number) == tile_boxes(header)[number]


def test_tiles_that_are_not_wanted_are_not_read() -> None:
    header = Header(300, 64, "RGB", 0, "m", DIGEST, 64, frames=2)
    fp = CountingFile(write_container(header, Metadata(), [TileData(bytes(100_000))] * 10))
    reader = Reader(fp)
    before = fp.total
    assert reader.tile(1, 2).payload == reader.tile(0, 3).payload == bytes(100_000)
    assert fp.total - before == 2 * (100_000 + 12)


def test_overhead_of_a_small_image_is_small() -> None:
    assert len(write_container(HEADER, Metadata(), [TileData(b"")])) <= 70


@settings(max_examples=50)
@given(headers)
def test_boxes_cover_every_pixel_once(header: Header) -> None:
    covered = bytearray(header.width * header.height)
    boxes = tile_boxes(header)
    assert len(boxes) == header.tiles_per_frame
    assert boxes == sorted(boxes, key=lambda box: (box[1], box[0]))
    for left, top, right, bottom in boxes:
        assert left % header.tile_size == top % header.tile_size == 0
        for y in range(top, bottom):
            row = y * header.width
            covered[row + left : row + right] = bytes(v + 1 for v in covered[row + left : row + right])
    assert covered == b"\1" * len(covered)


def test_grids_are_row_major() -> None:
    assert grid(100, 70, 64) == [(0, 0, 64, 64), (64, 0, 100, 64), (0, 64, 64, 70), (64, 64, 100, 70)]


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"height": -1},
        {"width": MAX_SIDE + 1},
        {"width": 10.0},
        {"mode": "CMYK"},
        {"level": -1},
        {"level": 20481},
        {"model": ""},
        {"model": "a" * 65},
        {"model": "../x"},
        {"model": "é"},
        {"digest": b"1234567"},
        {"tile_size": 0},
        {"tile_size": 100},
        {"tile_size": 1088},
        {"frames": 0},
        {"frames": MAX_FRAMES + 1},
        {"mode": "L", "grey": True},
        {"mode": "I;16"},
        {"range": (0, 1)},
        {"mode": "I;16", "range": (2, 1)},
        {"mode": "I;16", "range": (-1, 1)},
        {"mode": "I;16", "range": (0, 65536)},
        {"mode": "I;16", "range": (0.0, 1.0)},
        {"mode": "I;16", "range": (0, 1, 2)},
        {"mode": "I;16", "range": 5},
        {"mode": "I;16", "range": (0, 9), "ranges": array("H", (0, 9, 0, 9))},
        {"mode": "I;16", "range": (0, 9), "ranges": array("H", (9, 0))},
        {"mode": "I;16", "range": (0, 9), "ranges": array("H", (0, 10))},
        {"mode": "I;16", "range": (0, 9), "ranges": (0, 9)},
        {"ranges": array("H", (0, 9))},
        {"mode": "I;16", "range": (0, 1), "grey": True},
    ],
)
def test_impossible_headers_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        replace(HEADER, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"dpi": (0.0, 72.0)},
        {"dpi": (72.0, float("inf"))},
        {"dpi": (float("nan"), 1.0)},
        {"dpi": (72.0, 1.1e6)},
        {"dpi": (0.9e-3, 72.0)},
        {"dpi": (1, 2, 3)},
        {"dpi": "72"},
        {"dpi": 72},
        {"exif": "x"},
        {"icc_profile": 5},
        {"xmp": 5},
        {"comment": ["x"]},
        {"icc_profile": b"\0" * (MAX_METADATA + 1)},
        {"comment": b"\0" * (MAX_METADATA + 1)},
        {"durations": 40},
        {"durations": (-1,)},
        {"durations": (float("nan"),)},
        {"durations": (4_294_967.296,)},
        {"durations": ("40",)},
        {"durations": "40"},
        {"durations": (10**400,)},
        {"loop": -1},
        {"loop": 2**32},
        {"loop": 1.0},
        {"loop": True},
        {"loop": "1"},
        {"thumbnail": "x"},
        {"arrays": "{}"},
        {"thumbnail": b"\0" * (MAX_METADATA + 1)},
    ],
)
def test_impossible_metadata_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Metadata(**change)


def test_too_many_durations_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agvae.file.metadata.MAX_METADATA", 12)
    assert Metadata(durations=(1, 2, 3)).durations == (1, 2, 3)
    with pytest.raises(ValueError, match="no more than 3 frames"):
        Metadata(durations=(1, 2, 3, 4))


def test_metadata_takes_any_bytes_and_numbers() -> None:
    metadata = Metadata(exif=bytearray(b"x"), xmp=memoryview(b"y"), dpi=[72, 1])  # type: ignore[arg-type]
    assert metadata == Metadata(exif=b"x", xmp=b"y", dpi=(72.0, 1.0))
    assert hash(metadata)
    times = Metadata(durations=[40, Fraction(1, 3), 1, 1e-4], loop=10**9)  # type: ignore[arg-type]
    assert times.durations == (40.0, 0.333, 1.0, 0.0)
    assert hash(times)


def test_empty_metadata_is_none() -> None:
    assert Metadata(exif=b"", comment=bytearray(), durations=(), thumbnail=b"") == Metadata()  # type: ignore[arg-type]
    assert read(write_container(HEADER, Metadata(exif=b""), [TileData(b"x")])).metadata == Metadata()


@pytest.mark.parametrize("durations", [(1,), (1, 2, 3)])
def test_every_frame_needs_its_duration(durations: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="durations"):
        write_container(replace(HEADER, frames=2), Metadata(durations=durations), [TileData(b"x")] * 2)


def test_what_concerns_frames_is_no_info() -> None:
    metadata = Metadata(comment=b"c", durations=(5,), loop=0, thumbnail=b"t", arrays=b"{}")
    assert metadata.to_info() == {"comment": b"c"}


@pytest.mark.parametrize("count", [0, 2])
def test_wrong_number_of_tiles_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="tiles"):
        write_container(HEADER, Metadata(), [TileData(b"")] * count)


def test_alpha_must_match_mode() -> None:
    with pytest.raises(ValueError, match="alpha"):
        write_container(HEADER, Metadata(), [TileData(b"", b"")])
    with pytest.raises(ValueError, match="alpha"):
        write_container(replace(HEADER, mode="RGBA"), Metadata(), [TileData(b"")])


@pytest.mark.parametrize("data", [b"", b"\xe1", SIGNATURE[:7], b"\x89PNG\r\n\x1a\n" + bytes(20), b"\0" * 100])
def test_other_files_are_a_syntax_error(data: bytes) -> None:
    with pytest.raises(NotAgvError, match="not an AGV file"):
        read(data)


def test_text_mode_transfers_are_caught() -> None:
    data = SMALL_FILES[0][2]
    for wrong in (data.replace(b"\r\n", b"\n"), data.replace(b"\n", b"\r\n"), bytes(b & 0x7F for b in data)):
        with pytest.raises(NotAgvError):
            read(wrong)


@pytest.mark.parametrize(("header", "tiles", "data"), SMALL_FILES)
def test_every_truncation_is_noticed(header: Header, tiles: list[TileData], data: bytes) -> None:
    first_tile = data.index(tiles[0].kind) + (8 if header.tile_count == 1 else 0)
    for length in range(len(SIGNATURE), len(data)):
        if length < first_tile:
            with pytest.raises(TruncatedFileError, match="Truncated File Read"):
                read(data[:length])
            continue
        reader = read(data[:length])
        found = list(reader.tiles())
        assert len(found) == len(tiles)
        whole = sum(tile.error is None for tile in found)
        assert whole < len(tiles)
        assert found[:whole] == tiles[:whole]
        for tile in found[whole:]:
            assert tile.payload is tile.alpha is None
            assert isinstance(tile.error, TruncatedFileError)
            assert "image file is truncated (" in str(tile.error)
        with pytest.raises(TruncatedFileError, match=r"image file is truncated \(\d+ bytes not processed\)"):
            reader.verify()


def archives(data: bytes, folder: Path) -> Iterator[io.BufferedReader]:
    """Readers of the same bytes on top of other files."""
    (folder / "a.gz").write_bytes(gzip.compress(data))
    (folder / "a.xz").write_bytes(lzma.compress(data))
    (folder / "plain").write_bytes(b"before" + data)
    with tarfile.open(folder / "a.tar", "w") as tar:
        info = tarfile.TarInfo("a.agv")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.agv", data)
    yield io.BufferedReader(gzip.GzipFile(folder / "a.gz"))  # type: ignore[arg-type]
    yield io.BufferedReader(lzma.LZMAFile(folder / "a.xz"))  # type: ignore[arg-type]  # noqa: SIM115
    yield tarfile.TarFile(folder / "a.tar").extractfile("a.agv")  # type: ignore[misc]
    yield io.BufferedReader(tarfile.TarFile(folder / "a.tar").extractfile("a.agv"))  # type: ignore[type-var]
    with zipfile.ZipFile(folder / "a.zip") as packed, packed.open("a.agv") as member:
        yield io.BufferedReader(member)  # type: ignore[arg-type]
    yield io.BufferedReader(Slice(folder / "plain", len(b"before")))


class Slice(io.FileIO):
    """A file from a position on."""

    def __init__(self, path: Path, start: int) -> None:
        super().__init__(path)
        self.start = start
        super().seek(start)

    def seek(self, position: int, whence: int = 0, /) -> int:
        return super().seek(position + self.start * (whence == 0), whence) - self.start

    def tell(self) -> int:
        return super().tell() - self.start


def test_readers_on_top_of_other_files(tmp_path: Path) -> None:
    """Whose descriptor is that of the archive."""
    header = Header(130, 70, "RGB", 10240, "some-1", DIGEST, tile_size=64)
    tiles = [TileData(bytes([k]) * 20) for k in range(header.tile_count)]
    for file in archives(write_container(header, Metadata(), tiles), tmp_path):
        with file:
            assert list(Reader(file).tiles()) == tiles


@pytest.mark.parametrize(("header", "tiles", "data"), SMALL_FILES)
def test_every_bit_flip_is_noticed(header: Header, tiles: list[TileData], data: bytes) -> None:
    for position in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[position] ^= 1 << bit
            try:
                reader = read(bytes(flipped))
            except AgvError:
                continue
            assert reader.header == header
            damaged = [a.error is not None for a in reader.tiles()]
            assert sum(damaged) == 1
            assert [a for a, bad in zip(reader.tiles(), damaged, strict=True) if not bad] == [
                b for b, bad in zip(tiles, damaged, strict=True) if not bad
            ]
            with pytest.raises(AgvError):
                reader.verify()


def test_damaged_length_costs_one_tile() -> None:
    _header, tiles, data = SMALL_FILES[1]
    second = data.index(b"TILE", data.index(b"TILE") + 1)
    damaged = data[: second + 4] + b"\xff\xff\xff\xff" + data[second + 8 :]
    found = list(read(damaged).tiles())
    assert isinstance(found[1].error, DamagedFileError)
    assert found[:1] + found[2:] == tiles[:1] + tiles[2:]


def test_trailing_bytes_are_ignored() -> None:
    for _, tiles, data in SMALL_FILES:
        reader = read(data + bytes(100))
        reader.verify()
        assert list(reader.tiles()) == tiles


def test_unknown_ancillary_chunks_are_skipped() -> None:
    data = SIGNATURE + head() + chunk(b"abCd", b"?" * 100) + chunk(b"exif", b"e") + chunk(b"TILE", b"x")
    reader = read(data)
    assert reader.metadata == Metadata(exif=b"e")
    assert list(reader.tiles()) == [TileData(b"x")]


def test_newer_files_say_so() -> None:
    with pytest.raises(UnsupportedFileError, match=r"unsupported AGV version 3 \(this build reads up to 1\)"):
        read(SIGNATURE + chunk(b"HEAD", b"\x03future"))
    with pytest.raises(UnsupportedFileError, match="'RNGE'"):
        read(SIGNATURE + head() + chunk(b"RNGE", b"?") + chunk(b"TILE", b"x"))
    with pytest.raises(UnsupportedFileError, match="mode"):
        read(SIGNATURE + head(mode=9) + chunk(b"TILE", b"x"))
    with pytest.raises(UnsupportedFileError, match="flags"):
        read(SIGNATURE + head(flags=2) + chunk(b"TILE", b"x"))


@pytest.mark.parametrize(
    "body",
    [
        chunk(b"TILE", b"x") + head(),
        chunk(b"exif", b"e") + head() + chunk(b"TILE", b"x"),
        head() + head() + chunk(b"TILE", b"x"),
        head() + chunk(b"exif", b"1") + chunk(b"exif", b"1") + chunk(b"TILE", b"x"),
        head() + chunk(b"phys", b"1234") + chunk(b"TILE", b"x"),
        head() + chunk(b"phys", struct.pack(">dd", 0, -1)) + chunk(b"TILE", b"x"),
        head() + chunk(b"a\0cd", b"") + chunk(b"TILE", b"x"),
        head() + chunk(b"INDX", struct.pack(">I", 1)) + chunk(b"TILE", b"x"),
        head(tile=1) + chunk(b"TILE", b"x") * 4,
        head(tile=1) + chunk(b"INDX", struct.pack(">III", 1, 1, 1)) + chunk(b"TILE", b"x") * 3,
        head(tile=1) + chunk(b"INDX", struct.pack(">5I", 1, 1, 1, 1, 1)) + chunk(b"TILE", b"x") * 5,
        head(tile=1) + chunk(b"INDX", struct.pack(">4I", 1, 1, 1, 2**31)) + chunk(b"TILE", b"x") * 4,
        chunk(b"HEAD", b""),
        chunk(b"HEAD", b"\x01\x03"),
        head(version=0),
        head(width=0),
        head(height=2**32 - 1),
        head(frames=0),
        head(level=20481),
        head(tile=0),
        head(tile=17),
        head(mode=1, flags=1),
        head(mode=5, flags=1, more=bytes(4)),
        head(mode=5),
        head(mode=5, more=b"\0\0\1"),
        head(mode=5, more=b"\0\2\0\1"),
        head(mode=5, more=bytes(5)),
        head(mode=3, more=bytes(4)),
        head() + chunk(b"durs", bytes(8)) + chunk(b"TILE", b"x"),
        head() + chunk(b"durs", b"") + chunk(b"TILE", b"x"),
        head() + chunk(b"loop", bytes(3)) + chunk(b"TILE", b"x"),
        head() + chunk(b"loop", bytes(5)) + chunk(b"TILE", b"x"),
        head() + chunk(b"thmb", b"1") * 2 + chunk(b"TILE", b"x"),
        head(model=b""),
        head(model=b"a b"),
        head(model=b"\xff"),
        chunk(b"HEAD", head()[8:-4] + b"\0"),
        chunk(b"HEAD", head()[8:-5]),
    ],
)
def test_nonsense_with_right_checksums_is_damage(body: bytes) -> None:
    with pytest.raises(DamagedFileError, match="broken data stream when reading image file"):
        read(SIGNATURE + body)


def test_damaged_alpha_split_is_damage() -> None:
    for payload in (b"", b"\0\0\0", b"\0\0\0\x02x", b"\xff\xff\xff\xffx"):
        tiles = list(read(SIGNATURE + head(mode=4) + chunk(b"TILE", payload)).tiles())
        assert isinstance(tiles[0].error, DamagedFileError)


def test_damaged_metadata_is_an_error_unless_tolerated() -> None:
    good = SIGNATURE + head() + chunk(b"exif", b"exif") + chunk(b"cmnt", b"c") + chunk(b"TILE", b"x")
    data = good.replace(b"\x04exif", b"\x04eXif")
    with pytest.raises(DamagedFileError):
        read(data)
    assert read(data, damaged_ok=True).metadata == Metadata(comment=b"c")


@pytest.mark.parametrize("length", [2**31 - 1, 2**32 - 1])
@pytest.mark.parametrize(
    "kind", [b"HEAD", b"exif", b"phys", b"durs", b"loop", b"thmb", b"abcd", b"ABCD", b"INDX", b"TILE"]
)
def test_claimed_lengths_allocate_nothing(kind: bytes, length: int, tmp_path: Path) -> None:
    prefix = SIGNATURE + (b"" if kind == b"HEAD" else head(tile=1 if kind == b"INDX" else 16))
    path = tmp_path / "claim.agv"
    path.write_bytes(prefix + kind + struct.pack(">I", length) + bytes(100))
    with path.open("rb") as fp, peak_below(300_000), pytest.raises(AgvError):
        Reader(fp).verify()


@pytest.mark.parametrize("sides", [(MAX_SIDE, MAX_SIDE), (1024, 1024), (1, MAX_SIDE)])
@pytest.mark.parametrize("frames", [1, MAX_FRAMES])
def test_claimed_sizes_allocate_nothing(sides: tuple[int, int], frames: int) -> None:
    for tile in (1, 16):
        data = SIGNATURE + head(width=sides[0], height=sides[1], frames=frames, tile=tile)
        for rest in (chunk(b"TILE", bytes(100)), chunk(b"INDX", bytes(100)), b"INDX\xff\xff\xff\xff" + bytes(100)):
            with peak_below(300_000):
                try:
                    read(data + rest)
                except AgvError:
                    continue
                assert sides == (1024, 1024)
                assert (frames, tile) == (1, 16)


def test_open_reads_no_tiles() -> None:
    data = write_container(HEADER, Metadata(), [TileData(bytes(10_000_000))])
    fp = CountingFile(data)
    Reader(fp)
    assert fp.total < 1000


class Dribble(io.RawIOBase):
    """A stream that gives at most three bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readinto(self, buffer: Any) -> int:
        part = self._data.read(min(3, len(buffer)))
        buffer[: len(part)] = part
        return len(part)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._data.seek(offset, whence)

    def tell(self) -> int:
        return self._data.tell()


def test_short_reads_are_completed() -> None:
    _, tiles, data = SMALL_FILES[1]
    reader = Reader(Dribble(data))  # type: ignore[arg-type]
    assert list(reader.tiles()) == tiles


def test_file_may_start_anywhere() -> None:
    _, tiles, data = SMALL_FILES[1]
    fp = io.BytesIO(b"before" + data)
    fp.seek(6)
    assert list(Reader(fp).tiles()) == tiles


def check_contained(data: bytes) -> None:
    """Reading gives the documented errors or as many tiles as the header says, each whole or marked."""
    try:
        reader = read(data)
    except AgvError:
        return
    count = 0
    for tile in reader.tiles():
        count += 1
        assert (tile.payload is None) == (tile.error is not None)
    assert count == reader.header.tile_count
    with suppress(AgvError):
        reader.verify()


@settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SMALL_FILES), st.randoms(use_true_random=False))
def test_random_mutations_are_contained(case: tuple[Header, list[TileData], bytes], rng: random.Random) -> None:
    data = bytearray(case[2])
    for _ in range(rng.randint(1, 4)):
        position = rng.randrange(len(data))
        match rng.randrange(4):
            case 0:
                data[position] = rng.randrange(256)
            case 1:
                del data[position : position + rng.randint(1, 20)]
            case 2:
                data[position:position] = rng.randbytes(rng.randint(1, 20))
            case _:
                other = rng.randrange(len(data))
                data[position : position + 8] = data[other : other + 8]
        if not data:
            break
    check_contained(bytes(data))


known = [b"HEAD", b"INDX", b"TILE", b"exif", b"phys", b"iccp", b"cmnt", b"durs", b"loop", b"thmb", b"arry"]
kinds = st.sampled_from([*known, b"abcd", b"ABCD", b"\0\0\0\0"])
edges = st.sampled_from([0, 1, 2, 63, 64, 65, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1])


@settings(max_examples=500)
@given(
    st.builds(
        head,
        version=st.integers(0, 2),
        mode=st.integers(0, 6),
        flags=st.integers(0, 3),
        tile=st.sampled_from([0, 1, 16, 17, 255]),
        level=st.sampled_from([0, 20480, 20481, 65535]),
        width=edges,
        height=edges,
        frames=edges,
        model=st.binary(max_size=70),
        more=st.binary(max_size=5),
    ),
    st.lists(st.tuples(kinds, st.binary(max_size=40)), max_size=6),
)
def test_well_formed_chunks_of_nonsense_are_contained(header: bytes, chunks: list[tuple[bytes, bytes]]) -> None:
    check_contained(SIGNATURE + header + b"".join(chunk(kind, payload) for kind, payload in chunks))


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_anything_after_the_signature_is_contained(data: bytes) -> None:
    check_contained(SIGNATURE + data)


def test_metadata_takes_what_save_takes() -> None:
    exif = Image.Exif()
    assert Metadata(exif=exif).exif is None  # type: ignore[arg-type]
    exif[0x010E] = "a description"
    given = Metadata(exif=exif, xmp="<x/> \u00e9", comment="gr\u00fcn")  # type: ignore[arg-type]
    assert given == Metadata(exif=exif.tobytes(), xmp="<x/> \u00e9".encode(), comment="gr\u00fcn".encode())
    assert given.exif == exif.tobytes().removeprefix(b"Exif\0\0")
    assert given.to_info()["exif"] == exif.tobytes()
    with pytest.raises(ValueError, match="exif must be bytes, not str"):
        Metadata(exif="text")  # type: ignore[arg-type]
