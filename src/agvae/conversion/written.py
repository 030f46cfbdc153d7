"""Frames as a file of a format of Pillow, which is read again to see what became of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from agvae.conversion.targets import OWN, holds_durations, orientation_of, save_options
from agvae.words import counted

_MOST_LOOPS = 0xFFFF
_SECOND = 1000
_PALETTE = 256
_VP8X, _ALPHA = slice(12, 16), 0x10
"""Where a WebP file of several frames has the name of its first chunk, whose flags are in byte 20; that of alpha."""


def written(
    frames: Sequence[Image.Image],
    info: dict[str, Any],
    form: str,
    durations: Sequence[float] | None = None,
    loop: int | None = None,
) -> tuple[bytes, list[str]]:
    """The bytes of a file, and a sentence about each thing that the format changed.

    Args:
        frames, info: as `agvae.conversion.targets.fitted` gives them.
        durations, loop: as `agvae.Metadata` has them.

    Raises:
        ValueError: a frame cannot be read again, or comes back with other pixels from a format that keeps them, or
            lasts longer than can be written.
        Exception: whatever Pillow's writers raise at what they cannot store.
    """
    if len(frames) > 1:
        options, lost = _animation(frames, form, durations, loop)
    else:
        options, lost = {}, []
    first = frames[0]
    if len(frames) > 1 and form == "GIF" and first.mode in ("L", "RGBA"):
        options["optimize"] = False  # by which grey frames get palettes of their own, and Pillow reads these wrongly
        if first.mode == "RGBA":
            first, *others = _indexed(frames)
            options |= {"append_images": others, "disposal": 2}
    metadata = save_options(form, info)
    file = BytesIO()
    try:
        first.save(file, form, **options, **metadata)
    except Exception as error:  # whatever Pillow's writers raise at what they cannot store
        times = options.pop("duration", None)
        if times is None or not _saves(first, form, {**options, **metadata}):
            raise
        msg = f"Pillow writes no frames of {max(times)} ms as {form}: take another format"
        raise ValueError(msg) from error
    if len(frames) > 1 and form == "WEBP" and frames[0].mode == "RGBA":
        _mark_alpha(file)
    exact = orientation_of(info) == 1 and (form in ("PNG", "TIFF") or (form == "GIF" and frames[0].mode == "L"))
    return file.getvalue(), lost + list(_changed(file, frames, form, options.get("duration"), exact=exact))


def _saves(image: Image.Image, form: str, options: dict[str, Any]) -> bool:
    try:
        image.save(BytesIO(), form, **options)
    except Exception:  # whatever Pillow's writers raise
        return False
    return True


def _animation(
    frames: Sequence[Image.Image], form: str, durations: Sequence[float] | None, loop: int | None
) -> tuple[dict[str, Any], list[str]]:
    """The options of `Image.save` for several frames; Pillow's writers want durations in whole milliseconds."""
    options: dict[str, Any] = {"save_all": True, "append_images": list(frames[1:])}
    given = {"duration": durations, "loop": loop}
    if form == OWN:
        return options | {name: value for name, value in given.items() if value is not None}, []
    if not holds_durations(form, frames[0].mode):
        names = [name for name, value in (("durations", durations), ("number of loops", loop)) if value is not None]
        return options, [f"without its {' and '.join(names)}, which {form} cannot hold"] if names else []
    lost = []
    if durations is None:
        options["duration"] = [_SECOND] * len(frames)
        lost.append(f"each frame is shown for a second, as {form} is a film and the frames have no durations")
    else:
        options["duration"] = [round(time) for time in durations]
    if loop is not None:
        again = form == "GIF" and loop > 0  # it says how often all is shown again, and nothing if it is not
        if loop - again > _MOST_LOOPS:
            options["loop"] = 0
            lost.append(f"shown for ever and not {loop} times, as {form} cannot count so far")
        elif loop != again or loop == 0:
            options["loop"] = loop - again
    return options, lost


