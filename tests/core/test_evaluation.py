"""Metrics, Bjontegaard deltas, peers, the runner and its reports."""

from __future__ import annotations

import io
import json
import math
import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from agvae.evaluation.bdrate import Curve, bd_quality, bd_rate, shared_range
from agvae.evaluation.interactive import report_page
from agvae.evaluation.measure import Row, find_images, measure, measure_all, summarise
from agvae.evaluation.peers import available_peers, make_peers
from agvae.evaluation.plots import rate_distortion_plot
from agvae.evaluation.report import Columns, Delta, columns, continuity, deltas, markdown, read_anchors, tables
from agvae.evaluation.run import EvaluationOptions, evaluate
from agvae.images import Tally
from agvae.metrics import decibels, ms_ssim, psnr
from tests.support.helpers import files_of_at_most

PUBLISHED = {
    "vtm": (
        [0.048245, 0.112495, 0.245817, 0.490545, 0.87481, 1.43085, 2.324607, 3.632609],
        [26.1448, 28.493, 31.1999, 34.2615, 37.4198, 40.4244, 43.5058, 46.5918],
    ),
    "mbt2018": (
        [0.110531, 0.186971, 0.287696, 0.432339, 0.638767, 0.885305, 1.200365, 1.587345],
        [28.0885, 29.6455, 31.3623, 33.0859, 35.0938, 36.9888, 38.9335, 40.6391],
    ),
    "evc-ss": ([0.339319, 0.514329, 0.750091, 1.001192], [32.3197, 34.2409, 36.0886, 37.4012]),
    "bpg444": (
        [0.067768, 0.161023, 0.351554, 0.684697, 1.199665, 1.929712, 3.057876, 4.703143],
        [26.1951, 28.6815, 31.5947, 34.8575, 38.2599, 41.4789, 44.7031, 47.6325],
    ),
}
"""Mean Kodak curves (bpp, PSNR), the first three from CompressAI's and DCVC's repositories."""


def published(name: str) -> Curve:
    return Curve(*PUBLISHED[name])


