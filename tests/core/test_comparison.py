"""Pictures by several codecs: what is compared, how like files are found, and the page that shows them."""

from __future__ import annotations

import base64
import html
import io
import math
import re
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import agvae
from agvae.cli import main
from agvae.comparison import Comparison, perceptual, write_page
from agvae.comparison.matching import nearest_setting
from agvae.comparison.subject import read_subject
from agvae.comparison.versions import Equal
from agvae.evaluation.peers import make_peers
from agvae.metrics import psnr
from tests.support.helpers import picture

HOSTILE = "a<script>alert(1)</script>&\"'.png"


def photograph(width: int = 96, height: int = 64) -> Image.Image:
    return Image.fromarray(picture(width, height))


def transparent() -> Image.Image:
    image = photograph().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def sources(page: str) -> list[Image.Image]:
    """The images that a page holds."""
    found = re.findall(r'src="data:image/(?:webp|png);base64,([^"]*)"', page)
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in found]


@pytest.fixture(scope="module")
def compared(tiny_weights_folder: Path) -> Comparison:
    with agvae.options.using(weights=str(tiny_weights_folder)):
        return agvae.compare(photograph(), 4, model="tiny", name=HOSTILE)


class TestMatching:
    @given(st.lists(st.integers(0, 1000), min_size=100, max_size=100).map(sorted), st.integers(-10, 1010))
    def test_nearest_of_all(self, values: list[int], target: int) -> None:
        asked: list[int] = []

        def value_at(setting: int) -> float:
            asked.append(setting)
            return values[setting - 1]

        found = nearest_setting(value_at, target)
        assert abs(values[found - 1] - target) == min(abs(value - target) for value in values)
        assert found in asked
        assert len(asked) == len(set(asked)) <= 8

    def test_no_loss_wants_the_highest(self) -> None:
        assert nearest_setting(float, math.inf) == 100
        assert nearest_setting(lambda setting: math.inf if setting > 90 else setting, math.inf) in range(91, 101)


