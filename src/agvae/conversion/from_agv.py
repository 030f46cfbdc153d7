"""An .agv file to the bytes of a file of another format that Pillow writes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageColor

from agvae.api import decode_frame
from agvae.container import Box, Reader, tile_boxes
from agvae.conversion.kept import KINDS, kept, upright
from agvae.conversion.originals import NO_ARRAYS
from agvae.conversion.targets import OWN, check_quality, fitted, orientation_of
from agvae.conversion.to_agv import check_size, limited
from agvae.conversion.written import written
from agvae.errors import DamagedFileError, TruncatedFileError
from agvae.file.header import WITHOUT_MODEL
from agvae.file.payload import MIXED, NETWORK, WITHOUT_LOSS, split_mixed
from agvae.shortage import loading
from agvae.streams import seekable
from pillow_agvae.AgvImagePlugin import transparency_of


@dataclass(frozen=True)
class Decoding:
    """How an .agv file becomes a file of another format.

    Attributes:
        form: the format, as Pillow names it.
        quality: as its writer takes it, None for what that takes by itself.
        damaged_ok: leave damaged tiles grey.
        box: (left, top, right, bottom) in pixels as they are stored, None for all.
        frame: which one, from 0; None for all that the format has room for.
        background: what transparency is put on where the format holds none; white if it is not given.
        eight_bits: make 8 bits of 16, by their range, also where the format holds these.
        metadata, place, max_pixels: as in `agvae.conversion.to_agv.Encoding`; of pixels, those of the box.
    """

    form: str
    quality: float | None = None
    damaged_ok: bool = False
    box: Box | None = None
    frame: int | None = None
    background: tuple[int, int, int] | None = None
    eight_bits: bool = False
    metadata: Sequence[str] = KINDS
    place: bool = True
    max_pixels: int | None = None


@dataclass(frozen=True)
class Taken:
    """What is taken from an .agv file: frames, metadata, and sentences about what is not."""

    reader: Reader
    frames: list[Image.Image]
    info: dict[str, Any]
    lost: list[str]


@dataclass(frozen=True)
class Decoded:
    """The bytes of a file, its first frame, how many it has, and a sentence about each thing that is lost."""

    data: bytes
    frame: Image.Image
    frames: int
    lost: list[str]


def decoding(
    form: str,
    *,
    quality: float | None = None,
    box: Sequence[int] | None = None,
    frame: int | None = None,
    background: str | None = None,
    **others: Any,
) -> Decoding:
    """A `Decoding` of what people say.

    Raises:
        ValueError: one of it cannot be.
    """
    if quality is not None:
        check_quality(form, quality)
    if frame is not None and frame < 0:
        msg = f"frames are counted from 0: there is no frame {frame}"
        raise ValueError(msg)
    if box is not None and not (len(box) == 4 and 0 <= box[0] < box[2] and 0 <= box[1] < box[3]):
        msg = f"a box is left, top, right and bottom in pixels, not {', '.join(map(str, box))}"
        raise ValueError(msg)
    red, green, blue = (255, 255, 255) if background is None else ImageColor.getrgb(background)[:3]
    return Decoding(
        form,
        quality,
        box=None if box is None else Box(*box),
        frame=frame,
        background=None if background is None else (red, green, blue),
        **others,
    )


def taken(source: Path | bytes, options: Decoding) -> Taken:
    """The wanted frames and metadata of a file.

    Raises:
        ValueError: not one tile is left, or there is no such frame or box.
        OSError: it cannot be read, or it is damaged and must not be.
    """
    lost: list[str] = []
    with limited(options.max_pixels):
        reader, frames = _read(source, options, lost)
    if reader.metadata.arrays is not None:
        lost.append(NO_ARRAYS)
    found = reader.metadata.to_info()
    info, more = kept(found, options.metadata, place=options.place)
    if orientation_of(info) != orientation_of(found):
        frames, info = upright(frames, found, info)
    return Taken(reader, frames, info, lost + more)


def decoded(picture: Taken, options: Decoding) -> Decoded:
    """The bytes of a file of the wanted format.

    Raises:
        Exception: whatever Pillow's writers raise at what they cannot store.
    """
    form, header, metadata = options.form, picture.reader.header, picture.reader.metadata
    frames, info, lost = fitted(
        picture.frames, picture.info, form, background=options.background, eight_bits=options.eight_bits
    )
    if options.quality is not None:
        info = {**info, "quality": options.quality if form == OWN else round(options.quality)}
    elif form == OWN and header.model == WITHOUT_MODEL:
        info = {**info, "lossless": True}
    data, changed = written(frames, info, form, metadata.durations, metadata.loop)
    if options.frame is None and len(frames) < header.frames:
        lost.append(f"only the first of {header.frames} frames, as {form} holds one")
    return Decoded(data, frames[0], _frames_in(data, len(frames)), [*picture.lost, *lost, *changed])


def _frames_in(data: bytes, given: int) -> int:
    """How many frames a file has that was made of some; formats join those that are equal."""
    if given == 1:
        return 1
    with suppress(OSError), Image.open(BytesIO(data)) as image:  # some formats are only written
        return int(getattr(image, "n_frames", 1))
    return given


def _read(source: Path | bytes, options: Decoding, lost: list[str]) -> tuple[Reader, list[Image.Image]]:
    """The wanted frames of a file, and added to `lost` what was damaged."""
    with source.open("rb") if isinstance(source, Path) else BytesIO(source) as opened:
        file = seekable(opened)
        try:
            reader = Reader(file)
            return reader, _frames_of(reader, options)
        except (DamagedFileError, TruncatedFileError) as error:
            if not options.damaged_ok:
                raise
            reason = error.reason
        file.seek(0)
        return _damaged(Reader(file, damaged_ok=True), options, reason, lost)


def _damaged(reader: Reader, options: Decoding, reason: str, lost: list[str]) -> tuple[Reader, list[Image.Image]]:
    """As `_read`, of a file that is damaged for a reason."""
    lost.append(damage_of(reader, _wanted(reader, options), reason))
    return reader, _frames_of(reader, options, damaged_ok=True)


def damage_of(reader: Reader, frames: Sequence[int], reason: str) -> str:
    """A sentence about how much of some frames is lost, and why.

    Raises:
        ValueError: not one tile is left.
    """
    broken = _broken_tiles(reader, frames)
    total = reader.header.tiles_per_frame * len(frames)
    if broken == total:
        msg = f"every tile is lost ({reason})"
        raise ValueError(msg)
    verb = "is" if broken == 1 else "are"
    tiles = f"{broken} of {total} tiles {verb} lost and grey" if broken else "the colour of all tiles is there"
    return f"the file is damaged ({reason}); {tiles}"


def _wanted(reader: Reader, options: Decoding) -> range:
    """The numbers of the frames to decode.

    Raises:
        ValueError: there is no such frame.
    """
    count = reader.header.frames
    if options.frame is None:
        return range(count if options.form in Image.SAVE_ALL else 1)
    if options.frame >= count:
        msg = f"there is no frame {options.frame}: it has {count}, from 0"
        raise ValueError(msg)
    return range(options.frame, options.frame + 1)


def _frames_of(reader: Reader, options: Decoding, *, damaged_ok: bool = False) -> list[Image.Image]:
    header, box = reader.header, options.box
    check_size((header.width, header.height) if box is None else (box[2] - box[0], box[3] - box[1]), options.max_pixels)
    numbers = _wanted(reader, options)
    return [frame_of(reader, number, box, damaged_ok=damaged_ok) for number in numbers]


def frame_of(reader: Reader, number: int, box: Box | None = None, *, damaged_ok: bool = False) -> Image.Image:
    """A frame of an opened file, or a box of it, in its mode; raises what `agvae.decode` does."""
    image = Image.fromarray(decode_frame(reader, number, box, damaged_ok=damaged_ok, indices=True))
    if (colours := reader.header.palette) is not None:
        image.putpalette(colours, "RGBX")
        if (transparency := transparency_of(colours)) is not None:
            image.info["transparency"] = transparency
    return image.convert("1", dither=Image.Dither.NONE) if reader.header.mode == "1" else image


def _broken_tiles(reader: Reader, frames: Sequence[int]) -> int:
    """How many tiles of these frames do not decode."""
    with loading():
        from agvae.coding.extract import exact_pixels
        from agvae.coding.lossless import decode_colour

    broken = 0
    for frame in frames:
        for tile, box in zip(reader.tiles(frame), tile_boxes(reader.header), strict=True):
            try:
                if tile.payload is None:
                    broken += 1
                    continue
                by_model = tile.payload if tile.kind == NETWORK else None
                if tile.kind == WITHOUT_LOSS:
                    exact_pixels(tile, reader.header.range_of(frame), box)
                elif tile.kind == MIXED:
                    exact, by_model = split_mixed(tile.payload)
                    decode_colour(exact, box.width, box.height)
                if by_model is not None:
                    with loading():
                        from agvae.coding.tiles import latents_sha256

                    latents_sha256(replace(reader.header, width=box.width, height=box.height, frames=1), [by_model])
            except DamagedFileError:
                broken += 1
    return broken
