"""Pillow images to .agv files: the options of `Image.save`, frames and what is taken from `info`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from io import RawIOBase
from typing import IO, Any

from PIL import Image, ImageSequence

from agvae.container import EXIF_PREFIX, Metadata
from agvae.quality import DEFAULT_QUALITY, QUALITY_RANGES

LOCK = "_agv_lock"
"""Attribute of .agv images: what a thread holds that changes their frame."""


@contextmanager
def locked(images: Iterable[Image.Image]) -> Iterator[None]:
    """Hold the locks of all .agv images among these, taken in one order by all threads."""
    locks: set[AbstractContextManager[Any]] = {vars(image)[LOCK] for image in images if LOCK in vars(image)}
    with ExitStack() as stack:
        for lock in sorted(locks, key=id):
            stack.enter_context(lock)
        yield


def checked_images(appended: Any) -> list[Image.Image]:
    """The images of append_images."""
    images = list(appended or ()) if isinstance(appended, Iterable | None) else [appended]
    for image in images:
        if not isinstance(image, Image.Image):
            msg = f"append_images must be a list of Pillow images, not of {type(image).__name__}"
            raise ValueError(msg)
    return images


class _Sequence:
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


def save(im: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    """Write the current frame of an image.

    Options: quality, or s and l, or one of target_size, target_bpp and target_psnr; icc_profile (of the image's info
    unless None); exif (bytes or `Image.Exif`), xmp (bytes or str), comment (bytes or str) and dpi, only if given;
    thumbnail, whether to store one; model, the name of the model to code with.
    """
    _write(fp, _encoded(im, [im]))


def save_all(im: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    """Write all frames of an image and of the images in append_images.

    Options: those of `save`, duration in milliseconds (a number, or one for each frame) and loop (0 is for ever).
    Of several frames, they are taken from `info` of each frame and of the first image unless given; there, what a
    file cannot hold is ignored.
    """
    images = [im, *checked_images(im.encoderinfo.get("append_images"))]
    with locked(images):
        places = [image.tell() for image in images]
        try:
            data = _encoded(im, _Sequence(images))
        finally:
            for image, place in zip(images, places, strict=True):
                image.seek(place)
    _write(fp, data)


def _encoded(im: Image.Image, source: Sequence[Image.Image] | _Sequence) -> bytes:
    from agvae.api import encode_frames, parse_rate
    from agvae.frames import Frames

    options = im.encoderinfo
    if options.get("quality", DEFAULT_QUALITY) is None:
        msg = f"Invalid quality setting: quality must be {QUALITY_RANGES}, not None"
        raise ValueError(msg)
    names = ("quality", "s", "l", "target_size", "target_bpp", "target_psnr")
    rate = parse_rate(**{name: options.get(name) for name in names})
    metadata = Metadata(
        icc_profile=options.get("icc_profile", _usable("icc_profile", im.info.get("icc_profile"))),
        exif=_exif(options.get("exif")),
        xmp=_utf8(options.get("xmp")),
        comment=_utf8(options.get("comment")),
        dpi=options.get("dpi"),
    )
    frames = Frames(source)
    if isinstance(source, _Sequence):
        loop = options.get("loop", _usable("loop", im.info.get("loop")) if frames.count > 1 else None)
        metadata = replace(metadata, durations=_durations(options.get("duration"), source.durations), loop=loop)
    return encode_frames(frames, rate, metadata, options.get("model"), thumbnail=options.get("thumbnail", False))


def _durations(given: Any, found: Sequence[float | None]) -> Any:
    """Durations of all frames: as given, or as found if there are several."""
    if given is None:
        times = [_usable("durations", [time]) for time in found]
        return [time[0] if time else 0 for time in times] if len(found) > 1 and any(times) else None
    if isinstance(given, str | bytes) or not hasattr(given, "__getitem__") or getattr(given, "ndim", 1) == 0:
        return [given] * len(found)
    if len(given) != len(found):
        msg = f"duration must be a number, or a list of one for each of {len(found)} frames, not {len(given)}"
        raise ValueError(msg)
    return list(given)


def _usable(name: str, value: Any) -> Any:
    """A value from `info`, or None if a file cannot hold it: nobody asked for it, so it is no error."""
    try:
        Metadata(**{name: value})
    except (TypeError, ValueError, OverflowError):
        return None
    return value


def _write(fp: IO[bytes], data: bytes) -> None:
    """Write everything, also to an unbuffered file, which may take less at a time."""
    while data:
        written: int | None = fp.write(data)
        if written is None and not isinstance(fp, RawIOBase):  # a file object that does not say
            return
        if not written:
            msg = f"could not write the last {len(data)} bytes"
            raise OSError(msg)
        data = data[written:]


def _utf8(value: Any) -> Any:
    return value.encode("utf-8") if isinstance(value, str) else value


def _exif(value: Any) -> Any:
    """Exif data without the prefix that files do not hold; what is no Exif data is left to `Metadata` to refuse."""
    if isinstance(value, Image.Exif):
        value = b"" if value.tobytes() == Image.Exif().tobytes() else value.tobytes()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).removeprefix(EXIF_PREFIX)
    return value
