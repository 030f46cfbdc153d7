"""Graphics in fewer colours: flat ground as it is, no colour twice as far off as it must be, and fewer bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import agvae
from agvae.coding.colours import Colours, Fewer
from agvae.coding.lossless import encode_colour
from tests.core.test_graphics import icon, kinds, photograph, pixel_art, psnr, webp

EVERYWHERE = np.ones((96, 160), np.bool_)
SMALL = arrays.arrays(np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24), st.just(3)))


def colours_in(image: NDArray[np.uint8]) -> int:
    return len(np.unique(image.reshape(-1, 3), axis=0))


def antialiased() -> NDArray[np.uint8]:
    """Text in three colours, drawn at twice its size: shades at all edges."""
    rng = np.random.default_rng(3)
    image = Image.new("RGB", (640, 384), "white")
    draw = ImageDraw.Draw(image)
    for top in range(4, 372, 13):
        line = "".join(chr(97 + letter) for letter in rng.integers(0, 26, 106))
        draw.text((6, top), line, fill=((20, 20, 24), (150, 40, 10), (0, 70, 190))[top % 3])
    return np.asarray(image.reduce(2))


@pytest.mark.parametrize("price", [0.003, 0.03, 0.2])
def test_fewer_colours_cost_less(price: float) -> None:
    """R + D in the new colours is below that in the old ones, which have no D."""
    image = antialiased()
    there = np.ones(image.shape[:2], np.bool_)
    colours = Fewer(image, there).at(price)
    assert colours is not None
    new = colours.of(image)
    assert colours_in(new) < colours_in(image)
    error = float(np.square(new.astype(float) - image).mean(axis=2).sum())
    assert 8 * len(encode_colour(new)) + price * error < 8 * len(encode_colour(image))


def test_a_higher_price_keeps_more() -> None:
    image = antialiased()
    there = np.ones(image.shape[:2], np.bool_)
    found = [Fewer(image, there).at(price) for price in (0.003, 0.03, 0.3)]
    errors = [np.square(colours.of(image).astype(float) - image).mean() for colours in found if colours is not None]
    assert len(errors) == 3
    assert errors[0] > errors[1] > errors[2]


def test_flat_ground_stays_as_it_is() -> None:
    image = icon()
    colours = Fewer(image, EVERYWHERE).at(0.003)
    assert colours is not None
    new = colours.of(image)
    for ground in ((245, 245, 245), (30, 120, 220), (250, 200, 40)):
        flat = (image == ground).all(axis=2)
        assert flat.mean() > 0.05
        assert (new[flat] == ground).all(axis=1).mean() > 0.99


def test_only_what_is_coded_tells_the_colours() -> None:
    image = np.hstack((icon(), photograph(160, 96)))
    there = np.zeros(image.shape[:2], np.bool_)
    there[:, :160] = True
    colours = Fewer(image, there).at(0.01)
    assert colours is not None
    assert len(colours.before) == colours_in(icon())


def test_there_are_none_of_what_is_no_graphic() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    assert Fewer(noise, np.ones((300, 300), np.bool_)).at(0.1) is None
    assert Fewer(icon(), np.zeros((96, 160), np.bool_)).at(0.1) is None
    assert Fewer(np.full((96, 160, 3), 7, np.uint8), EVERYWHERE).at(0.1) is None


@given(SMALL, st.floats(1e-4, 10))
def test_any_picture_has_no_more_colours_than_before(image: NDArray[np.uint8], price: float) -> None:
    before = image.copy()
    colours = Fewer(image, np.ones(image.shape[:2], np.bool_)).at(price)
    if colours is not None:
        new = colours.of(image)
        assert (new.shape, new.dtype) == (image.shape, np.uint8)
        assert colours_in(new) <= min(colours_in(image), 256)
        np.testing.assert_array_equal(new, colours.of(image))
    np.testing.assert_array_equal(image, before)


@given(SMALL, SMALL)
def test_colours_that_have_no_new_one_stay(known: NDArray[np.uint8], other: NDArray[np.uint8]) -> None:
    colours = Fewer(known, np.ones(known.shape[:2], np.bool_)).at(0.01)
    if colours is not None:
        plain = Colours(colours.before, colours.after)
        seen = {tuple(pixel) for pixel in known.reshape(-1, 3).tolist()}
        kept = np.array([tuple(pixel) not in seen for pixel in other.reshape(-1, 3).tolist()]).reshape(other.shape[:2])
        np.testing.assert_array_equal(plain.of(other)[kept], other[kept])


def test_files_of_screens_are_smaller_than_without_loss() -> None:
    """And better at higher qualities, up to no loss at the best."""
    image = antialiased()
    sizes, qualities = [], []
    for quality in (1, 2, 3.5, 6):
        data = agvae.encode(image, quality)
        sizes.append(len(data))
        qualities.append(psnr(agvae.decode(data), image))
    assert sizes[1] < 0.7 * webp(image)
    assert qualities[1] > 30
    assert qualities[2] > 38
    assert qualities == sorted(qualities)
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("quality", [1, 2, 3.5])
def test_colours_that_somebody_chose_are_kept(quality: float) -> None:
    image = pixel_art()
    np.testing.assert_array_equal(agvae.decode(agvae.encode(image, quality)), image)


def test_gradients_behind_text_keep_their_steps() -> None:
    """At quality 3.5: no pixel of the ground is off by more than a step that nobody sees."""
    rows, columns = np.mgrid[:240, :320]
    far = np.hypot(rows - 120, columns - 160) / 200
    ground = np.stack((250 - 60 * far, 245 - 80 * far, 255 - 30 * far), axis=-1).astype(np.uint8)
    image = ground.copy()
    written = (antialiased()[:192] < 160).any(axis=2)
    image[24:216][written] = antialiased()[written]
    decoded = agvae.decode(agvae.encode(image, 3.5))
    smooth = np.ones(image.shape[:2], np.bool_)
    smooth[20:220] = False
    assert np.abs(decoded[smooth].astype(int) - ground[smooth]).max() <= 4


def test_labels_that_the_model_would_blur_are_exact() -> None:
    """Fewer colours, which lose against it, do not help the model."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:384, :384]
    ids = np.stack([(rows - y) ** 2 + (columns - x) ** 2 for y, x in rng.integers(0, 384, (40, 2))]).argmin(axis=0)
    labels = np.stack((100 + ids, np.full_like(ids, 100), 120 - ids), axis=-1).astype(np.uint8)
    np.testing.assert_array_equal(agvae.decode(agvae.encode(labels, 3.5)), labels)


@pytest.mark.parametrize("quality", [2, 3.5, 5])
def test_labels_do_not_become_one_for_next_to_nothing(quality: float) -> None:
    """Cells in shades that lie side by side, which nobody can tell from a drawing."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:512, :512]
    distances = np.stack([(rows - y) ** 2 + (columns - x) ** 2 for y, x in rng.integers(0, 512, (100, 2))])
    shades = np.append(0, 1 + rng.permutation(255)).astype(np.uint8)
    labels = shades[np.where(distances.min(axis=0) > 22**2, 0, 1 + distances.argmin(axis=0))]
    np.testing.assert_array_equal(agvae.decode(agvae.encode(labels, quality)).reshape(labels.shape), labels)


def test_targets_are_met_in_fewer_colours() -> None:
    image = antialiased()
    size = 0.6 * webp(image)
    data = agvae.encode(image, target_size=size)
    assert 0.9 * size < len(data) <= size
    assert set(kinds(data)) != {b"TILE"}
