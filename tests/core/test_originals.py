"""What pictures of other formats bring along: what Pillow does not hand on is told, never lost without a word."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import AppendingTiffWriter

import agvae
import pillow_agvae  # noqa: F401
from agvae.conversion.jpeg_xl import Header, boxes, header_of
from agvae.conversion.originals import metadata_lost
from tests.support.commands import run


def encoded(path: Path, capsys: pytest.CaptureFixture[str], *options: str, status: int = 0) -> tuple[Path, str]:
    """The .agv file that `agvae encode` makes of a file, and what it says."""
    agv = path.with_suffix(".agv")
    assert run("encode", path, agv, "--lossless", "--quiet", "--force", *options) == status
    return agv, capsys.readouterr().err


CONTAINER = "0000000c4a584c200d0a870a00000014667479706a786c20000000006a786c20"
JPEG_XL = {
    "u8": ("ff0a4140240804010038004b188b158015ea7f000c245f4d0c", Header()),
    "u10": ("ff0a415040d122080401003c004b188b1580ddd4ff001856a99a400f", Header(10)),
    "u16": (
        CONTAINER + "000000096a786c6c0a000000256a786c63ff0a41f00350b408080401003c004b188b1580ddd4ff001856a99a400f",
        Header(16),
    ),
    "u16 with alpha": (
        CONTAINER + "000000096a786c6c0a0000002a6a786c63ff0a41f023f801a068110810100048004b188b1580ddc0ff0028568b0000"
        "48410f3d",
        Header(16, further=1),
    ),
    "f32": (
        CONTAINER + "000000096a786c6c0a000000356a786c63ff0a41c801142d02080401007c004b386898c283f71514c414f764e09ff1"
        "b7eb020000c083310200001e0000f0",
        Header(32),
    ),
    "film": (
        "ff0a41044d0020260804010038004b188b158015ea7f000c245f4d0c0804050038004b188b158055ea7f000c655c4d04",
        Header(8, film=True),
    ),
    "bands": ("ff0a4140810ea00350dc08084000010038004b188b15804df53f800379ba6a02", Header(8, further=2)),
}
"""Files of 8 x 8 pixels as libjxl wrote them, and what their headers say."""
JPEG_XL["u8 in a box"] = (CONTAINER + "000000216a786c63" + JPEG_XL["u8"][0], Header())


Fields = list[tuple[int, int]]


def header_bits(*fields: tuple[int, int]) -> bytes:
    """Numbers of so many bits as JPEG XL has them, behind its signature."""
    text = "".join(f"{value:0{size}b}"[::-1] for value, size in fields)
    text += "0" * (-len(text) % 8)
    return b"\xff\x0a" + bytes(int(text[at : at + 8][::-1], 2) for at in range(0, len(text), 8))


class TestJpegXl:
    @pytest.mark.parametrize("name", JPEG_XL)
    def test_headers_of_files(self, name: str) -> None:
        data, expected = JPEG_XL[name]
        assert header_of(io.BytesIO(bytes.fromhex(data))) == expected

    @pytest.mark.parametrize(
        ("size", "depth"),
        [
            ([(1, 1), (0, 5), (1, 3)], [(0, 1), (0, 2)]),
            ([(0, 1), (3, 2), (70000, 30), (0, 3), (1, 2), (999, 13)], [(0, 1), (3, 2), (7, 6)]),
            ([(1, 1), (3, 5), (0, 3), (9, 5)], [(1, 1), (1, 2), (4, 4)]),
        ],
        ids=[8, 8, 16],
    )
    @pytest.mark.parametrize("shown", [[(0, 1)], [(1, 1), (0, 1), (1, 2), (300, 13), (2, 3)]])
    @pytest.mark.parametrize(
        "preview",
        [
            [(0, 1)],
            [(1, 1), (1, 1), (2, 2), (7, 5), (1, 3)],
            [(1, 1), (0, 1), (1, 2), (9, 8), (0, 3), (0, 2), (1, 6)],
        ],
    )
    def test_headers_with_all_that_may_be_in_them(
        self, size: Fields, depth: Fields, shown: Fields, preview: Fields, request: pytest.FixtureRequest
    ) -> None:
        film = [(1, 1), (2, 2), (23, 10), (1, 2), (3, 2), (500, 32), (1, 1)]
        spot = [(0, 1), (2, 2), (0, 4), (0, 1), (3, 2), (11, 6), (0, 2), (1, 2), (3, 4), *[(97, 8)] * 3, (1, 64)]
        mosaic = [(0, 1), (2, 2), (3, 4), (0, 1), (0, 2), (0, 2), (0, 2), (2, 2), (7, 4)]
        alpha = [(0, 1), (0, 2), (0, 1), (0, 2), (0, 2), (0, 2), (1, 1)]
        bands = [(2, 2), (2, 4), *spot, *mosaic, *alpha, (1, 1)]
        data = header_bits(*size, (0, 1), (1, 1), (5, 3), *shown, *preview, *film, *depth, (1, 1), *bands)
        expected = Header(16 if depth[0] == (1, 1) else 12, film=True, further=4)
        assert header_of(io.BytesIO(data)) == expected
        parts = [
            struct.pack(">I4sI", 12 + len(part), b"jxlp", number) + part
            for number, part in enumerate((data[:3], data[3:]))
        ]
        assert header_of(io.BytesIO(bytes.fromhex(CONTAINER) + b"".join(parts))) == expected
        for end in range(len(data) - 1):
            assert header_of(io.BytesIO(data[:end])) is None

    @given(st.binary(max_size=80), st.sampled_from([b"", b"\xff\x0a", bytes.fromhex(CONTAINER)]))
    def test_any_bytes(self, data: bytes, start: bytes) -> None:
        header_of(io.BytesIO(start + data))

    def test_boxes_without_end(self) -> None:
        assert len(list(boxes(io.BytesIO(bytes.fromhex("0000000866726565") * 100_000)))) == 10_000
        assert list(boxes(io.BytesIO(struct.pack(">I4sQ", 1, b"free", 2**64 - 1)))) == [(b"free", 0)]

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("u8", ""),
            ("u10", "8 of its 10 bits are kept, as Pillow reads it so"),
            ("u16 with alpha", "8 of its 16 bits are kept, as Pillow reads it so"),
            ("f32", "8 of its 32 bits are kept, as Pillow reads it so"),
            ("film", "only the first frame of its film, as Pillow reads it so"),
            ("bands", "without 2 of its 3 bands, as Pillow reads it so"),
        ],
    )
    def test_what_is_not_read_is_not_kept_without_loss(
        self, name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_weights_folder: Path
    ) -> None:
        pytest.importorskip("pillow_jxl")
        path = tmp_path / "a.jxl"
        path.write_bytes(bytes.fromhex(JPEG_XL[name][0]))
        agv, error = encoded(path, capsys, status=bool(said))
        assert error == (f"agvae: error: {path}: cannot be kept without loss: {said}\n" if said else "")
        with agvae.options.using(weights=tiny_weights_folder, offline=True):
            assert run("encode", path, agv, "--model", "tiny", "--quiet", "--force") == 0
        assert said in capsys.readouterr().err


def signed_tiff(values: np.ndarray, *, order: str = "<", big: bool = False) -> bytes:
    """A file of 8-bit integers with signs."""
    height, width = values.shape
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 0), (277, 1), (278, height)]
    tags += [(279, values.size), (339, 2)]
    place = (16 + 8 + 20 * len(tags) + 8) if big else (8 + 2 + 12 * len(tags) + 4)
    tags = [(tag, place if tag == 273 else value) for tag, value in tags]
    start = {"<": b"II", ">": b"MM"}[order]
    if big:
        head = start + struct.pack(f"{order}HHHQQ", 43, 8, 0, 16, len(tags))
        entries = b"".join(struct.pack(f"{order}HHQHHHH", tag, 3, 1, value, 0, 0, 0) for tag, value in tags) + bytes(8)
    else:
        head = start + struct.pack(f"{order}HIH", 42, 8, len(tags))
        entries = b"".join(struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in tags) + bytes(4)
    return head + entries + values.tobytes()


class TestSignedValues:
    @pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
    def test_of_8_bits(self, order: str, big: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path, values = tmp_path / "a.tif", np.arange(64, dtype=np.int8).reshape(8, 8)
        path.write_bytes(signed_tiff(values, order=order, big=big))
        agv, error = encoded(path, capsys)
        assert error == ""
        np.testing.assert_array_equal(agvae.decode(agv), values)
        path.write_bytes(signed_tiff(values - 40, order=order, big=big))
        _, error = encoded(path, capsys, status=1)
        assert "AGV holds 16 bits, 0 to 65535, and this has values from -40 to 23: bring them into" in error
        assert run("encode", path, agv, "--quiet", "--force") == 1
        assert "values from -40 to 23" in capsys.readouterr().err

    def test_of_a_further_page(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        first, second = Image.new("L", (8, 8), 9), Image.new("L", (8, 8), 253)
        first.save(tmp_path / "a.tif", save_all=True, append_images=[second], tiffinfo={339: 2})
        _, error = encoded(tmp_path / "a.tif", capsys, status=1)
        assert "this has values from -3 to -3" in error

    @pytest.mark.skipif(not features.check("jpg_2000"), reason="Pillow without JPEG 2000")
    def test_of_jpeg_2000(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path, file = tmp_path / "a.jp2", io.BytesIO()
        Image.new("L", (8, 8), 9).save(file, "JPEG2000", signed=True)
        path.write_bytes(file.getvalue())
        _, error = encoded(path, capsys, status=1)
        assert "its values, which have signs, are raised by half of their range, as Pillow reads it so" in error


XMP = b"<x:xmpmeta>what is said</x:xmpmeta>"
EXIF = b"II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0\x03\0\0\0ab\0\0\0\0\0\0"


def held(path: Path) -> agvae.Metadata:
    with Image.open(path) as image:
        return agvae.metadata_of(image)


class TestTags:
    def test_what_exif_data_can_hold_is_kept_and_the_rest_told(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        tags = {269: "a document", 285: "a page", 270: "a picture", 33550: (1.0, 1.0, 0.0), 33723: b"\x1c\x02P\0\1a"}
        Image.new("L", (8, 8)).save(tmp_path / "a.tif", tiffinfo=tags | {297: (0, 1), 65000: 7, 42112: "<GDAL/>"})
        agv, error = encoded(tmp_path / "a.tif", capsys)
        assert error.count("\n") == 1
        assert error.endswith("without its tags ModelPixelScale, IptcNaaInfo, GDAL_METADATA, 65000\n")
        with Image.open(agv) as image:
            exif = image.getexif()
        assert [exif[tag] for tag in (269, 285, 270)] == ["a document", "a page", "a picture"]

    def test_white_that_is_zero(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        levels = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
        Image.fromarray(levels).save(tmp_path / "a.tif", tiffinfo={262: 0})
        with Image.open(tmp_path / "a.tif") as image:
            assert image.tag_v2[262] == 0
        assert run("encode", tmp_path / "a.tif", tmp_path / "a.agv", "--lossless") == 0
        assert "its values are kept, and not that 0 is white" in capsys.readouterr().err
        np.testing.assert_array_equal(agvae.decode(tmp_path / "a.agv"), levels)

    def test_of_further_pages(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        pages = []
        for description, dpi in (("one", 300), ("two", 200), ("two", 200)):
            file = io.BytesIO()
            Image.new("L", (8, 8)).save(file, "TIFF", description=description, dpi=(dpi, dpi), artist="a painter")
            pages.append(Image.open(file))
        target, path = io.BytesIO(), tmp_path / "a.tif"
        with AppendingTiffWriter(target) as writer:
            for page in pages:
                page.save(writer, "TIFF", description=page.tag_v2[270], dpi=page.info["dpi"], artist="a painter")
                writer.newFrame()
        path.write_bytes(target.getvalue())
        agv, error = encoded(path, capsys)
        assert error.endswith(
            "without ImageDescription, XResolution, YResolution of further pages, which the first has otherwise\n"
        )
        assert agvae.read_metadata(agv).dpi == (300, 300)
        Image.new("L", (8, 8)).save(path, save_all=True, append_images=[Image.new("L", (8, 8))], artist="a painter")
        assert encoded(path, capsys)[1] == ""


def photoshop(*resources: tuple[int, bytes], bands: int = 1) -> bytes:
    """A grey picture of Photoshop."""
    parts = b"".join(
        b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + bytes(len(data) % 2) for number, data in resources
    )
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, bands, 8, 8, 8, 1)
    return head + bytes(4) + struct.pack(">I", len(parts)) + parts + bytes(4) + bytes(2) + bytes(64 * bands)


class TestPhotoshop:
    def test_resources(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        resolution = struct.pack(">IHHIHH", 300 << 16, 1, 1, 150 << 16, 1, 1)
        path = tmp_path / "a.psd"
        path.write_bytes(photoshop((1005, resolution), (1058, EXIF), (1060, XMP)))
        agv, error = encoded(path, capsys)
        assert error == ""
        assert agvae.read_metadata(agv) == held(path) == agvae.Metadata(exif=EXIF, xmp=XMP, dpi=(300, 150))
        path.write_bytes(photoshop((1005, b"short"), (1028, b"\x1c\x02P\0\1a")))
        assert encoded(path, capsys)[1].endswith("without its Photoshop (IPTC) data\n")
        assert held(path) == agvae.Metadata()

    def test_further_bands(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "a.psd"
        path.write_bytes(photoshop(bands=3))
        assert "without 2 of its 3 bands, as Pillow reads it so" in encoded(path, capsys, status=1)[1]


class TestText:
    def test_profiles_in_png_files(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        info, path = PngInfo(), tmp_path / "a.png"
        for kind, data in (("exif", b"Exif\0\0" + EXIF), ("xmp", XMP), ("iptc", b"\x1c\x02P\0\1a")):
            info.add_text(f"Raw profile type {kind}", f"\n{kind}\n{len(data):8}\n{data.hex()}\n", zip=True)
        info.add_text("Raw profile type icc", "no digits")
        Image.new("L", (8, 8)).save(path, pnginfo=info)
        agv, error = encoded(path, capsys)
        assert error.endswith("without its text Raw profile type iptc, Raw profile type icc\n")
        assert agvae.read_metadata(agv) == held(path) == agvae.Metadata(exif=EXIF, xmp=XMP)


class TestAspect:
    @pytest.mark.parametrize("square", [False, True])
    def test_a_shape_of_pixels_is_told(self, square: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        picture, x = Image.new("L", (8, 8)), 1 if square else 2
        picture.save(tmp_path / "a.png", dpi=(96, 96))
        data, chunk = (tmp_path / "a.png").read_bytes(), b"pHYs" + struct.pack(">IIB", x, 1, 0)
        at = data.index(b"pHYs")
        chunk += struct.pack(">I", zlib.crc32(chunk))
        (tmp_path / "a.png").write_bytes(data[:at] + chunk + data[at + len(chunk) :])
        picture.save(tmp_path / "a.tif", resolution_unit=1, x_resolution=x, y_resolution=1)
        picture.save(tmp_path / "a.jpg", dpi=(x, 1))
        data = (tmp_path / "a.jpg").read_bytes()
        assert data[13] == 1
        (tmp_path / "a.jpg").write_bytes(data[:13] + b"\0" + data[14:])
        for name in ("a.png", "a.tif", "a.jpg"):
            agv, error = encoded(tmp_path / name, capsys)
            said = "without the shape of its pixels (2 : 1), as AGV holds pixels per inch alone"
            assert (said in error) == bool(error) == (not square), name
            assert agvae.read_metadata(agv).dpi is None


class TestBeside:
    """What other formats have beside the picture."""

    def test_metadata_of_jpeg_xl(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        pytest.importorskip("pillow_jxl")
        path = tmp_path / "a.jxl"
        Image.new("L", (8, 8)).save(path, xmp=XMP, exif=EXIF, lossless=True)
        agv, error = encoded(path, capsys)
        assert error == ""
        found = agvae.read_metadata(agv)
        assert (found.exif, found.xmp) == (EXIF, XMP)
        Image.new("L", (8, 8)).save(path, xmp=XMP, exif=EXIF, lossless=True, compress_metadata=True)
        agv, error = encoded(path, capsys)
        assert error.endswith("without its Exif data and XMP, compressed as by Brotli\n")

    @pytest.mark.parametrize("mode", ["RGB", "RGBA"])
    def test_pictures_beside_that_of_heic(self, mode: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        heif = pytest.importorskip("pillow_heif")
        heif.register_heif_opener()
        path = tmp_path / "a.heic"
        Image.new(mode, (64, 64)).save(path)
        assert encoded(path, capsys)[1] == ""
        with Image.open(path) as image:
            image.load()
            image.info |= {"depth_images": [None], "aux": {"urn:gain": [3, 4]}}
            assert metadata_lost(image) == ["without its depth maps (1)", "without its auxiliary pictures (2)"]

    def test_colours_of_heic(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        heif = pytest.importorskip("pillow_heif")
        heif.register_heif_opener()
        Image.new("RGB", (64, 64)).save(tmp_path / "a.heic", color_primaries=9, transfer_characteristics=16)
        assert "without its colour space (code points 9 and 16)" in encoded(tmp_path / "a.heic", capsys)[1]

    def test_further_segments_of_xmp(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "a.jpg"
        Image.new("L", (8, 8)).save(path)
        segment = b"http://ns.adobe.com/xmp/extension/\0" + bytes(40)
        data = path.read_bytes()
        path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(segment)) + segment + data[2:])
        assert "without the part of its XMP that is in further segments" in encoded(path, capsys)[1]
