"""Metadata that Pillow finds in a file and does not hand on as such, or does not look for."""

from __future__ import annotations

import contextlib
import struct
from io import BytesIO
from typing import Any

from PIL import Image

from agvae.conversion.jpeg_xl import boxes

_RAW_PROFILES = {
    "Raw profile type exif": "exif",
    "Raw profile type xmp": "xmp",
    "Raw profile type icc": "icc_profile",
    "Raw profile type icm": "icc_profile",
}
"""Keys of text in PNG files of ImageMagick and ExifTool, and what is there."""
_RESOLUTION, _IPTC, _EXIF, _XMP = 1005, 1028, 1058, 1060
"""Resources of Photoshop."""
_EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_NAMES = {b"Exif": "Exif data", b"xml ": "XMP", b"jumb": "content credentials (JUMBF)", b"jhgm": "gain map"}
"""Of boxes of JPEG XL."""


def resources_of(image: Image.Image) -> dict[str, Any]:
    """Metadata of an image under the names of `Image.info`, beside those that are there."""
    if image.format == "PNG":
        return {_RAW_PROFILES[name]: data for name, data in raw_profiles(image).items()}
    if image.format == "PSD":
        return _of_photoshop(_photoshop(image))
    if image.format == "JXL":
        return next(({"xmp": data} for kind, data in _boxes(image) if kind == b"xml "), {})
    return {}


def resources_lost(image: Image.Image) -> list[str]:
    """A sentence about each thing that a file has beside its picture and nothing is made of."""
    if image.format == "JXL":
        names = [_NAMES[kind] for kind, _ in _boxes(image) if kind in (b"jumb", b"jhgm")]
        packed = [_NAMES[data[:4]] for kind, data in _boxes(image) if kind == b"brob" and data[:4] in _NAMES]
        lost = [f"without its {' and '.join(names)}"] if names else []
        return lost + [f"without its {' and '.join(packed)}, compressed as by Brotli"] * bool(packed)
    lost = []
    if image.info.get("photoshop") or _IPTC in _photoshop(image):
        lost.append("without its Photoshop (IPTC) data")
    if any(data.startswith(_EXTENDED_XMP) for _, data in getattr(image, "applist", ())):
        lost.append("without the part of its XMP that is in further segments")
    further = {
        "depth maps": len(image.info.get("depth_images") or ()),
        "auxiliary pictures": sum(map(len, (image.info.get("aux") or {}).values())),
    }
    return lost + [f"without its {name} ({count})" for name, count in further.items() if count]


def raw_profiles(image: Image.Image) -> dict[str, bytes]:
    """Metadata that a PNG file has as text, in hexadecimal digits after three lines, by the keys of the text."""
    found = {}
    for name, text in getattr(image, "text", {}).items():
        if name in _RAW_PROFILES:
            with contextlib.suppress(ValueError):
                found[name] = bytes.fromhex("".join(str(text).split("\n")[3:]))
    return {name: data for name, data in found.items() if data}


def _photoshop(image: Image.Image) -> dict[int, bytes]:
    return {number: data for number, _, data in getattr(image, "resources", ())}


def _of_photoshop(resources: dict[int, bytes]) -> dict[str, Any]:
    found: dict[str, Any] = {"exif": resources.get(_EXIF), "xmp": resources.get(_XMP)}
    if len(resolution := resources.get(_RESOLUTION, b"")) >= 12:
        x, y = struct.unpack_from(">I4xI", resolution)
        found["dpi"] = (x / 65536, y / 65536)
    return {name: value for name, value in found.items() if value}


def _boxes(image: Image.Image) -> list[tuple[bytes, bytes]]:
    """Kind and content of boxes of JPEG XL; none where the plugin has made a JPEG of it, with all of its metadata."""
    data = getattr(image, "fc", None)
    if not isinstance(data, bytes) or getattr(image, "jpeg", False):
        return []
    file = BytesIO(data)
    wanted = (*_NAMES, b"brob")
    return [(kind, file.read(size)) for kind, size in boxes(file) if kind in wanted]
