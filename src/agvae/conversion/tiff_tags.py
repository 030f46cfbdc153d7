"""The tags of a TIFF file: which of them Exif data can hold, and which are lost."""

from __future__ import annotations

from typing import Any

from PIL import ExifTags, Image, TiffTags

_DESCRIPTIVE = [
    *(getattr(ExifTags.Base, name) for name in ("DocumentName", "ImageDescription", "Make", "Model", "PageName")),
    *(getattr(ExifTags.Base, name) for name in ("Software", "DateTime", "Artist", "HostComputer", "Copyright")),
]
_DIRECTORIES = {int(ExifTags.IFD.Exif), int(ExifTags.IFD.GPSInfo)}
"""Of Exif data, whose value is a place in the file."""
_HELD_APART = {700, 34675, *_DIRECTORIES}
"""XMP, the colour profile and Exif data."""
_RESOLUTION = {282, 283, 296}
_ABOUT_PIXELS = {
    *range(254, 260),  # kinds of picture, size, bits, compression
    *(262, 263, 264, 265, 266, 273, 274, 277, 278, 279, 280, 281, 284, 288, 289, 292, 293, 297, 317, 320),
    *range(321, 329),  # halftones, tiles, facsimiles
    *(332, 333, 334, 336, 338, 339, 340, 341, 343, 344, 345, 346, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521),
    *(529, 530, 531, 559, 40965),
}
_NAMES = {
    33550: "ModelPixelScale",
    33922: "ModelTiepoint",
    34264: "ModelTransformation",
    34735: "GeoKeyDirectory",
    34736: "GeoDoubleParams",
    34737: "GeoAsciiParams",
    42112: "GDAL_METADATA",
    42113: "GDAL_NODATA",
    50839: "ImageJ's metadata",
}
"""Of tags whose names Pillow does not know."""


def exif_of_tags(tags: Image.Exif) -> Image.Exif:
    """Exif data of the tags of a TIFF file, without those that say how its pixels lie in it."""
    exif = Image.Exif()
    exif.update({tag: tags[tag] for tag in _DESCRIPTIVE if tag in tags})
    for name in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        values = tags.get_ifd(name)
        if values:
            exif[name] = dict(values)
    return exif


def tags_lost(image: Image.Image, *, pages: bool) -> list[str]:
    """A sentence about tags that an .agv file will not have, and one about those of further pages that are others.

    Args:
        pages: whether all pages are written, and not the first alone.
    """
    held = {*_DESCRIPTIVE, *_HELD_APART, *_RESOLUTION}
    first = _values(image, held)
    lost, others = _tags(image), set[int]()
    for number in range(1, getattr(image, "n_frames", 1) if pages else 1):
        image.seek(number)
        lost |= _tags(image)
        others |= {tag for tag, value in _values(image, held).items() if tag in _DIRECTORIES or value != first.get(tag)}
    image.seek(0)
    names = [_name(tag) for tag in sorted(lost - held - _ABOUT_PIXELS)]
    told = [f"without its tags {', '.join(names)}"] if names else []
    if others:
        told.append(f"without {', '.join(map(_name, sorted(others)))} of further pages, which the first has otherwise")
    return told


def _tags(image: Image.Image) -> set[int]:
    return set(image.tag_v2)  # type: ignore[attr-defined]


def _values(image: Image.Image, tags: set[int]) -> dict[int, Any]:
    return {tag: image.tag_v2[tag] for tag in tags & _tags(image)}  # type: ignore[attr-defined]


def _name(tag: int) -> str:
    known = TiffTags.lookup(tag).name
    return _NAMES.get(tag) or (str(tag) if known == "unknown" else known)
