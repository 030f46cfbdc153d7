"""Images of data sets: what counts as one, and how all modes become RGB."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path, PurePath

import numpy as np
import pytest
from PIL import Image, ImageCms

from agvae.images import is_image_name, read_rgb


def stored(image: Image.Image, form: str, **options: object) -> BytesIO:
    file = BytesIO()
    image.save(file, form, **options)
    file.seek(0)
    return file


@pytest.mark.parametrize("name", ["a.png", "a.JPG", "a.gif", "a.jp2", "a.tif", "folder/a.webp", "a.pgm", "a.mpo"])
def test_names_of_images(name: str) -> None:
    assert is_image_name(PurePath(name))


@pytest.mark.parametrize("name", ["._a.png", ".png", "a.txt", "a", "a.eps", "a.pdf", "a.h5", "png"])
def test_names_of_other_files(name: str) -> None:
    assert not is_image_name(PurePath(name))


@pytest.mark.parametrize(
    ("dtype", "form"), [(np.uint16, "PNG"), (np.uint16, "TIFF"), (">u2", "TIFF"), (np.float32, "TIFF")]
)
def test_grey_of_more_than_8_bits_is_scaled_by_its_range(dtype: str, form: str) -> None:
    values = np.array([[1000, 1200], [1100, 2020]], dtype)
    pixels = np.asarray(read_rgb(stored(Image.fromarray(values), form), "a"))
    assert pixels.tolist() == [[[0] * 3, [50] * 3], [[25] * 3, [255] * 3]]


def test_flat_grey_of_16_bits_is_black() -> None:
    flat = Image.fromarray(np.full((2, 2), 300, np.uint16))
    assert np.asarray(read_rgb(stored(flat, "PNG"), "a")).max() == 0


def test_values_that_are_no_numbers_are_an_error() -> None:
    image = Image.fromarray(np.array([[0, np.nan]], np.float32))
    with pytest.raises(OSError, match=r"^a: has values that are no numbers$"):
        read_rgb(stored(image, "TIFF"), "a")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P", "L", "RGB"])
def test_what_is_transparent_is_white(mode: str) -> None:
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 3] = 0, 255, 255
    rgba[0, 2, :3] = 90
    image, options = Image.fromarray(rgba), {}
    if mode in ("L", "RGB"):
        rgba[0, 0, :3] = 10
        image = Image.fromarray(rgba).convert(mode)
        options["transparency"] = 10 if mode == "L" else (10, 10, 10)
    elif mode != "PA":
        image = image.convert(mode)
    pixels = np.asarray(read_rgb(stored(image, "PNG", **options), "a"))
    assert pixels.tolist() == [[[255] * 3, [0] * 3, [90] * 3]]


def test_half_transparent_is_half_white() -> None:
    image = Image.new("RGBA", (1, 1), (0, 0, 0, 128))
    assert read_rgb(stored(image, "PNG"), "a").getpixel((0, 0)) == (127, 127, 127)


def test_metadata_stay_behind() -> None:
    """Pillow would write the profile into the files of other codecs, whose sizes are compared."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = read_rgb(stored(Image.new("RGB", (8, 8)), "PNG", icc_profile=profile), "a")
    for form in ("PNG", "JPEG", "WEBP"):
        assert "icc_profile" not in Image.open(stored(image, form)).info


def test_an_error_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(OSError, match=r"^that: cannot identify image file$"):
        read_rgb(tmp_path / "a.png", "that")