class TestSubject:
    def test_small_pictures_are_compared_whole(self, tmp_path: Path) -> None:
        photograph().save(tmp_path / "a.png")
        subject = read_subject(tmp_path / "a.png")
        assert (subject.name, subject.notes) == ("a.png", [])
        assert subject.facts == f"96 x 64 pixels, PNG of {(tmp_path / 'a.png').stat().st_size:,} bytes"
        assert np.array_equal(np.asarray(subject.image), picture(96, 64))

    @pytest.mark.parametrize("size", [(1601, 1300), (1300, 1601), (5000, 40)])
    def test_the_middle_of_large_ones(self, size: tuple[int, int]) -> None:
        image = Image.new("RGB", size)
        middle = (size[0] // 2, size[1] // 2)
        image.putpixel(middle, (255, 0, 0))
        subject = read_subject(image)
        assert max(subject.image.size) <= 1600
        assert min(subject.image.size) <= 1200
        assert "Compared is the middle" in subject.notes[0]
        left, top = map(int, re.findall(r"from \((\d+), (\d+)\)", subject.notes[0])[0])
        assert subject.image.getpixel((middle[0] - left, middle[1] - top)) == (255, 0, 0)

    def test_reduced(self) -> None:
        subject = read_subject(Image.new("RGB", (3200, 1200)), reduce=True)
        assert subject.image.size == (1600, 600)
        assert "reduced to 1600 x 600 pixels" in subject.notes[0]
        assert read_subject(photograph(), reduce=True).notes == []

    def test_what_is_cut_short_is_an_error(self, tmp_path: Path) -> None:
        photograph().save(tmp_path / "a.png")
        (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:4000])
        with pytest.raises(OSError, match="truncated"):
            read_subject(tmp_path / "a.png")

    @pytest.mark.parametrize("exif", [b"Exif\0\0broken", b"MM"])
    def test_broken_exif_data_do_not_matter(self, exif: bytes, tmp_path: Path) -> None:
        photograph().save(tmp_path / "a.png", exif=exif)
        assert read_subject(tmp_path / "a.png").image.size == (96, 64)

    @pytest.mark.parametrize("shape", [(64, 96), (64, 96, 1), (64, 96, 4)])
    def test_arrays(self, shape: tuple[int, ...]) -> None:
        assert read_subject(np.full(shape, 255, np.uint8)).image.size == (96, 64)

    def test_a_box(self) -> None:
        subject = read_subject(picture(96, 64), box=(8, 4, 40, 20))
        assert np.array_equal(np.asarray(subject.image), picture(96, 64)[4:20, 8:40])
        assert "a part, 32 x 16 pixels from (8, 4)" in subject.notes[0]

    @pytest.mark.parametrize("box", [(0, 0, 97, 10), (-1, 0, 5, 5), (5, 5, 5, 9)])
    def test_no_box(self, box: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="not within the 96 x 64 pixels"):
            read_subject(photograph(), box=box)

    def test_a_box_that_is_too_large(self) -> None:
        with pytest.raises(ValueError, match="more than 4000000 pixels"):
            read_subject(Image.new("L", (2001, 2000)), box=(0, 0, 2001, 2000))

    def test_sixteen_bits_are_told_of(self, tmp_path: Path) -> None:
        values = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 7 + 500
        subject = read_subject(values)
        assert subject.image.mode == "L"
        assert subject.image.getextrema() == (0, 255)
        assert "reduced to 8" in subject.notes[0]
        Image.fromarray(values).save(tmp_path / "deep.png")
        assert read_subject(tmp_path / "deep.png").notes == subject.notes

    def test_one_of_several_frames(self, tmp_path: Path) -> None:
        frames = [photograph().convert("P"), photograph().rotate(180).convert("P")]
        frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
        assert read_subject(tmp_path / "a.gif").notes == ["Shown is frame 1 of 2."]

    def test_upright(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        photograph().save(tmp_path / "a.jpg", exif=exif)
        assert read_subject(tmp_path / "a.jpg").image.size == (64, 96)

    @pytest.mark.parametrize(
        ("mode", "expected"), [("1", "L"), ("LA", "L"), ("La", "L"), ("P", "RGB"), ("RGBA", "RGB"), ("RGBa", "RGB")]
    )
    def test_opaque_pictures_have_no_alpha(self, mode: str, expected: str) -> None:
        source = {"La": "LA", "RGBa": "RGBA"}.get(mode, mode)
        subject = read_subject(photograph().convert(source).convert(mode))
        assert (subject.image.mode, subject.notes) == (expected, [])

    def test_other_modes_are_told_of(self) -> None:
        assert read_subject(photograph().convert("CMYK")).notes == ["Its mode CMYK is compared as RGB."]

    def test_transparency_stays(self) -> None:
        subject = read_subject(transparent())
        assert subject.image.mode == "RGBA"
        assert subject.notes == ["What is transparent is measured on white."]

    def test_opened_images_have_names(self, tmp_path: Path) -> None:
        photograph().save(tmp_path / "a.png")
        with Image.open(tmp_path / "a.png") as image:
            assert read_subject(image).name == "a.png"
            assert read_subject(image, "other").name == "other"
        assert read_subject(photograph()).name == "Picture"

    def test_names_that_are_no_text(self, tmp_path: Path) -> None:
        path = tmp_path / b"caf\xe9\n\xe2\x80\xae.png".decode("utf-8", "surrogateescape")
        photograph().save(path)
        assert read_subject(path).name == r"caf\xe9\n\u202e.png"


class TestCompare:
    def test_files_are_real_and_near_in_size(self, compared: Comparison, tiny_weights: Path) -> None:
        own, *others = compared.versions
        assert [v.title for v in compared.versions][:4] == ["AGV", "AVIF", "WebP", "JPEG"]
        assert np.array_equal(agvae.decode(own.data), np.asarray(own.image))
        for version in others:
            with Image.open(io.BytesIO(version.data)) as image:
                shown = np.asarray(image.convert("RGB"))
            assert np.array_equal(shown, np.asarray(version.image))
            assert version.psnr == psnr(picture(96, 64), shown)
            assert version.bpp == 8 * len(version.data) / (96 * 64)
        for codec, version in zip(make_peers(["avif", "webp", "jpeg"]), others, strict=False):
            beside = [len(codec.encode(photograph(), version.setting + step)) for step in (-1, 1)]
            sought = len(own.data)
            assert min([*beside, len(version.data)], key=lambda size: abs(size - sought)) == len(version.data)

    def test_equal_quality(self, tiny_weights: Path) -> None:
        found = agvae.compare(photograph(), 3, peers="webp", equal="psnr")
        own, webp = found.versions
        assert abs(own.psnr - webp.psnr) < 1

    @pytest.mark.parametrize(("equal", "told"), [("size", "in size than +"), ("psnr", "in PSNR than ")])
    def test_what_no_quality_reaches_is_told_of(self, tiny_weights: Path, equal: Equal, told: str) -> None:
        found = agvae.compare(Image.new("RGB", (64, 64), "red"), peers=["jpeg"], equal=equal)  # which is kept exactly
        assert f"JPEG comes no nearer {told}" in found.html()
        assert found.versions[1].psnr < 60

    def test_transparency(self, tiny_weights: Path) -> None:
        found = agvae.compare(transparent(), 3, peers=["jpeg", "webp"])
        assert [version.title for version in found.versions] == ["AGV", "WebP"]
        assert found.left_out == ["JPEG is left out, as it holds no transparency."]
        assert [image.mode for image in sources(found.html())] == ["RGBA"] * 3
        assert "sheet chequered" in found.html()

    def test_codecs_that_fail_are_named(self, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (webp,) = make_peers(["webp"])

        def refuse(image: Image.Image, setting: float) -> bytes:
            msg = "too narrow"
            raise ValueError(msg)

        object.__setattr__(webp, "encode", refuse)
        monkeypatch.setattr("agvae.comparison.compared.make_peers", lambda _: [webp])
        found = agvae.compare(photograph(), 3)
        assert found.left_out == ["WebP is left out, as it failed: too narrow."]

    def test_arguments(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="equal must be one of size, psnr"):
            agvae.compare(photograph(), equal="bytes")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="unknown codec 'gif'"):
            agvae.compare(photograph(), peers=["gif"])
        with pytest.raises(ValueError, match="give only one"):
            agvae.compare(photograph(), box=(0, 0, 8, 8), reduce=True)
        with pytest.raises(FileNotFoundError, match=r"none\.png"):
            agvae.compare(tmp_path / "none.png")

    def test_a_perceptual_metric(self) -> None:
        pytest.importorskip("ssimulacra2")
        image = photograph()
        blurred = image.reduce(2).resize(image.size)
        same, worse = perceptual.ssimulacra2(image, image), perceptual.ssimulacra2(image, blurred)
        assert same == pytest.approx(100)
        assert worse is not None
        assert worse < 90
        assert perceptual.ssimulacra2(Image.new("RGB", (7, 50)), Image.new("RGB", (7, 50))) is None


class TestPage:
    def test_pictures_are_as_they_were(self, compared: Comparison) -> None:
        shown = sources(compared.html())
        expected = [compared.subject.image, *(version.image for version in compared.versions)]
        assert len(shown) == len(expected)
        for image, original in zip(shown, expected, strict=True):
            assert np.array_equal(np.asarray(image.convert("RGB")), np.asarray(original.convert("RGB")))

    def test_names_are_text(self, compared: Comparison) -> None:
        page = compared.html()
        assert "<script>alert" not in page
        assert page.count("<script>") == 1
        assert html.escape("<script>alert(1)</script>") in page

    def test_nothing_comes_from_elsewhere(self, compared: Comparison) -> None:
        page = re.sub(r"base64,[^\"]*", "", compared.html())
        assert not re.search(r"https?:|//\w|@import|url\(", page)
        assert "default-src 'none'" in page

    def test_no_more_than_one_picture_is_held(self, compared: Comparison, tmp_path: Path) -> None:
        held: list[weakref.ref[Comparison]] = []

        def several() -> Iterator[Comparison]:
            for _ in range(4):
                one = replace(compared)
                held.append(weakref.ref(one))
                assert sum(reference() is not None for reference in held) <= 2
                yield one
                del one

        write_page(tmp_path / "page.html", several(), "size")
        assert len(held) == 4

    def test_profiles_are_kept_for_display(self, compared: Comparison) -> None:
        from PIL import ImageCms

        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        image = photograph()
        image.info["icc_profile"] = profile
        assert read_subject(image).profile == profile
        assert read_subject(image.convert("L")).profile is None
        image.info["icc_profile"] = profile[:16] + b"CMYK" + profile[20:]
        assert read_subject(image).profile is None
        image.info["icc_profile"] = profile
        other = Comparison(read_subject(image), compared.versions, "size")
        assert {image.info.get("icc_profile") for image in sources(other.html())} == {profile}

    def test_saved_whole_or_not_at_all(self, compared: Comparison, tmp_path: Path) -> None:
        def two() -> Iterator[Comparison]:
            yield compared
            msg = "broken"
            raise OSError(msg)

        path = tmp_path / "page.html"
        compared.save(path)
        before = path.read_bytes()
        assert before.decode() == compared.html()
        with pytest.raises(OSError, match="broken"):
            write_page(path, two(), "size", replace=True)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    def test_no_file_is_replaced_unasked(self, compared: Comparison, tmp_path: Path) -> None:
        path = tmp_path / "page.html"
        path.write_text("mine")
        with pytest.raises(FileExistsError, match=r"page\.html"):
            compared.save(path)
        assert path.read_text() == "mine"
        compared.save(path, replace=True)
        assert path.read_text("utf-8") == compared.html()

    def test_a_frame_of_its_own_in_notebooks(self, compared: Comparison) -> None:
        shown = compared._repr_html_()
        (page,) = re.findall(r'^<iframe sandbox="allow-scripts" [^<>]* srcdoc="([^"]*)"></iframe>$', shown, re.DOTALL)
        assert "<h1>" in compared.html()
        assert "<h1>" not in html.unescape(page)
        assert sources(html.unescape(page)) == sources(compared.html())


class TestCommand:
    def test_page(self, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        photograph().save(tmp_path / "a.png")
        Image.fromarray(picture(48, 40)).save(tmp_path / "b.webp")
        (tmp_path / "c.png").write_bytes(b"no picture")
        names = [str(tmp_path / name) for name in ("a.png", "b.webp", "c.png")]
        page = str(tmp_path / "page.html")
        assert main(["compare", names[0], "-o", page, "-q", "2", *names[1:], "--peers", "jpeg"]) == 1
        out, err = capsys.readouterr()
        assert out.startswith(f"{page}: 2 pictures, ")
        assert "c.png: cannot identify image file" in err
        text = Path(page).read_text("utf-8")
        assert re.findall(r"<h2>(.*)</h2>", text) == ["a.png", "b.webp"]
        assert len(sources(text)) == 6
        assert main(["compare", names[0], "-o", page]) == 1
        assert "replaced only with --force" in capsys.readouterr().err
        assert Path(page).read_text("utf-8") == text

    def test_no_page_without_a_picture(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "a.png").write_bytes(b"no picture")
        assert main(["compare", str(tmp_path / "a.png"), "-o", str(tmp_path / "page.html")]) == 1
        assert "a.png: cannot identify image file" in capsys.readouterr().err
        assert [path.name for path in tmp_path.iterdir()] == ["a.png"]

    def test_no_picture_is_written_over(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = str(tmp_path / "a.png")
        photograph().save(path)
        assert main(["compare", path, "-o", path, "--force"]) == 1
        assert "is a file to read" in capsys.readouterr().err
        assert main(["compare", path, "-o", str(tmp_path / "b.jpg")]) == 1
        assert "a page has the extension .html" in capsys.readouterr().err
