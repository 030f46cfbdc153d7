"""Pictures as a page to look at: what is shown of them, what is said of them, and how a browser gets it."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import struct
import sys
import threading
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile
from PIL.PngImagePlugin import PngInfo

import agvae
from agvae.pages.showing import shown
from agvae.viewing import View, read_view, view_page
from tests.support.commands import run
from tests.support.helpers import picture

DATA = Path(__file__).parents[1] / "data"
HOSTILE = "<script>alert(1)</script>\"'&"
PIXELS = picture(80, 60)


def pixels(view: View, number: int = 0) -> Image.Image:
    return Image.open(io.BytesIO(view.frames[number].data))


def text_of(view: View) -> str:
    return "".join(view_page([view], view.name, single=True))


def without_pictures(page: str) -> str:
    return re.sub(r"base64,[^\"]*", "", page)


def exif_of(maker: bytes) -> bytes:
    """Exif data that have nothing but that."""
    head = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 271, 2, len(maker) + 1, 26)
    return head + bytes(4) + maker + b"\0"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.agv"
    path.write_bytes(agvae.encode(PIXELS, lossless=True))
    return path


@pytest.fixture
def tiled(tmp_path: Path) -> Path:
    """Four tiles, the third of which is damaged."""
    data = bytearray(agvae.encode(picture(128, 128), lossless=True, tile_size=64))
    at = [match.start() for match in re.finditer(b"WEBP", data)][2]
    data[at + 20] ^= 255
    (tmp_path / "tiled.agv").write_bytes(data)
    return tmp_path / "tiled.agv"


class TestPixels:
    @pytest.mark.parametrize("path", sorted(DATA.glob("*.agv")), ids=lambda path: path.stem)
    def test_of_own_files_are_those_that_decode_gives(self, path: Path) -> None:
        view, header = read_view(path), agvae.read_info(path)
        assert len(view.frames) == header["frames"]
        for number, frame in enumerate(view.frames):
            decoded = agvae.decode(path, frame=number)
            assert np.array_equal(np.asarray(pixels(view, number)), decoded)
            assert (frame.width, frame.height, frame.step) == (header["width"], header["height"], 1)
            if decoded.dtype == np.uint16:
                assert (frame.kind, frame.low, frame.high) == ("uint16", decoded.min(), decoded.max())
        assert view.missing == []

    @pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "P", "PA"])
    def test_of_others_are_those_of_pillow(self, mode: str, tmp_path: Path) -> None:
        image = Image.fromarray(PIXELS).convert("P" if mode == "PA" else mode).convert(mode)
        image.save(tmp_path / "a.tif")
        with Image.open(tmp_path / "a.tif") as again:
            expected = again.convert("RGBA").tobytes()
        view = read_view(tmp_path / "a.tif")
        assert pixels(view).convert("RGBA").tobytes() == expected
        assert view.notes == []

    @pytest.mark.parametrize(
        ("values", "kind"),
        [
            (np.arange(300, 900, dtype=np.uint16), "uint16"),
            (np.arange(-300, 300, dtype=np.int32) * 7_000_000, "int32"),
            (np.linspace(-1e-6, 1e-6, 600, dtype=np.float32), "float32"),
        ],
    )
    def test_of_more_than_8_bits_are_whole(self, values: np.ndarray, kind: str, tmp_path: Path) -> None:
        values = values.reshape(20, 30)
        Image.fromarray(values).save(tmp_path / "a.tif")
        view = read_view(tmp_path / "a.tif")
        (frame,) = view.frames
        found = np.asarray(pixels(view))
        if kind != "uint16":
            found = np.ascontiguousarray(found).view(np.dtype(kind).newbyteorder(">"))[..., 0]
        assert frame.kind == kind
        assert np.array_equal(found, values)
        assert (frame.low, frame.high) == (values.min(), values.max())
        assert f'value="{values.max():.9g}"' in text_of(view)

    def test_what_is_no_number_has_no_part_in_the_range(self, tmp_path: Path) -> None:
        values = np.array([[np.nan, 1], [np.inf, 3]], np.float32)
        Image.fromarray(values).save(tmp_path / "a.tif")
        Image.fromarray(values[:, :1]).save(tmp_path / "none.tif")
        assert [(f.low, f.high) for f in read_view(tmp_path / "a.tif").frames] == [(1, 3)]
        assert [(f.low, f.high) for f in read_view(tmp_path / "none.tif").frames] == [(None, None)]
        text_of(read_view(tmp_path / "none.tif"))

    @pytest.mark.parametrize("orientation", range(2, 9))
    def test_are_upright(self, orientation: int, tmp_path: Path) -> None:
        from PIL import ImageOps

        exif = Image.Exif()
        exif[274] = orientation
        image = Image.fromarray(PIXELS)
        image.save(tmp_path / "a.png", exif=exif)
        (tmp_path / "a.agv").write_bytes(
            agvae.encode(image, lossless=True, metadata=agvae.Metadata(exif=exif.tobytes()))
        )
        with Image.open(tmp_path / "a.png") as again:
            upright = ImageOps.exif_transpose(again)
        for name in ("a.png", "a.agv"):
            view = read_view(tmp_path / name)
            assert np.array_equal(np.asarray(pixels(view)), np.asarray(upright))
            assert (view.frames[0].width, view.frames[0].height) == upright.size
            assert view.notes == ["It is turned upright, as its orientation says."]
            assert "exif" not in pixels(view).info

    def test_signs_that_are_not_read_are_told(self, tmp_path: Path) -> None:
        Image.new("L", (8, 8), 253).save(tmp_path / "a.tif", tiffinfo={339: 2})
        view = read_view(tmp_path / "a.tif")
        assert "Values from 128 on are those of the file and 256, as Pillow reads no signs of 8 bits." in view.notes

    def test_of_modes_that_browsers_do_not_know_are_told_of(self, tmp_path: Path) -> None:
        Image.fromarray(PIXELS).convert("CMYK").save(tmp_path / "a.tif", icc_profile=b"0" * 16 + b"CMYK" + b"0" * 20)
        view = read_view(tmp_path / "a.tif")
        assert view.notes == ["Its mode CMYK is shown as RGB.", "Its colour profile is not applied to what is shown."]

    @pytest.mark.parametrize(("mode", "key"), [("L", 90), ("RGB", (90, 90, 90))])
    def test_a_colour_that_stands_for_nothing_is_transparent(self, mode: str, key: object, tmp_path: Path) -> None:
        values = np.full((8, 8, 3), 90, np.uint8)
        values[:, :4] = 200
        Image.fromarray(values).convert("L").convert(mode).save(tmp_path / "a.png", transparency=key)
        with Image.open(tmp_path / "a.png") as image:
            expected = np.asarray(image.convert("RGBA"))
        view = read_view(tmp_path / "a.png")
        assert np.array_equal(np.asarray(pixels(view)), expected)
        assert (expected[..., 3] == 0).any()
        assert view.frames[0].alpha

    def test_of_several_sizes_the_largest_is_shown(self, tmp_path: Path) -> None:
        Image.fromarray(picture(64, 64)).save(tmp_path / "a.ico", sizes=[(16, 16), (64, 64)])
        view = read_view(tmp_path / "a.ico")
        assert view.frames[0].width == 64
        assert view.notes == ["Shown is the largest of its 2 sizes."]

    def test_deep_colours_are_told_of(self, tmp_path: Path) -> None:
        (tmp_path / "a.ppm").write_bytes(b"P6 1 1 65535\n" + bytes(6))
        assert read_view(tmp_path / "a.ppm").notes == ["8 of its 16 bits are shown, as Pillow reads it so."]

    def test_a_profile_is_handed_to_the_browser(self, tmp_path: Path) -> None:
        from PIL import ImageCms

        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        for name in ("a.png", "a.jpg"):
            Image.fromarray(PIXELS).save(tmp_path / name, icc_profile=profile)
            view = read_view(tmp_path / name)
            assert pixels(view).info["icc_profile"] == profile
            assert ("name", "sRGB built-in") in view.metadata[0].rows


class TestLargePictures:
    @pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16", "P", "1"])
    def test_are_reduced_band_by_band(self, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from agvae.viewing import displayed

        image = Image.fromarray(picture(200, 150))
        if mode == "I;16":
            image = Image.fromarray((picture(200, 150)[..., 0] * 250).astype(np.uint16))
        elif mode == "RGBA":
            image.putalpha(Image.linear_gradient("L").resize(image.size))
        else:
            image = image.convert(mode)
        (tmp_path / "a.agv").write_bytes(agvae.encode(image, lossless=True))
        image.save(tmp_path / "a.png")
        monkeypatch.setattr(displayed, "_BAND", 200 * 30)
        views = [read_view(tmp_path / name, pixels=2**13) for name in ("a.agv", "a.png")]
        step = 3 if mode == "I;16" else 2
        assert [view.frames[0].step for view in views] == [step, step]
        assert np.array_equal(*(np.asarray(pixels(view)) for view in views))
        assert pixels(views[0]).size == (-(-200 // step), -(-150 // step))
        assert (views[0].frames[0].width, views[0].frames[0].height) == (200, 150)
        assert f"the mean of {step} x {step}" in views[0].notes[0]

    def test_frames_share_a_page(self, tmp_path: Path) -> None:
        frames = [picture(256, 256, seed) for seed in range(3)]
        (tmp_path / "a.agv").write_bytes(agvae.encode(frames, lossless=True))
        view = read_view(tmp_path / "a.agv", pixels=3 * 2**14)
        assert [frame.step for frame in view.frames] == [2, 2, 2]

    def test_of_very_many_frames_the_first_are_shown(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("agvae.viewing.viewer.LEAST", 64)
        (tmp_path / "a.agv").write_bytes(agvae.encode([PIXELS] * 5, lossless=True))
        view = read_view(tmp_path / "a.agv", pixels=64 * 3)
        assert [frame.number for frame in view.frames] == [0, 1, 2]
        assert view.notes[0] == "Shown are the first 3 of 5 frames; --frame N shows another."

    def test_bombs_are_refused(self, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
        with pytest.raises(Image.DecompressionBombError, match="80 x 60 pixels exceed the limit of 4000"):
            read_view(photo)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2400)
        assert read_view(photo).frames

    def test_a_part_is_shown_in_full(self, photo: Path, tmp_path: Path) -> None:
        Image.fromarray(PIXELS).save(tmp_path / "a.png")
        for path in (photo, tmp_path / "a.png"):
            view = read_view(path, box=(10, 20, 50, 40), pixels=800)
            assert np.array_equal(np.asarray(pixels(view)), PIXELS[20:40, 10:50])
            assert view.notes == ["Shown is the part from (10, 20) to (50, 40), which is counted from 0."]
            with pytest.raises(ValueError, match=r"box 0,0,81,10 is not within the 80 x 60 pixels"):
                read_view(path, box=(0, 0, 81, 10))
            with pytest.raises(ValueError, match="there is no frame 1: it has 1, from 0"):
                read_view(path, frame=1)


class TestFrames:
    def test_all_with_their_times(self, tmp_path: Path) -> None:
        frames = [Image.new("RGB", (8, 6), (50 * k, 0, 0)) for k in range(3)]
        for name in ("a.agv", "a.gif", "a.webp"):
            options = {"save_all": True, "append_images": frames[1:], "duration": [100, 200, 300], "loop": 0}
            frames[0].save(tmp_path / name, lossless=True, **options)
            view = read_view(tmp_path / name)
            assert [frame.duration for frame in view.frames] == [100, 200, 300]
            assert view.facts["frames"].startswith("3, 600 ms in all")
            assert [pixels(view, k).convert("RGB").getpixel((0, 0)) for k in range(3)] == [
                (50 * k, 0, 0) for k in range(3)
            ]
            one = read_view(tmp_path / name, frame=1)
            assert [frame.number for frame in one.frames] == [1]
            assert one.notes == ["Shown is frame 2 of 3."]

    def test_of_several_sizes(self, tmp_path: Path) -> None:
        first = Image.fromarray(PIXELS)
        first.save(tmp_path / "a.tif", save_all=True, append_images=[first.resize((20, 10))])
        view = read_view(tmp_path / "a.tif")
        assert [(frame.width, frame.height) for frame in view.frames] == [(80, 60), (20, 10)]
        assert f"{8 * (tmp_path / 'a.tif').stat().st_size / 5000:.4g} bits per pixel" in view.facts["file"]


class TestDamage:
    def test_a_lost_tile_is_grey_and_told_of(self, tiled: Path) -> None:
        view = read_view(tiled)
        (sentence,) = view.missing
        assert "1 of 4 tiles is lost and grey" in sentence
        shown = np.asarray(pixels(view))
        assert (shown[64:, :64] == 128).all()
        assert np.array_equal(shown[:64], picture(128, 128)[:64])
        assert html.escape(sentence, quote=False) in text_of(view).replace("&#39;", "'")

    def test_an_unfinished_film_shows_what_is_there(self, tmp_path: Path) -> None:
        data = agvae.encode([PIXELS] * 4, lossless=True)
        (tmp_path / "a.agv").write_bytes(data[: len(data) * 5 // 8])
        view = read_view(tmp_path / "a.agv")
        assert [frame.number for frame in view.frames] == [0, 1]
        assert len(view.missing) == 1
        assert view.missing[0].startswith("frames 3, 4: every tile is lost (")

    def test_damaged_metadata_are_left_out(self, tmp_path: Path) -> None:
        data = bytearray(agvae.encode(PIXELS, lossless=True, metadata=agvae.Metadata(comment=b"hello")))
        data[data.index(b"hello")] ^= 1
        (tmp_path / "a.agv").write_bytes(data)
        view = read_view(tmp_path / "a.agv")
        assert "wrong checksum" in view.missing[0] or "damaged" in view.missing[0]
        assert view.metadata == []
        assert np.array_equal(np.asarray(pixels(view)), PIXELS)

    def test_pictures_of_other_formats_that_end_too_early(self, tmp_path: Path) -> None:
        Image.fromarray(PIXELS).save(tmp_path / "a.jpg")
        data = (tmp_path / "a.jpg").read_bytes()
        (tmp_path / "a.jpg").write_bytes(data[: len(data) * 2 // 3])
        view = read_view(tmp_path / "a.jpg")
        assert "truncated" in view.missing[0]
        assert view.frames[0].width == 80
        assert not ImageFile.LOAD_TRUNCATED_IMAGES

    def test_of_two_pictures_the_first_is_shown_where_the_second_is_broken(self, tmp_path: Path) -> None:
        image = Image.fromarray(PIXELS)
        image.save(tmp_path / "a.tif", save_all=True, append_images=[image])
        data = bytearray((tmp_path / "a.tif").read_bytes())
        with Image.open(tmp_path / "a.tif") as again:
            again.seek(1)
            (second,) = again._frame_pos[1:]  # type: ignore[attr-defined]
        data[second + 2 : second + 4] = b"\xff\xff"  # the tag of its width
        (tmp_path / "a.tif").write_bytes(data)
        view = read_view(tmp_path / "a.tif")
        assert np.array_equal(np.asarray(pixels(view)), PIXELS)
        assert "damaged" in view.missing[0]

    @pytest.mark.parametrize("data", [b"", b"hello", b"\xe1AGV\r\n\x1a\n", b"\x89PNG\r\n\x1a\n"])
    def test_of_nothing_there_is_no_page(self, data: bytes, tmp_path: Path) -> None:
        (tmp_path / "a.agv").write_bytes(data)
        with pytest.raises(OSError, match=r"a\.agv"):
            read_view(tmp_path / "a.agv")


class TestWords:
    def test_numbers(self) -> None:
        view = read_view(DATA / "rgb-q3.5.agv")
        info = agvae.read_info(DATA / "rgb-q3.5.agv")
        assert view.facts["file"] == f"AG-VAE, {info['bytes']:,} bytes, {info['bpp']:.4g} bits per pixel"
        assert view.facts["image"] == f"{info['width']} x {info['height']} RGB"
        assert view.facts["values"] == "red, green and blue, 8 bits each"
        assert view.facts["quality"] == "3.5 (s = 3, l = 0.5)"
        assert view.facts["model"].startswith(info["model"])
        assert view.facts["tiles"] == "1 of 1024 x 1024"

    def test_all_that_a_file_says(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[271] = "Maker"
        exif[0x8769] = {37500: bytes(600)}
        exif[0x8825] = {2: (51.0, 30.0, 26.5)}
        text = PngInfo()
        text.add_text("Author", "somebody")
        Image.fromarray(PIXELS).save(tmp_path / "a.png", exif=exif, pnginfo=text, dpi=(72, 72))
        view = read_view(tmp_path / "a.png")
        assert [part.title for part in view.metadata] == ["Exif", "Resolution", "Author"]
        rows = dict(view.metadata[0].rows)
        assert rows == {"Make": "Maker", "MakerNote": "600 bytes", "GPSLatitude": "51, 30, 26.5"}
        assert view.metadata[2].text == "somebody"

    def test_exif_data_are_read_as_they_are_written_today(self, tmp_path: Path) -> None:
        Image.fromarray(PIXELS).save(tmp_path / "a.png", exif=b"Exif\0\0" + exif_of("St\u00e9fan".encode()))
        assert dict(read_view(tmp_path / "a.png").metadata[0].rows) == {"Make": "St\u00e9fan"}

    def test_arrays(self, tmp_path: Path) -> None:
        said = json.dumps({"layers": [{"name": "cells"}]}).encode()
        (tmp_path / "a.agv").write_bytes(agvae.encode(PIXELS, lossless=True, metadata=agvae.Metadata(arrays=said)))
        view = read_view(tmp_path / "a.agv")
        assert '"name": "cells"' in view.metadata[0].text
        assert view.notes == ["Values are those of pixels; what they stand for is told under Arrays."]

    @pytest.mark.parametrize(
        ("mode", "said"),
        [
            ("1", "black and white, 1 bit each"),
            ("P", "colours of a palette, 8 bits each"),
            ("I;16", "grey, 16 bits each"),
            ("F", "floating point, 32 bits each"),
        ],
    )
    def test_bits(self, mode: str, said: str, tmp_path: Path) -> None:
        image = Image.new(mode, (8, 8))
        image.save(tmp_path / "a.tif")
        assert read_view(tmp_path / "a.tif").facts["values"] == said
        if mode != "F":
            (tmp_path / "a.agv").write_bytes(agvae.encode(image, lossless=True))
            assert read_view(tmp_path / "a.agv").facts["values"] == said

    @pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
    @pytest.mark.parametrize("exif", [b"MM", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff"])
    def test_broken_exif_data_do_no_harm(self, exif: bytes, tmp_path: Path) -> None:
        metadata = agvae.Metadata(exif=exif, icc_profile=b"broken")
        (tmp_path / "a.agv").write_bytes(agvae.encode(PIXELS, lossless=True, metadata=metadata))
        view = read_view(tmp_path / "a.agv")
        assert ("name", "cannot be read") in view.metadata[0].rows
        assert np.array_equal(np.asarray(pixels(view)), PIXELS)

    def test_long_texts_are_cut(self, tmp_path: Path) -> None:
        metadata = agvae.Metadata(comment="x" * 10**6)
        (tmp_path / "a.agv").write_bytes(agvae.encode(PIXELS, lossless=True, metadata=metadata))
        assert read_view(tmp_path / "a.agv").metadata[0].text.endswith("... (1,000,000 characters)")

    def test_are_text(self, tmp_path: Path) -> None:
        exif, text = Image.Exif(), PngInfo()
        exif[271] = exif[315] = HOSTILE
        text.add_itxt(HOSTILE[:40], f"{HOSTILE}\u202egnp")
        name = "&'" if sys.platform == "win32" else HOSTILE.replace("/", "")
        path = tmp_path / f"{name}\u202e.png"
        Image.fromarray(PIXELS).save(path, exif=exif, pnginfo=text)
        page = without_pictures(text_of(read_view(path)))
        assert page.count("<script>") == 1
        assert "<script>alert" not in page
        assert page.count(html.escape("<script>alert(1)")) >= 2
        assert "\u202e" not in page
        assert not re.search(r"https?:|\s//\w|@import|url\(", page)
        assert "default-src 'none'" in page


class Browser:
    """What a browser does with an address."""

    def __init__(self, *, asks: bool = True) -> None:
        self.pages: list[bytes] = []
        self._asks = asks

    def __call__(self, address: str) -> bool:
        if self._asks:
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(address[:-4])
            with urllib.request.urlopen(address) as answer:
                self.pages.append(answer.read())
        return self._asks


class TestShowing:
    def test_a_browser_asks_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        browser = Browser()
        monkeypatch.setattr(webbrowser, "open", browser)
        before = threading.active_count()
        assert shown(b"page" * 10**6)
        assert browser.pages == [b"page" * 10**6]
        assert threading.active_count() == before

    @pytest.mark.parametrize("opened", [True, False])
    def test_none_asks(self, opened: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(webbrowser, "open", lambda _: opened)
        assert not shown(b"page", seconds=0.05)


class TestCommand:
    @pytest.fixture
    def browser(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Browser]:
        def use(*, asks: bool) -> Browser:
            browser = Browser(asks=asks)
            monkeypatch.setattr(webbrowser, "open", browser)
            return browser

        return use

    def test_shows_a_page(self, photo: Path, browser: Callable[..., Browser]) -> None:
        used = browser(asks=True)
        assert run("view", photo) == 0
        assert len(used.pages) == 1
        assert b"<h1>photo.agv</h1>" in used.pages[0]

    def test_says_where_the_page_is_without_a_browser(
        self,
        photo: Path,
        browser: Callable[..., Browser],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        browser(asks=False)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        assert run("view", photo) == 0
        (page,) = tmp_path.glob("agvae-*/photo.html")
        assert capsys.readouterr().out == f"{page}: no browser asked for this page: open it yourself\n"
        assert "<h1>photo.agv</h1>" in page.read_text("utf-8")
        assert sys.platform == "win32" or page.parent.stat().st_mode & 0o77 == 0

    def test_writes_a_page(self, photo: Path, tiled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        page = tmp_path / "page.html"
        assert run("view", photo, tmp_path / "none.png", "-o", page) == 1
        out, err = capsys.readouterr()
        assert out.startswith(f"{page}: 1 picture, ")
        assert "none.png" in err
        assert run("view", photo, "-o", page) == 1
        assert "replaced only with --force" in capsys.readouterr().err
        assert run("view", photo, "-o", photo, "--force") == 1
        assert "is a file to read" in capsys.readouterr().err
        assert run("view", photo, tiled, "-o", page, "--force") == 1  # as agvae info says of a damaged file
        out, err = capsys.readouterr()
        assert out.startswith(f"{page}: 2 pictures, ")
        assert "1 of 4 tiles is lost" in err
        assert re.findall(r"<h2>(.*)</h2>", page.read_text("utf-8")) == ["photo.agv", "tiled.agv"]

    @pytest.mark.parametrize("command", ["view", "compare"])
    def test_a_folder_is_no_picture(self, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "photos").mkdir()
        assert run(command, tmp_path / "photos", "-o", tmp_path / "page.html") == 1
        assert "photos: is a folder: name its pictures" in capsys.readouterr().err
        assert not (tmp_path / "page.html").exists()

    def test_no_picture_is_read_in_vain(self, photo: Path, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="there is no frame 3"):
            read_view(photo, frame=3)
        assert run("view", photo, "-o", tmp_path / "page.html", "--frame", "3") == 1
        assert not (tmp_path / "page.html").exists()


def test_values_survive_the_page() -> None:
    view = read_view(DATA / "exact-deep.agv")
    (source,) = re.findall(r'src="data:image/png;base64,([^"]*)"', text_of(view))
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(source))))
    assert np.array_equal(shown, agvae.decode(DATA / "exact-deep.agv"))
