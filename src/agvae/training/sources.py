"""Where images come from: folders, tar files, patterns, parts of them, each with a label."""

from __future__ import annotations

import errno
import glob
import lzma
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from agvae.images import Tally, check_regular, count_frames, is_image, read_rgb

_SOURCE = re.compile(r"(?P<path>.+?)(?::(?P<first>[1-9]\d*)-(?P<last>[1-9]\d*))?(?:=(?P<label>[^=]+))?", re.DOTALL)
_TAR = re.compile(r"\.(tar|tgz|tbz2?|txz)(\.(gz|bz2|xz))?", re.IGNORECASE)
_AT_ONCE = 32
"""Images that are in memory as files while they are decoded."""


@dataclass(frozen=True)
class Source:
    """PATH[:FIRST-LAST][=LABEL], such as `photos/train-0[0-4].tar=0.7` or `valid.tar:9-16=screens`.

    Attributes:
        path: a folder, whose whole tree is read with the tar files in it, a tar file, an image, or a pattern of such.
        first, last: only these of its images, counted from 1 in the order of names, or of members of a tar file.
        label: what is behind the sign of equality; empty if nothing is.
    """

    path: str
    first: int = 1
    last: int | None = None
    label: str = ""

    @staticmethod
    def parse(text: str) -> Source:
        """The source that a text names; an existing path is one, whatever characters it has.

        Raises:
            ValueError: it names none.
        """
        if Path(text).exists():
            return Source(text)
        match = _SOURCE.fullmatch(text)
        first, last = (int(match[name]) if match and match[name] else None for name in ("first", "last"))
        if not match or (last is not None and last < (first or 1)):
            msg = f"{text!r} is not PATH, PATH:FIRST-LAST or one of them with =LABEL behind it"
            raise ValueError(msg)
        return Source(match["path"], first or 1, last, match["label"] or "")

    def files(self, tally: Tally) -> Iterator[tuple[str, bytes]]:
        """(name, content) of every image, in order.

        Raises:
            FileNotFoundError: the path names nothing.
            OSError: a file cannot be read.
        """
        paths = [Path(self.path)] if Path(self.path).exists() else sorted(map(Path, glob.glob(self.path)))  # noqa: PTH207
        if not paths:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.path)
        images = (image for path in paths for image in _images(path, tally))
        return islice(images, self.first - 1, self.last)


def read_images(source: Source, tally: Tally, crop: int = 1) -> Iterator[Tensor]:
    """The images of a source, decoded a few at a time: uint8 (H, W, 3) each, at least `crop` pixels wide and high.

    Smaller ones are continued by their mirror image, or left out if they have less than half of it.  What cannot be
    read is left out, too; `tally` says of what.
    """
    files = source.files(tally)
    with ThreadPoolExecutor() as pool:
        while batch := list(islice(files, _AT_ONCE)):
            for found in pool.map(_decode, batch):
                if isinstance(found, str):
                    tally.broken.append(found)
                    continue
                image, frames = found
                height, width = image.shape[:2]
                if 2 * min(height, width) < crop:
                    tally.small += 1
                    continue
                below, beside = max(0, crop - height), max(0, crop - width)
                if below or beside:
                    image = np.pad(image, ((0, below), (0, beside), (0, 0)), "symmetric")
                    tally.mirrored += 1
                tally.used += 1
                tally.several += frames > 1
                tally.pixels += image.shape[0] * image.shape[1]
                yield torch.from_numpy(image)


def _images(path: Path, tally: Tally) -> Iterator[tuple[str, bytes]]:
    for file in _tree(path) if path.is_dir() else [path]:
        packed = _TAR.fullmatch("".join(file.suffixes[-2:])) or _TAR.fullmatch(file.suffix)
        if not packed and not is_image(file, tally):
            continue
        try:
            check_regular(file)
        except OSError as error:
            tally.broken.append(str(error))
            continue
        if packed:
            yield from _members(file, tally)
        else:
            yield str(file), file.read_bytes()


def _tree(folder: Path) -> list[Path]:
    """All that is no folder, sorted; links to folders are followed, but none twice on one way."""
    found: list[Path] = []

    def walk(place: Path, above: frozenset[Path]) -> None:
        real = place.resolve()
        if real in above:
            return
        for path in place.iterdir():
            if path.is_dir():
                walk(path, above | {real})
            else:
                found.append(path)

    walk(folder, frozenset())
    return sorted(found)


def _members(path: Path, tally: Tally) -> Iterator[tuple[str, bytes]]:
    """The images of a tar file, then those that links in it lead to; tar makes hard links of what it has met before."""
    links: list[tarfile.TarInfo] = []
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isdir() or not is_image(Path(member.name), tally):
                    continue
                if member.islnk() or member.issym():
                    links.append(member)
                elif (content := archive.extractfile(member)) is not None:
                    yield f"{path}/{member.name}", content.read()
                else:
                    tally.broken.append(f"{path}/{member.name}: is no regular file")
            if archive.fileobj is not None:  # tarfile takes half a header for the end
                archive.fileobj.seek(archive.offset)
                if archive.fileobj.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
                    tally.broken.append(f"{path}: the end is missing")
            for link in links:
                if (data := _linked(archive, link)) is None:
                    tally.broken.append(f"{path}/{link.name}: is a link to {link.linkname}, which is no file in there")
                else:
                    yield f"{path}/{link.name}", data
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        tally.broken.append(f"{path}: {' '.join(str(error).split())}")


def _linked(archive: tarfile.TarFile, link: tarfile.TarInfo) -> bytes | None:
    try:
        content = archive.extractfile(link)
    except (KeyError, RecursionError):  # there is no such member, or links go in a circle
        return None
    return content.read() if content is not None else None


def _decode(file: tuple[str, bytes]) -> tuple[np.ndarray, int] | str:
    """Pixels of the first frame and the number of frames, or what is wrong."""
    name, content = file
    try:
        pixels = np.array(read_rgb(BytesIO(content), name))
    except OSError as error:
        return str(error)
    return pixels, count_frames(BytesIO(content))
