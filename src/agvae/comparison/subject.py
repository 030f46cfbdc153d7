"""What is compared of a picture: pixels of 8 bits, upright, and no more of them than one can look at."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from agvae.boxes import Box
from agvae.conversion.depths import bits_of
from agvae.images import opened, scaled
from agvae.pages import printable

SIDES = (1600, 1200)
"""Longer and shorter side of what is compared of a larger picture, unless a box is given."""
MAX_PIXELS = 4_000_000
"""Of a box: measuring takes 500 bytes for each."""
_PLAIN = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa")


@dataclass(frozen=True)
class Subject:
    """A picture to compare.

    Attributes:
        name: of its file, with nothing in it that cannot be printed.
        image: of mode L, RGB, or RGBA if something is transparent; without metadata.
        profile: colour profile of these pixels, for whoever shows them; None for grey, which few codecs keep.
        facts: sizes of the picture and of its file, as a sentence.
        notes: sentences about what is not as in the file.
    """

    name: str
    image: Image.Image
    profile: bytes | None
    facts: str
    notes: list[str] = field(default_factory=list)


def read_subject(
    source: str | os.PathLike[str] | Image.Image | NDArray[Any],
    name: str | None = None,
    box: Sequence[int] | None = None,
    *,
    reduce: bool = False,
) -> Subject:
    """The first frame of a picture, or its current one if it is open already.

    Raises:
        ValueError: the box is not within the picture, has more than `MAX_PIXELS`, or is to be reduced; or a value is no
            number.
        OSError: it cannot be read.
    """
    if box is not None and reduce:
        msg = "a box is not reduced: give only one of them"
        raise ValueError(msg)
    if isinstance(source, str | os.PathLike):
        with opened(Path(source)) as image:
            weight = f", {image.format} of {Path(source).stat().st_size:,} bytes"
            return _subject(image, name or Path(source).name, weight, box, reduce=reduce)
    image = source if isinstance(source, Image.Image) else _of_array(np.asarray(source))
    known = os.fsdecode(getattr(image, "filename", ""))
    return _subject(image, name or Path(known).name or "Picture", "", box, reduce=reduce)


def _of_array(array: NDArray[Any]) -> Image.Image:
    return Image.fromarray(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array)


def _subject(image: Image.Image, name: str, weight: str, box: Sequence[int] | None, *, reduce: bool) -> Subject:
    frames, bits, profile = getattr(image, "n_frames", 1), bits_of(image), image.info.get("icc_profile")
    notes = [f"Shown is frame {image.tell() + 1} of {frames}."] if frames > 1 else []
    image.load()
    upright, turned = image, 1
    with contextlib.suppress(Exception):  # Exif data that cannot be read
        turned = image.getexif().get(ExifTags.Base.Orientation, 1)
    if turned != 1:
        upright = ImageOps.exif_transpose(image)
    facts = f"{upright.width} x {upright.height} pixels{weight}"
    if reduce:
        pixels, changed = _eight_bits(upright, bits)
        pixels, told = _reduced(pixels)
    else:
        part, told = _part(upright, box)
        pixels, changed = _eight_bits(part, bits)
    fits = isinstance(profile, bytes) and profile[16:20] == b"RGB " and pixels.mode != "L"
    return Subject(printable(name), pixels, profile if fits else None, facts, [*notes, *changed, *told])


def _eight_bits(image: Image.Image, bits: int) -> tuple[Image.Image, list[str]]:
    """The pixels in a mode that all codecs know, and what that changed."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return scaled(image), [
            "Its values have more than 8 bits. Here they are reduced to 8, from the lowest to the highest, "
            "for all codecs alike; an .agv file would keep more."
        ]
    notes = [f"Of its {bits} bits 8 are compared."] if bits > 8 else []
    if image.mode not in _PLAIN:
        notes.append(f"Its mode {image.mode} is compared as RGB.")
    grey = image.mode in ("1", "L", "LA", "La")
    if image.mode == "La":
        image = image.convert("LA")  # Pillow converts it to nothing else
    if image.has_transparency_data and np.asarray(rgba := image.convert("RGBA"))[..., 3].min() < 255:
        return _bare(rgba), [*notes, "What is transparent is measured on white."]
    return _bare(image.convert("L" if grey else "RGB")), notes


def _part(image: Image.Image, box: Sequence[int] | None) -> tuple[Image.Image, list[str]]:
    """The part of an image that is compared, and what is said of that."""
    if box is not None:
        part = Box(*box)
        if not (0 <= part.left < part.right <= image.width and 0 <= part.top < part.bottom <= image.height):
            msg = f"box {tuple(box)} is not within the {image.width} x {image.height} pixels of the picture"
            raise ValueError(msg)
        if part.area > MAX_PIXELS:
            msg = f"box {tuple(box)} has more than {MAX_PIXELS} pixels"
            raise ValueError(msg)
        return image.crop(part), [_told(part, "a part")]
    width, height = map(min, image.size, _limits(image))
    if (width, height) == image.size:
        return image, []
    left, top = (image.width - width) // 2, (image.height - height) // 2
    middle = Box(left, top, left + width, top + height)
    return image.crop(middle), [_told(middle, "the middle")]


def _reduced(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """An image as a whole, but no larger than one can look at, and what is said of that."""
    smaller = image.copy()
    smaller.thumbnail(_limits(image), Image.Resampling.LANCZOS)
    if smaller.size == image.size:
        return image, []
    size = f"{smaller.width} x {smaller.height}"
    return smaller, [f"Compared is the picture reduced to {size} pixels; all numbers are of that."]


def _limits(image: Image.Image) -> tuple[int, int]:
    long, short = SIDES
    return (long, short) if image.width >= image.height else (short, long)


def _told(box: Box, what: str) -> str:
    size = f"{box.width} x {box.height}"
    return f"Compared is {what}, {size} pixels from ({box.left}, {box.top}); all numbers are of this part alone."


def _bare(image: Image.Image) -> Image.Image:
    """Without metadata, of which writers would take some."""
    bare = image.copy()
    bare.info = {}
    return bare
