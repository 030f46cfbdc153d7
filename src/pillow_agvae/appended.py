"""The images that are saved into one file: all their frames, and whether that file is one that they read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from PIL import Image, ImageSequence


def checked_images(appended: Any) -> list[Image.Image]:
    """The images of append_images; copies of what comes one by one, as a generator may paint on one image again."""
    if not isinstance(appended, Iterable | None):
        appended = [appended]
    lasting = isinstance(appended, list | tuple)
    images = []
    for image in appended or ():
        if not isinstance(image, Image.Image):
            msg = f"append_images must be a list of Pillow images, not of {type(image).__name__}"
            raise ValueError(msg)
        images.append(image if lasting or getattr(image, "n_frames", 1) > 1 else image.copy())
    return images


def same_file(fp: Any, path: Any) -> bool:
    """Whether an open file is the one at a path, or that of another open file."""
    try:
        other = os.fstat(path.fileno()) if hasattr(path, "fileno") else Path(os.fsdecode(path)).stat()
        return os.path.samestat(os.fstat(fp.fileno()), other)
    except (OSError, ValueError, TypeError, AttributeError):
        return False


class AllFrames:
    """All frames of several images, one at a time; once gone through, `durations` of each (ms, or None)."""

    def __init__(self, images: Sequence[Image.Image]) -> None:
        self._images = images
        self.durations: list[float | None] = []

    def __iter__(self) -> Iterator[Image.Image]:
        self.durations = []
        for image in self._images:
            for frame in ImageSequence.Iterator(image):
                yield frame
                self.durations.append(frame.info.get("duration"))  # some formats know it only when decoded


def check_sources(images: Iterable[Image.Image], fp: IO[bytes]) -> None:
    """Refuse images whose other frames were in the file to write to, which Pillow has emptied.

    .agv images are not among them: they have read their file, unless it is large.
    """
    if not same_file(fp, fp) or os.fstat(fp.fileno()).st_size:
        return
    msg = (
        "frames to be saved were in this very file, and Pillow emptied it before they were read: "
        "use pillow_agvae.save, or save under another name"
    )
    for image in images:
        if _reads(image, fp):
            try:
                image.load()  # then it lets go of a file that it needs no more
            except Exception as error:
                raise OSError(msg) from error
            if _reads(image, fp):
                raise OSError(msg)


def _reads(image: Image.Image, fp: IO[bytes]) -> bool:
    return any(same_file(vars(image).get(name), fp) for name in ("fp", "_fp"))  # the second is Pillow's of frames
