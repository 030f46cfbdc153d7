"""Where a picture was taken, as its Exif data and its XMP say it."""

from __future__ import annotations

import re
import struct

from PIL import ExifTags

from agvae.container import EXIF_PREFIX

_EXIF, _GPS = int(ExifTags.IFD.Exif), int(ExifTags.IFD.GPSInfo)
_XMP, _IPTC = 700, (33723, 34377)
"""Tags that hold other kinds of metadata."""
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
"""Bytes of a value of each type of TIFF."""
_NAME = re.compile(r"""<(?:[^\s<>/="':]+:)?([^\s<>/="':]+)|[\s"'](?:[^\s<>/="':]+:)?([^\s<>/="':]+)\s*=\s*["']""")
"""The name of an element or attribute without its prefix, which files choose."""
_NAMED_PLACE = re.compile(
    r".*(altitude|country|latitude|longitude|longtitude|province|sublocation).*|geo(?!metr).*"
    r"|address|city|county|coverage|district|lat|lon|long|lng|lat_?lo?ng?|place|place_?name|spatial|state|street|town"
    r"|venue|village|world_?region",
    re.IGNORECASE,
)
"""Names of what tells a place; longtitude is how some drones spell it."""
_WORD = re.compile("gps|location|geo:l|geotag", re.IGNORECASE)
"""What tells a place wherever it is."""
_HIERARCHY = re.compile(
    r"""[>"';,|/\\]\s*(africa|antarctica|asia|australia|city|cities|ciudad|ciudades|country|countries|europ[ae]|geo\w*
    |l.nder|lieux?|locais|luogh?[io]|lugar|lugares|oceania|orte?|pays|places?|plaats|plaatsen|regions?
    |st.dte|villes?|world|((north|south|central|latin)[ ])?america)\s*([|/\\]|&lt;)""",
    re.IGNORECASE | re.VERBOSE,
)
"""Keywords in which what follows is a place, as in Places|Berlin."""
_ADDRESS = re.compile(r"""https?://[^\s"'<>]*""")


def tells_place(xmp: bytes | bytearray | str) -> bool:
    """Whether XMP may say where a picture was taken, by a name, a keyword, or what is between them."""
    data = xmp.encode() if isinstance(xmp, str) else bytes(xmp)
    text = data.replace(b"\0", b"").decode("utf-8", "replace")  # UTF-16 as well
    if _WORD.search(text) or _HIERARCHY.search(_ADDRESS.sub("", text)):
        return True
    return any(_NAMED_PLACE.fullmatch(name) for pair in set(_NAME.findall(text)) for name in pair)


def without_place(exif: bytes) -> bytes:
    """Exif data without those of GPS, IPTC data and XMP that tells a place; all else stays where it is.

    Notes of cameras need that: they stay, though those of some cameras name places.

    Raises:
        ValueError: they are damaged.
    """
    data = bytearray(exif.removeprefix(EXIF_PREFIX))
    order = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]))
    try:
        if order is None:
            raise ValueError
        _remove_place(data, order)
    except (ValueError, struct.error) as error:
        msg = "damaged Exif data"
        raise ValueError(msg) from error
    return exif[: len(exif) - len(data)] + data


def _remove_place(data: bytearray, order: str) -> None:
    todo, seen = [struct.unpack_from(f"{order}I", data, 4)[0]], {0}
    while todo:
        start = todo.pop()
        if start in seen:
            continue
        seen.add(start)
        (count,) = struct.unpack_from(f"{order}H", data, start)
        for number in reversed(range(count)):
            entry = start + 2 + 12 * number
            tag, kind, length, value = struct.unpack_from(f"{order}HHII", data, entry)
            size = _SIZES.get(kind, 1) * length
            if tag == _EXIF:
                todo.append(value)
            elif tag == _GPS or tag in _IPTC or (tag == _XMP and tells_place(data[value : value + size])):
                if tag == _GPS:
                    _blank_directory(data, order, value)
                elif size > 4:
                    _blank(data, value, size)
                end = start + 2 + 12 * count + 4
                data[entry:end] = data[entry + 12 : end] + bytes(12)
                count -= 1
                struct.pack_into(f"{order}H", data, start, count)
        todo += struct.unpack_from(f"{order}I", data, start + 2 + 12 * count)


def _blank_directory(data: bytearray, order: str, start: int) -> None:
    (count,) = struct.unpack_from(f"{order}H", data, start)
    for number in range(count):
        _, kind, length, value = struct.unpack_from(f"{order}HHII", data, start + 2 + 12 * number)
        size = _SIZES.get(kind, 1) * length
        if size > 4:
            _blank(data, value, size)
    _blank(data, start, 2 + 12 * count + 4)


def _blank(data: bytearray, start: int, size: int) -> None:
    data[start : start + size] = bytes(len(data[start : start + size]))
