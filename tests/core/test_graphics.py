"""Graphics: exact where that costs little, beside photographs that are coded as ever."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import agvae
from agvae.coding import graphics
from agvae.coding.preview import Original, Preview
from agvae.container import Metadata, Reader, TileData, write_container
from agvae.errors import DamagedFileError
from agvae.file.payload import MIXED, NETWORK, WITHOUT_LOSS, join_mixed, split_mixed
from agvae.progress import watched
from tests.support.helpers import picture

ROWS, COLUMNS = np.mgrid[:96, :160]


def coloured(plane: NDArray[Any]) -> NDArray[np.uint8]:
    return np.dstack((plane, plane, plane)).astype(np.uint8)


def pixel_art() -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (6, 3))[rng.integers(0, 6, (12, 20))].astype(np.uint8)
    return small.repeat(8, axis=0).repeat(8, axis=1)


def icon() -> NDArray[np.uint8]:
    image = Image.new("RGB", (640, 384), (245, 245, 245))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((40, 40, 600, 344), 80, fill=(30, 120, 220))
    draw.ellipse((120, 90, 330, 300), fill=(250, 200, 40))
    draw.line((300, 300, 520, 90), fill="white", width=14)
    return np.asarray(image.resize((160, 96), Image.Resampling.LANCZOS))


def text(width: int = 160, height: int = 96, seed: int = 0) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    for top in range(2, height - 12, 13):
        line = "".join(chr(97 + letter) for letter in rng.integers(0, 26, width // 6))
        draw.text((3, top), line, fill=tuple(int(value) for value in rng.integers(0, 120, 3)))
    return np.asarray(image)


def photograph(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(0, 6, (height, width, 3))
    return (picture(width, height, seed) + noise).clip(0, 255).astype(np.uint8)


def in_colours(count: int) -> NDArray[np.uint8]:
    image = Image.fromarray(photograph(160, 96))
    palette = image.quantize(count)
    return np.asarray(image.quantize(count, palette=palette, dither=Image.Dither.FLOYDSTEINBERG).convert("RGB"))


def sensor_mosaic() -> NDArray[np.uint8]:
    """A photograph of which each pixel has the one colour that it had in a camera."""
    image, found = photograph(160, 96), np.zeros((96, 160, 3), np.uint8)
    for row, column, band in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        found[row::2, column::2, band] = image[row::2, column::2, band]
    return found


GRAPHICS: dict[str, Callable[[], NDArray[np.uint8]]] = {
    "checkers": lambda: coloured((ROWS + COLUMNS) % 2 * 255),
    "stripes": lambda: coloured(COLUMNS % 2 * 255),
    "mosaic": lambda: (
        np.dstack([(a == ROWS % 2) & (b == COLUMNS % 2) for a, b in ((0, 0), (0, 1), (1, 1))]) * np.uint8(255)
    ),
    "mosaic of a sensor": sensor_mosaic,
    "noise": lambda: np.random.default_rng(0).integers(0, 256, (96, 160, 3), np.uint8),
    "dither": lambda: np.asarray(Image.fromarray(picture(160, 96)).convert("1").convert("RGB")),
    "photograph in 16 colours": lambda: in_colours(16),
    "photograph in 128 colours": lambda: in_colours(128),
    "gradients across": lambda: np.dstack((COLUMNS, 2 * ROWS, COLUMNS + ROWS)).astype(np.uint8),
    "gradient, steep and diagonal": lambda: coloured((COLUMNS + ROWS) * 2 % 256),
    "gradient, slow and diagonal": lambda: coloured((COLUMNS + ROWS) // 3),
    "gradients of each band": lambda: np.dstack(
        [plane * 255 // plane.max() for plane in (COLUMNS, ROWS, 96 * COLUMNS + 160 * ROWS)]
    ).astype(np.uint8),
    "icon, antialiased": icon,
    "pixel art": pixel_art,
    "text": text,
    "flat": lambda: np.full((96, 160, 3), (0, 200, 30), np.uint8),
}


NO_PICTURES = {"mosaic of a sensor": 34.0, "noise": 25.0}
"""PSNR at quality 3.5 of what no codec but one without loss has small and well."""


def kinds(data: bytes) -> list[bytes]:
    return [tile.kind for tile in Reader(io.BytesIO(data)).tiles()]


def webp(image: NDArray[np.uint8]) -> int:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "WEBP", lossless=True)
    return len(file.getvalue())


def psnr(a: NDArray[Any], b: NDArray[Any]) -> float:
    mse = float(np.square(a.astype(float) - b).mean())
    return 10 * np.log10(255**2 / mse) if mse else np.inf


@pytest.mark.parametrize("name", GRAPHICS)
def test_graphics_come_out_well_and_small(name: str) -> None:
    image = GRAPHICS[name]()
    for quality in (1, 3.5, 6):
        data = agvae.encode(image, quality)
        assert len(data) <= 1.03 * webp(image) + 400
        least = {1: 0.0, 3.5: NO_PICTURES.get(name, 40.0), 6: 46.0}[quality]
        assert psnr(agvae.decode(data), image) >= least


def page() -> NDArray[np.uint8]:
    """Text, and a picture in the second tile of two."""
    image = text(1400, 320)
    image = image.copy()
    image[64:256, 1100:1300] = photograph(200, 192)
    return image


def test_photographs_are_coded_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    for image in (photograph(200, 120), photograph(200, 120)[..., 0]):
        data = agvae.encode(image)
        assert set(kinds(data)) == {NETWORK}
        with monkeypatch.context() as patch:
            patch.setattr("agvae.coding.choice.look_at", lambda image: None)
            assert agvae.encode(image) == data


def combed(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """With more contrast, which leaves gaps between its shades."""
    return (image // 2 * 2.5).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "image",
    [
        coloured(photograph(160, 120)[..., 0]),
        coloured(combed(photograph(160, 120)[..., 0])),
        photograph(160, 120) // 60,
        photograph(12, 10),
        photograph(200, 160)[..., 1:2].repeat(3, axis=2) // 3,
    ],
    ids=["grey", "more contrast", "dark", "tiny", "less contrast"],
)
def test_a_photograph_of_few_colours_has_no_palette(image: NDArray[np.uint8]) -> None:
    assert not graphics.look_at(image).palette


def test_what_is_smooth_is_no_drawing_though_its_histogram_has_gaps() -> None:
    y, x = np.mgrid[:96, :96]
    small = 100 + 95 * np.sin(x / 17) * np.cos(y / 23) + np.random.default_rng(0).normal(0, 3, (96, 96))
    large = Image.fromarray(small.clip(0, 255).astype(np.uint8)).resize((288, 288), Image.Resampling.BICUBIC)
    stretched = np.asarray(large) // 3 * 3
    look = graphics.look_at(coloured(stretched))
    assert look.graphic.mean() > 0.9
    assert look.edged.mean() < 0.1
    assert graphics.look_at(text()).edged.mean() > 0.9
    data = agvae.encode(stretched, 4.5)
    assert len(data) < 0.2 * len(agvae.encode(stretched, lossless=True))
    assert 42 < psnr(stretched, agvae.decode(data)) < 50


def test_a_palette_is_seen_in_its_colours() -> None:
    assert graphics.look_at(in_colours(64)).palette
    assert graphics.look_at(text() // 64 * 64).palette


def labels(height: int = 96, width: int = 160) -> NDArray[np.uint16]:
    """Cells with their numbers, on nothing."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 900, (height // 8, width // 8)) * rng.integers(0, 2, (height // 8, width // 8))
    return small.repeat(8, axis=0).repeat(8, axis=1).astype(np.uint16)


