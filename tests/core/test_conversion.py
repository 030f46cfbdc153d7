"""What is kept of pictures on their way to .agv files and back, as the command line is asked to."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import shlex
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, ImageOps, ImageSequence, features
from PIL.PngImagePlugin import PngInfo

import agvae
import pillow_agvae  # noqa: F401
from agvae.conversion.from_agv import decoding
from agvae.conversion.targets import format_of, holds_quality
from agvae.conversion.whereabouts import tells_place, without_place
from tests.support.commands import run
from tests.support.helpers import picture

SOURCE = Path(agvae.__file__).parents[1]
ORIENTATION = int(ExifTags.Base.Orientation)
PLACE = {1: "N", 2: (47.0, 30.0, 11.25), 29: "2024:01:01"}
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:li exif:GPSLatitude="47,30N"/></x:xmpmeta>'


def exif(orientation: int = 1, *, place: bool = True) -> Image.Exif:
    found = Image.Exif()
    found[ExifTags.Base.Make] = "A maker"
    found[ORIENTATION] = orientation
    found[ExifTags.IFD.Exif] = {ExifTags.Base.ExposureTime: 0.01, ExifTags.Base.MakerNote: b"note" * 20}
    if place:
        found[ExifTags.IFD.GPSInfo] = PLACE
    return found


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A JPEG with all kinds of metadata, that lies on its side."""
    path = tmp_path / "photo.jpg"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    options = {"exif": exif(6), "xmp": XMP, "comment": b"hello", "icc_profile": profile, "dpi": (300, 150)}
    Image.fromarray(picture(48, 32)).save(path, **options)
    return path


def metadata(path: Path) -> dict[str, object]:
    found: dict[str, object] = agvae.read_info(path)["metadata"]
    return found