def image_pair(height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A pattern and a disturbed copy, the same everywhere."""
    row, column, channel = np.ogrid[:height, :width, :3]
    pattern = 127 + 60 * np.sin(row / 7 + channel) + 50 * np.cos(column / 5 * (1 + channel))
    pattern = (pattern + (row * 31 + column * 17 + channel * 7) % 13).clip(0, 255).astype(np.uint8)
    noise = (row * row * 3 + column * 29 + channel * 11 + row * column) % 41 - 20
    return pattern, (pattern.astype(int) + noise).clip(0, 255).astype(np.uint8)


def ms_ssim_by_definition(x: NDArray[np.uint8], y: NDArray[np.uint8]) -> float:
    """The formulas of the 2003 paper, window by window, with dense two-dimensional weights."""
    distance = np.arange(11) - 5
    window = np.exp(-(distance[:, None] ** 2 + distance[None, :] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    result = []
    for channel in range(3):
        a, b = x[..., channel].astype(float), y[..., channel].astype(float)
        product = 1.0
        for scale, exponent in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
            views = [np.lib.stride_tricks.sliding_window_view(plane, (11, 11)) for plane in (a, b)]
            mean_a, mean_b = (np.einsum("ijkl,kl->ij", view, window) for view in views)
            centred = [view - mean[..., None, None] for view, mean in zip(views, (mean_a, mean_b), strict=True)]
            var_a, var_b = (np.einsum("ijkl,kl->ij", c**2, window) for c in centred)
            cov = np.einsum("ijkl,kl->ij", centred[0] * centred[1], window)
            structure = (2 * cov + 0.03**2 * 255**2) / (var_a + var_b + 0.03**2 * 255**2)
            light = (2 * mean_a * mean_b + 0.01**2 * 255**2) / (mean_a**2 + mean_b**2 + 0.01**2 * 255**2)
            product *= (structure * light if scale == 4 else structure).mean() ** exponent
            a, b = (
                plane.reshape(plane.shape[0] // 2, 2, -1, 2).mean((1, 3)) if scale < 4 else plane for plane in (a, b)
            )
        result.append(product)
    return sum(result) / 3


class TestMetrics:
    def test_psnr_of_known_differences(self) -> None:
        black = np.zeros((4, 5, 3), np.uint8)
        one_off = black.copy()
        one_off[0, 0, 0] = 60
        assert psnr(black, black) == math.inf
        assert psnr(black, black + 255) == 0
        assert psnr(one_off, black) == pytest.approx(20 * math.log10(255) - 10 * math.log10(60**2 / 60))

    def test_psnr_does_not_wrap_around(self) -> None:
        low, high = np.full((2, 2, 3), 1, np.uint8), np.full((2, 2, 3), 255, np.uint8)
        assert psnr(low, high) == psnr(high, low) == pytest.approx(20 * math.log10(255 / 254))

    @pytest.mark.parametrize("size", [(176, 192), (256, 208)])
    def test_ms_ssim_against_its_definition(self, size: tuple[int, int]) -> None:
        reference, image = image_pair(*size)
        assert ms_ssim(reference, image) == pytest.approx(ms_ssim_by_definition(reference, image), abs=1e-10)

    def test_ms_ssim_against_another_implementation(self) -> None:
        # pytorch-msssim 1.0.0, whose window is float32.
        assert ms_ssim(*image_pair(176, 192)) == pytest.approx(0.9865311071, abs=1e-6)
        assert ms_ssim(*image_pair(256, 320)) == pytest.approx(0.9864683321, abs=1e-6)

    def test_ms_ssim_of_equal_and_of_opposite_images(self) -> None:
        image = image_pair(161, 163)[0]
        assert ms_ssim(image, image) == pytest.approx(1)
        assert 0 <= ms_ssim(image, 255 - image) < 0.1

    def test_ms_ssim_needs_161_pixels(self) -> None:
        image = np.zeros((160, 300, 3), np.uint8)
        with pytest.raises(ValueError, match="161 pixels"):
            ms_ssim(image, image)

    @pytest.mark.parametrize("metric", [psnr, ms_ssim])
    def test_images_must_match(self, metric: object) -> None:
        assert callable(metric)
        image = np.zeros((200, 200, 3), np.uint8)
        with pytest.raises(ValueError, match="one shape"):
            metric(image, image[:199])
        with pytest.raises(ValueError, match="uint8"):
            metric(image, image.astype(np.float32))

    def test_decibels(self) -> None:
        assert decibels(0.9) == pytest.approx(10)
        assert decibels(0.99) == pytest.approx(20)
        assert decibels(1.0) == math.inf


class TestBjontegaard:
    @pytest.mark.parametrize(
        ("anchor", "test", "rate", "quality"),
        [
            # From an independent implementation of PCHIP and of the integrals.
            ("vtm", "mbt2018", 11.016535204834863, -0.49227171921120993),
            ("vtm", "evc-ss", 7.0535299116028165, -0.36764387116255465),
            ("bpg444", "vtm", -18.02407243679494, 0.977463904762057),
            ("evc-ss", "mbt2018", 3.668201092403838, -0.16837100548083986),
        ],
    )
    def test_published_curves(self, anchor: str, test: str, rate: float, quality: float) -> None:
        assert bd_rate(published(anchor), published(test)) == pytest.approx(rate, abs=1e-9)
        assert bd_quality(published(anchor), published(test)) == pytest.approx(quality, abs=1e-9)

    @given(st.floats(0.3, 3), st.floats(-2, 2))
    def test_shifted_curves(self, factor: float, gain: float) -> None:
        anchor = published("vtm")
        cheaper = Curve([factor * rate for rate in anchor.rate], anchor.quality)
        better = Curve(anchor.rate, [quality + gain for quality in anchor.quality])
        assert bd_rate(anchor, cheaper) == pytest.approx(100 * (factor - 1), abs=1e-9)
        assert bd_quality(anchor, better) == pytest.approx(gain, abs=1e-9)

    def test_order_of_points_and_dominated_points_do_not_matter(self) -> None:
        rate, quality = PUBLISHED["mbt2018"]
        shuffled = Curve([*rate[::-1], 0.7, rate[3]], [*quality[::-1], 33.0, 20.0])
        assert bd_rate(published("vtm"), shuffled) == bd_rate(published("vtm"), published("mbt2018"))

    def test_quality_at(self) -> None:
        curve = published("vtm")
        assert curve.quality_at(0.490545) == pytest.approx(34.2615)
        assert 31.1999 < curve.quality_at(0.3) < 34.2615
        assert math.isnan(curve.quality_at(0.04))

    def test_curves_without_common_quality(self) -> None:
        low, high = Curve([0.1, 0.2], [20, 25]), Curve([0.1, 0.2], [26, 30])
        assert shared_range(low, high) == (26, 25)
        with pytest.raises(ValueError, match="no range in common"):
            bd_rate(low, high)

    @pytest.mark.parametrize(
        ("rate", "quality"),
        [([0.1], [30]), ([0.1, 0.2], [30, 30]), ([0, 0.2], [30, 31]), ([0.1, 0.2], [30, math.inf]), ([0.1], [30, 31])],
    )
    def test_not_a_curve(self, rate: list[float], quality: list[float]) -> None:
        with pytest.raises(ValueError):  # noqa: PT011
            Curve(rate, quality)


def photograph(width: int, height: int) -> Image.Image:
    """Something with edges and texture that lossy codecs have to spend bits on."""
    return Image.fromarray(image_pair(height, width)[0])


class TestPeers:
    @pytest.mark.parametrize("name", available_peers())
    def test_files_are_of_the_format_and_quality_rises_with_size(self, name: str) -> None:
        (codec,) = make_peers([name])
        image = photograph(192, 176)
        rows = [measure(codec, setting, image, "x") for setting in (codec.settings[0], codec.settings[-1])]
        assert rows[0].bytes < rows[1].bytes
        assert rows[0].psnr < rows[1].psnr
        with Image.open(io.BytesIO(codec.encode(image, codec.settings[0]))) as decoded:
            assert decoded.format is not None
            assert decoded.size == image.size
        assert any(character.isdigit() for character in codec.description.split(";")[1])

    def test_pillow_brings_these(self) -> None:
        assert {"jpeg", "webp"} <= set(available_peers())

    def test_avif_tunings_differ(self) -> None:
        if "avif" not in available_peers():
            pytest.skip("this Pillow has no AVIF")
        image = photograph(192, 176)
        default, tuned = (codec.encode(image, 40) for codec in make_peers(["avif", "avif-psnr"]))
        assert default != tuned

    @pytest.mark.parametrize("name", [name for name in available_peers() if name.startswith("heic")])
    def test_heic_has_the_chroma_that_it_says(self, name: str) -> None:
        (codec,) = make_peers([name])
        with Image.open(io.BytesIO(codec.encode(photograph(64, 48), 30))) as image:
            chroma = str(image.info["chroma"])
        assert ":".join(chroma) in codec.description

    @pytest.mark.parametrize("name", available_peers())
    def test_metadata_of_the_source_cost_nothing(self, name: str) -> None:
        (codec,) = make_peers([name])
        image = photograph(64, 48)
        size = len(codec.encode(image, codec.settings[0]))
        image.info = {"icc_profile": bytes(5000), "exif": b"Exif\0\0" + bytes(5000), "xmp": bytes(5000)}
        assert len(codec.encode(image, codec.settings[0])) == size
        assert len(image.info["icc_profile"]) == 5000

    def test_unknown_peer(self) -> None:
        with pytest.raises(ValueError, match="unknown codec 'gif'; there are: jpeg"):
            make_peers(["gif"])


class TestEvaluate:
    @pytest.fixture
    def images(self, tmp_path: Path) -> Path:
        folder = tmp_path / "images"
        folder.mkdir()
        photograph(40, 30).save(folder / "a.png")
        return folder

    def test_percent_are_qualities(self, images: Path, tiny_weights: Path, tmp_path: Path) -> None:
        text = evaluate(EvaluationOptions(images, tmp_path / "out", (20, 60, 40, 3)))
        assert "Nothing between trained levels was measured." in text
        found = json.loads((tmp_path / "out" / "summary.json").read_text())
        assert found["curves"]["agvae"]["setting"] == [2, 3, 4]
        assert found["continuity"] is None or found["continuity"]["max_deviation"] is None

    def test_results_are_replaced_as_a_whole_and_when_told_to(
        self, images: Path, tiny_weights: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"

        def contents() -> dict[str, bytes]:
            return {path.name: path.read_bytes() for path in out.iterdir()}

        def interrupt(line: str) -> None:
            if line == "1 of 1 image, a.png":
                raise KeyboardInterrupt

        evaluate(EvaluationOptions(images, out, (1, 2)))
        first = contents()
        assert set(first) == {"rows.csv", "summary.json", "report.md", "report.html", "psnr.png"}
        with pytest.raises(FileExistsError, match="earlier run"):
            evaluate(EvaluationOptions(images, out, (3, 4)))
        assert contents() == first
        with pytest.raises(KeyboardInterrupt):
            evaluate(EvaluationOptions(images, out, (3, 4), force=True), progress=interrupt)
        interrupted = contents()
        assert b"agvae,4.0,a.png" in interrupted.pop("rows-unfinished.csv")
        assert interrupted == first
        (out / "ms_ssim_db.png").write_bytes(b"of a run on larger images")
        evaluate(EvaluationOptions(images, out, (3, 4), force=True))
        assert set(contents()) == set(first)
        assert all(contents()[name] != data for name, data in first.items())

    def test_a_full_disk_keeps_whole_rows(self, images: Path, tiny_weights: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        with files_of_at_most(400), pytest.raises(OSError, match=r"File too large: .*rows-unfinished\.csv"):
            evaluate(EvaluationOptions(images, out, (1, 2, 3, 4, 5, 6)))
        assert [path.name for path in out.iterdir()] == ["rows-unfinished.csv"]
        header, *rows = (out / "rows-unfinished.csv").read_text().splitlines()
        assert len(rows) in range(1, 5)
        assert all(row.count(",") == header.count(",") for row in rows)

    def test_a_full_disk_leaves_the_results_of_the_run_before(
        self, images: Path, tiny_weights: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        evaluate(EvaluationOptions(images, out, (1, 2)))
        before = {path.name: path.read_bytes() for path in out.iterdir()}
        with (
            files_of_at_most(len(before["psnr.png"]) // 2),
            pytest.raises(OSError, match=r"File too large: .*(psnr\.png|report\.html)"),
        ):
            evaluate(EvaluationOptions(images, out, (3, 4), force=True))
        after = {path.name: path.read_bytes() for path in out.iterdir()}
        assert b"agvae,4.0,a.png" in after.pop("rows-unfinished.csv")
        assert after == before

    def test_a_broken_image_ends_no_run(self, images: Path, tiny_weights: Path, tmp_path: Path) -> None:
        (images / "b.png").write_bytes(b"no image")
        said: list[str] = []
        report = evaluate(EvaluationOptions(images, tmp_path / "out", (1, 2)), progress=said.append)
        left_out = (
            f"1 image, 0.0 Mpixel; left out 1 that cannot be read ({images / 'b.png'}: cannot identify image file)"
        )
        assert said[0] == f"{images}: {left_out}"
        assert f"Means over {left_out}; model tiny" in report
        assert json.loads((tmp_path / "out" / "summary.json").read_text())["images"] == ["a.png"]

    def test_an_interrupted_run_is_a_result_too(self, images: Path, tmp_path: Path) -> None:
        (tmp_path / "rows-unfinished.csv").write_text("hours of work")
        with pytest.raises(FileExistsError, match=r"rows-unfinished\.csv"):
            evaluate(EvaluationOptions(images, tmp_path))
        assert (tmp_path / "rows-unfinished.csv").read_text() == "hours of work"

    def test_plots_are_not_measured(self, images: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(images)
        for output in (images, images / ".." / "images", tmp_path / "link"):
            with pytest.raises(ValueError, match="among the images"):
                evaluate(EvaluationOptions(images, output, force=True))
        assert [path.name for path in images.iterdir()] == ["a.png"]


class TestMeasure:
    def test_row(self) -> None:
        (codec,) = make_peers(["webp"])
        image = photograph(192, 176)
        row = measure(codec, 55, image, "pattern.png")
        file = io.BytesIO()
        image.save(file, "WEBP", quality=55, method=6)
        with Image.open(file) as decoded:
            expected = psnr(np.asarray(image), np.asarray(decoded.convert("RGB")))
        assert (row.codec, row.setting, row.image, row.width, row.height) == ("webp", 55, "pattern.png", 192, 176)
        assert row.bytes == len(file.getvalue())
        assert row.bpp == 8 * row.bytes / (192 * 176)
        assert row.psnr == expected
        assert row.ms_ssim is not None
        assert 0 < row.ms_ssim < 1
        assert 0 < row.encode_s < 60
        assert 0 < row.decode_s < 60

    def test_small_images_have_no_ms_ssim(self) -> None:
        (codec,) = make_peers(["jpeg"])
        row = measure(codec, 75, photograph(40, 30), "x")
        assert row.ms_ssim is None
        assert summarise([row])["jpeg"][0].ms_ssim_db is None

    def test_every_image_codec_and_setting(self, tmp_path: Path) -> None:
        for name, size in (("b.png", (40, 30)), ("a.png", (33, 20)), ("grey.png", (20, 20))):
            photograph(*size).convert("L" if "grey" in name else "RGB").save(tmp_path / name)
        (tmp_path / "notes.txt").write_text("not an image")
        codecs = make_peers(["webp", "jpeg"])
        rows = list(measure_all(find_images(tmp_path, Tally()), codecs))
        assert [(row.image, row.codec, row.setting) for row in rows] == [
            (image, codec.name, setting)
            for image in ("a.png", "b.png", "grey.png")
            for codec in codecs
            for setting in codec.settings
        ]

    @pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
    def test_what_is_no_regular_file_is_told_of(self, tmp_path: Path) -> None:
        photograph(40, 30).save(tmp_path / "a.png")
        (tmp_path / "gone.png").symlink_to("nowhere.png")
        os.mkfifo(tmp_path / "pipe.png")
        tally = Tally()
        assert find_images(tmp_path, tally) == [tmp_path / "a.png"]
        assert tally.broken == [f"{tmp_path}/gone.png: leads to no file", f"{tmp_path}/pipe.png: is no regular file"]

    def test_folders_are_no_images(self, tmp_path: Path) -> None:
        (tmp_path / "folder.png").mkdir()
        photograph(20, 20).save(tmp_path / "a.png")
        assert find_images(tmp_path, Tally()) == [tmp_path / "a.png"]

    @pytest.mark.parametrize("length", [0, 8, 400])
    def test_what_is_left_out_is_named(self, length: int, tmp_path: Path) -> None:
        for name in ("a.png", "b.png", "c.gif", "d.png"):
            photograph(64, 64).save(tmp_path / name)
        photograph(64, 64).save(tmp_path / "c.gif", save_all=True, append_images=[photograph(64, 64).rotate(90)])
        (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:length])
        (tmp_path / "e.md").touch()
        (tmp_path / "more").mkdir()
        tally = Tally()
        assert [path.name for path in find_images(tmp_path, tally)] == ["a.png", "c.gif", "d.png"]
        said = str(tally)
        assert said.startswith(
            "3 images, 0.0 Mpixel; of 1 only the first of several frames; left out 1 other file (.md)"
        )
        assert f"left out 1 folder; left out 1 that cannot be read ({tmp_path / 'b.png'}: " in said
        assert [path.name for path in find_images(tmp_path, Tally(), 2)] == ["a.png", "c.gif"]

    def test_no_images(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").touch()
        with pytest.raises(ValueError, match=r"no images in .* that can be read: .*a\.png: "):
            find_images(tmp_path, Tally())

    def test_means(self) -> None:
        rows = [
            Row("c", setting, image, 10, 10, 0, bpp, quality, index, seconds, 1, 1, 1)
            for setting, image, bpp, quality, index, seconds in (
                (2, "a", 1.0, 30.0, 0.9, 1.0),
                (1, "a", 0.5, 20.0, 0.8, 2.0),
                (2, "b", 3.0, 40.0, 0.98, 3.0),
                (1, "b", 0.7, 22.0, 0.6, 4.0),
            )
        ]
        low, high = summarise(rows)["c"]
        assert (low.setting, low.images, low.psnr, low.encode_s) == (1, 2, 21, 3)
        assert low.bpp == pytest.approx(0.6)
        assert (high.bpp, high.psnr) == (2, 35)
        # The mean of the index on the logarithmic scale, not the mean of the logarithms.
        assert high.ms_ssim_db == pytest.approx(-10 * math.log10(0.06))


def rows_of(qualities: dict[float, tuple[int, float]], image: str = "a") -> list[Row]:
    """Rows of a variable-rate codec on one image of 1000 pixels, from {quality: (bytes, PSNR)}."""
    return [
        Row("agvae", quality, image, 100, 10, size, 8 * size / 1000, value, None, 0.1, 0.1, 0.1, 0.1)
        for quality, (size, value) in qualities.items()
    ]


class TestReport:
    def test_continuity_of_a_smooth_scale(self) -> None:
        rows = rows_of({q: (round(1e6 * 2**q), 20 + 3 * q) for q in (1, 1.5, 2, 2.5, 3)})
        even = continuity(rows, summarise(rows)["agvae"])
        assert even.max_deviation == pytest.approx(0, abs=1e-4)
        assert even.mean_size_rises
        assert not even.not_larger

    def test_continuity_finds_a_dent_and_its_side(self) -> None:
        rows = rows_of({1: (100, 30.0), 1.5: (141, 31.0), 2: (200, 32.0), 2.5: (283, 32.6), 3: (400, 34.0)})
        even = continuity(rows, summarise(rows)["agvae"])
        assert even.deviation[1.5] == pytest.approx(0, abs=0.01)
        assert even.deviation[2.5] == pytest.approx(-0.4, abs=0.01)
        assert even.max_deviation == pytest.approx(0.4, abs=0.01)

    def test_continuity_finds_sizes_out_of_order(self) -> None:
        rows = rows_of({1: (100, 30), 1.5: (90, 30.5), 2: (200, 32), 3: (300, 34)})
        rows += rows_of({1: (100, 30), 1.5: (101, 30.5), 2: (120, 32), 3: (120, 34)}, "b")
        even = continuity(rows, summarise(rows)["agvae"])
        assert not even.mean_size_rises
        assert even.not_larger == [("b", 3)]
        assert even.deviation == {1.5: math.inf}
        assert even.max_deviation == math.inf

    def test_continuity_of_a_model_of_other_levels(self) -> None:
        rows = rows_of({q: (round(1e6 * 2**q), 20 + 3 * q) for q in (1, 2, 3.5, 5, 6)})
        assert set(continuity(rows, summarise(rows)["agvae"], 3).deviation) == {2, 5}
        assert set(continuity(rows, summarise(rows)["agvae"]).deviation) == {3.5}

    def test_nothing_between_trained_levels(self) -> None:
        rows = rows_of({q: (round(1e6 * 2**q), 20 + 3 * q) for q in (1, 2, 3)})
        points = summarise(rows)
        even = continuity(rows, points["agvae"])
        assert even.max_deviation is None
        text = markdown(points, [], even)
        assert "deviation" not in text
        assert "Nothing between trained levels was measured." in text

    def test_continuity_needs_two_trained_levels(self) -> None:
        rows = rows_of({1: (100, 30), 1.5: (120, 30.5)})
        with pytest.raises(ValueError, match="two points"):
            continuity(rows, summarise(rows)["agvae"])

    def test_deltas_against_measured_and_published(self) -> None:
        curves = {name: {"bpp": rate, "psnr": quality} for name, (rate, quality) in PUBLISHED.items()}
        found = {delta.anchor: delta for delta in deltas(curves, "mbt2018")}
        assert set(found) == {"vtm", "evc-ss", "bpg444"}
        assert found["vtm"].rate == pytest.approx(11.0165, abs=1e-3)
        assert found["vtm"].quality == pytest.approx(-0.4923, abs=1e-3)
        assert (found["vtm"].low, found["vtm"].high) == (28.0885, 40.6391)
        assert deltas(curves, "mbt2018", "ms_ssim_db") == []

    def test_lossless_points_and_single_points_are_left_out(self) -> None:
        rows = rows_of({1: (100, 30), 2: (200, 33), 3: (900, math.inf)})
        own = columns(summarise(rows)["agvae"])
        assert own["psnr"] == [30, 33, None]
        found = deltas({"agvae": own, "one": {"bpp": [1.0], "psnr": [31.0]}, "same": own}, "agvae")
        assert [(delta.anchor, delta.rate) for delta in found] == [("same", 0)]

    def test_anchors_file(self, tmp_path: Path) -> None:
        path = tmp_path / "anchors.json"
        content = {
            "vtm": {"bpp": [0.1, 0.2], "psnr": [28, 30.5], "source": "somewhere"},
            "_notes": {"convention": "RGB"},
            "msssim-only": {"bpp": [0.1, 0.2], "ms_ssim_db": [10, 12]},
        }
        path.write_text(json.dumps(content))
        assert read_anchors(path) == {
            "vtm": {"bpp": [0.1, 0.2], "psnr": [28, 30.5]},
            "msssim-only": {"bpp": [0.1, 0.2], "ms_ssim_db": [10, 12]},
        }
        assert list(read_anchors(path, ["vtm"])) == ["vtm"]
        with pytest.raises(ValueError, match=r"no curve 'hm' in .*; there are: vtm, msssim-only"):
            read_anchors(path, ["vtm", "hm"])

    @pytest.mark.parametrize("text", ["", "[1]", '{"a": 3}', '{"a": {"bpp": [null]}}', '{"a": {"bpp": "x"}}'])
    def test_not_an_anchors_file(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "anchors.json"
        path.write_text(text)
        with pytest.raises(ValueError, match=r"anchors\.json is not a JSON file of curves"):
            read_anchors(path)

    def test_markdown(self) -> None:
        rows = rows_of({1: (100, 30), 1.5: (142, 31.5), 2: (200, 33)})
        points = summarise(rows)
        curves: dict[str, Columns] = {
            "peer": {"bpp": [0.8, 3.2], "psnr": [29.0, 34.0]},
            "agvae": columns(points["agvae"]),
        }
        text = markdown(points, deltas(curves, "agvae"), continuity(rows, points["agvae"]))
        assert "| agvae | 1.5 | 1.1360 | 31.50 | - | 0.100 | 0.100 |" in text
        assert "| PSNR against | BD-rate (%) |" in text
        assert "30.0 to 33.0 |" in text
        assert "Mean size rises with every step: yes." in text

    def test_the_page_has_all_curves_and_tables(self) -> None:
        rows = [row for image in ("a", "</script>b") for row in rows_of({1: (100, 30.0), 2: (200, math.inf)}, image)]
        points = summarise(rows)
        curves: dict[str, Columns] = {name: columns(curve) for name, curve in points.items()}
        (codec,) = points
        published: Columns = {"bpp": [0.5, 1.0], "psnr": [28.0, 29.0]}
        made = tables(points, [Delta("<old>", "psnr", -10.0, None, 28.0, 29.0)])
        page = report_page("Means of <two>.", rows, made, ["Even."], codec, {**curves, "<old>": published})
        (drawn,) = re.findall(r'<script type="application/json" id="drawn">(.*?)</script>', page)
        mean, first, second = json.loads(drawn)["views"]
        rate = rows[0].bpp
        assert [view["name"] for view in (mean, first, second)] == ["Mean of all images", "a", "</script>b"]
        assert mean["curves"][1] == {"name": "<old>", "points": [[None, 0.5, 28.0, None], [None, 1.0, 29.0, None]]}
        assert first["curves"] == [{"name": codec, "points": [[1, rate, 30.0, None], [2, 2 * rate, None, None]]}]
        assert "<td>-10.0</td><td>-</td><td>28.0 to 29.0</td>" in page
        assert "Means of &lt;two&gt;." in page
        assert page.count("</script>") == 2

    def test_plot_is_a_png(self) -> None:
        curves: dict[str, Columns] = {
            "mine": {"bpp": [0.1, 0.5, None], "psnr": [28.0, 33.0, None]},
            "empty": {"bpp": [0.1]},
        }
        with Image.open(io.BytesIO(rate_distortion_plot(curves, "mine"))) as image:
            assert image.format == "PNG"
            assert len(np.unique(np.asarray(image))) > 10
        with pytest.raises(ValueError, match="no points"):
            rate_distortion_plot(curves, "empty")
