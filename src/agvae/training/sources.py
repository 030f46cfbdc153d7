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
from io import BufferedReader, BytesIO
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
class Entry:
    """An image file that was found.

    Attributes:
        name: for messages.
        path: the file that holds it, or is it.
        offset, size: the bytes of that file which are its own; a size of -1 means up to the end.
        content: its bytes, if they cannot be read again from there, as those in a compressed archive.
    """

    name: str
    path: Path
    offset: int = 0
    size: int = -1
    content: bytes | None = None

    def read(self, most: int = -1) -> bytes:
        """Its bytes, or the first `most` of them.

        Raises:
            OSError: they cannot be read.
        """
        if self.content is not None:
            return self.content
        count = self.size if most < 0 else most if self.size < 0 else min(most, self.size)
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(count)


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

    def entries(self, tally: Tally) -> Iterator[Entry]:
        """Every image, in order.

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
    entries = source.entries(tally)
    with ThreadPoolExecutor() as pool:
        while batch := [(entry.name, entry.read()) for entry in islice(entries, _AT_ONCE)]:
            for found in pool.map(_decode, batch):
                if isinstance(found, str):
                    tally.broken.append(found)
                    continue
                image, frames = found
                if counted(tally, image.shape[0], image.shape[1], crop):
                    tally.several += frames > 1
                    yield torch.from_numpy(mirrored(image, crop))


def counted(tally: Tally, height: int, width: int, crop: int) -> bool:
    """Count an image of this size; whether it is large enough to be used."""
    if 2 * min(height, width) < crop:
        tally.small += 1
        return False
    tally.mirrored += min(height, width) < crop
    tally.used += 1
    tally.pixels += max(height, crop) * max(width, crop)
    return True


def mirrored(image: np.ndarray, crop: int) -> np.ndarray:
    """(H, W, 3), continued by its mirror image to at least `crop` pixels a side, of which it has half."""
    below, beside = max(0, crop - image.shape[0]), max(0, crop - image.shape[1])
    return np.pad(image, ((0, below), (0, beside), (0, 0)), "symmetric") if below or beside else image


def _images(path: Path, tally: Tally) -> Iterator[Entry]:
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
            yield Entry(str(file), file)


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


def _members(path: Path, tally: Tally) -> Iterator[Entry]:
    """The images of a tar file, then those that links in it lead to; tar makes hard links of what it has met before."""
    links: list[tarfile.TarInfo] = []
    try:
        with tarfile.open(path) as archive:
            plain = isinstance(archive.fileobj, BufferedReader)
            for member in archive:
                if member.isdir() or not is_image(Path(member.name), tally):
                    continue
                if member.islnk() or member.issym():
                    links.append(member)
                elif plain and member.isreg() and not member.issparse():
                    if member.offset_data + member.size > path.stat().st_size:
                        msg = "unexpected end of data"
                        raise tarfile.ReadError(msg)
                    yield Entry(f"{path}/{member.name}", path, member.offset_data, member.size)
                elif (content := archive.extractfile(member)) is not None:
                    yield Entry(f"{path}/{member.name}", path, content=content.read())
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
                    yield Entry(f"{path}/{link.name}", path, content=data)
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
        return pixels_of(name, content), count_frames(BytesIO(content))
    except OSError as error:
        return str(error)


def pixels_of(name: str, content: bytes) -> np.ndarray:
    """uint8 (H, W, 3) of the first frame.

    Raises:
        OSError: it cannot be read; the message starts with the name.
    """
    return np.array(read_rgb(BytesIO(content), name))
