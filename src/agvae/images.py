"""The image files of a data set, and what is said of those that are none."""

from __future__ import annotations

import contextlib
import importlib
from collections import Counter
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path, PurePath
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError

from agvae.words import counted

_NO_PIXELS = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})
"""What Pillow knows but reads with other programs or on one system alone, or not at all."""
_PLUGINS = {
    ".heic": ("pillow_heif", "pillow-heif"),
    ".heif": ("pillow_heif", "pillow-heif"),
    ".hif": ("pillow_heif", "pillow-heif"),
    ".jxl": ("pillow_jxl", "pillow-jxl-plugin"),
    ".avif": ("pillow_avif", "pillow-avif-plugin"),
}
"""By suffix: modules that read what Pillow does not, or not everywhere, and what they are installed as."""
_BACKGROUND = (255, 255, 255, 255)


@dataclass
class Tally:
    """What became of the files of a source or folder."""

    used: int = 0
    pixels: int = 0
    mirrored: int = 0
    small: int = 0
    several: int = 0
    broken: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    folders: int = 0

    def __str__(self) -> str:
        parts = [f"{counted(self.used, 'image')}, {self.pixels / 1e6:.1f} Mpixel"]
        if self.mirrored:
            parts.append(f"{self.mirrored} of them smaller than a crop and mirrored")
        if self.several:
            parts.append(f"of {self.several} only the first of several frames")
        if self.small:
            parts.append(f"left out {self.small} smaller than half a crop")
        if self.others:
            suffixes = ", ".join(suffix + hint(suffix) for suffix in sorted(self.others))
            parts.append(f"left out {counted(self.others.total(), 'other file')} ({suffixes})")
        if self.folders:
            parts.append(f"left out {counted(self.folders, 'folder')}")
        if self.broken:
            more = f", and {len(self.broken) - 3} more" if len(self.broken) > 3 else ""
            parts.append(f"left out {len(self.broken)} that cannot be read ({', '.join(self.broken[:3])}{more})")
        return "; ".join(parts)


def register_readers() -> None:
    """Have Pillow read what plugins read that are installed beside it; where it does so itself, nothing changes."""
    for module, _ in _PLUGINS.values():
        if module == "pillow_avif" and "AVIF" in Image.registered_extensions().values():
            continue
        with contextlib.suppress(ImportError):
            plugin = importlib.import_module(module)
            if module == "pillow_heif":  # the others register what they read when they are imported
                plugin.register_heif_opener()


def hint(suffix: str) -> str:
    """Which package would read files of a suffix, in brackets; "" if none is known, or it is there."""
    module, distribution = _PLUGINS.get(suffix.lower(), ("", ""))
    return f" (pip install {distribution})" if module and find_spec(module) is None else ""


def unread(suffix: str) -> str:
    """Why files of a suffix are pictures and cannot be read; "" if they are none, or can."""
    package = hint(suffix)
    return f"cannot identify image file{package}" if package else ""


def opened(path: Path) -> Image.Image:
    """`Image.open`, whose error for what Pillow does not know says which package reads files of its suffix.

    Raises:
        UnidentifiedImageError: it is not known.
        What `Image.open` raises.
    """
    try:
        return Image.open(path)
    except UnidentifiedImageError as error:
        msg = f"{path}: cannot identify image file{hint(path.suffix)}"
        raise UnidentifiedImageError(msg) from error


def check_regular(path: Path) -> None:
    """Refuse what has no end, or keeps whoever reads it waiting, and links that lead nowhere.

    Raises:
        OSError: it is no regular file; the message starts with its name.
    """
    if not path.is_file():
        msg = f"{path}: {'is no regular file' if path.exists() else 'leads to no file'}"
        raise OSError(msg)


def is_image_name(path: PurePath) -> bool:
    """Whether a file is not hidden and has a suffix of a format that Pillow reads, with the plugins there are."""
    form = Image.registered_extensions().get(path.suffix.lower())
    form = "JPEG" if form == "MPO" else form  # whose reader opens it
    return form in Image.OPEN and form not in _NO_PIXELS and not path.name.startswith(".")


def is_image(path: PurePath, tally: Tally) -> bool:
    """Whether a file has the name of an image; what has not is counted."""
    good = is_image_name(path)
    if not good:
        tally.others[path.suffix if not path.name.startswith(".") else f"{path.name[:2]}*"] += 1
    return good


def count_frames(file: Path | IO[bytes]) -> int:
    """Frames of an image whose first one can be read."""
    with contextlib.suppress(Exception), Image.open(file) as image:  # only a later frame can be broken
        return int(getattr(image, "n_frames", 1))
    return 1


def read_rgb(file: Path | IO[bytes], name: str) -> Image.Image:
    """The first frame of an image as RGB, with its pixels loaded and without metadata.

    What is transparent lies on white. Numbers of more than 8 bits, of which there is one for each pixel, are scaled
    from their lowest and highest, as .agv files store them, to 0 and 255. Profiles are not applied: samples are what
    the file says, as codecs see them. Orientation is as stored.

    Raises:
        OSError: it cannot be read, for whatever reason; the message starts with the name.
    """
    try:
        with Image.open(file) as image:
            rgb = as_rgb(image)
    except UnidentifiedImageError as error:
        msg = f"{name}: cannot identify image file{hint(PurePath(name).suffix)}"
        raise OSError(msg) from error
    except Exception as error:  # Pillow's readers raise all kinds at broken files
        msg = f"{name}: {str(error) or type(error).__name__}"
        raise OSError(msg) from error
    rgb.info = {}  # Pillow's writers take profiles and more from there
    return rgb


def as_rgb(image: Image.Image) -> Image.Image:
    """An image as RGB, as `read_rgb` gives it, but for what it has in `info`."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return scaled(image).convert("RGB")
    if image.has_transparency_data:
        background = Image.new("RGBA", image.size, _BACKGROUND)
        return Image.alpha_composite(background, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def scaled(image: Image.Image) -> Image.Image:
    """Numbers of any depth as grey of 8 bits, from the lowest to the highest; black if they are equal.

    Raises:
        ValueError: some are no numbers.
    """
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite((low, high)).all():
        msg = "has values that are no numbers"
        raise ValueError(msg)
    scaled = (values.astype(np.float64) - low) * (255 / (high - low) if high > low else 0)
    return Image.fromarray(scaled.round().astype(np.uint8))
