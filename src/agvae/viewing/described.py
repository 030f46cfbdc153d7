"""Metadata of a picture in words: colour profile, Exif data, texts."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from PIL import ExifTags, Image, ImageCms
from PIL.TiffImagePlugin import IFDRational

from agvae.pages import printable
from agvae.words import counted

_LONGEST = 20_000
"""Characters of a text that are shown."""
_LONGEST_VALUE = 300
"""The same of a value of Exif data."""
_POINTERS = {int(ifd) for ifd in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo, ExifTags.IFD.Interop)}


@dataclass(frozen=True)
class Described:
    """One kind of metadata: names with values, or a text."""

    title: str
    rows: list[tuple[str, str]] = field(default_factory=list)
    text: str = ""


def described(info: Mapping[str, Any], texts: Mapping[str, Any]) -> list[Described]:
    """What a picture says of itself.

    Args:
        info: `exif` (bytes), `icc_profile`, `xmp`, `comment` and `dpi`, as in `Image.info`.
        texts: others, by their names; bytes or what `str` makes a text of.
    """
    found = []
    if "icc_profile" in info:
        found.append(Described("Colour profile", list(_of_profile(info["icc_profile"]))))
    if "exif" in info:
        size = counted(len(info["exif"]), "byte")
        rows = list(_of_exif(info["exif"])) or [("damaged", f"nothing of its {size} can be read")]
        found.append(Described("Exif", rows))
    if "dpi" in info:
        found.append(Described("Resolution", [("pixels per inch", "{:g} x {:g}".format(*info["dpi"]))]))
    named = {"XMP": info.get("xmp"), "Comment": info.get("comment"), **texts}
    found += [Described(printable(str(name)), text=_shown(value)) for name, value in named.items() if value]
    return found


def arrays_in_words(data: bytes | None) -> str:
    """What a file says of arrays, laid out."""
    if data is None:
        return ""
    try:
        return json.dumps(json.loads(data), indent=1, ensure_ascii=False)
    except (ValueError, RecursionError):
        return data.decode("utf-8", "backslashreplace")


def _of_profile(profile: bytes) -> Iterator[tuple[str, str]]:
    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(profile))).strip()
    except (OSError, ImportError, ImageCms.PyCMSError):  # also of a Pillow without littlecms
        name = "cannot be read"
    yield "name", _short(name)
    yield "colours", _short(profile[16:20].decode("latin-1").strip())
    yield "size", counted(len(profile), "byte")


def _of_exif(data: bytes) -> Iterator[tuple[str, str]]:
    """Names and values; what is damaged is said."""
    exif = Image.Exif()
    try:
        exif.load(data)
        yield from _values(exif, ExifTags.TAGS)
        for ifd in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            yield from _values(exif.get_ifd(ifd), ExifTags.GPSTAGS if ifd is ExifTags.IFD.GPSInfo else ExifTags.TAGS)
    except Exception as error:  # Pillow raises all kinds at Exif data that are none
        yield "damaged", _short(str(error) or type(error).__name__)


def _values(tags: Mapping[int, Any], names: Mapping[int, str]) -> Iterator[tuple[str, str]]:
    for tag, value in tags.items():
        if tag not in _POINTERS:
            yield names.get(tag, f"tag {tag}"), _value(value)


def _value(value: Any) -> str:
    if isinstance(value, bytes):
        plain = value.rstrip(b"\0")
        readable = plain.isascii() and plain.decode("ascii").isprintable() and plain
        return _short(plain.decode("ascii")) if readable else counted(len(value), "byte")
    if isinstance(value, tuple):
        return _short(", ".join(map(_value, value)))
    if isinstance(value, float | IFDRational):
        return f"{float(value):.6g}"
    text = str(value)
    with contextlib.suppress(UnicodeError):  # Pillow takes it for Latin-1; who writes more than ASCII writes UTF-8
        text = text.encode("latin-1").decode("utf-8")
    return _short(text)


def _short(text: str) -> str:
    shown = printable(text.rstrip("\0")[:_LONGEST_VALUE])
    return f"{shown} ... ({len(text)} characters)" if len(text) > _LONGEST_VALUE else shown


def _shown(value: Any) -> str:
    """A text of several lines with what would not show in notation, and its end left out if it is long."""
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    lines = "\n".join(printable(line) for line in text[:_LONGEST].splitlines())
    return f"{lines}\n... ({len(text):,} characters)" if len(text) > _LONGEST else lines
