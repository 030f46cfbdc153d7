"""Frames of a picture as a page shows them: upright, and no more pixels of them than a page can hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agvae.boxes import Box
from agvae.container import Reader
from agvae.conversion.from_agv import frame_of
from agvae.conversion.targets import ORIENTATION, orientation_in, orientation_of, turned

PIXELS = 2**25
"""What a page holds of one picture, all frames together."""
LEAST = 2**14
"""Pixels of a frame, of which later frames are left out before it has fewer."""
_BAND = 2**25
"""Pixels that are decoded at once of a frame that is reduced."""
_PLAIN = ("L", "LA", "RGB", "RGBA", "I", "F")
_SAME_AS = {"1": "L", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB", "PA": "RGBA"}
"""Modes that lose nothing when they are shown as others; the rest are shown as RGB."""
_SPACES = {"L": b"GRAY", "LA": b"GRAY", "RGB": b"RGB ", "RGBA": b"RGB "}
"""Colour spaces of profiles by the modes that they fit."""


@dataclass(frozen=True)
class Displayed:
    """A frame as a page shows it.

    Attributes:
        number: from 0.
        width, height: of what is shown, in pixels of the upright picture.
        step: a pixel of `data` is the mean of so many in both directions.
        kind: "uint8" for what browsers show, else the type of values for which a program of the page does.
        low, high: the range of these values; None of "uint8", or where no value is a number.
        data: a PNG file; of "int32" and "float32" its bands are the four bytes of a value, big-endian.
        alpha: whether some of it may be transparent.
        profiled: whether `data` has the colour profile of the picture.
        turned: whether rows and columns are others in the file.
        duration: in milliseconds, if the file says it.
    """

    number: int
    width: int
    height: int
    step: int
    kind: str
    low: float | None
    high: float | None
    data: bytes
    alpha: bool
    profiled: bool
    turned: bool
    duration: float | None


def _step_for(area: Box, pixels: int) -> int:
    """The least step that leaves no more than so many pixels."""
    step = max(math.ceil(math.sqrt(area.area / pixels)), 1)
    while -(-area.width // step) * -(-area.height // step) > pixels:
        step += 1
    return step


def of_agv(reader: Reader, number: int, box: Box | None, pixels: int, *, damaged_ok: bool = False) -> Displayed:
    """A frame of an .agv file; of one that is reduced no more than a band is held at a time.

    Raises:
        What `agvae.decode` does.
    """
    area = reader.header.box if box is None else box
    step = _step_for(area, pixels)
    rows = area.height if step == 1 else max(_BAND // area.width // step, 1) * step
    tops = range(area.top, area.bottom, rows)
    bands = [Box(area.left, top, area.right, min(top + rows, area.bottom)) for top in tops]
    parts = [_reduced(frame_of(reader, number, band, damaged_ok=damaged_ok), step) for band in bands]
    info, durations = reader.metadata.to_info(), reader.metadata.durations
    time = durations[number] if durations else None
    return _displayed(_joined(parts), area, number, step, orientation_of(info), info.get("icc_profile"), time)


def of_image(image: Image.Image, box: Box | None, pixels: int) -> Displayed:
    """The current frame of a Pillow image, which is loaded."""
    area = Box(0, 0, *image.size) if box is None else box
    step = _step_for(area, pixels)
    part = _reduced(image if box is None else image.crop(box), step)
    profile, time = image.info.get("icc_profile"), image.info.get("duration")
    return _displayed(part, area, image.tell(), step, orientation_in(image), profile, time)


def _reduced(image: Image.Image, step: int) -> Image.Image:
    """An image in a mode of `_PLAIN`, with the means of so many pixels in both directions."""
    plain = _plain(image)
    return plain if step == 1 else plain.reduce(step)


def _plain(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;"):
        return Image.fromarray(np.asarray(image).astype(np.int32))
    if image.mode in ("1", "L", "P", "RGB") and image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode in _PLAIN:
        return image
    return image.convert(_SAME_AS.get(image.mode, "RGB"))


def _joined(parts: Sequence[Image.Image]) -> Image.Image:
    """Parts of one width below each other."""
    if len(parts) == 1:
        return parts[0]
    whole = Image.new(parts[0].mode, (parts[0].width, sum(part.height for part in parts)))
    top = 0
    for part in parts:
        whole.paste(part, (0, top))
        top += part.height
    return whole


def _displayed(
    image: Image.Image,
    area: Box,
    number: int,
    step: int,
    orientation: int,
    profile: bytes | None,
    duration: float | None,
) -> Displayed:
    width, height = area.width, area.height
    if orientation != 1:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        (image,), _ = turned([image.copy()], {"exif": exif.tobytes()})
        width, height = (height, width) if orientation > 4 else (width, height)
    kind, low, high = "uint8", None, None
    if image.mode in ("I", "F"):
        kind, image, low, high = _values(np.asarray(image))
    if profile is not None and (kind != "uint8" or profile[16:20] != _SPACES[image.mode]):
        profile = None
    file = BytesIO()
    image.save(file, "PNG", icc_profile=profile, compress_level=3)
    return Displayed(
        number=number,
        width=width,
        height=height,
        step=step,
        kind=kind,
        low=low,
        high=high,
        data=file.getvalue(),
        alpha=kind == "uint8" and image.mode.endswith("A"),
        profiled=profile is not None,
        turned=orientation != 1,
        duration=duration,
    )


def _values(values: NDArray[Any]) -> tuple[str, Image.Image, float | None, float | None]:
    """The type of int32 or float32 values, uint16 if that holds them; an image of their bytes; lowest and highest."""
    numbers = values[np.isfinite(values)]
    low, high = (numbers.min().item(), numbers.max().item()) if numbers.size else (None, None)
    if values.dtype.kind == "i" and values.min() >= 0 and values.max() <= 0xFFFF:
        return "uint16", Image.fromarray(values.astype(np.uint16)), low, high
    kind = "int32" if values.dtype.kind == "i" else "float32"
    big_endian = values.astype(np.dtype(kind).newbyteorder(">"))
    return kind, Image.fromarray(big_endian.view(np.uint8).reshape(*values.shape, 4)), low, high
