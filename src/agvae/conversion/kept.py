"""Which metadata of a picture are kept: kinds by name, and whether they may say where it was taken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from PIL import Image

from agvae.conversion.targets import turned
from agvae.conversion.whereabouts import tells_place, without_place

KINDS = ("icc", "exif", "xmp", "comment", "dpi")
_NAMES = {"icc": "icc_profile"}


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
    if tells_place(found.get("xmp", b"")):
        del found["xmp"]
        lost.append("without its XMP, which says where it was taken")
    return found, lost


def upright(
    frames: list[Image.Image], before: dict[str, Any], after: dict[str, Any]
) -> tuple[list[Image.Image], dict[str, Any]]:
    """Frames turned as metadata said that are no longer all there, and what is left of these."""
    fit, found = turned(frames, before)
    return fit, {name: found[name] for name in after if name in found}
