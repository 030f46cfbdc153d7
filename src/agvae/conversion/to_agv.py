"""A picture of any format that Pillow reads to the bytes of an .agv file."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageSequence, UnidentifiedImageError

from agvae.container import Reader
from agvae.conversion.depths import check_range, check_signs
from agvae.conversion.kept import KINDS, kept, upright
from agvae.conversion.originals import (
    NO_ARRAYS,
    colours_lost,
    has_still,
    metadata_lost,
    options_of,
    parts_lost,
    plays_of_gif,
)
from agvae.conversion.targets import OWN, orientation_of
from agvae.file.info import read_info
from agvae.file.payload import WITHOUT_LOSS
from agvae.images import opened

_TO_RGB = "make RGB of it first, by its colour profile"
_ADVICE = {"CMYK": _TO_RGB, "LAB": _TO_RGB, "HSV": _TO_RGB, "F": "scale it to 16 bits first"}
"""What to do with modes whose meaning would be lost."""


@dataclass(frozen=True)
class Encoding:
    """How a picture becomes an .agv file.

    Attributes:
        rate: at most one of `quality`, `lossless` and the targets of `Image.save`, with its value.
        model, exact, thumbnail, tile_size, effort: as `Image.save` takes them.
        metadata: the kinds to keep, of `agvae.conversion.kept.KINDS`.
        place: whether metadata may say where it was taken.
        max_pixels: the most that a picture may have, None for Pillow's limit.
    """

    rate: dict[str, Any]
    model: str | None = None
    exact: bool = False
    thumbnail: bool | int = False
    tile_size: int | None = None
    metadata: Sequence[str] = KINDS
    place: bool = True
    max_pixels: int | None = None
    effort: int | None = None


def encoded(source: Path | bytes, options: Encoding) -> tuple[bytes, list[str]]:
    """The bytes of an .agv file of a picture's file, and a sentence about each thing that is lost.

    Raises:
        ValueError: the rate is lossless, and an .agv file cannot have all bits, bands and pictures of it.
        OSError: it has a mode that cannot be written, or not without loss.
        Exception: whatever Pillow's readers raise at what they do not know.
    """
    with limited(options.max_pixels), _opened(source) as image:
        arrays = image.format == OWN and "arrays" in read_info(source)["metadata"]
        check_size(image.size, options.max_pixels)
        lossless = bool(options.rate.get("lossless"))
        lost, all_frames = parts_lost(image, lossless=lossless)
        few_colours = image.mode in ("1", "P", "PA")
        if lossless and lost:
            msg = f"cannot be kept without loss: {', '.join(lost)}"
            raise ValueError(msg)
        lost += colours_lost(image)
        if image.mode in _ADVICE:
            msg = f"cannot write mode {image.mode} as AGV: {_ADVICE[image.mode]}"
            raise ValueError(msg)
        if image.format == "TIFF":
            check_signs(image, all_frames=all_frames)
        if image.mode.startswith("I") and image.has_transparency_data:
            msg = (
                "has a transparent grey of 16 bits (in PNG the chunk tRNS), and AGV holds transparency beside 8 bits "
                "alone: write it without its transparency, or in 8 bits, by another program first"
            )
            raise ValueError(msg)
        shape: dict[str, Any] = {"model": options.model, "exact": options.exact, "thumbnail": options.thumbnail}
        if options.tile_size is not None:
            shape["tile_size"] = options.tile_size
        if options.effort is not None:
            shape["effort"] = options.effort
        if image.format == "GIF" and getattr(image, "n_frames", 1) > 1:
            shape["loop"] = plays_of_gif(image)
        image.load()
        found = options_of(image)
        lost += metadata_lost(image, all_frames=all_frames) + [NO_ARRAYS] * arrays
        info, more = kept(found, options.metadata, place=options.place)
        first, others, turn = image, list[Image.Image](), orientation_of(info) != orientation_of(found)
        if turn or has_still(image) or image.mode == "I":
            frames = [frame.copy() for frame in ImageSequence.Iterator(image)] if all_frames else [image]
            frames = [_of_16_bits(frame) for frame in frames[has_still(image) :]]
            if turn:
                frames, info = upright(frames, found, info)
            first, *others = frames
        file = BytesIO()
        info = {"icc_profile": None, **info}
        first.save(file, OWN, save_all=all_frames, append_images=others, **options.rate, **shape, **info)
        if few_colours:
            pictures = ImageSequence.Iterator(image) if all_frames and not others else [first, *others]
            few_colours = not _has_colours(file.getvalue(), pictures)
    if few_colours:
        lost.append("its few colours may have become others, as AGV is for photographs: --lossless keeps them")
    return file.getvalue(), lost + more


def _has_colours(data: bytes, pictures: Iterable[Image.Image]) -> bool:
    """Whether a file has all pixels that are seen of pictures as they are."""
    if any(tile.kind != WITHOUT_LOSS for tile in Reader(BytesIO(data)).tiles()):
        return False
    with Image.open(BytesIO(data), formats=[OWN]) as coded:
        for number, picture in enumerate(pictures):
            coded.seek(number)
            wanted = np.asarray(picture.convert("RGBA"))
            differs = (np.asarray(coded.convert("RGBA")) != wanted).any(axis=2)
            if (differs & (wanted[..., 3] > 0)).any():
                return False
    return True


def _of_16_bits(image: Image.Image) -> Image.Image:
    """An image of mode I, which Pillow makes of 16 bits in some formats, in a mode of 16; others as they are.

    Raises:
        ValueError: it has other values.
    """
    if image.mode != "I":
        return image
    values = np.asarray(image)
    check_range(values)
    grey = Image.fromarray(values.astype(np.uint16))
    grey.info = dict(image.info)
    return grey


@contextmanager
def _opened(source: Path | bytes) -> Iterator[Image.Image]:
    try:
        with opened(source) if isinstance(source, Path) else Image.open(BytesIO(source)) as image:
            yield image
    except UnidentifiedImageError:
        if isinstance(source, Path):
            raise
        msg = "cannot identify image file"  # and not the name of an object in memory
        raise UnidentifiedImageError(msg) from None


@contextmanager
def limited(pixels: int | None) -> Iterator[None]:
    """Have Pillow refuse pictures of more pixels, and say nothing of those that have less.

    Raises:
        Image.DecompressionBombError: there is one.
    """
    if pixels is None:
        yield
        return
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = pixels  # it refuses those of more than twice as many, and warns of others
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    except Image.DecompressionBombError as error:
        if not (found := re.search(r"\((\d+) pixels\)", str(error))):
            raise
        msg = f"{found[1]} pixels are more than {pixels}"
        raise Image.DecompressionBombError(msg) from None
    finally:
        Image.MAX_IMAGE_PIXELS = before


def check_size(size: tuple[int, int], pixels: int | None) -> None:
    if pixels is not None and size[0] * size[1] > pixels:
        msg = f"{size[0]} x {size[1]} pixels are more than {pixels}"
        raise Image.DecompressionBombError(msg)
