"""The Pillow plugin as a program sees it: everything through plain Pillow calls, with the real codec."""

from __future__ import annotations

import contextlib
import copy
import errno
import gc
import io
import multiprocessing
import os
import pickle
import random
import struct
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
import warnings
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
from PIL import ExifTags, Image, ImageFile, ImageOps, ImageSequence, UnidentifiedImageError

import agvae
import pillow_agvae
from agvae.coding import frames
from agvae.container import SIGNATURE, Header, Metadata, Reader, TileData, write_container
from pillow_agvae import AgvImagePlugin
from pillow_agvae.AgvImagePlugin import AgvImageFile
from tests.support.helpers import CountingFile, files_of_at_most, picture

pytestmark = pytest.mark.usefixtures("tiny_weights")

SIZE = (96, 64)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>'


def saved(im: Image.Image, **options: Any) -> bytes:
    fp = io.BytesIO()
    im.save(fp, "AGV", **options)
    return fp.getvalue()


def opened(data: bytes, **options: Any) -> Image.Image:
    return Image.open(io.BytesIO(data), **options)


def reopened(im: Image.Image, **options: Any) -> Image.Image:
    return opened(saved(im, **options))


@pytest.fixture
def photo() -> Image.Image:
    return Image.fromarray(picture(*SIZE))


@pytest.fixture
def data(photo: Image.Image) -> bytes:
    return saved(photo)


@pytest.fixture
def path(data: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "photo.agv"
    path.write_bytes(data)
    return path


@pytest.fixture
def expected(data: bytes) -> bytes:
    return opened(data).tobytes()


@pytest.fixture
def truncated_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)


def run(code: str, *arguments: object, options: tuple[str, ...] = ()) -> str:
    """What a fresh interpreter prints that runs `code`."""
    command = [sys.executable, *options, "-c", code, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


# Registration


def test_registered() -> None:
    assert Image.registered_extensions()[".agv"] == "AGV"
    assert {"AGV"} <= Image.OPEN.keys() & Image.SAVE.keys() & Image.SAVE_ALL.keys()


def test_registering_again_changes_nothing() -> None:
    pillow_agvae.register()
    pillow_agvae.register()
    assert Image.ID.count("AGV") == 1


def test_format_names(path: Path) -> None:
    with Image.open(path) as im:
        assert im.format == "AGV"
        assert im.format_description
        assert isinstance(im, AgvImageFile)
        assert im.get_format_mimetype() == Image.MIME["AGV"] == "image/x-agv"


@pytest.mark.parametrize(
    "order",
    [
        "import pillow_agvae",
        "Image.preinit(); import pillow_agvae",
        "Image.init(); import pillow_agvae",
        "import pillow_agvae; Image.init()",
    ],
)
def test_order_of_imports_does_not_matter(order: str, path: Path) -> None:
    code = f"import sys; from PIL import Image; {order}; print(Image.open(sys.argv[1]).size, Image.EXTENSION['.agv'])"
    assert run(code, path) == "(96, 64) AGV"


def test_without_the_plugin(path: Path) -> None:
    code = """
import sys
from PIL import Image
for call in (lambda: Image.open(sys.argv[1]), lambda: Image.open(sys.argv[1], formats=["AGV"]),
             lambda: Image.new("L", (1, 1)).save("x.agv"), lambda: Image.new("L", (1, 1)).save("x", "AGV")):
    try:
        call()
    except Exception as error:
        print(type(error).__name__, error)
"""
    lines = run(code, path).splitlines()
    assert lines[0].startswith("UnidentifiedImageError cannot identify image file")
    assert lines[1:] == ["KeyError 'AGV'", "ValueError unknown file extension: .agv", "KeyError 'AGV'"]


def test_import_and_open_are_light(path: Path) -> None:
    code = """
import sys
from PIL import Image
import pillow_agvae
im = Image.open(sys.argv[1])
im.size, im.mode, im.info, im.n_frames, im.verify()
print(sorted({"torch", "numpy", "constriction"} & set(sys.modules)))
"""
    assert run(code, path) == "[]"


# Opening


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


def test_open_costs_little(tmp_path: Path) -> None:
    path = tmp_path / "large.agv"
    Image.new("RGB", (2048, 2048)).save(path)
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        with Image.open(path) as im:
            seconds.append(time.perf_counter() - start)
            assert im.size == (2048, 2048)
    start = time.perf_counter()
    with Image.open(path) as im:
        im.load()
    assert min(seconds) < 0.02 * (time.perf_counter() - start)
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


def test_bombs_are_refused_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    header = Header(9000, 9000, "RGB", 0, "tiny", bytes(8))
    data = write_container(header, Metadata(), [TileData(b"?")] * header.tile_count)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**6)
    with pytest.raises(Image.DecompressionBombError):
        opened(data)  # what is imported on the way has its memory once
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(Image.DecompressionBombError):
        opened(data)
    seconds, peak = time.perf_counter() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < 0.05
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


