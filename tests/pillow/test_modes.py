"""Modes and sizes: what is kept, what is converted, and what is refused."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import agvae
from tests.support.plugin import SIZE, reopened, saved

pytestmark = pytest.mark.usefixtures("tiny_weights")


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


@pytest.mark.parametrize(("mode", "way_out"), [("YCbCr", "RGB"), ("RGBX", "RGB"), ("RGBa", "RGBA"), ("La", "LA")])
def test_modes_refused_without_loss(mode: str, way_out: str, photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "x.agv"
    im = photo.convert(way_out).convert(mode)
    message = f"mode {mode} cannot be kept without loss: convert it to {way_out} first"
    with pytest.raises(OSError, match=f"x.agv: {message}"):
        im.save(path, lossless=True)
    with pytest.raises(OSError, match=f"frame 1: {message}|x.agv: {message}"):
        im.convert(way_out).save(path, save_all=True, append_images=[im], lossless=True)
    assert not path.exists()
    with pytest.raises(OSError, match=message):
        agvae.encode(im, lossless=True)
    with pytest.raises(OSError, match=message):
        agvae.encode_batch([im], lossless=True)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I;16B", "I;16L"])
def test_modes_kept_without_loss(mode: str) -> None:
    values = np.random.default_rng(0).bytes(8 * 8 * 4)
    count = 8 if mode == "1" else 64 * (2 if mode.startswith("I") else len(Image.new(mode, (1, 1)).getbands()))
    im = Image.frombytes(mode, (8, 8), values[:count])
    for data in (saved(im, lossless=True), agvae.encode(im, lossless=True)):
        with Image.open(io.BytesIO(data)) as read:
            np.testing.assert_array_equal(np.asarray(read), np.asarray(im))


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
