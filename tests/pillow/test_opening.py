"""What can be opened, what it costs, and what is said of files that cannot."""

from __future__ import annotations

import io
import os
import struct
import tempfile
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, UnidentifiedImageError

from agvae.container import SIGNATURE
from pillow_agvae import AgvImagePlugin
from pillow_agvae.AgvImagePlugin import AgvImageFile
from tests.support.helpers import CountingFile
from tests.support.plugin import SIZE, opened

pytestmark = pytest.mark.usefixtures("tiny_weights")


class OnlyRead:
    def __init__(self, data: bytes) -> None:
        self._fp = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._fp.read(size)


@pytest.mark.parametrize("kind", ["str", "bytes", "path", "BytesIO", "file", "unbuffered", "spooled", "read", "offset"])
def test_sources(kind: str, path: Path, data: bytes, expected: bytes) -> None:
    with (
        path.open("rb") as file,
        path.open("rb", buffering=0) as unbuffered,
        path.open("rb") as offset,
        tempfile.SpooledTemporaryFile() as spooled,
    ):
        spooled.write(data)
        offset.seek(7)
        source: Any = {
            "str": str(path),
            "bytes": os.fsencode(path),
            "path": path,
            "BytesIO": io.BytesIO(data),
            "file": file,
            "unbuffered": unbuffered,
            "spooled": spooled,
            "read": OnlyRead(data),
            "offset": offset,
        }[kind]
        with Image.open(source) as im:
            assert (im.size, im.mode) == (SIZE, "RGB")
            assert im.tobytes() == expected


@pytest.mark.parametrize("formats", [["AGV"], ["agv"], ("Agv",)])
def test_formats_argument(formats: Any, path: Path) -> None:
    with Image.open(path, formats=formats) as im:
        assert im.size == SIZE


def test_other_formats_do_not_open_it(path: Path) -> None:
    with pytest.raises(UnidentifiedImageError):
        Image.open(path, formats=["PNG"])


def test_content_decides_not_the_extension(data: bytes, photo: Image.Image, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(data)
    photo.save(tmp_path / "b.agv", "PNG")
    with Image.open(tmp_path / "a.png") as a, Image.open(tmp_path / "b.agv") as b:
        assert (a.format, b.format) == ("AGV", "PNG")


def test_accept_takes_any_prefix(data: bytes) -> None:
    accept = Image.OPEN["AGV"][1]
    assert accept is not None
    for length in range(17):
        assert accept(data[:length]) is (length >= len(SIGNATURE))
    assert not accept(b"\x89PNG\r\n\x1a\n" + bytes(8))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_other_formats_still_open(photo: Image.Image) -> None:
    """Whatever Pillow writes and reads back without the plugin's help."""
    Image.init()
    found = set()
    for format in sorted(Image.SAVE.keys() & Image.OPEN.keys() - {"AGV"}):
        for mode in ("RGB", "1"):
            fp = io.BytesIO()
            try:
                photo.convert(mode).save(fp, format)
                alone = opened(fp.getvalue(), formats=[format])
            except (OSError, ValueError, KeyError):  # a mode that it does not write, or a library that is not there
                continue
            assert opened(fp.getvalue()).format == alone.format
            found.add(format)
    assert found >= {"PNG", "JPEG", "GIF", "BMP", "TIFF", "PPM", "TGA", "ICO", "PCX", "SGI", "XBM", "DIB"}


def test_constructor_refuses_other_files() -> None:
    with pytest.raises(SyntaxError, match="not an AGV file"):
        AgvImageFile(io.BytesIO(bytes(100)))


def test_open_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.agv"
    Image.new("RGB", (2048, 2048)).save(path)
    Image.open(path).close()  # what is imported on the way has its memory once
    tracemalloc.start()
    with Image.open(path):
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2 * path.stat().st_size + 200_000


def test_large_files_are_not_read_by_opening(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AgvImagePlugin, "HELD", path.stat().st_size - 1)
    file = CountingFile(path.read_bytes())
    with Image.open(file) as im:
        assert file.total < 200
        assert im.tobytes() == opened(path.read_bytes()).tobytes()


def test_bombs_are_refused_before_anything_is_decoded(bomb: bytes) -> None:
    with pytest.raises(Image.DecompressionBombError):
        opened(bomb)  # what is imported on the way has its memory once
    tracemalloc.start()
    with pytest.raises(Image.DecompressionBombError):
        opened(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000


def test_newer_files_say_so(data: bytes) -> None:
    newer = bytearray(data)
    newer[16] = 3
    (length,) = struct.unpack_from(">I", newer, 12)
    struct.pack_into(">I", newer, 16 + length, zlib.crc32(newer[8:12] + newer[16 : 16 + length]))
    with pytest.raises(OSError, match=r"unsupported AGV version 3 \(this build reads up to 1\)"):
        opened(bytes(newer))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("asked", [False, True])
def test_errors_name_the_cause(asked: bool, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where Pillow keeps the reasons of a format to itself unless asked for warnings."""
    if hasattr(Image, "WARN_POSSIBLE_FORMATS"):
        monkeypatch.setattr(Image, "WARN_POSSIBLE_FORMATS", asked)
    with pytest.raises(OSError, match="Truncated File Read"):
        opened(data[:20])
    with pytest.raises(OSError, match="wrong checksum of chunk HEAD"):
        opened(data[:20] + bytes(5) + data[25:])