# Damage


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


# Loading, closing, copying


def test_second_load_is_free(data: bytes) -> None:
    im = opened(data)
    first = im.load()
    assert first is not None
    start = time.perf_counter()
    second = im.load()
    assert time.perf_counter() - start < 0.001
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


# verify


def test_verify(path: Path, data: bytes) -> None:
    im = Image.open(path)
    assert isinstance(im, AgvImageFile)
    im.verify()
    assert im.fp is None
    for position in range(len(data) - 40, len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1
        broken = AgvImageFile(io.BytesIO(flipped))
        with pytest.raises(OSError, match="broken data stream when reading image file"):
            broken.verify()
        assert broken.fp is None
    with pytest.raises(OSError, match="image file is truncated"):
        opened(data[:-1]).verify()


def test_verify_does_not_decode(path: Path) -> None:
    code = "import sys, pillow_agvae; from PIL import Image; Image.open(sys.argv[1]).verify(); print(*sys.modules)"
    assert not {"torch", "numpy"} & set(run(code, path).split())


def test_verify_after_load(data: bytes, expected: bytes) -> None:
    im = opened(data)
    im.load()
    im.verify()
    assert im.tobytes() == expected


# Metadata


def some_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "maker"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:01:02 03:04:05"
    return exif


def test_plain_file_has_no_info(photo: Image.Image) -> None:
    photo.info |= {"dpi": (1, 1), "exif": b"Exif\0\0x", "xmp": b"x", "comment": b"c", "jfif": 3, (1, 2): 3}
    im = reopened(photo)
    assert im.info == {}
    assert dict(im.getexif()) == {}
    assert im.getxmp() == {}


def test_exif_object_round_trips(photo: Image.Image) -> None:
    exif = some_exif()
    before = dict(exif)
    read = reopened(photo, exif=exif).getexif()
    assert dict(exif) == before
    assert read[ExifTags.Base.Orientation] == 6
    assert read[ExifTags.Base.Make] == "maker"
    itself = Image.Exif()
    itself.load(exif.tobytes())
    assert read.get_ifd(ExifTags.IFD.Exif) == itself.get_ifd(ExifTags.IFD.Exif)


def test_exif_with_nothing_but_a_directory(photo: Image.Image) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:01:02 03:04:05"
    assert reopened(photo, exif=exif).info.get("exif", Image.Exif().tobytes()) == exif.tobytes()


@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_exif_bytes_are_stored_verbatim(prefix: bytes, photo: Image.Image) -> None:
    raw = some_exif().tobytes().removeprefix(b"Exif\0\0")
    im = reopened(photo, exif=prefix + raw)
    assert im.info["exif"] == b"Exif\0\0" + raw
    assert im.getexif()[ExifTags.Base.Orientation] == 6


@pytest.mark.parametrize("exif", [None, b"", b"Exif\0\0", Image.Exif()])
def test_no_exif(exif: Any, photo: Image.Image) -> None:
    assert "exif" not in reopened(photo, exif=exif).info


def test_garbage_exif_is_kept_and_harmless(photo: Image.Image) -> None:
    im = reopened(photo, exif=b"garbage")
    im.load()
    assert im.info["exif"] == b"Exif\0\0garbage"


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("as_bytes", [False, True])
def test_orientation_is_left_to_the_reader(orientation: int, as_bytes: bool, photo: Image.Image) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    im = reopened(photo, exif=exif.tobytes() if as_bytes else exif)
    plain = reopened(photo)
    assert im.tobytes() == plain.tobytes()
    plain.info["exif"] = exif.tobytes()
    turned = ImageOps.exif_transpose(im)
    assert turned is not None
    assert turned.size == (SIZE if orientation < 5 else SIZE[::-1])
    assert turned.tobytes() == ImageOps.exif_transpose(plain).tobytes()
    assert ExifTags.Base.Orientation not in turned.getexif()


def test_exif_is_not_taken_from_the_source(photo: Image.Image) -> None:
    fp = io.BytesIO()
    photo.save(fp, "JPEG", exif=some_exif())
    with Image.open(fp) as jpeg:
        assert "exif" not in reopened(jpeg).info
        assert jpeg.getexif()
        assert reopened(jpeg, exif=jpeg.getexif()).getexif()[ExifTags.Base.Make] == "maker"


def test_exif_can_be_edited(photo: Image.Image) -> None:
    im = reopened(photo, exif=some_exif())
    im.getexif()[ExifTags.Base.Make] = "x"
    assert reopened(im, exif=im.getexif()).getexif()[ExifTags.Base.Make] == "x"


def test_icc_profile(photo: Image.Image) -> None:
    profile = bytes(range(256))
    assert reopened(photo, icc_profile=profile).info == {"icc_profile": profile}
    photo.info["icc_profile"] = profile
    assert reopened(photo).info == {"icc_profile": profile}
    assert reopened(photo, icc_profile=None).info == {}
    assert reopened(photo, icc_profile=b"").info == {}


def test_xmp(photo: Image.Image) -> None:
    im = reopened(photo, xmp=XMP)
    assert im.info == {"xmp": XMP}
    assert reopened(photo, xmp=XMP.decode()).info == {"xmp": XMP}
    assert reopened(im).info == {}


def test_xmp_can_be_parsed(photo: Image.Image) -> None:
    pytest.importorskip("defusedxml")
    assert "xmpmeta" in reopened(photo, xmp=XMP).getxmp()


@pytest.mark.parametrize("dpi", [(300, 300), (72.009, 1e-3), [96, 48], (np.float32(1.5), np.int64(2))])
def test_dpi(dpi: Any, photo: Image.Image) -> None:
    assert reopened(photo, dpi=dpi).info == {"dpi": tuple(float(v) for v in dpi)}


@pytest.mark.parametrize(
    "dpi", [300, (300,), (1, 2, 3), (0, 1), (-1, 1), (float("nan"), 1), ("a", "b"), "12", (10**400, 1)]
)
def test_wrong_dpi(dpi: Any, photo: Image.Image) -> None:
    with pytest.raises(ValueError, match="dpi"):
        saved(photo, dpi=dpi)


def test_comment(photo: Image.Image) -> None:
    assert reopened(photo, comment="grün").info == {"comment": "grün".encode()}
    assert reopened(photo, comment=b"\xff\0").info == {"comment": b"\xff\0"}


@pytest.mark.parametrize("option", ["exif", "icc_profile", "xmp", "comment", "model"])
def test_wrong_types_of_options(option: str, photo: Image.Image) -> None:
    with pytest.raises(ValueError, match=option):
        saved(photo, **{option: 12})


def test_large_metadata(photo: Image.Image) -> None:
    blob = random.Random(0).randbytes(5_000_000)
    im = reopened(photo, icc_profile=blob, xmp=blob[::-1])
    assert im.info == {"icc_profile": blob, "xmp": blob[::-1]}


class Slow(io.RawIOBase):
    """An unbuffered file that takes `step` bytes at a time, None for one that takes none now."""

    def __init__(self, step: int | None) -> None:
        self.step, self.data = step, b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int | None:
        if self.step is None:
            return None
        if self.step < 0:
            return self.step
        self.data += bytes(data[: self.step])
        return len(data[: self.step])


@pytest.mark.parametrize("wrapped", [False, True])
def test_short_writes_are_continued(wrapped: bool, photo: Image.Image) -> None:
    def target(step: int | None) -> Any:
        return tempfile._TemporaryFileWrapper(Slow(step), "x", delete=False) if wrapped else Slow(step)  # type: ignore[type-var]

    fp = target(100)
    photo.save(fp, "AGV")
    assert fp.data == saved(photo)
    for step in (0, None, -1):
        with pytest.raises(OSError, match="could not write"):
            photo.save(target(step), "AGV")


@pytest.mark.parametrize("answer", [None, True, False, 0, -1, 7, 10**9, "", "all"])
def test_only_raw_files_count_what_they_wrote(answer: Any, photo: Image.Image, data: bytes) -> None:
    """Compressors say how much came out of them, others anything else."""

    class Written(list[bytes]):
        def write(self, part: bytes) -> Any:
            self.append(bytes(part))
            return answer

    target = Written()
    photo.save(target, "AGV")  # type: ignore[call-overload]
    assert target == [data]


# Modes, sizes, quality


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_native_modes(mode: str, photo: Image.Image) -> None:
    im = reopened(photo.convert(mode), quality=6)
    assert (im.mode, im.size) == (mode, SIZE)
    difference = np.asarray(im).astype(int) - np.asarray(photo.convert(mode))
    assert np.abs(difference).mean() < 10


def transparent_palette(photo: Image.Image) -> Image.Image:
    im = photo.convert("P", palette=Image.Palette.ADAPTIVE)
    im.info["transparency"] = im.getpixel((0, 0))
    return im


@pytest.mark.parametrize(
    ("make", "mode"),
    [
        (lambda im: im.convert("1"), "L"),
        (lambda im: im.convert("P"), "RGB"),
        (transparent_palette, "RGBA"),
        (lambda im: im.convert("PA"), "RGBA"),
        (lambda im: im.convert("LA").convert("La"), "LA"),
        (lambda im: im.convert("RGBA").convert("RGBa"), "RGBA"),
        (lambda im: im.convert("RGBX"), "RGB"),
        (lambda im: im.convert("YCbCr"), "RGB"),
    ],
)
def test_converted_modes(make: Any, mode: str, photo: Image.Image) -> None:
    source = make(photo)
    before = source.mode
    im = reopened(source)
    assert im.mode == mode
    assert im.tobytes() == reopened(source.convert(mode)).tobytes()
    assert source.mode == before


def test_palette_alpha_is_kept() -> None:
    im = Image.new("PA", (20, 10))
    im.putpalette([0, 0, 0, 255, 255, 255])
    im.putpixel((3, 4), (1, 77))
    alpha = reopened(im).getchannel("A")
    assert alpha.getpixel((3, 4)) == 77
    assert alpha.getpixel((0, 0)) == im.getpixel((0, 0))[1]  # type: ignore[index]


@pytest.mark.parametrize(("mode", "colour"), [("RGB", (1, 2, 3)), ("L", 9), ("1", 0)])
def test_transparent_colour_becomes_alpha(mode: str, colour: Any) -> None:
    im = Image.new(mode, (20, 10), 255 if mode != "RGB" else (255, 255, 255))
    im.paste(colour, (0, 0, 5, 5))
    im.info["transparency"] = colour
    read = reopened(im)
    assert read.mode == ("RGBA" if mode == "RGB" else "LA")
    assert read.getchannel("A").getpixel((0, 0)) == 0
    assert read.getchannel("A").getpixel((10, 8)) == 255


@pytest.mark.parametrize("mode", ["L", "RGB", "1", "P"])
@pytest.mark.parametrize("value", ["x", (1, 2), 3.5, None, object()])
def test_impossible_transparency(mode: str, value: Any) -> None:
    im = Image.new(mode, (20, 10))
    im.info["transparency"] = value
    with contextlib.suppress(ValueError):  # Pillow makes sense of some
        assert reopened(im).size == im.size


def test_transparency_of_a_wrong_type_is_a_value_error() -> None:
    im = Image.new("RGB", (20, 10))
    im.info["transparency"] = "x"
    with pytest.raises(ValueError, match="cannot apply transparency 'x' to mode RGB"):
        saved(im)


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "HSV", "I", "F"])
def test_refused_modes(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "x.agv"
    with pytest.raises(OSError, match=f"cannot write mode {mode} as AGV"):
        Image.new(mode, (5, 5)).save(path)
    assert not path.exists()


def test_alpha_is_exact(photo: Image.Image) -> None:
    alpha = Image.radial_gradient("L").resize(SIZE)
    photo.putalpha(alpha)
    assert reopened(photo, quality=1).getchannel("A").tobytes() == alpha.tobytes()
    photo.putalpha(0)
    assert reopened(photo).getchannel("A").getextrema() == (0, 0)


def test_grey_image_decodes_to_grey(photo: Image.Image) -> None:
    grey = photo.convert("L")
    colour = grey.convert("RGB")
    bands = reopened(colour).split()
    assert bands[0].tobytes() == bands[1].tobytes() == bands[2].tobytes()
    assert abs(len(saved(colour)) - len(saved(grey))) < 5


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 3), (7, 5), (65, 33), (20000, 1)])
@pytest.mark.parametrize("mode", ["RGB", "LA"])
def test_sizes(size: tuple[int, int], mode: str) -> None:
    im = reopened(Image.new(mode, size))
    im.load()
    assert im.size == size


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_empty_image(size: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "x.agv"
    with pytest.raises(ValueError, match="cannot write empty image"):
        Image.new("RGB", size).save(path)
    assert not path.exists()


@pytest.mark.parametrize(
    "options", [{"quality": 3}, {"quality": np.float32(3)}, {"s": 3}, {"s": 3, "l": 0.0}, {"quality": 40}]
)
def test_quality(options: dict[str, Any], photo: Image.Image) -> None:
    assert saved(photo, **options) == saved(photo, quality=3.0)


def test_size_grows_with_quality(photo: Image.Image) -> None:
    sizes = [len(saved(photo, quality=q)) for q in range(1, 7)]
    assert sizes == sorted(set(sizes))
    assert len(saved(photo)) == len(saved(photo, quality=3.5))


@pytest.mark.parametrize("quality", [float("nan"), float("inf"), -1, 0, 7, 101, 1e9, "75", None, True])
def test_wrong_quality(quality: Any, photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "x.agv"
    with pytest.raises(ValueError, match=r"Invalid quality setting.* 1 to 6.* 10 to 100"):
        photo.save(path, quality=quality)
    assert not path.exists()


def test_quality_excludes_s(photo: Image.Image) -> None:
    with pytest.raises(ValueError, match="not both"):
        saved(photo, quality=3, s=3)


def test_targets_of_size_and_psnr(photos: list[Image.Image]) -> None:
    photo, options = photos[0], {"save_all": True, "append_images": photos[1:]}
    low, high = len(saved(photo, quality=1, **options)), len(saved(photo, quality=6, **options))
    size = (low + high) // 2
    assert 0.98 * size <= len(saved(photo, target_size=size, **options)) <= size
    bpp = 8 * size / (3 * SIZE[0] * SIZE[1])
    assert saved(photo, target_bpp=bpp, **options) == saved(photo, target_size=size, **options)
    mse = np.mean((np.asarray(reopened(photo, target_psnr=28)).astype(float) - np.asarray(photo)) ** 2)
    assert 10 * np.log10(255**2 / mse) == pytest.approx(28, abs=0.06)


@pytest.mark.parametrize(
    "options",
    [
        {"quality": 3, "target_size": 1000},
        {"s": 3, "target_bpp": 1},
        {"target_psnr": 30, "target_bpp": 1},
        {"target_size": 1},
        {"target_size": "1000"},
        {"target_psnr": 90},
    ],
)
def test_wrong_targets(options: dict[str, Any], photo: Image.Image, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"only one of|target_|cannot be reached"):
        photo.save(tmp_path / "x.agv", **options)
    assert not (tmp_path / "x.agv").exists()


# Saving


@pytest.mark.filterwarnings("error")
def test_options_of_other_formats_are_taken(photo: Image.Image, data: bytes) -> None:
    """How hard JPEG, PNG, WebP or AVIF would try: programs pass them whatever the format is."""
    for options in (
        {"optimize": True, "progressive": True, "subsampling": 0, "keep_rgb": True},
        {"compress_level": 9, "compression": "tiff_lzw", "interlace": 1, "disposal": 2},
        {"method": 6, "lossless": False, "alpha_quality": 100, "allow_mixed": True, "minimize_size": True},
        {"speed": 4, "codec": "aom", "max_threads": 2, "advanced": {}, "pnginfo": None, "transparency": None},
    ):
        assert saved(photo, **options) == data


def test_unknown_options_are_warned_of(photo: Image.Image, data: bytes) -> None:
    """Once for a line of a program, as Python does, however many files it saves."""
    for im in (photo, opened(data)):
        for name in ("qualtiy", "pnginfo", "transparency"):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("default")
                for _ in range(3):
                    saved(im, **{name: 1})
            assert [str(warning.message) for warning in caught] == [f"AGV has no option {name!r}: it is ignored"]
            assert caught[0].filename == __file__


def test_options_that_cannot_be_met(photo: Image.Image, path: Path, data: bytes) -> None:
    with pytest.raises(ValueError, match="append_images"):
        saved(photo, append=True)
    with pytest.raises(ValueError, match="append_images"):
        photo.save(path, append=True)
    assert path.read_bytes() == data


def test_duration_and_loop_of_one_image(photo: Image.Image) -> None:
    assert reopened(photo, duration=40, loop=2).info == {"duration": 40, "loop": 2}


@pytest.mark.parametrize("name", ["lossless", "quality", "comment", "dpi"])
def test_errors_of_saving_name_the_file(name: str, photo: Image.Image, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^\S*photo\.agv: \S"):
        photo.save(tmp_path / "photo.agv", **{name: 7})
    with pytest.raises(ValueError, match=rf"^(?!.*\.agv).*{name}"):
        saved(photo, **{name: 7})
    with pytest.raises(OSError, match=r"photo\.agv: cannot write mode CMYK as AGV"):
        photo.convert("CMYK").save(os.fsencode(tmp_path / "photo.agv"))


def test_errors_of_reading_name_the_file(path: Path, frames_path: Path) -> None:
    for file in (path, frames_path):
        file.write_bytes(file.read_bytes()[:-1])
        for call in (AgvImageFile.load, AgvImageFile.verify):
            with Image.open(file) as im:
                if file == frames_path:
                    im.seek(2)
                with pytest.raises(OSError, match=rf"{file.name}: image file is truncated"):
                    call(im)  # type: ignore[arg-type]
        file.write_bytes(file.read_bytes()[:40])
        with pytest.raises(OSError, match=rf"{file.name}: Truncated File Read"):
            Image.open(file)


def test_same_image_same_bytes(photo: Image.Image, data: bytes, tiny_weights: Path, tmp_path: Path) -> None:
    assert saved(photo) == data
    photo.save(tmp_path / "a.png")
    code = """
import pathlib, sys
import torch, pillow_agvae
from PIL import Image
from agvae.weights import registries
registries.BUNDLED = pathlib.Path(sys.argv[1])
torch.set_num_threads(2)
Image.open(sys.argv[2] + "/a.png").save(sys.argv[2] + "/a.agv")
"""
    run(code, tiny_weights, tmp_path)
    assert (tmp_path / "a.agv").read_bytes() == data


def test_saving_changes_nothing(photo: Image.Image) -> None:
    photo.info["icc_profile"] = b"icc"
    pixels, info = photo.tobytes(), dict(photo.info)
    saved(photo, quality=2, exif=some_exif())
    assert photo.tobytes() == pixels
    assert photo.info == info
    frames = [photo, photo.convert("P"), photo.convert("LA")]
    before = [(frame.mode, frame.tobytes(), dict(frame.info)) for frame in frames]
    options = {"append_images": frames[1:], "duration": [1, 2, 3]}
    given = copy.deepcopy(options["duration"])
    saved(photo, save_all=True, **options)
    assert [(frame.mode, frame.tobytes(), frame.info) for frame in frames] == before
    assert (options["duration"], len(options["append_images"])) == (given, 2)
    if int(PIL.__version__.split(".")[0]) >= 12:  # older Pillows leave the options there
        assert photo.encoderinfo == {}


def test_targets(photo: Image.Image, data: bytes, tmp_path: Path) -> None:
    for name, options in (("a.AGV", {}), ("b.agv", {}), ("c.bin", {"format": "agv"})):
        photo.save(tmp_path / name, **options)
        photo.save(str(tmp_path / name), **options)
        assert (tmp_path / name).read_bytes() == data
    fp = io.BytesIO(b"head")
    fp.seek(4)
    photo.save(fp, "AGV")
    assert fp.getvalue() == b"head" + data


class OnlyWrite:
    def __init__(self) -> None:
        self.calls: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.calls.append(bytes(data))
        return len(data)


class Full:
    def write(self, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "disk full")


def test_one_write_is_all_it_takes(photo: Image.Image, data: bytes) -> None:
    target = OnlyWrite()
    photo.save(target, "AGV")  # type: ignore[arg-type]
    assert target.calls == [data]


def test_errors_of_the_target_pass(photo: Image.Image) -> None:
    with pytest.raises(OSError, match="disk full") as caught:
        photo.save(Full(), "AGV")  # type: ignore[arg-type]
    assert caught.value.errno == errno.ENOSPC


def test_saving_over_the_source(path: Path) -> None:
    with Image.open(path) as im:
        im.save(path)
    with Image.open(path) as im:
        im.load()
        assert im.size == SIZE


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_lazy_image_saves_as_other_formats(format: str, photo: Image.Image) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "maker"
    im = reopened(photo, exif=exif)
    fp = io.BytesIO()
    im.save(fp, format, exif=im.getexif())
    with Image.open(fp) as read:
        assert read.size == SIZE
        assert read.getexif()[ExifTags.Base.Make] == "maker"


# Frames


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


@pytest.fixture
def photos() -> list[Image.Image]:
    return [Image.fromarray(picture(*SIZE, seed)) for seed in range(3)]


@pytest.fixture
def frames_data(photos: list[Image.Image]) -> bytes:
    return saved(photos[0], save_all=True, append_images=photos[1:], duration=[40, 20.5, 0], loop=0, comment="c")


@pytest.fixture
def frames_path(frames_data: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "frames.agv"
    path.write_bytes(frames_data)
    return path


@pytest.fixture
def expected_frames(frames_data: bytes) -> list[bytes]:
    """The frames as the codec gives them, which is not what is tested here."""
    frames = [agvae.decode(frames_data, frame=index).tobytes() for index in range(3)]
    assert len(set(frames)) == 3
    return frames


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


# Frames: files


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


# 16-bit grey


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B", "I;16N"])
def test_16_bit_grey(mode: str) -> None:
    values = 500 + 100 * picture(*SIZE)[..., 0].astype(np.uint16)
    layout = {"I;16B": ">u2", "I;16N": "=u2"}.get(mode, "<u2")
    im = reopened(Image.frombytes(mode, SIZE, values.astype(layout).tobytes()), quality=6)
    assert (im.mode, im.size, im.info) == ("I;16", SIZE, {})
    decoded = np.asarray(im)
    assert decoded.dtype == np.uint16
    assert np.abs(decoded.astype(int) - values).mean() < 1000
    assert decoded.min() >= values.min()
    assert decoded.max() <= values.max()


def test_16_bit_grey_behaves_like_any_image(tmp_path: Path) -> None:
    values = 500 + 100 * picture(*SIZE)[..., 0].astype(np.uint16)
    path = tmp_path / "deep.agv"
    Image.fromarray(values).save(path)
    with Image.open(path) as im:
        twin = pickle.loads(pickle.dumps(im))
        assert twin.tobytes() == im.tobytes() == agvae.decode(path).astype("<u2").tobytes()
        for format in ("PNG", "TIFF"):
            fp = io.BytesIO()
            im.save(fp, format)
            assert opened(fp.getvalue()).tobytes() == im.tobytes()
    frames = reopened(Image.fromarray(values), save_all=True, append_images=[Image.fromarray(values // 2)])
    means = [np.asarray(frame).mean() for frame in ImageSequence.Iterator(frames)]
    assert means[0] > 1.5 * means[1]


# Thumbnails


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


# Parser, threads, processes


@pytest.mark.parametrize("step", [1, 100])
def test_parser(step: int, data: bytes, expected: bytes) -> None:
    parser = ImageFile.Parser()
    for start in range(0, len(data), step):
        parser.feed(data[start : start + step])
    assert parser.close().tobytes() == expected


@pytest.mark.parametrize("missing", [1, 100])
def test_parser_with_missing_tail(missing: int, data: bytes) -> None:
    parser = ImageFile.Parser()
    parser.feed(data[:-missing])
    with pytest.raises(OSError, match="truncated"):
        parser.close()


def test_threads_with_own_images(data: bytes, expected: bytes) -> None:
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: opened(data).tobytes(), range(32)))
    assert set(results) == {expected}


def test_threads_sharing_an_image(path: Path, expected: bytes) -> None:
    for _ in range(25):
        with Image.open(path) as im:
            barrier = threading.Barrier(4)

            def read(im: Image.Image = im, barrier: threading.Barrier = barrier) -> bytes:
                barrier.wait()
                return im.tobytes()

            with ThreadPoolExecutor(4) as pool:
                results = [future.result() for future in [pool.submit(read) for _ in range(4)]]
        assert set(results) == {expected}


def test_threads_sharing_a_broken_image(data: bytes) -> None:
    im = opened(data[:-1])
    with ThreadPoolExecutor(4) as pool:
        errors = [future.exception() for future in [pool.submit(im.tobytes) for _ in range(16)]]
    assert all(isinstance(error, OSError) and "truncated" in str(error) for error in errors)


def test_threads_encoding(photo: Image.Image, data: bytes) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: saved(photo), range(16))) == {data}


def test_threads_sharing_frames(frames_path: Path, expected_frames: list[bytes]) -> None:
    """Whoever seeks and loads meanwhile, each result is one whole frame."""
    with Image.open(frames_path) as im:
        barrier = threading.Barrier(4)

        def read(seed: int) -> set[bytes]:
            rng, results = random.Random(seed), set()
            barrier.wait()
            for _ in range(30):
                im.seek(rng.randrange(3))
                results.add(im.tobytes())
            return results

        with ThreadPoolExecutor(4) as pool:
            found = set().union(*pool.map(read, range(4)))
    assert found == set(expected_frames)


@pytest.mark.parametrize("format", ["AGV", "PNG"])
def test_threads_saving_the_frames_of_one_image(format: str, frames_data: bytes) -> None:
    def save(im: Image.Image, loop: int) -> bytes:
        fp = io.BytesIO()
        im.save(fp, format, save_all=True, loop=loop)
        return fp.getvalue()

    shared = opened(frames_data)
    wanted = [save(opened(frames_data), loop) for loop in range(6)]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda loop: save(shared, loop), range(6))) == wanted
    if format == "AGV":  # Pillow's own writers leave an image at its last frame
        assert shared.tell() == 0


def test_threads_saving_images_that_append_each_other(frames_data: bytes, photo: Image.Image) -> None:
    images = [opened(frames_data), opened(frames_data)]
    firsts = [*images, photo.copy(), *images, photo.copy()]

    def save(first: Image.Image) -> bytes:
        return saved(first, save_all=True, append_images=[im for im in images[::-1] if im is not first], quality=1)

    wanted = [save(first) for first in firsts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(save, firsts)) == wanted


def test_seek_while_another_thread_loads(frames_data: bytes, expected_frames: list[bytes]) -> None:
    im = opened(frames_data)
    with ThreadPoolExecutor(2) as pool:
        for frame in (1, 2, 0) * 5:
            loading = pool.submit(im.load)
            im.seek(frame)
            loading.result()
            assert im.tell() == frame
            assert im.tobytes() == expected_frames[frame]


def test_threads_verifying_and_loading(path: Path, expected: bytes) -> None:
    for _ in range(20):
        with Image.open(path) as im, ThreadPoolExecutor(2) as pool:
            loading, verifying = pool.submit(im.tobytes), pool.submit(im.verify)  # type: ignore[attr-defined]
            try:
                assert loading.result() == expected
            except ValueError as error:  # verify was first, and closed the file
                assert "Operation on closed image" in str(error)  # noqa: PT017
            verifying.result()


def load_in_child(arguments: tuple[str, str]) -> bytes:
    from agvae.weights import registries

    registries.BUNDLED = Path(arguments[0])
    with Image.open(arguments[1]) as im:
        return im.tobytes()


def test_spawned_process(path: Path, tiny_weights: Path, expected: bytes) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(load_in_child, ((str(tiny_weights), str(path)),)) == expected


CONFORMING_PROGRAM = """
import io, pathlib, sys
import pillow_agvae
from PIL import Image
from agvae.weights import registries

registries.BUNDLED = pathlib.Path(sys.argv[1])
data = pathlib.Path(sys.argv[2]).read_bytes()
with Image.open(sys.argv[2]) as im:
    pixels = im.tobytes()
with Image.open(io.BytesIO(data)) as im:
    im.verify()
fp = io.BytesIO()
Image.frombytes("RGB", (96, 64), pixels).save(fp, "AGV", quality=75)
failures = 0
for damaged in (data[:-1], data[:30], data[:-9] + bytes(9)):
    try:
        Image.open(io.BytesIO(damaged)).load()
    except OSError:
        failures += 1
with Image.open(sys.argv[2]) as im:
    pass
try:
    im.load()
except ValueError:
    failures += 1
print(failures, len(pixels))
"""


@pytest.mark.parametrize("options", [("-OO",), ("-W", "error")])
def test_interpreter_options(options: tuple[str, ...], path: Path, tiny_weights: Path) -> None:
    assert run(CONFORMING_PROGRAM, tiny_weights, path, options=options) == f"4 {3 * 96 * 64}"
