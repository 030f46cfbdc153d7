"""Colour under alpha 0: what is put there, and what that is good for."""

from __future__ import annotations

import math
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

import agvae
import pillow_agvae  # noqa: F401
from agvae.cli import main
from agvae.coding.assemble import psnr
from agvae.coding.fill import filled
from agvae.coding.frames import Frames
from agvae.container import Reader
from agvae.conversion.to_agv import Encoding, encoded
from agvae.file.payload import WITHOUT_LOSS
from napari_agvae.preview.measured import similarity
from tests.support.helpers import picture

NOISE = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)


@given(st.data(), hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=30)))
def test_what_is_visible_stays(data: st.DataObject, visible: NDArray[np.bool_]) -> None:
    bands = data.draw(st.integers(1, 3))
    colour = data.draw(hnp.arrays(np.uint8, (*visible.shape, bands)))
    before = colour.copy()
    result = filled(colour, visible)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result[visible], colour[visible])
    np.testing.assert_array_equal(colour, before)
    if visible.any():
        assert (result >= colour[visible].min(axis=0)).all()
        assert (result <= colour[visible].max(axis=0)).all()


def test_a_ramp_goes_on() -> None:
    y, x = np.mgrid[:96, :133]
    ramp = np.stack((x + y, 2 * x // 3, 200 - x), axis=2).astype(np.uint8)
    visible = (x - 60) ** 2 + (y - 50) ** 2 > 10**2
    result = filled(np.where(visible[..., None], ramp, 0).astype(np.uint8), visible)
    assert np.abs(result.astype(int) - ramp).max() <= 12
    assert np.abs(np.diff(result.astype(int), axis=1)).max() <= 6


def test_nothing_visible_is_of_one_grey() -> None:
    assert np.unique(filled(NOISE, np.zeros(NOISE.shape[:2], bool))).tolist() == [128]


def logo(under: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A disk in two colours with an antialiased edge, over something that is not to be seen."""
    y, x = np.mgrid[:128, :128]
    alpha = np.clip(255 * (50.5 - np.hypot(x - 64, y - 64)), 0, 255).astype(np.uint8)
    colour = np.stack((200 - y, 60 + x // 2, 90 + 40 * (y > 60)), axis=2)
    return np.dstack((np.where(alpha[..., None] > 0, colour, under), alpha)).astype(np.uint8)


def error_at_the_edge(image: NDArray[np.uint8], data: bytes) -> float:
    alpha = image[..., 3]
    hole = Image.fromarray((255 * (alpha == 0)).astype(np.uint8))
    edge = (np.asarray(hole.filter(ImageFilter.MaxFilter(9))) > 0) & (alpha > 0)
    difference = (agvae.decode(data).astype(float) - image)[edge]
    return float(np.square(difference[:, :3]).mean())


@pytest.mark.parametrize("under", ["noise", "black", "white"])
def test_smaller_files_with_better_edges(under: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agvae.coding.choice.look_at", lambda image: None)
    image = logo({"noise": NOISE, "black": np.zeros_like(NOISE), "white": np.full_like(NOISE, 255)}[under])
    exact, data = agvae.encode(image, exact=True), agvae.encode(image)
    assert len(data) < (0.3 if under == "noise" else 0.9) * len(exact)
    assert error_at_the_edge(image, data) < 0.2 * error_at_the_edge(image, exact)
    np.testing.assert_array_equal(agvae.decode(data)[..., 3], image[..., 3])


def as_pillow(image: NDArray[np.uint8], **options: Any) -> bytes:
    file = BytesIO()
    Image.fromarray(image).save(file, "AGV", **options)
    return file.getvalue()


def as_batch(image: NDArray[np.uint8], **options: Any) -> bytes:
    return agvae.encode_batch([image], **options)[0]


@pytest.mark.parametrize("encode", [agvae.encode, as_batch, as_pillow])
def test_exact_keeps_what_is_not_seen(encode: Callable[..., bytes]) -> None:
    image = logo(NOISE // 4)[:64, :64]
    hidden = image[..., 3] == 0
    exact = agvae.decode(encode(image, quality=6, exact=True))
    assert np.abs(exact.astype(int) - image)[hidden].mean() < 10
    assert np.abs(agvae.decode(encode(image, quality=6)).astype(int) - image)[hidden].mean() > 20
    for wrong in (2, "yes", 1.0):
        with pytest.raises(ValueError, match="exact must be True or False"):
            encode(image, exact=wrong)


def test_images_without_holes_are_as_they_were() -> None:
    image = np.dstack((NOISE, np.full(NOISE.shape[:2], 1, np.uint8)))[:32, :32]
    assert agvae.encode(image) == agvae.encode(image, exact=True)


def test_grey_is_what_is_visible_alone() -> None:
    image = logo(NOISE)
    image[..., :3][image[..., 3] > 0] = 77
    assert Frames([image]).grey
    assert not Frames([image], exact=True).grey
    grey = np.ascontiguousarray(image[..., 2:])
    assert agvae.read_info(agvae.encode(grey))["mode"] == "LA"


def test_target_psnr_is_of_what_is_visible() -> None:
    image = logo(NOISE)
    decoded = agvae.decode(agvae.encode(image, target_psnr=38))
    visible = image[..., 3] > 0
    error = np.square(decoded.astype(float) - image)[visible][:, :3].mean()
    assert 37.94 < 10 * np.log10(255**2 / error) < 38.5  # or more, where that takes fewer bytes


def test_napari_measures_what_is_visible() -> None:
    image = logo(NOISE)
    data = agvae.encode(image)
    measured, _ = similarity(image, agvae.decode(data))
    assert measured == pytest.approx(psnr(data, Frames([image])), abs=1e-3)
    image[..., 3] = 0
    assert math.isinf(similarity(image, 255 - image)[0])


def test_exact_on_the_command_line(tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(logo(NOISE)).save(tmp_path / "logo.png")
    for name, *options in (("plain.agv",), ("exact.agv", "--exact")):
        assert main(["encode", str(tmp_path / "logo.png"), str(tmp_path / name), *options]) == 0
    assert (tmp_path / "plain.agv").stat().st_size < (tmp_path / "exact.agv").stat().st_size
    assert not capsys.readouterr().err


def test_few_colours_are_told_of_where_they_are_lost(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, quality in (("kept", "3.5"), ("lost", "1")):
        Image.fromarray(picture(96, 64)).quantize(64).save(tmp_path / f"{name}.gif")
        assert main(["encode", *(str(tmp_path / f"{name}.{kind}") for kind in ("gif", "agv")), "-q", quality]) == 0
        with Image.open(tmp_path / f"{name}.gif") as image:
            same = np.array_equal(np.asarray(image.convert("RGB")), agvae.decode(tmp_path / f"{name}.agv"))
        assert same == (name == "kept")
        assert ("its few colours may have become others" in capsys.readouterr().err) == (name == "lost")


def test_fewer_colours_than_a_palette_has_are_told_of(tiny_weights: Path, tmp_path: Path) -> None:
    """Though no tile is the model's: a drawing in shades that lie close together."""
    large = Image.new("L", (1600, 1200), 245)
    draw = ImageDraw.Draw(large)
    for k in range(12):
        draw.ellipse((60 + k * 90, 50 + k * 40, 500 + k * 90, 480 + k * 40), fill=20 * k)
    grey = large.resize((400, 300), Image.Resampling.LANCZOS)
    image = Image.merge("RGB", (grey, grey, grey.point(lambda value: value * 3 // 4))).quantize(256)
    image.save(tmp_path / "drawn.gif")
    lost: dict[float, bool] = {}
    for quality in (1.0, 6.0):
        data, told = encoded(tmp_path / "drawn.gif", Encoding({"quality": quality}))
        assert {tile.kind for tile in Reader(BytesIO(data)).tiles()} == {WITHOUT_LOSS}
        lost[quality] = not np.array_equal(agvae.decode(data), np.asarray(image.convert("RGB")))
        assert any("few colours" in text for text in told) == lost[quality]
    assert lost[1.0]
