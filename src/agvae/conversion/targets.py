"""Pictures made fit for a format of Pillow; what it can hold is found by writing and reading a small picture."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from numbers import Real
from typing import Any, cast

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import XMP

from agvae.conversion.originals import PNG_COMMENT
from agvae.quality import on_scale

ORIENTATION = int(ExifTags.Base.Orientation)
SAME = {"L": ("L", "RGB"), "LA": ("LA", "RGBA"), "RGB": ("RGB",), "RGBA": ("RGBA",), "I;16": ("I;16",)}
"""Modes that hold all of a mode, the first being the best."""
OWN = "AGV"
"""The format that holds all that it gives."""

_NAMES = {"icc_profile": "colour profile", "exif": "Exif data", "xmp": "XMP", "comment": "comment", "dpi": "resolution"}
_PNG_TEXTS = {"xmp": "XML:com.adobe.xmp", "comment": PNG_COMMENT}
_WHITE = (255, 255, 255)
_LEVELS = (0, 128, 255)
_SIDE = 24
_QUALITIES = (0, 100)
_OTHER_QUALITIES = {"JPEG": (1, 100), "MPO": (1, 100), "PDF": (1, 100), "JXL": (0, 99)}
"""Where a scale begins later, or 100 would be without loss, for which a writer has an option of its own."""


def fitted(
    frames: Sequence[Image.Image],
    info: dict[str, Any],
    form: str,
    *,
    background: tuple[int, int, int] | None = None,
    eight_bits: bool = False,
) -> tuple[list[Image.Image], dict[str, Any], list[str]]:
    """Frames of one mode and size, and their metadata, as a format can hold them.

    Orientation that the format cannot hold turns the pixels, transparency is put on white, and 16 bits become 8 by the
    range of all frames; a format that takes none of it gets the frames as they are.

    Args:
        frames: of mode L, LA, RGB, RGBA, I;16, 1 or P.
        info: `icc_profile`, `exif`, `xmp`, `comment` and `dpi`, as in `Image.info`.
        background: what transparency is put on where the format holds none, white if it is not given.
        eight_bits: make 8 bits of 16 also where the format holds these.

    Returns:
        The frames, the metadata that can be held, and a sentence about each thing that is lost.
    """
    frames = list(frames)
    if eight_bits and frames[0].mode == "I;16":
        frames, _ = _eight_bits(frames)
    if form == OWN:
        return frames, info, []
    fit, lost = _pixels(frames, form, background)
    held = {name: value for name, value in info.items() if _holds_metadata(form, fit[0].mode, name, value)}
    orientation = orientation_of(info)
    if orientation != 1 and _orientation_back(form, fit[0].mode, held) != orientation:
        fit, upright = turned(fit, info)
        held = {name: upright[name] for name in held if name in upright}
        lost.append(f"turned upright, as {form} cannot hold the orientation")
    missing = [_NAMES[name] for name in info if name not in held]
    if missing:
        lost.append(f"without its {' and '.join(missing)}, which {form} cannot hold")
    return fit, held, lost


def format_of(text: str) -> tuple[str, str]:
    """The name of a format that Pillow writes and the suffix of its files, of a suffix or a name.

    Raises:
        ValueError: there is none.
    """
    suffixes = Image.registered_extensions()
    suffix = f".{text.lower().removeprefix('.')}"
    form = suffixes.get(suffix, text.upper())
    if form not in Image.SAVE:
        msg = f"{text}: Pillow writes no format of this name"
        raise ValueError(msg)
    return form, suffix if suffix in suffixes else next(key for key, value in suffixes.items() if value == form)


def save_options(form: str, info: dict[str, Any]) -> dict[str, Any]:
    """Options of `Image.save` for metadata: Pillow's writers take XMP and comment of PNG as text, XMP of TIFF as a tag.

    Raises:
        UnicodeDecodeError: they are no text.
    """
    options = dict(info)
    texts = {_PNG_TEXTS[name]: options.pop(name).decode() for name in _PNG_TEXTS if form == "PNG" and name in info}
    if texts:
        options["pnginfo"] = PngInfo()
        for key, text in texts.items():
            options["pnginfo"].add_itxt(key, text)
    elif form == "TIFF" and "xmp" in info:
        options["exif"] = Image.Exif()
        options["exif"].load(info.get("exif", b""))
        options["exif"][XMP] = options.pop("xmp")
    return options


def holds_durations(form: str, mode: str) -> bool:
    """Whether frames of a mode have durations in a format."""
    plain = "L" if mode == "P" else mode.removesuffix("A")
    black, white = (Image.new(plain, (_SIDE, _SIDE), level) for level in (0, 255))
    try:
        image = _written(black, form, {"save_all": True, "append_images": [white], "duration": 1000})
        if image is None:
            return False
        image.load()
    except Exception:  # whatever Pillow's writers raise at what they cannot store
        return False
    return image.info.get("duration") == 1000


def holds_quality(form: str) -> bool:
    """Whether the writer of a format takes a quality: then it makes files of other bytes."""
    if form == OWN:
        return True
    noise = Image.fromarray((np.arange(_SIDE * _SIDE * 3) ** 2 % 251).astype(np.uint8).reshape(_SIDE, _SIDE, 3))
    files = []
    for quality in (20, 90):
        files.append(BytesIO())
        try:
            noise.save(files[-1], form, quality=quality)
        except Exception:  # whatever Pillow's writers raise at what they cannot store
            return False
    return files[0].getvalue() != files[1].getvalue()


def check_quality(form: str, quality: object) -> None:
    """
    Raises:
        ValueError: a format has no quality, or not this one.
    """
    if form == OWN:
        on_scale(quality)
        return
    if not holds_quality(form):
        msg = f"{form} has no quality to choose"
        raise ValueError(msg)
    low, high = _OTHER_QUALITIES.get(form, _QUALITIES)
    real = isinstance(quality, Real) and not isinstance(quality, bool)
    if not (real and low <= float(cast(Real, quality)) <= high):
        msg = f"the quality of {form} must be a number from {low} to {high}, not {quality!r}"
        raise ValueError(msg)


def _pixels(
    frames: list[Image.Image], form: str, background: tuple[int, int, int] | None
) -> tuple[list[Image.Image], list[str]]:
    """Frames in a mode of the format, and what is lost by it."""
    if frames[0].mode in ("1", "P"):
        if _holds_few_colours(form, frames):
            return frames, []
        frames = [_of_any_colours(frame) for frame in frames]
    mode = frames[0].mode
    for same in SAME[mode]:
        if _holds_pixels(form, same):
            return [_converted(frame, same) for frame in frames], []
    fit, lost = frames, list[str]()
    if mode == "I;16":
        fit, (low, high) = _eight_bits(frames)
        lost.append(f"16 bits are scaled to 8, {low} to black and {high} to white, as {form} holds 8")
    elif mode.endswith("A"):
        alpha = {value for frame in frames for _, value in frame.getchannel("A").getcolors() or ()}
        if alpha <= {255}:
            fit = [frame.convert(mode[:-1]) for frame in frames]
        elif _holds_pixels(form, "RGBA", levels=(0, 255)):
            if not alpha <= {0, 255}:
                lost.append(f"pixels are either transparent or opaque, as {form} cannot hold alpha between")
            return [_converted(frame, "RGBA") for frame in frames], lost
        else:
            fit = [_on(background or _WHITE, frame) for frame in frames]
            if background is None:
                lost.append(f"transparency is put on white, as {form} cannot hold alpha")
    for same in SAME[fit[0].mode]:
        if _holds_pixels(form, same):
            return [_converted(frame, same) for frame in fit], lost
    return frames, []


def _converted(frame: Image.Image, mode: str) -> Image.Image:
    return frame if frame.mode == mode else frame.convert(mode)


def _of_any_colours(frame: Image.Image) -> Image.Image:
    if frame.mode == "1":
        return frame.convert("L")
    return frame.convert("RGBA" if frame.has_transparency_data else "RGB")


def _holds_few_colours(form: str, frames: Sequence[Image.Image]) -> bool:
    """Whether the colours of frames of mode 1 or P come back in that mode.

    Those of several frames with transparency do not: what Pillow's writers make of that depends on the frame before.
    """
    first = frames[0]
    if len(frames) > 1 and first.has_transparency_data:
        return False
    used = {value for frame in frames for _, value in frame.getcolors(256) or ()}
    stripes = Image.fromarray(np.resize(np.array(sorted(used), np.uint8), (_SIDE, _SIDE)))
    picture = stripes.convert("1") if first.mode == "1" else first.crop((0, 0, _SIDE, _SIDE))
    if first.mode == "P":
        picture.frombytes(stripes.tobytes())
    try:
        image = _written(picture, form, {})
        return image is not None and image.mode == first.mode and _same_colours(image, picture)
    except Exception:  # whatever Pillow's writers raise at what they cannot store
        return False


def _same_colours(image: Image.Image, other: Image.Image) -> bool:
    return image.convert("RGBA").tobytes() == other.convert("RGBA").tobytes()


def _eight_bits(frames: Sequence[Image.Image]) -> tuple[list[Image.Image], tuple[int, int]]:
    """Frames of 16 bits scaled by the range of all of them, and that range."""
    limits = [limit for frame in frames for limit in (np.asarray(frame).min(), np.asarray(frame).max())]
    low, high = int(min(limits)), int(max(limits))
    scale = 255 / max(high - low, 1)
    scaled = [np.rint((np.asarray(frame).astype(np.float32) - low) * scale) for frame in frames]
    return [Image.fromarray(values.astype(np.uint8)) for values in scaled], (low, high)


def _on(background: tuple[int, int, int], frame: Image.Image) -> Image.Image:
    plane = Image.new("RGBA", frame.size, background)
    grey = frame.mode == "LA" and len(set(background)) == 1
    return Image.alpha_composite(plane, frame.convert("RGBA")).convert("L" if grey else "RGB")


def turned(frames: list[Image.Image], info: dict[str, Any]) -> tuple[list[Image.Image], dict[str, Any]]:
    """Frames as their orientation says, and the metadata without it."""
    upright = []
    for frame in frames:
        frame.info.update(info)
        upright.append(ImageOps.exif_transpose(frame))
    found = {name: upright[0].info[name] for name in info if name in upright[0].info}
    if "dpi" in info and upright[0].size != frames[0].size:
        found["dpi"] = info["dpi"][::-1]
    return upright, found


def orientation_of(info: dict[str, Any]) -> int:
    """Where the first row and column belong, 1 to 8; 1 (nothing to turn) where that is unknown."""
    image = Image.new("L", (1, 1))
    image.info.update(info)
    return orientation_in(image)


def orientation_in(image: Image.Image) -> int:
    """The same of an image, which is loaded where loading turns it."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # Pillow raises all kinds at Exif data that are none
        return 1
    return value if value in range(1, 9) else 1


