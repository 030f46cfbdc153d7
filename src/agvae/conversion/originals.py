"""What a picture that Pillow opened brings along: metadata that an .agv file holds, and parts that get lost."""

from __future__ import annotations

import os
import struct
from typing import IO, Any

import numpy as np
from PIL import Image

from agvae.container import EXIF_PREFIX, Metadata
from agvae.conversion.depths import bits_of, has_raised_values, head_of
from agvae.conversion.jpeg_xl import Header, header_of
from agvae.conversion.resources import raw_profiles, resources_lost, resources_of
from agvae.conversion.tiff_tags import exif_of_tags, tags_lost

NO_ARRAYS = "without what it says of arrays (axes, values, units), which napari keeps"

_FILMS = ("AGV", "AVIF", "FLI", "GIF", "PNG", "WEBP")
"""Formats whose frames are all of one size."""
_PHOTOMETRIC, _BANDS, _RESOLUTION, _FURTHER_BANDS = 262, 277, 282, 338
"""Tags of TIFF."""
_PREMULTIPLIED = 1
"""Of a further band: alpha by which the colours are multiplied."""
_SRGB_PRIMARIES, _SRGB_TRANSFERS = (1, 2), (1, 2, 6, 13, 14, 15)
"""Numbers of ITU-T H.273 for what is shown like sRGB, or not known."""
_SRGB_GAMMA = 1 / 2.2
_SRGB_CHROMATICITY = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
PNG_COMMENT = "Comment"
"""The key of text in PNG files that the comment of other formats has there."""
_HELD_TEXT = ("XML:com.adobe.xmp", "comment")
"""Keys of text in PNG files that Pillow has in `info` under names that are kept."""


def metadata_of(image: Image.Image) -> Metadata:
    """Colour profile, Exif data, XMP, comment and resolution of a Pillow image, for `agvae.encode`.

    Exif data of a TIFF file are those of its tags that describe the picture.  What is of other kinds (IPTC data,
    further tags of TIFF, other text of PNG) or only in further frames is not there, and `agvae encode` tells of it.

    Raises:
        OSError: the image cannot be read.
        ValueError: something has more than 64 MiB.
    """
    image.load()  # some formats have them behind the pixels
    return Metadata(**options_of(image))


def options_of(image: Image.Image) -> dict[str, Any]:
    """Colour profile, Exif data, XMP, comment and resolution of a loaded image, as options of `Image.save`."""
    more = resources_of(image)
    found: dict[str, Any] = {}
    for name in ("icc_profile", "exif", "xmp", "comment"):
        value = image.info.get(name) or more.get(name)
        if isinstance(value, str):
            value = value.encode()
        if isinstance(value, bytes) and value:
            found[name] = value.removeprefix(EXIF_PREFIX) if name == "exif" else value
    if image.format == "PNG" and "comment" not in found and (comment := image.info.get(PNG_COMMENT)):
        found["comment"] = str(comment).encode()
    if image.format == "TIFF":
        exif = exif_of_tags(image.getexif())
        if len(exif):
            found["exif"] = exif.tobytes().removeprefix(EXIF_PREFIX)
    if image.format == "TIFF" and _RESOLUTION not in image.tag_v2:  # type: ignore[attr-defined]
        return found  # Pillow says 1 pixel per inch where a file says nothing
    try:
        x, y = image.info.get("dpi") or more.get("dpi", ())
        found["dpi"] = Metadata(dpi=(float(x), float(y))).dpi
    except (TypeError, ValueError):  # Pillow hands on whatever resolution a file claims
        pass
    return found


def metadata_lost(image: Image.Image, *, all_frames: bool = False) -> list[str]:
    """A sentence about metadata of a loaded image that an .agv file will not have.

    Args:
        all_frames: whether all frames are written, and not the first alone.
    """
    held = _HELD_TEXT if "comment" in image.info else (*_HELD_TEXT, PNG_COMMENT)
    names = [name for name in getattr(image, "text", ()) if name not in held and name not in raw_profiles(image)]
    lost = [f"without its text {', '.join(names)}"] if names else []
    lost += resources_lost(image)
    if image.format == "TIFF":
        lost += tags_lost(image, pages=all_frames)
        if image.mode.startswith("I") and image.tag_v2.get(_PHOTOMETRIC) == 0:  # type: ignore[attr-defined]
            lost.append("its values are kept, and not that 0 is white")
    x, y = _aspect(image)
    if x != y:
        lost.append(f"without the shape of its pixels ({x:g} : {y:g}), as AGV holds pixels per inch alone")
    return lost


def _aspect(image: Image.Image) -> tuple[float, float]:
    """Pixels in either direction of a file that does not say in what length; equal if it says nothing."""
    info = image.info
    if image.format in ("JPEG", "MPO") and info.get("jfif_unit") == 0:
        found = info.get("jfif_density")
    elif image.format == "TIFF":
        found = None if "dpi" in info else info.get("resolution")
    else:
        found = info.get("aspect") or info.get("pixel_aspect_ratio")
    try:
        x, y = map(float, found or ())
    except (TypeError, ValueError, ZeroDivisionError):
        return 1, 1
    return (x, y) if x > 0 and y > 0 else (1, 1)


