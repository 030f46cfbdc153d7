"""Pixels without loss: every mode, exact, in any shape, without PyTorch, and errors for what no writer writes."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image, ImageFile

import agvae
import pillow_agvae  # noqa: F401
from agvae.coding import lossless
from agvae.container import Header, Metadata, Reader, TileData, write_container
from agvae.errors import DamagedFileError, UnsupportedFileError
from agvae.file.alpha import WITH_COLOUR
from agvae.file.payload import MIXED, WITHOUT_LOSS
from agvae.progress import watched
from tests.support.helpers import picture

sides = st.integers(1, 40)
shapes = st.one_of(
    st.tuples(sides, sides),
    st.tuples(sides, sides, st.integers(1, 4)),
    st.sampled_from([(1, 1030), (1030, 2, 3), (1025, 1, 4)]),
)
arrays = shapes.flatmap(
    lambda shape: st.one_of(
        hnp.arrays(np.uint8, shape),
        hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 255])),
        *([hnp.arrays(np.uint16, shape)] if len(shape) == 2 else []),
    )
)


def saved(image: Image.Image, **options: Any) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "AGV", lossless=True, **options)
    return Image.open(file)


@settings(max_examples=150)
@given(arrays)
def test_arrays_come_back(array: NDArray[Any]) -> None:
    expected = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    data = agvae.encode(array, lossless=True)
    np.testing.assert_array_equal(agvae.decode(data), expected)
    assert agvae.read_info(data)["lossless"]
    (batched,) = agvae.encode_batch([array], lossless=True)
    assert batched == data


@settings(max_examples=60)
@given(arrays, st.data())
def test_a_box_is_the_crop(array: NDArray[Any], data: st.DataObject) -> None:
    height, width = array.shape[:2]
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    box = (left, top, data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height)))
    coded = agvae.encode(array, lossless=True)
    np.testing.assert_array_equal(agvae.decode(coded, box), agvae.decode(coded)[box[1] : box[3], box[0] : box[2]])


def image_of(mode: str, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    if mode == "I;16":
        return Image.fromarray(rng.integers(300, 4096, (33, 50)).astype(np.uint16))
    image = Image.fromarray(rng.integers(0, 256, (33, 50, 4), np.uint8))
    return image.convert("RGB").quantize(37) if mode == "P" else image.convert(mode)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_images_keep_mode_and_pixels(mode: str) -> None:
    image = image_of(mode)
    again = saved(image)
    assert (again.mode, again.size) == (image.mode, image.size)
    assert again.tobytes() == image.tobytes()
    assert again.getpalette() == image.getpalette()
    assert again.copy().tobytes() == image.tobytes()
    alone = [np.asarray(image)] if mode not in ("1", "P") else []
    for pixels in alone:
        np.testing.assert_array_equal(agvae.decode(agvae.encode(image, lossless=True)), pixels)


@pytest.mark.parametrize("transparency", [3, bytes([255, 0, 7]), bytes(range(100, 137))])
def test_transparent_colours_of_a_palette(transparency: int | bytes) -> None:
    image = image_of("P")
    image.info["transparency"] = transparency
    again = saved(image)
    assert again.mode == "P"
    assert again.tobytes() == image.tobytes()
    assert again.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()
    array = agvae.decode(agvae.encode(image, lossless=True))
    np.testing.assert_array_equal(array, np.asarray(image.convert("RGBA")))


def rgba_palette() -> Image.Image:
    image = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4) % 3).convert("P")
    image.putpalette([200, 0, 0, 100, 0, 255, 0, 255, 9, 9, 9, 0], "RGBA")
    return image


def beyond() -> Image.Image:
    image = Image.fromarray(np.full((3, 4), 5, np.uint8)).convert("P")
    image.putpalette([1, 2, 3, 4, 5, 6])
    image.info["transparency"] = 5
    return image


def bilevel() -> Image.Image:
    image = image_of("1")
    image.info["transparency"] = 0
    return image


@pytest.mark.parametrize("make", [rgba_palette, beyond, bilevel])
def test_no_alpha_is_lost(make: Callable[[], Image.Image]) -> None:
    image = make()
    expected = np.asarray(image.convert("RGBA"))
    np.testing.assert_array_equal(np.asarray(saved(image).convert("RGBA")), expected)
    array = Image.fromarray(agvae.decode(agvae.encode(image, lossless=True))).convert("RGBA")
    np.testing.assert_array_equal(np.asarray(array), expected)


def test_one_transparent_colour_goes_to_gif() -> None:
    image = image_of("P")
    image.info["transparency"] = 3
    file = io.BytesIO()
    saved(image).save(file, "GIF")
    assert Image.open(file).convert("RGBA").tobytes() == image.convert("RGBA").tobytes()


def test_a_palette_is_shown_by_pillow_and_numpy_alike() -> None:
    image = image_of("P")
    array = agvae.decode(agvae.encode(image, lossless=True))
    np.testing.assert_array_equal(array, np.asarray(image.convert("RGB")))
    again = saved(image)
    assert again.convert("RGB").tobytes() == image.convert("RGB").tobytes()
    other = io.BytesIO()
    again.save(other, "PNG")
    assert Image.open(other).convert("RGB").tobytes() == image.convert("RGB").tobytes()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "I;16"])
def test_frames(mode: str) -> None:
    first, *others = images = [image_of(mode, seed) for seed in range(3)]
    again = saved(first, save_all=True, append_images=others, duration=40)
    assert (again.n_frames, again.mode) == (3, mode)  # type: ignore[attr-defined]
    for number in (2, 0, 1):
        again.seek(number)
        assert again.tobytes() == images[number].tobytes()


@pytest.mark.parametrize("transparency", [None, 3, bytes([255, 0, 7])])
def test_frames_of_one_palette(transparency: int | bytes | None) -> None:
    palette = image_of("P")
    images = [image_of("RGB", seed).quantize(37, palette=palette, dither=Image.Dither.NONE) for seed in range(3)]
    for image in images:
        image.putpalette(palette.getpalette() or [])
        if transparency is not None:
            image.info["transparency"] = transparency
    again = saved(images[0], save_all=True, append_images=images[1:])
    assert (again.mode, again.n_frames) == ("P", 3)  # type: ignore[attr-defined]
    for number in (1, 2, 0):
        again.seek(number)
        assert again.tobytes() == images[number].tobytes()
        assert again.convert("RGBA").tobytes() == images[number].convert("RGBA").tobytes()
    array = agvae.decode(agvae.encode(images, lossless=True), frame=2)
    np.testing.assert_array_equal(array, np.asarray(images[2].convert("RGB" if transparency is None else "RGBA")))


def test_frames_of_different_palettes_keep_their_colours() -> None:
    first, second = image_of("P"), image_of("P", 1)
    again = saved(first, save_all=True, append_images=[second])
    assert again.mode == "RGB"
    for number, image in enumerate((first, second)):
        again.seek(number)
        assert again.tobytes() == image.convert("RGB").tobytes()


MODES = {"1": 1, "L": 1, "LA": 2, "P": 1, "RGB": 3, "RGBA": 4, "I;16": 1}


@st.composite
def frames_of_a_mode(draw: st.DrawFn) -> list[Image.Image]:
    mode, count = draw(st.sampled_from(sorted(MODES))), draw(st.integers(1, 3))
    shape = draw(sides), draw(sides), MODES[mode]
    colours = draw(st.binary(min_size=768, max_size=768))
    images = []
    for _ in range(count):
        pixels = draw(hnp.arrays(np.uint16 if mode == "I;16" else np.uint8, shape))
        image = Image.fromarray(pixels[..., 0] if shape[2] == 1 else pixels).convert(mode if mode == "1" else None)
        if mode == "P":
            image.putpalette(colours)
        images.append(image)
    return images


@settings(max_examples=80)
@given(frames_of_a_mode())
def test_frames_of_every_mode_come_back(images: list[Image.Image]) -> None:
    again = saved(images[0], save_all=True, append_images=images[1:])
    assert (again.mode, again.n_frames) == (images[0].mode, len(images))  # type: ignore[attr-defined]
    for number, image in reversed(list(enumerate(images))):
        again.seek(number)
        assert again.tobytes() == image.tobytes()
        assert again.getpalette() == image.getpalette()


def test_colour_under_alpha_0_is_kept() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 4), np.uint8)
    pixels[..., 3] = 0
    np.testing.assert_array_equal(agvae.decode(agvae.encode(pixels, lossless=True)), pixels)


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (300, 200)])
def test_small_files(size: tuple[int, int]) -> None:
    """No larger than WebP by more than 3 % and a header."""
    rows, columns = np.mgrid[: size[1], : size[0]]
    for plane in (rows + columns & 1, rows // 8 * columns // 8 & 1, rows * 0):
        image = Image.fromarray((255 * plane).astype(np.uint8)).convert("RGB")
        webp = io.BytesIO()
        image.save(webp, "WEBP", lossless=True)
        assert len(agvae.encode(image, lossless=True)) <= 1.03 * len(webp.getvalue()) + 100


def sprites() -> NDArray[np.uint8]:
    """Drawn on nothing, alike in colour and alpha."""
    colours = np.array(
        [[0, 0, 0, 0], [255, 40, 40, 255], [20, 200, 30, 255], [10, 10, 10, 255], [9, 9, 99, 128]], np.uint8
    )
    half = np.random.default_rng(0).integers(0, 5, (96, 48))
    return colours[np.hstack([half, half[:, ::-1]])]


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 1}, {"quality": 3.5}, {"exact": True}])
@pytest.mark.parametrize("bands", [[0, 1, 2, 3], [1, 3], [2, 2, 2, 3], [3, 3]])
def test_alpha_lies_with_the_colour_where_that_is_smaller(options: dict[str, Any], bands: list[int]) -> None:
    """So that what is drawn on nothing is no larger than WebP, either, also in one colour."""
    image = sprites()[..., bands]
    if len(set(bands)) < len(bands):
        image[..., :-1] = 255 * (image[..., -1:] > 0)
    webp = io.BytesIO()
    Image.fromarray(image).save(webp, "WEBP", lossless=True)
    data = agvae.encode(image, **options)
    np.testing.assert_array_equal(agvae.decode(data), image)
    np.testing.assert_array_equal(agvae.decode(data, (7, 9, 50, 60)), image[9:60, 7:50])
    assert len(data) <= 1.03 * len(webp.getvalue()) + 100


def test_alpha_with_a_colour_that_has_none_is_damage() -> None:
    header = replace(HEADER, mode="RGBA")
    for payload, kind in (
        (lossless.encode_colour(picture(40, 30)), WITHOUT_LOSS),
        (lossless.encode_with_alpha(picture(40, 30), picture(40, 30, 1)[..., 0])[:-20], WITHOUT_LOSS),
        (lossless.encode_with_alpha(picture(40, 30), picture(40, 30, 1)[..., 0]), MIXED),
    ):
        data = write_container(header, Metadata(), [TileData(payload, WITH_COLOUR, kind=kind)])
        with pytest.raises(DamagedFileError):
            agvae.decode(data)


def test_neither_writing_nor_reading_needs_pytorch() -> None:
    code = """
