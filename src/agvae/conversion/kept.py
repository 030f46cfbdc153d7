"""Which metadata of a picture are kept: kinds by name, and whether they may say where it was taken."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Sequence
from typing import Any

from PIL import ExifTags, Image

from agvae.container import EXIF_PREFIX
from agvae.conversion.targets import turned

KINDS = ("icc", "exif", "xmp", "comment", "dpi")
_NAMES = {"icc": "icc_profile"}
_EXIF, _GPS = int(ExifTags.IFD.Exif), int(ExifTags.IFD.GPSInfo)
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
"""Bytes of a value of each type of TIFF."""
_PLACES = re.compile(rb"gps|location|photoshop:(city|state|country)", re.IGNORECASE)
"""What names of XMP that tell a place have in them."""


def kinds_of(names: str | Iterable[str]) -> tuple[str, ...]:
    """Kinds by their names, which are checked; a string is one of them, "all" or "none".

    Raises:
        ValueError: there is no such kind.
    """
    found = {"all": KINDS, "none": ()}.get(names, (names,)) if isinstance(names, str) else tuple(names)
    for name in found:
        if name not in KINDS:
            msg = f"metadata are all, none, or some of {', '.join(KINDS)}, not {name!r}"
            raise ValueError(msg)
    return found


def kept(info: dict[str, Any], kinds: Sequence[str], *, place: bool = True) -> tuple[dict[str, Any], list[str]]:
    """The metadata of these kinds, and a sentence about what is gone beside what was asked for.

    Args:
        info: `icc_profile`, `exif` (bytes), `xmp`, `comment` and `dpi`, as in `Image.info`.
        place: whether they may say where a picture was taken.
    """
    names = {_NAMES.get(kind, kind) for kind in kinds}
    found, lost = {name: value for name, value in info.items() if name in names}, list[str]()
    if place:
        return found, lost
    if "exif" in found:
        try:
            found["exif"] = without_place(found["exif"])
        except ValueError:
            del found["exif"]
            lost.append("without its Exif data, which are damaged and may say where it was taken")
    xmp = found.get("xmp", b"")
    if _PLACES.search((xmp.encode() if isinstance(xmp, str) else xmp).replace(b"\0", b"")):  # UTF-16 as well
        del found["xmp"]
        lost.append("without its XMP, which says where it was taken")
    return found, lost


def upright(
    frames: list[Image.Image], before: dict[str, Any], after: dict[str, Any]
) -> tuple[list[Image.Image], dict[str, Any]]:
    """Frames turned as metadata said that are no longer all there, and what is left of these."""
    fit, found = turned(frames, before)
    return fit, {name: found[name] for name in after if name in found}


def without_place(exif: bytes) -> bytes:
    """Exif data without those of GPS; all else stays where it is, as notes of cameras need it.

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
            tag, _, _, value = struct.unpack_from(f"{order}HHII", data, entry)
            if tag == _EXIF:
                todo.append(value)
            elif tag == _GPS:
                _blank_directory(data, order, value)
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