def colours_lost(image: Image.Image) -> list[str]:
    """A sentence about what the colours of an opened image mean, if neither a profile nor sRGB says it."""
    primaries, transfer = _colour_codes(image)
    if primaries not in _SRGB_PRIMARIES or transfer not in _SRGB_TRANSFERS:
        return [f"without its colour space (code points {primaries} and {transfer}), as AGV holds profiles alone"]
    if image.format != "PNG" or not {"icc_profile", "srgb"}.isdisjoint(image.info):
        return []
    lost = []
    if abs(image.info.get("gamma", _SRGB_GAMMA) - _SRGB_GAMMA) > 0.01:
        lost.append(f"gamma {image.info['gamma']:g}")
    if not np.allclose(image.info.get("chromaticity", _SRGB_CHROMATICITY), _SRGB_CHROMATICITY, atol=0.005):
        lost.append("primary colours")
    return [f"without its {' and '.join(lost)}, as AGV holds profiles alone"] if lost else []


def _colour_codes(image: Image.Image) -> tuple[int, int]:
    """Colour primaries and transfer characteristics as ITU-T H.273 numbers them; 2 is unknown."""
    file = getattr(image, "fp", None)
    if image.format == "PNG" and file is not None:
        codes = _chunk(file, b"cICP")
        return (codes[0], codes[1]) if len(codes) >= 2 else (2, 2)
    if image.format == "HEIF" and "icc_profile" not in image.info and (said := image.info.get("nclx_profile")):
        return int(said["color_primaries"]), int(said["transfer_characteristics"])
    if image.format == "AVIF" and file is not None and "icc_profile" not in image.info:
        head = head_of(file)
        at = head.find(b"colrnclx")
        if 0 <= at < len(head) - 12:
            primaries, transfer = struct.unpack_from(">HH", head, at + 8)
            return primaries, transfer
    return 2, 2


def _chunk(file: IO[bytes], name: bytes) -> bytes:
    """The first bytes of a chunk of a PNG file before its pixels; none, if it is not there."""
    place = file.tell()
    file.seek(8)
    try:
        while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
            if head[4:] == name:
                return file.read(min(int.from_bytes(head[:4], "big"), 16))
            file.seek(int.from_bytes(head[:4], "big") + 4, os.SEEK_CUR)
    finally:
        file.seek(place)
    return b""


def parts_lost(image: Image.Image, *, lossless: bool = False) -> tuple[list[str], bool]:
    """What an .agv file will not have of an image that was opened and not loaded.

    Args:
        lossless: also values that Pillow rounds when it reads them.

    Returns:
        A sentence about each, and whether all frames are to be written.
    """
    lost = []
    if has_still(image):
        lost.append("without its first picture, which its film does not show")
    if image.format == "JXL" and _jpeg_xl_header(image).film:
        lost.append("only the first frame of its film, as Pillow reads it so")
    count = getattr(image, "n_frames", 1)
    all_frames = image.format != "PSD" and (image.format in _FILMS or _of_one_size(image))
    if image.format == "TIFF" and all_frames:
        found = dict[str, None]()
        for frame in range(count):
            image.seek(frame)
            found |= dict.fromkeys(_values_lost(image, lossless))
        image.seek(0)
        lost += found
    else:
        lost += _values_lost(image, lossless)
    sizes = len(set(image.info.get("sizes", ())))
    if image.format in ("ICO", "ICNS") and sizes > 1:
        lost.append(f"only the largest of its {sizes} sizes")
    if count > 1 and not all_frames:
        what = "its layers" if image.format == "PSD" else f"{count - 1} of its {count} pictures"
        lost.append(f"only the first picture, without {what}, as they are not of one size")
    return lost, all_frames


def _values_lost(image: Image.Image, lossless: bool) -> list[str]:
    """A sentence about what Pillow does not read of a frame, and if `lossless` about what it rounds."""
    lost = []
    bits = bits_of(image)
    if bits > 8 and not image.mode.startswith(("I", "F")):
        lost.append(f"8 of its {bits} bits are kept, as Pillow reads it so")
    if has_raised_values(image):
        lost.append("its values, which have signs, are raised by half of their range, as Pillow reads it so")
    read = len(image.getbands())
    if image.format == "JXL":
        further = _jpeg_xl_header(image).further - image.mode.endswith("A")
        return lost + _bands_lost(read + further, read)
    if image.format == "PSD" and (file := getattr(image, "fp", None)) is not None:
        lost += _bands_lost(int.from_bytes(head_of(file)[12:14], "big"), read)
    if image.format != "TIFF":
        return lost
    tags = image.tag_v2  # type: ignore[attr-defined]
    lost += _bands_lost(int(tags.get(_BANDS, 1)), read)
    if lossless and image.mode == "RGBA" and _PREMULTIPLIED in tags.get(_FURTHER_BANDS, ()):
        lost.append("its colours, which are multiplied by alpha, are divided by it and rounded")
    return lost


def _bands_lost(bands: int, read: int) -> list[str]:
    return [f"without {bands - read} of its {bands} bands, as Pillow reads it so"] if bands > read else []


def _jpeg_xl_header(image: Image.Image) -> Header:
    file = getattr(image, "fp", None)
    return (file and header_of(file)) or Header()


def has_still(image: Image.Image) -> bool:
    """Whether the first frame of an image is a picture for those who show no films."""
    return bool(getattr(image, "default_image", False)) and getattr(image, "n_frames", 1) > 1


def plays_of_gif(image: Image.Image) -> int:
    """How often a film is shown, 0 for ever: a GIF file says how often it is shown again, and nothing if it is not."""
    again: int | None = image.info.get("loop")
    return 1 if again is None else again + 1 if again else 0


def _of_one_size(image: Image.Image) -> bool:
    sizes = set()
    for frame in range(getattr(image, "n_frames", 1)):
        image.seek(frame)
        sizes.add(image.size)
    image.seek(0)
    return len(sizes) == 1