import io, sys
import agvae, pillow_agvae
from PIL import Image
file = io.BytesIO()
Image.linear_gradient("L").save(file, "AGV", lossless=True, thumbnail=64)
with Image.open(file) as image:
    assert image.tobytes() == Image.linear_gradient("L").tobytes()
    image.thumbnail((64, 64))
agvae.decode(file.getvalue())
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_thumbnails_are_of_the_same_quality_and_any_size() -> None:
    image = Image.fromarray(picture(200, 100))
    small = saved(image, thumbnail=50)
    assert small.draft(None, (50, 25)) is not None
    assert small.size == (50, 25)
    data = agvae.encode(image, 1, thumbnail=100)
    thumbnail = Reader(io.BytesIO(data)).thumbnail()
    assert thumbnail is not None
    assert (thumbnail.header.width, thumbnail.header.level) == (100, 0)
    for wrong in (0, 2, 2000, 50.5, "large"):
        with pytest.raises(ValueError, match="thumbnail must be"):
            agvae.encode(image, thumbnail=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("other", [{"quality": 3}, {"s": 2}, {"target_size": 100}, {"target_psnr": 30}])
def test_lossless_leaves_no_rate_to_choose(other: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="only one of"):
        agvae.encode(picture(9, 9), lossless=True, **other)
    with pytest.raises(ValueError, match="lossless must be"):
        agvae.encode(picture(9, 9), lossless="yes")  # type: ignore[arg-type]


def test_save_takes_the_quality_that_other_lossless_formats_mean_otherwise() -> None:
    image = Image.fromarray(picture(9, 9))
    assert saved(image, quality=80).tobytes() == image.tobytes()
    with pytest.raises(ValueError, match="only one of"):
        saved(image, target_size=1000)


HEADER = Header(40, 30, "RGB", 20480, "lossless", bytes(8))
DEEP = replace(HEADER, mode="I;16", range=(100, 200))


def file_of(header: Header, payload: bytes) -> bytes:
    return write_container(header, Metadata(), [TileData(payload, kind=WITHOUT_LOSS)])


def holes(colour: NDArray[np.uint8]) -> bytes:
    return lossless.encode_colour(colour, colour[..., 0] > 100)


@pytest.mark.parametrize(
    ("header", "payload"),
    [
        (HEADER, b""),
        (HEADER, b"x" * 50),
        (HEADER, lossless.encode_colour(picture(30, 40))),
        (HEADER, lossless.encode_colour(picture(40, 30))[:-20]),
        (HEADER, holes(picture(40, 30))),
        (DEEP, b""),
        (DEEP, holes(picture(40, 30) // 9)),
        (DEEP, lossless.encode_deep(np.zeros((40, 30), np.uint16))),
        (DEEP, lossless.encode_deep(np.full((30, 40), 101, np.uint16))),
        (DEEP, lossless.encode_deep(np.arange(1200, dtype=np.uint16).reshape(30, 40))[:60]),
    ],
)
def test_nonsense_is_damage(header: Header, payload: bytes) -> None:
    data = file_of(header, payload)
    with pytest.raises(DamagedFileError):
        agvae.decode(data)
    pixels = agvae.decode(data, damaged_ok=True)
    assert pixels.shape[:2] == (30, 40)
    assert len(np.unique(pixels)) == 1


def test_bombs_are_refused_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit below half of a tile is Pillow's own for the tile; a box of a larger one needs all of it."""
    data = agvae.encode(np.zeros((600, 600), np.uint8), lossless=True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200_000)
    assert agvae.decode(data, (0, 0, 30, 30)).shape == (30, 30)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)
    with pytest.raises(Image.DecompressionBombError):
        agvae.decode(data)


def test_lost_tiles_of_few_colours() -> None:
    palette = bytes([0, 0, 0, 255, 120, 130, 128, 255, 128, 128, 128, 0])
    lost = [TileData(b"", kind=WITHOUT_LOSS)]
    data = write_container(replace(HEADER, mode="P", palette=palette), Metadata(), lost)
    assert np.unique(agvae.decode(data, damaged_ok=True).reshape(-1, 4), axis=0).tolist() == [[120, 130, 128, 255]]
    data = write_container(replace(HEADER, mode="1"), Metadata(), lost)
    assert np.unique(agvae.decode(data, damaged_ok=True)).tolist() == [255]
    grey = [TileData(lossless.encode_colour(np.full((30, 40, 3), 70, np.uint8)), kind=WITHOUT_LOSS)]
    assert np.unique(agvae.decode(write_container(replace(HEADER, mode="1"), Metadata(), grey))).tolist() == [0]


def test_a_cut_tile_is_damage_whatever_pillow_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = lossless.encode_deep(np.random.default_rng(0).integers(0, 100, (30, 40)).astype(np.uint16))
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    for cut in (whole[: len(whole) // 2], whole[:-60]):
        with pytest.raises(DamagedFileError):
            agvae.decode(file_of(DEEP, cut))
    assert agvae.decode(file_of(DEEP, whole)).min() >= 100


def noisy_cells() -> NDArray[Any]:
    rows, columns = np.mgrid[:128, :160]
    return 100 + 900 * np.exp(-np.square(np.sin(rows / 19) * np.cos(columns / 23) - 0.4) * 8)


@pytest.mark.parametrize(
    ("values", "share"),
    [
        (np.random.default_rng(0).poisson(noisy_cells()), 0.85),
        (noisy_cells() * 60, 0.85),
        (picture(160, 128)[..., 0].astype(int) * 257, 0.85),
        (np.random.default_rng(0).integers(0, 65536, (128, 160)), 1.01),
        (np.random.default_rng(0).poisson(noisy_cells()[:8, :8]), 1),
    ],
    ids=["noise", "smooth", "8 bits", "noise alone", "small"],
)
def test_16_bits_are_fewer_bytes_than_as_png(values: NDArray[Any], share: float) -> None:
    values = values.astype(np.uint16)
    values -= values.min()
    png = io.BytesIO()
    Image.fromarray(values).save(png, "PNG", compress_level=9)
    coded = lossless.encode_deep(values)
    assert len(coded) <= share * len(png.getvalue())
    np.testing.assert_array_equal(lossless.decode_deep(coded, *values.shape[::-1]), values)


def test_lossless_takes_no_model() -> None:
    with pytest.raises(ValueError, match="needs no model"):
        agvae.encode(picture(9, 9), lossless=True, model="base-1")


def test_a_pillow_without_webp(monkeypatch: pytest.MonkeyPatch) -> None:
    data = agvae.encode(picture(9, 9), lossless=True)
    monkeypatch.setattr(lossless, "can_code", lambda: False)
    with pytest.raises(UnsupportedFileError, match="WebP"):
        agvae.decode(data)
    with pytest.raises(OSError, match="WebP"):
        agvae.encode(picture(9, 9), lossless=True)


def test_mutations_are_contained(monkeypatch: pytest.MonkeyPatch) -> None:
    """With right checksums: pixels of the right shape, or an error of the hierarchy."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)
    rng = random.Random(0)
    cases = [
        (HEADER, lossless.encode_colour(picture(40, 30))),
        (DEEP, lossless.encode_deep(picture(40, 30)[..., 0].astype(np.uint16) % 100)),
    ]
    for _ in range(600):
        header, payload = rng.choice(cases)
        changed = bytearray(payload)
        for _ in range(rng.randint(1, 4)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        del changed[rng.choice([len(changed), rng.randrange(len(changed))]) :]
        with suppress(DamagedFileError):
            assert agvae.decode(file_of(header, bytes(changed))).shape[:2] == (30, 40)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tile_can_be_left_while_it_is_coded(dtype: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 200, (1024, 1024)).astype(dtype)
    done: list[int] = []
    with watched(done.append):
        data = agvae.encode(pixels, lossless=True)
    assert sum(done) == pixels.size
    assert len(done) > 4  # of a tile that takes half a second

    class Enough(Exception):
        pass

    def stop(_: int) -> None:
        done.append(0)
        if len(done) == 3:
            raise Enough

    done.clear()
    with watched(stop), pytest.raises(Enough):
        agvae.encode(pixels, lossless=True)
    np.testing.assert_array_equal(agvae.decode(data), pixels)


def test_what_fails_apart_is_an_error_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Image, "save", broken)
    with watched(lambda _: None), pytest.raises(MemoryError):
        agvae.encode(np.zeros((4, 5), np.uint8), lossless=True)