class TestMetadata:
    @pytest.mark.parametrize(
        ("kinds", "left"),
        [
            ("all", {"icc_profile", "exif", "xmp", "comment", "dpi"}),
            ("icc,exif", {"icc_profile", "exif"}),
            ("xmp", {"xmp"}),
            ("none", set()),
        ],
    )
    def test_kinds(self, kinds: str, left: set[str], photo: Path) -> None:
        assert run("encode", photo, photo.with_suffix(".agv"), "--lossless", "--metadata", kinds) == 0
        with Image.open(photo.with_suffix(".agv")) as image:
            assert {name for name in ("icc_profile", "exif", "xmp", "comment", "dpi") if image.info.get(name)} == left
            shown = ImageOps.exif_transpose(image)
        with Image.open(photo) as before:
            np.testing.assert_array_equal(np.asarray(shown), np.asarray(ImageOps.exif_transpose(before)))

    def test_frames_turn_with_the_first(self, tmp_path: Path) -> None:
        first, second = (Image.fromarray(picture(20, 12, seed)) for seed in range(2))
        options = {"save_all": True, "append_images": [second], "duration": [100, 200], "exif": exif(8)}
        first.save(tmp_path / "a.webp", lossless=True, **options)
        assert run("encode", tmp_path / "a.webp", tmp_path / "a.agv", "--lossless", "--metadata", "none") == 0
        info = agvae.read_info(tmp_path / "a.agv")
        assert (info["width"], info["height"], info["frames"]) == (12, 20, 2)
        expected = np.asarray(second.transpose(Image.Transpose.ROTATE_90))
        np.testing.assert_array_equal(agvae.decode(tmp_path / "a.agv", frame=1), expected)
        with Image.open(tmp_path / "a.agv") as image:
            image.seek(1)
            assert image.info["duration"] == 200

    def test_the_place(self, photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
        coded, back = photo.with_suffix(".agv"), photo.with_name("back.jpg")
        assert run("encode", photo, coded, "--lossless", "--strip-gps") == 0
        assert "without its XMP, which says where it was taken" in capsys.readouterr().err
        with Image.open(coded) as image:
            found = image.getexif()
            assert found.get_ifd(ExifTags.IFD.GPSInfo) == {}
            assert (found[ExifTags.Base.Make], found[ORIENTATION]) == ("A maker", 6)
            assert found.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] == b"note" * 20
            assert image.info["comment"] == b"hello"
        assert run("encode", photo, coded, "--lossless", "--force") == 0
        assert run("decode", coded, back, "--strip-gps", "--metadata", "exif,xmp") == 0
        with Image.open(back) as image:
            assert image.getexif().get_ifd(ExifTags.IFD.GPSInfo) == {}
            assert image.getexif()[ORIENTATION] == 6
            assert "icc_profile" not in image.info

    def test_nothing_of_the_place_is_left_in_the_bytes(self) -> None:
        for order in ("<", ">"):
            whole = exif()
            whole.endian = order
            data = whole.tobytes().removeprefix(b"Exif\0\0")
            assert b"2024:01:01" in data
            cleaned = without_place(data)
            assert len(cleaned) == len(data)
            assert b"2024:01:01" not in cleaned
            left = Image.Exif()
            left.load(cleaned)
            assert dict(left) == {
                key: value for key, value in exif(place=False).items() if key != ExifTags.IFD.Exif
            } | {ExifTags.IFD.Exif: left[ExifTags.IFD.Exif]}
            assert without_place(cleaned) == cleaned

    @pytest.mark.parametrize(
        "said",
        [
            'drone-dji:Latitude="52.5"',
            'drone-dji:GpsLongtitude="13.4"',
            'geo:lat="52.5" geo:long="13.4"',
            'xmlns:wgs="http://www.w3.org/2003/01/geo/wgs84_pos#" wgs:lat="52.5"',
            'Iptc4xmpCore:CountryCode="DE"',
            'ps:City="Berlin"',
            "x:STATE = 'Bavaria'",
            'photoshop:Country="Germany"',
            "><Iptc4xmpExt:LocationShown><rdf:Bag/></Iptc4xmpExt:LocationShown",
            "><q:Sublocation>Mitte</q:Sublocation",
            "><x:ProvinceState>Berlin</x:ProvinceState",
            "><dc:coverage>Berlin</dc:coverage",
            "><exif:GPSLatitude>52,30N</exif:GPSLatitude",
            'drone-dji:AbsoluteAltitude="+100"',
            "><rdf:li>Places|Berlin</rdf:li",
            "><rdf:li>mine|Länder|Germany</rdf:li",
            "><rdf:li>Europe/Germany</rdf:li",
            "><rdf:li>geo:lat=52.5</rdf:li",
            'acdsee:categories="&lt;Category Assigned=&quot;0&quot;&gt;Places&lt;Category&gt;Berlin"',
        ],
    )
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "utf-32"])
    def test_places_in_xmp(self, said: str, encoding: str) -> None:
        assert tells_place(f"<x:xmpmeta><rdf:Description {said}></x:xmpmeta>".encode(encoding))

    @pytest.mark.parametrize(
        "said",
        [
            'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" photoshop:Credit="somebody"',
            'xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/" mwg-rs:Name="Ann"',
            "><dc:title><rdf:Alt><rdf:li xml:lang='x-default'>A long street, in no city or state</rdf:li></rdf:Alt",
            'crs:Opacity="1" stCamera:GeometricDistortionModel="2"',
            "><Iptc4xmpCore:CreatorContactInfo Iptc4xmpCore:CiAdrCity='Bonn'/",
            "><rdf:li>People|Ann</rdf:li",
        ],
    )
    def test_what_is_no_place_in_xmp(self, said: str) -> None:
        assert not tells_place(f"<x:xmpmeta><rdf:Description {said}></x:xmpmeta>")

    @pytest.mark.parametrize(
        ("tag", "value", "stays"),
        [(700, XMP, False), (700, b"<x dc:title='A'/>", True), (33723, b"\x1c\x02Z\0\x06Berlin", False)],
    )
    @pytest.mark.parametrize("order", ["<", ">"])
    def test_other_metadata_in_exif_data(self, tag: int, value: bytes, stays: bool, order: str) -> None:
        whole = exif()
        whole.endian = order
        whole[tag] = value
        cleaned = without_place(whole.tobytes())
        left = Image.Exif()
        left.load(cleaned)
        assert (tag in left) == (value in cleaned) == stays
        assert left[ExifTags.Base.Make] == "A maker"
        assert left.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] == b"note" * 20

    @given(st.binary(max_size=80), st.sampled_from([b"II*\0", b"MM\0*", b""]))
    def test_any_bytes(self, data: bytes, start: bytes) -> None:
        with contextlib.suppress(ValueError):
            assert len(without_place(start + data)) == len(start + data)

    def test_damaged_exif_data_may_say_the_place(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        broken = exif().tobytes()[:60]
        Image.new("RGB", (8, 8)).save(tmp_path / "a.png", exif=broken)
        assert run("encode", tmp_path / "a.png", tmp_path / "a.agv", "--lossless", "--strip-gps") == 0
        assert "without its Exif data, which are damaged" in capsys.readouterr().err
        assert "exif" not in metadata(tmp_path / "a.agv")


@pytest.mark.usefixtures("tiny_weights")
class TestEncode:
    def test_targets(self, photo: Path) -> None:
        coded = photo.with_suffix(".agv")
        for arguments, most in ((("--target-size", "1200"), 1200), (("--target-bpp", "6.5"), 6.5 * 48 * 32 / 8)):
            assert run("encode", photo, coded, *arguments, "--metadata", "none", "-f") == 0
            assert coded.stat().st_size <= most
        assert run("encode", photo, coded, "--target-psnr", "20", "-f") == 0

    def test_tiles_and_thumbnail(self, tmp_path: Path) -> None:
        Image.fromarray(picture(150, 70)).save(tmp_path / "a.png")
        coded = tmp_path / "a.agv"
        for rate in ([], ["--lossless"]):
            assert (
                run("encode", tmp_path / "a.png", coded, *rate, "--tile-size", "64", "--thumbnail-side", "32", "-f")
                == 0
            )
            info = agvae.read_info(coded)
            assert info["tile_size"] == 64
            assert info["tiles"] == 6
            box = (60, 10, 140, 70)
            whole, part = agvae.decode(coded), agvae.decode(coded, box)
            np.testing.assert_allclose(part.astype(int), whole[10:70, 60:140].astype(int), atol=1)
            with Image.open(coded) as image:
                image.draft(None, (32, 14))
                assert image.size == (32, 15)
        assert run("encode", tmp_path / "a.png", coded, "--tile-size", "100", "-f") == 2

    def test_the_same_tiles_by_pillow_and_the_api(self) -> None:
        pixels, file = picture(150, 70), io.BytesIO()
        Image.fromarray(pixels).save(file, "AGV", quality=2, tile_size=64)
        assert file.getvalue() == agvae.encode(pixels, 2, tile_size=64)
        with pytest.raises(ValueError, match="tile_size must be a multiple of 64"):
            agvae.encode(pixels, tile_size=65)


class TestDecode:
    @pytest.fixture
    def film(self, tmp_path: Path) -> Path:
        path = tmp_path / "film.agv"
        frames = [picture(40, 30, seed) for seed in range(3)]
        path.write_bytes(agvae.encode(frames, lossless=True, metadata=agvae.Metadata(durations=[10, 20, 30])))
        return path

    def test_box_and_frame(self, film: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = film.with_suffix(".png")
        assert run("decode", film, out, "--frame", "2", "--box", "5,6,25,16") == 0
        assert capsys.readouterr() == (f"{out}: 20 x 10, RGB\n", "")
        with Image.open(out) as image:
            np.testing.assert_array_equal(np.asarray(image), picture(40, 30, 2)[6:16, 5:25])
        assert run("decode", film, out, "--frame", "3", "-f") == 1
        assert "there is no frame 3: it has 3, from 0" in capsys.readouterr().err
        assert run("decode", film, out, "--box", "5,6,25,31", "-f") == 1
        assert run("decode", film, out, "--max-pixels", "1199", "-f") == 1
        assert run("decode", film, out, "--max-pixels", "1200", "-f", "--quiet") == 0

    @pytest.mark.parametrize("mode", ["LA", "RGBA"])
    def test_background(self, mode: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        clear = np.zeros((8, 8, len(mode)), np.uint8)
        (tmp_path / "a.agv").write_bytes(agvae.encode(clear, lossless=True))
        for colour, pixel in (("#102030", (16, 32, 48)), ("grey", (128,) * 3)):
            assert run("decode", tmp_path / "a.agv", tmp_path / "a.bmp", "--background", colour, "-f", "--quiet") == 0
            with Image.open(tmp_path / "a.bmp") as image:
                assert image.convert("RGB").getpixel((0, 0)) == pixel
        assert capsys.readouterr().err == ""
        assert run("decode", tmp_path / "a.agv", tmp_path / "a.png", "--background", "red") == 0
        with Image.open(tmp_path / "a.png") as image:
            assert image.mode == mode

    def test_eight_bits(self, tmp_path: Path) -> None:
        (tmp_path / "a.agv").write_bytes(agvae.encode(np.array([[100, 200], [300, 4000]], np.uint16), lossless=True))
        assert run("decode", tmp_path / "a.agv", tmp_path / "a.png", "--eight-bits") == 0
        with Image.open(tmp_path / "a.png") as image:
            assert (image.mode, image.getextrema()) == ("L", (0, 255))

    def test_quality(self, film: Path, capsys: pytest.CaptureFixture[str]) -> None:
        sizes = []
        for quality in ("10", "95"):
            assert run("decode", film, film.with_suffix(".jpg"), "-q", quality, "-f") == 0
            sizes.append(film.with_suffix(".jpg").stat().st_size)
        assert sizes[1] > 1.5 * sizes[0]
        assert run("decode", film, film.with_suffix(".png"), "-q", "10") == 1
        assert "PNG has no quality to choose" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("form", "quality", "wanted"),
        [
            *(("JPEG", quality, "number from 1 to 100") for quality in (-5, 0, 0.4, 100.2, 500, math.nan, math.inf)),
            *(("WEBP", quality, "number from 0 to 100") for quality in (-1, 1000, math.nan, "90", True)),
            *(("AGV", quality, "number from 1 to 6, or from 10 to 100") for quality in (0, 7, 1000, math.nan)),
        ],
    )
    def test_qualities_off_the_scale(self, form: str, quality: Any, wanted: str) -> None:
        with pytest.raises(ValueError, match=f"quality .*must be a (real )?{wanted}.*, not {quality!r}"):
            decoding(form, quality=quality)

    def test_every_quality_on_a_scale_can_be_written(self, film: Path) -> None:
        pytest.importorskip("pillow_jxl")
        for suffix, qualities in ((".jpg", (1, 100)), (".webp", (0, 100)), (".jxl", (0, 99))):
            for quality in qualities:
                assert run("decode", film, film.with_suffix(suffix), "-q", str(quality), "-f", "--frame", "0") == 0
        assert run("decode", film, film.with_suffix(".jxl"), "-q", "100", "-f") == 1

    def test_formats_with_a_quality(self) -> None:
        found = {form: holds_quality(form) for form in ("JPEG", "WEBP", "PNG", "TIFF", "BMP", "GIF", "AGV")}
        assert found == {
            "JPEG": True,
            "WEBP": True,
            "PNG": False,
            "TIFF": False,
            "BMP": False,
            "GIF": False,
            "AGV": True,
        }

    def test_names_of_formats(self) -> None:
        assert format_of("jpg") == format_of(".JPG") == ("JPEG", ".jpg")
        assert format_of("PNG") == ("PNG", ".png")
        assert format_of("JPEG2000")[0] == "JPEG2000"


class TestPipes:
    def piped(self, *arguments: str, data: bytes, folder: Path, status: int = 0) -> tuple[bytes, str]:
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        command = [sys.executable, "-m", "agvae", *arguments]
        result = subprocess.run(command, env=environment, cwd=folder, input=data, capture_output=True)
        assert result.returncode == status, result.stderr
        return result.stdout, result.stderr.decode()

    def test_through_and_back(self, photo: Path) -> None:
        coded, told = self.piped("encode", "-", "-", "--lossless", data=photo.read_bytes(), folder=photo.parent)
        assert told.startswith(f"-: {len(coded)} bytes, ")
        back, told = self.piped(
            "decode", "-", "-", "--format", "webp", "--metadata", "icc", data=coded, folder=photo.parent
        )
        assert told == "-: 32 x 48, RGB\n"
        with Image.open(io.BytesIO(back)) as image:
            assert (image.format, image.size) == ("WEBP", (32, 48))

    @pytest.mark.skipif(os.name != "posix", reason="needs a shell that closes streams")
    @pytest.mark.parametrize(
        ("command", "closed"),
        [
            ("encode - x.agv --lossless <&-", "standard input"),
            ("decode - x.png <&-", "standard input"),
            ("encode photo.jpg - --lossless >&-", "standard output"),
            ("decode coded.agv - >&-", "standard output"),
            ("encode photo.jpg --out . --name x.agv --lossless -j1 --log - >&-", "standard output"),
        ],
    )
    def test_closed_streams(self, photo: Path, command: str, closed: str) -> None:
        assert run("encode", photo, photo.with_name("coded.agv"), "--lossless", "--quiet") == 0
        status, out, told = self.in_shell(command, folder=photo.parent)
        assert (status, out) == (1, b"")
        assert told == f"agvae: error: {closed} is closed: give the name of a file in place of -\n"
        assert not list(photo.parent.glob("x.*"))

    @pytest.mark.skipif(os.name != "posix", reason="needs a shell that closes streams")
    def test_messages_never_go_into_a_picture(self, photo: Path) -> None:
        status, out, _ = self.in_shell("encode photo.jpg - --lossless 2>&-", folder=photo.parent)
        assert status == 0
        assert run("encode", photo, photo.with_name("x.agv"), "--lossless", "--quiet") == 0
        assert out == photo.with_name("x.agv").read_bytes()
        many = "encode photo.jpg none.png --out coded --lossless -j1 --log - 2>&-"
        status, out, _ = self.in_shell(many, folder=photo.parent)
        assert status == 1
        assert [json.loads(line)["status"] for line in out.splitlines()] == ["done", "failed"]

    @pytest.mark.skipif(os.name != "posix", reason="no folder that is in use can be removed")
    @pytest.mark.parametrize("target", ["x.agv", "--out x"])
    def test_working_directory_that_is_gone(self, photo: Path, target: str) -> None:
        target = target.replace("x", f"{photo.parent}/x")
        line = (
            f"mkdir gone; cd gone; rmdir ../gone; exec {shlex.quote(sys.executable)} -m agvae encode {photo} {target}"
        )
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        result = subprocess.run(
            ["/bin/sh", "-c", f"{line} --lossless"], env=environment, cwd=photo.parent, capture_output=True, text=True
        )
        assert result.returncode == 1
        assert result.stderr.endswith("the working directory is gone: go to one that is there\n")
        assert result.stderr.startswith("agvae: error: ")

    def in_shell(self, command: str, folder: Path) -> tuple[int, bytes, str]:
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        line = f"exec {shlex.quote(sys.executable)} -m agvae {command}"
        result = subprocess.run(["/bin/sh", "-c", line], env=environment, cwd=folder, capture_output=True)
        return result.returncode, result.stdout, result.stderr.decode()

    def test_what_is_no_picture(self, tmp_path: Path) -> None:
        _, told = self.piped("encode", "-", "a.agv", "--lossless", data=b"none", folder=tmp_path, status=1)
        assert told == "agvae: error: -: cannot identify image file\n"
        assert list(tmp_path.iterdir()) == []

    def test_one_file_with_its_time(self, photo: Path) -> None:
        os.utime(photo, ns=(10**18, 10**18))
        assert run("encode", photo, photo.with_suffix(".agv"), "--lossless", "--preserve", "--quiet") == 0
        assert photo.with_suffix(".agv").stat().st_mtime_ns // 10**9 == 10**9


class TestFewColours:
    @pytest.fixture
    def palette(self) -> Image.Image:
        return Image.fromarray(picture(40, 30)).quantize(40)

    def decoded(self, image: Image.Image, folder: Path, suffix: str, **options: object) -> Image.Image:
        image.save(folder / "a.agv", lossless=True, **options)
        assert run("decode", folder / "a.agv", folder / f"b.{suffix}", "--force") == 0
        back = Image.open(folder / f"b.{suffix}")
        back.load()
        return back

    @pytest.mark.parametrize(
        ("suffix", "modes"),
        [("png", "1P"), ("tif", "1P"), ("gif", "PP"), ("bmp", "1P"), ("agv", "1P"), ("webp", None), ("jpg", None)],
    )
    def test_the_mode_is_kept_where_the_format_has_it(
        self, suffix: str, modes: str | None, palette: Image.Image, tmp_path: Path
    ) -> None:
        for image, mode in zip((palette.convert("1"), palette), modes or ("", ""), strict=True):
            back = self.decoded(image, tmp_path, suffix)
            assert (back.mode == mode) if mode else back.mode in ("L", "RGB")
            if modes:
                assert back.convert("RGB").tobytes() == image.convert("RGB").tobytes()

    @pytest.mark.parametrize(
        ("suffix", "transparency", "mode", "off"),
        [
            ("png", 7, "P", 0),
            ("png", bytes(range(100, 140)), "P", 0),
            ("gif", 7, "P", 0),
            ("gif", bytes(range(100, 140)), "P", 155),
            ("tif", 7, "RGBA", 0),
            ("webp", bytes(range(100, 140)), "RGBA", 0),
        ],
    )
    def test_alpha_of_a_palette(
        self, suffix: str, transparency: int | bytes, mode: str, off: int, palette: Image.Image, tmp_path: Path
    ) -> None:
        palette.info["transparency"] = transparency
        back = self.decoded(palette, tmp_path, suffix)
        assert back.mode == mode
        alphas = [np.asarray(image.convert("RGBA"))[..., 3].astype(int) for image in (back, palette)]
        assert np.abs(alphas[0] - alphas[1]).max() <= off

    @pytest.mark.parametrize("suffix", ["png", "tif", "gif"])
    def test_frames_of_one_palette(self, suffix: str, palette: Image.Image, tmp_path: Path) -> None:
        other = palette.transpose(Image.Transpose.ROTATE_180)
        back = self.decoded(palette, tmp_path, suffix, save_all=True, append_images=[other], duration=100)
        assert (back.mode, getattr(back, "n_frames", 1)) == ("P", 2)
        for number, image in enumerate((palette, other)):
            back.seek(number)
            assert back.convert("RGB").tobytes() == image.convert("RGB").tobytes()


class TestWhatFormatsSay:
    """What some formats say in their own way: it comes through, or it is told that it does not."""

    def encoded(self, path: Path, capsys: pytest.CaptureFixture[str], *, status: int = 0) -> tuple[Path, str]:
        agv = path.with_suffix(".agv")
        assert run("encode", path, agv, "--lossless", "--quiet", "--force") == status
        return agv, capsys.readouterr().err

    @pytest.mark.parametrize(("loop", "plays"), [(None, 1), (1, 2), (3, 4), (0, 0)])
    def test_how_often_a_gif_is_shown(
        self, loop: int | None, plays: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        options = {} if loop is None else {"loop": loop}
        frames = [Image.new("L", (8, 8), level) for level in (0, 255)]
        frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=50, **options)
        agv, _ = self.encoded(tmp_path / "a.gif", capsys)
        assert agvae.read_info(agv)["loop"] == plays
        for name, expected in (("b.gif", loop), ("b.webp", plays), ("b.png", plays)):
            assert run("decode", agv, tmp_path / name) == 0
            with Image.open(tmp_path / name) as image:
                assert image.info.get("loop") == expected

    @pytest.mark.parametrize("suffix", [".gif", ".png", ".tif"])
    def test_frames_of_grey_come_back(self, suffix: str, tmp_path: Path) -> None:
        ramp = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
        frames = [ramp, 2 * ramp, 2 * ramp, 3 * ramp.T]
        (tmp_path / "a.agv").write_bytes(agvae.encode(frames, lossless=True))
        assert run("decode", tmp_path / "a.agv", tmp_path / f"a{suffix}") == 0
        with Image.open(tmp_path / f"a{suffix}") as image:
            found = [np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(image)]
        different = frames if suffix == ".tif" else [frames[0], frames[1], frames[3]]
        np.testing.assert_array_equal(found, different)

    @pytest.mark.parametrize("lowest", [0, 1000])
    def test_frames_of_16_bits_come_back_or_are_refused(
        self, lowest: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        frames = np.full((3, 64, 64), 1000, np.uint16) * np.arange(1, 4, dtype=np.uint16)[:, None, None]
        frames[:, :8] = lowest
        (tmp_path / "a.agv").write_bytes(agvae.encode(list(frames), lossless=True))
        assert run("decode", tmp_path / "a.agv", tmp_path / "a.tif") == 0
        with Image.open(tmp_path / "a.tif") as image:
            np.testing.assert_array_equal([np.asarray(frame) for frame in ImageSequence.Iterator(image)], frames)
        capsys.readouterr()
        assert run("decode", tmp_path / "a.agv", tmp_path / "a.png") == 1
        assert "frame 2 comes back with other pixels as Pillow writes PNG: take another" in capsys.readouterr().err
        assert not (tmp_path / "a.png").exists()

    def test_a_frame_without_its_palette_is_refused(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        ramp = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
        first, second = (Image.fromarray(levels) for levels in (ramp, 2 * ramp))
        first.save(tmp_path / "a.gif", save_all=True, append_images=[second])  # the second has a palette of its own
        _, error = self.encoded(tmp_path / "a.gif", capsys, status=1)
        assert (
            error
            == f"agvae: error: {tmp_path / 'a.gif'}: frame 1: has colours that Pillow reads without their palette\n"
        )

    def test_a_picture_for_those_who_show_no_films(
        self, tiny_weights_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        still, *film = [Image.fromarray(picture(24, 24, seed)) for seed in range(3)]
        still.save(tmp_path / "a.png", save_all=True, append_images=film, default_image=True, duration=[40, 60])
        said = "without its first picture, which its film does not show"
        _, error = self.encoded(tmp_path / "a.png", capsys, status=1)
        assert said in error
        with agvae.options.using(weights=tiny_weights_folder, offline=True):
            assert run("encode", tmp_path / "a.png", tmp_path / "a.agv", "--model", "tiny", "--exact") == 0
        assert said in capsys.readouterr().err
        assert agvae.read_info(tmp_path / "a.agv")["durations"] == [40, 60]

    def test_16_bits_of_mode_i(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        values = np.arange(0, 65536, 1024, dtype=">u2").reshape(8, 8)
        (tmp_path / "a.pgm").write_bytes(b"P5 8 8 65535\n" + values.tobytes())
        frames = [Image.fromarray(values.astype(np.int32) + number) for number in range(2)]
        frames[0].save(tmp_path / "b.tif", save_all=True, append_images=frames[1:])
        for name in ("a.pgm", "b.tif"):
            agv, error = self.encoded(tmp_path / name, capsys)
            assert error == ""
            np.testing.assert_array_equal(agvae.decode(agv), values)
        np.testing.assert_array_equal(agvae.decode(agv, frame=1), values + 1)
        Image.fromarray(values.astype(np.int32) * 2).save(tmp_path / "c.tif")
        _, error = self.encoded(tmp_path / "c.tif", capsys, status=1)
        assert error.endswith("and this has values from 0 to 129024: bring them into that range\n")

    @pytest.mark.parametrize(("mode", "advice"), [("CMYK", "make RGB of it first"), ("F", "scale it to 16 bits first")])
    def test_modes_that_are_not_held(
        self, mode: str, advice: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Image.new(mode, (8, 8)).save(tmp_path / "a.tif")
        _, error = self.encoded(tmp_path / "a.tif", capsys, status=1)
        assert f"a.tif: cannot write mode {mode} as AGV: {advice}" in error

    def test_values_that_are_not_held_without_loss(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        values = np.random.default_rng(0).integers(0, 256, (8, 8, 4), np.uint8)
        Image.frombytes("YCbCr", (8, 8), values[..., :3].tobytes()).save(tmp_path / "y.tif")
        Image.frombytes("RGBX", (8, 8), values.tobytes()).save(tmp_path / "x.tif")
        pages = [Image.open(tmp_path / "x.tif").convert("RGB"), Image.frombytes("RGBX", (8, 8), values.tobytes())]
        pages[0].save(tmp_path / "p.tif", save_all=True, append_images=pages[1:])
        Image.fromarray(values).save(tmp_path / "a.tif")
        plain, premultiplied = (struct.pack("<HHIH", 338, 3, 1, kind) for kind in (2, 1))
        file = (tmp_path / "a.tif").read_bytes()
        assert file.count(plain) == 1
        (tmp_path / "a.tif").write_bytes(file.replace(plain, premultiplied))
        for name, said in (
            ("y", "y.tif: mode YCbCr cannot be kept without loss: convert it to RGB first, or save it with loss"),
            ("x", "x.tif: cannot be kept without loss: without 1 of its 4 bands, as Pillow reads it so"),
            ("p", "p.tif: cannot be kept without loss: without 1 of its 4 bands, as Pillow reads it so"),
            ("a", "a.tif: cannot be kept without loss: its colours, which are multiplied by alpha, are divided by it"),
        ):
            agv, error = self.encoded(tmp_path / f"{name}.tif", capsys, status=1)
            assert said in error
            assert not agv.exists()
        assert run("encode", tmp_path / "y.tif", agv, "--quiet") == 0
        assert agvae.read_info(agv)["mode"] == "RGB"

    @pytest.mark.parametrize(
        ("chunk", "said"),
        [
            ((b"gAMA", struct.pack(">I", 45455)), ""),
            ((b"gAMA", struct.pack(">I", 100000)), "without its gamma 1, as AGV holds profiles alone"),
            (
                (b"cHRM", struct.pack(">8I", 31270, 32900, 70800, 29200, 17000, 79700, 13100, 4600)),
                "primary colours",
            ),
            ((b"cICP", bytes([1, 13, 0, 1])), ""),
            ((b"cICP", bytes([9, 16, 0, 1])), "without its colour space (code points 9 and 16)"),
        ],
    )
    def test_colours_of_png(
        self, chunk: tuple[bytes, bytes], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        info = PngInfo()
        info.add(*chunk)
        Image.fromarray(picture(8, 8)).save(tmp_path / "a.png", pnginfo=info)
        _, error = self.encoded(tmp_path / "a.png", capsys)
        assert said in error
        assert bool(error) == bool(said)

    @pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
    def test_colours_of_avif(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "a.avif"
        Image.fromarray(picture(24, 24)).save(path)
        data = path.read_bytes()
        assert self.encoded(path, capsys)[1] == ""
        at = data.index(b"colrnclx") + 8
        path.write_bytes(data[:at] + struct.pack(">HH", 9, 16) + data[at + 4 :])
        assert "without its colour space (code points 9 and 16)" in self.encoded(path, capsys)[1]