def _indexed(frames: Sequence[Image.Image]) -> list[Image.Image]:
    """RGBA frames in 255 colours and a transparent one, which each has whether it needs it or not.

    What a frame leaves when it is disposed of is transparent for Pillow only if the frame has such a colour.  That is
    one which none of them shows: Pillow takes a frame of nothing else for what the one before leaves, and forgets its
    palette.
    """
    indexed = [frame.convert("RGB").quantize(_PALETTE - 1) for frame in frames]
    palettes = [image.getpalette() or [] for image in indexed]
    used = {colour for colours in palettes for colour in zip(colours[::3], colours[1::3], colours[2::3], strict=True)}
    every = itertools.product(range(_PALETTE), repeat=3)
    free = next(colour for colour in every if colour not in used)
    for frame, image, colours in zip(frames, indexed, palettes, strict=True):
        image.putpalette(colours + list(free) * (_PALETTE - len(colours) // 3))
        image.paste(_PALETTE - 1, mask=frame.getchannel("A").point([255] * 128 + [0] * 128))
        image.info["transparency"] = _PALETTE - 1
    return indexed


def _mark_alpha(file: BytesIO) -> None:
    """Say in a WebP file that it has alpha; libwebp does not where what is visible of each frame is a rectangle."""
    with file.getbuffer() as data:
        if bytes(data[_VP8X]) == b"VP8X":
            data[20] |= _ALPHA


def _changed(
    file: BytesIO, frames: Sequence[Image.Image], form: str, durations: Sequence[float] | None, *, exact: bool
) -> Iterator[str]:
    """What a format changed unasked: icons have a largest size, and neighbours that are equal become one frame.

    Args:
        exact: whether several frames should come back as they are.
    """
    try:
        image = Image.open(file)
    except OSError:  # some formats are only written
        return
    with image:
        if sorted(image.size) != sorted(frames[0].size):  # some readers turn upright what says that it lies
            yield f"resized to {image.width} x {image.height}, as {form} is"
        if image.mode == "P" and any(_many_colours(frame) for frame in frames):
            yield f"at most {_PALETTE} colours are left in a frame, as {form} holds no more"
        count = getattr(image, "n_frames", 1)
        if count < len(frames):
            yield f"{counted(count, 'frame')}, as {form} makes one of neighbours that are equal"
        if len(frames) == 1 or form == OWN:
            return
        times, opaque, good = [], [], 0
        for number in range(count):
            _read(image, number, count, form)
            if exact:
                most = 1 if count == len(frames) else len(frames)  # neighbours that are equal may be one
                good += len(list(itertools.takewhile(partial(_same, image), frames[good : good + most])))
            times.append(image.info.get("duration", 0))
            if count == len(frames) and _transparent(frames[number]) > _transparent(image) + 0.01:
                opaque.append(str(number + 1))
        if exact and good < len(frames):
            msg = f"frame {good + 1} comes back with other pixels as Pillow writes {form}: take another format"
            raise ValueError(msg)
    if opaque:
        yield f"what is transparent is not in frames {', '.join(opaque)}, as Pillow writes {form}"
    if durations is not None and count == len(frames):
        change = max(abs(time - wanted) for time, wanted in zip(times, durations, strict=True))
        if change >= 1:
            yield f"durations change by up to {change:g} ms, as {form} rounds them"


def _read(image: Image.Image, number: int, count: int, form: str) -> None:
    try:
        size = image.size
        image.seek(number)
        image.load()
    except Exception as error:  # whatever Pillow's readers raise
        msg = f"frame {number + 1} of {count} cannot be read again as Pillow writes {form}: take another format"
        raise ValueError(msg) from error
    if sorted(image.size) != sorted(size):
        msg = f"frame {number + 1} of {count} is {image.width} x {image.height} as Pillow writes {form}"
        raise ValueError(msg)


def _same(image: Image.Image, other: Image.Image) -> bool:
    if image.mode != other.mode or image.mode == "P":
        image, other = image.convert("RGBA"), other.convert("RGBA")
    return np.array_equal(np.asarray(image), np.asarray(other))


def _many_colours(frame: Image.Image) -> bool:
    """Whether there are more than a palette holds; colours under alpha 0 are none."""
    seen = frame.convert("RGBa") if frame.mode == "RGBA" else frame
    return seen.getcolors(_PALETTE) is None


def _transparent(frame: Image.Image) -> float:
    """Share of the pixels that nobody sees."""
    if (frame.mode == "P" and frame.palette is None) or not frame.has_transparency_data:
        return 0.0
    return float((np.asarray(frame.convert("RGBA").getchannel("A")) < 32).mean())