def micrograph(height: int = 96, width: int = 160, seed: int = 0) -> NDArray[np.uint16]:
    noise = np.random.default_rng(seed).normal(0, 90, (height, width))
    return (photograph(width, height, seed)[..., 0] * 40.0 + 500 + noise).astype(np.uint16)


@pytest.mark.parametrize("quality", [1, 3.5, 6])
def test_labels_of_16_bits_are_exact(quality: float) -> None:
    for image in (labels(), (labels() > 0).astype(np.uint16) * 65535):
        data = agvae.encode(image, quality)
        assert kinds(data) == [WITHOUT_LOSS]
        np.testing.assert_array_equal(agvae.decode(data), image)
        assert len(data) <= len(agvae.encode(image, lossless=True)) + 10


def cells(noise: float, low: int, high: int, bands: tuple[int, ...] = (0, 1, 2)) -> NDArray[np.uint8]:
    """Smooth greys, or some bands of them, with a little noise, as of a microscope that has 8 bits."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:256, :320]
    plane = np.zeros(y.shape)
    for row, column, size in rng.uniform((0, 0, 6), (256, 320, 30), (40, 3)):
        plane = np.maximum(plane, np.exp(-((y - row) ** 2 + (x - column) ** 2) / size**2))
    values = np.rint(low + (high - low) * plane + rng.normal(0, noise, y.shape)).clip(0, 255)
    pixels = np.zeros((*y.shape, 3), np.uint8)
    for band in bands:
        pixels[..., band] = values
    return pixels


@pytest.mark.parametrize(
    "pixels",
    [cells(0.6, 20, 70), cells(1, 60, 200), cells(2, 5, 40), cells(0.7, 10, 120, (1,)), cells(1, 30, 90, (0, 2))],
    ids=["dim", "bright", "dark", "green", "magenta"],
)
def test_smooth_greys_with_little_noise_are_no_graphics(pixels: NDArray[np.uint8]) -> None:
    """Although most pixels are one of their neighbours by chance, and a block has few colours."""
    assert graphics.look_at(pixels).tried.mean() < 0.05
    sizes = [len(agvae.encode(pixels, quality)) for quality in (4, 5, 6)]
    assert sizes[0] < sizes[1] < sizes[2] < len(agvae.encode(pixels, lossless=True)) / 2


def test_micrographs_are_coded_as_ever() -> None:
    for image, quality in ((micrograph(), 6), (micrograph() // 200, 3.5), (micrograph() // 2000, 1)):
        assert kinds(agvae.encode(image, quality)) == [NETWORK]


def test_16_bits_are_coded_tile_by_tile() -> None:
    image = np.hstack((labels(96, 1024), micrograph(96, 200), np.zeros((96, 56), np.uint16), labels(96, 1400)))
    data = agvae.encode(image)
    assert kinds(data) == [WITHOUT_LOSS, NETWORK, WITHOUT_LOSS]
    pixels = agvae.decode(data)
    np.testing.assert_array_equal(pixels[:, :1024], image[:, :1024])
    np.testing.assert_array_equal(pixels[:, 2048:], image[:, 2048:])
    preview = Preview(Original(image), 10240)
    shown = np.zeros_like(image)
    for part, seen in preview.parts():
        shown[part.slices] = seen
    assert preview.file() == data
    np.testing.assert_array_equal(shown, pixels)
    frames = agvae.encode([labels(), micrograph(), labels() // 2])
    assert kinds(frames) == [WITHOUT_LOSS, NETWORK, WITHOUT_LOSS]
    np.testing.assert_array_equal(agvae.decode(frames, frame=2), labels() // 2)


def test_text_beside_a_picture() -> None:
    image = page()
    data = agvae.encode(image)
    assert kinds(data) == [WITHOUT_LOSS, MIXED] or kinds(data) == [MIXED, MIXED]
    pixels = agvae.decode(data)
    white = (image == 255).all(axis=2)
    white[64:256, 1100:1300] = False
    assert (pixels[white] == 255).all(axis=1).mean() > 0.97
    assert min(psnr(pixels[:, :1024], image[:, :1024]), psnr(pixels[270:], image[270:])) > 33
    inside = slice(96, 224), slice(1132, 1268)
    alone = agvae.decode(agvae.encode(image[64:256, 1100:1300]))
    assert psnr(pixels[inside], image[inside]) > psnr(alone[32:160, 32:168], image[inside]) - 0.5
    assert len(data) < 0.5 * len(agvae.encode(image, lossless=True))


@pytest.mark.parametrize("box", [(0, 0, 100, 100), (1000, 0, 1200, 320), (1120, 80, 1130, 90)])
def test_a_box_of_a_mixed_picture_is_the_crop(box: tuple[int, int, int, int]) -> None:
    data = agvae.encode(page())
    whole = agvae.decode(data)[box[1] : box[3], box[0] : box[2]]
    assert np.abs(agvae.decode(data, box).astype(int) - whole).max() <= 1


@pytest.mark.parametrize("image", [page(), text()], ids=["page", "text"])
def test_the_preview_is_the_file(image: NDArray[np.uint8]) -> None:
    preview = Preview(Original(image), 10240)
    shown = np.zeros_like(image)
    for part, pixels in preview.parts((1200, 100)):
        shown[part.slices] = pixels
    data = agvae.encode(image)
    assert preview.file() == data
    np.testing.assert_array_equal(shown, agvae.decode(data))


@pytest.mark.parametrize("quality", [3.5, 5.5, 6])
def test_a_photograph_with_a_caption_stays_one(quality: float) -> None:
    image = photograph(320, 256)
    image[-32:] = text(320, 32)
    data = agvae.encode(image, quality)
    assert kinds(data) in ([NETWORK], [MIXED])
    assert len(data) < 0.5 * len(agvae.encode(image, lossless=True))


@pytest.mark.parametrize("make", [text, pixel_art])
def test_graphics_on_nothing(make: Callable[[], NDArray[np.uint8]]) -> None:
    """What is transparent is no picture, and costs nothing."""
    colour = make()
    alpha = np.where((colour == colour[0, 0]).all(axis=2), 0, 255).astype(np.uint8)
    image = np.dstack((colour, alpha))
    data = agvae.encode(image, 6)
    assert len(data) <= 1.1 * len(agvae.encode(image, lossless=True)) + 100
    seen = alpha > 0
    assert psnr(agvae.decode(data)[seen], image[seen]) > 45


def test_what_is_out_of_reach_is_told_by_the_smallest_file() -> None:
    image = GRAPHICS["text"]()
    smallest = min(len(agvae.encode(image, quality)) for quality in (1, 2))
    with pytest.raises(ValueError, match=r"has \d+ bytes") as caught:
        agvae.encode(image, target_size=100)
    assert int(str(caught.value).split(" has ")[1].split()[0]) <= smallest


def test_alpha_and_frames_go_with_graphics() -> None:
    image = np.dstack((text(), picture(160, 96)[..., 0]))
    pixels = agvae.decode(agvae.encode(image, exact=True))
    np.testing.assert_array_equal(pixels[..., 3], image[..., 3])
    frames = agvae.encode([text(), photograph(160, 96), text(seed=1)])
    assert kinds(frames) == [WITHOUT_LOSS, NETWORK, WITHOUT_LOSS]
    np.testing.assert_array_equal(agvae.decode(frames, frame=2), agvae.decode(agvae.encode(text(seed=1))))


def test_batches_and_threads_give_the_same() -> None:
    images = [text(), photograph(160, 96), page()[:, :200]]
    assert agvae.encode_batch(images) == [agvae.encode(image) for image in images]
    with agvae.options.using(threads=1):
        assert agvae.encode(page()) == agvae.encode(page())


def test_progress_counts_every_pixel_once() -> None:
    done: list[int] = []
    with watched(done.append):
        agvae.encode(page())
    assert sum(done) == 1400 * 320


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_sizes_are_met_where_more_becomes_worth_keeping(share: float) -> None:
    image = page()[:, 900:]
    size = share * len(agvae.encode(image, 6))
    assert 0.99 * size <= len(agvae.encode(image, target_size=size)) <= size


def test_a_photograph_beside_text_is_not_kept_whole_where_the_text_alone_is_enough() -> None:
    """Though all without loss are fewer bytes than all by the model."""
    image = np.hstack((photograph(256, 256), text(768, 256)))
    data = agvae.encode(image, 6)
    assert MIXED in kinds(data)
    assert len(data) < 0.8 * len(agvae.encode(image, lossless=True))


@pytest.mark.parametrize("target", [{"target_size": 8000}, {"target_psnr": 36}])
def test_targets(target: dict[str, float]) -> None:
    image = page()[:, 1000:]
    data = agvae.encode(image, **target)  # type: ignore[arg-type]
    if "target_size" in target:
        assert len(data) <= 8000
    else:
        assert psnr(agvae.decode(data), image) >= 35.9


@pytest.mark.parametrize("payload", [b"", b"\0\0\0\xff", b"\0\0\0\x04abcd", b"\0\0\0\0"])
def test_nonsense_in_a_mixed_tile_is_damage(payload: bytes, tmp_path: Path) -> None:
    reader = Reader(io.BytesIO(agvae.encode(page()[:, 1024:])))
    data = write_container(reader.header, Metadata(), [TileData(payload, kind=MIXED)])
    with pytest.raises(DamagedFileError):
        agvae.decode(data)
    (tmp_path / "mixed.agv").write_bytes(data)
    with pytest.raises(DamagedFileError, match=r"mixed\.agv"):
        agvae.decode(tmp_path / "mixed.agv")
    assert agvae.decode(data, damaged_ok=True).shape == (320, 376, 3)


def test_half_of_a_mixed_tile_is_shown_where_the_other_is_damaged() -> None:
    image = page()[:, 1024:]
    data = agvae.encode(image)
    reader = Reader(io.BytesIO(data))
    (tile,) = reader.tiles()
    assert tile.payload is not None
    exact, by_model = split_mixed(tile.payload)
    without_model = write_container(reader.header, Metadata(), [TileData(join_mixed(exact, b"x" * 8), kind=MIXED)])
    np.testing.assert_array_equal(agvae.decode(without_model, damaged_ok=True)[270:], agvae.decode(data)[270:])
    without_text = write_container(reader.header, Metadata(), [TileData(join_mixed(b"", by_model), kind=MIXED)])
    assert psnr(agvae.decode(without_text, damaged_ok=True)[96:224, 108:244], image[96:224, 108:244]) > 25


@given(st.integers(1, 100), st.integers(1, 100), st.integers(0, 3))
def test_blocks_cover_the_picture(width: int, height: int, seed: int) -> None:
    plane = np.random.default_rng(seed).integers(0, 9, (height, width))
    totals = graphics.sums(plane)
    assert totals.shape == (-(-height // 32), -(-width // 32))
    assert totals.sum() == plane.sum()
    assert totals[0, 0] == plane[:32, :32].sum()
    assert graphics.pixels_of(totals >= 0, height, width).shape == (height, width)


def test_inner_blocks_have_all_their_neighbours() -> None:
    blocks = np.ones((4, 5), np.bool_)
    assert graphics.inner(blocks).all()
    blocks[1, 1] = False
    assert (graphics.inner(blocks) == [[0, 0, 0, 1, 1], [0, 0, 0, 1, 1], [0, 0, 0, 1, 1], [1, 1, 1, 1, 1]]).all()


@pytest.mark.parametrize("shape", [(1, 5, 3), (257, 40, 3), (600, 33), (512, 70, 3)])
@pytest.mark.parametrize("values", [3, 200])
def test_a_large_picture_is_looked_at_in_bands(
    shape: tuple[int, ...], values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(1).integers(0, values, shape).astype(np.uint8 if len(shape) == 3 else np.uint16)
    pixels[100:400] = np.arange(shape[1]).reshape(-1, *[1] * (len(shape) - 2))
    found = graphics.look_at(pixels)
    monkeypatch.setattr(graphics, "_BAND", 32 * 100)
    for plane, whole in zip(found, graphics.look_at(pixels), strict=True):
        np.testing.assert_array_equal(plane, whole)