def _orientation_back(form: str, mode: str, info: dict[str, Any]) -> int:
    """The orientation that a file of these metadata has."""
    image = _written(Image.new(mode, (_SIDE, _SIDE)), form, info)
    return 1 if image is None else orientation_in(image)


def _holds_metadata(form: str, mode: str, name: str, value: Any) -> bool:
    try:
        image = _written(Image.new(mode, (_SIDE, _SIDE)), form, {name: value})
    except Exception:  # whatever Pillow's writers raise at what they cannot store
        return False
    if image is None:
        return True
    if name == "dpi":
        return bool(np.allclose(image.info.get("dpi", (0, 0)), value, rtol=0.02))
    if name == "comment" and form == "PNG":
        return b"\0" not in value and image.info.get(PNG_COMMENT) == value.decode()
    return bool(image.info.get(name)) or (name == "exif" and len(image.getexif()) > 0)


def _holds_pixels(form: str, mode: str, levels: Sequence[int] = _LEVELS) -> bool:
    """Whether stripes of these levels, in alpha if the mode has one, come back as lossy formats give them back."""
    high = _SIDE // len(levels)
    plane = np.repeat(np.array(levels, np.uint8), high)[:, None].repeat(_SIDE, axis=1)
    deep, alpha = mode == "I;16", mode.endswith("A")
    stripes = Image.fromarray(plane.astype(np.uint16) * 257 if deep else plane)
    picture = Image.merge(mode, [Image.new("L", stripes.size, 90)] * (len(mode) - 1) + [stripes]) if alpha else stripes
    try:
        image = _written(picture if deep or alpha else picture.convert(mode), form, {})
    except Exception:  # whatever Pillow's writers raise at what they cannot store
        return False
    if image is None:
        return True
    if deep and not image.mode.startswith("I"):
        return False
    try:
        image.load()
    except OSError:  # a reader that needs another program, as that of EPS
        return True
    back = image.convert("RGBA").getchannel("A") if alpha else image if deep else image.convert("L")
    found = np.asarray(back.resize(stripes.size, Image.Resampling.NEAREST)).astype(int)
    error = np.abs(found - np.asarray(stripes))[high // 2 :: high]  # a lossy format blurs the borders
    return bool(error.max() <= 0.08 * 255 * (257 if deep else 1))


def _written(image: Image.Image, form: str, info: dict[str, Any]) -> Image.Image | None:
    """A picture written and opened again; None if Pillow writes the format and does not read it."""
    file = BytesIO()
    image.save(file, form, **save_options(form, info))
    file.seek(0)
    try:
        return Image.open(file)
    except UnidentifiedImageError:
        return None
