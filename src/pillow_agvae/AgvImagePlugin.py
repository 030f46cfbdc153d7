"""The .agv format for Pillow.

Opening reads the header and metadata.  NumPy, PyTorch and the weights are loaded when pixels are first decoded or
encoded.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import RawIOBase
from operator import index
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from PIL import Image, ImageFile, ImageSequence

from agvae.container import EXIF_PREFIX, SIGNATURE, Metadata, Reader
from agvae.quality import DEFAULT_QUALITY, QUALITY_RANGES

if TYPE_CHECKING:
    from PIL._imaging import PixelAccess

MIME = "image/x-agv"


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(SIGNATURE)


class AgvImageFile(ImageFile.ImageFile):
    """An .agv file, each frame decoded on first need.

    `info` has `icc_profile`, `exif`, `xmp`, `comment` (bytes), `dpi` (two floats), `duration` (of the current frame in
    milliseconds) and `loop` (0 is for ever) where the file has them.

    A file of several frames stays open until it is closed.  What is pickled or copied is the current frame.
    """

    format = "AGV"
    format_description = "AG-VAE learned image compression"
    n_frames = 1
    is_animated = False

    _reader: Reader | None = None
    """The opened file, as long as something may be read from it."""
    _frame = 0
    _pending = False
    """The pixels of the current frame are still to be decoded."""
    _draft: Reader | None = None
    """The thumbnail that stands for the current frame."""

    def _open(self) -> None:
        assert self.fp is not None
        self._reader = Reader(self.fp, damaged_ok=ImageFile.LOAD_TRUNCATED_IMAGES)
        self._lock = threading.RLock()
        metadata = self._reader.metadata
        self.info = dict(metadata.to_info().items())
        if metadata.loop is not None:
            self.info["loop"] = metadata.loop
        self.n_frames = self._reader.header.frames
        self.is_animated = self.n_frames > 1
        self._show(self._reader, 0)

    def _show(self, reader: Reader, frame: int) -> None:
        """Make a frame the current one."""
        header, durations = reader.header, reader.metadata.durations
        self._size, self._mode, self.palette = (header.width, header.height), header.mode, None
        self._frame, self._draft, self._pending = frame, None, True
        if durations is not None:
            time = durations[frame]
            self.info["duration"] = int(time) if time.is_integer() else time

    def seek(self, frame: int) -> None:
        """Go to a frame, from 0; its pixels are decoded when they are needed.

        Raises:
            EOFError: there is no such frame.
            ValueError: the image was closed.
        """
        if not 0 <= index(frame) < self.n_frames:
            msg = "attempt to seek outside sequence"
            raise EOFError(msg)
        if self._reader is not None:
            with self._lock:
                if frame != self._frame:
                    self._check_open()
                    self._show(self._reader, frame)

    def tell(self) -> int:
        """The number of the current frame."""
        return self._frame

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> tuple[str, tuple[int, int, float, float]] | None:
        """Let the embedded thumbnail stand for the image if it is at least of a size; the mode stays.

        Returns:
            The mode, and the box of the thumbnail that is the whole image.  None if nothing was changed: there is no
            such thumbnail, or the image was decoded before.
        """
        if self._reader is None or size is None:
            return None
        with self._lock:
            if not self._pending or self._draft is not None or self._frame != 0:
                return None
            thumbnail = self._reader.thumbnail()
            if thumbnail is None:
                return None
            width, height = thumbnail.header.width, thumbnail.header.height
            if width < size[0] or height < size[1]:
                return None
            self._draft, self._size = thumbnail, (width, height)
            return self.mode, (0, 0, width, height)

    def load(self) -> PixelAccess | None:
        """Decode the pixels of the current frame if that was not done yet; safe to call from several threads.

        Raises:
            OSError: the file is truncated or damaged (unless `ImageFile.LOAD_TRUNCATED_IMAGES`), or its model is
                not to be had.
            ValueError: the image was closed.
        """
        if self._pending:
            with self._lock:
                if self._pending and self._reader is not None:
                    self._decode(self._reader)
        return super().load()

    def _decode(self, reader: Reader) -> None:
        from agvae.api import decode_frame

        self._check_open()
        source, frame = (reader, self._frame) if self._draft is None else (self._draft, 0)
        pixels = decode_frame(source, frame, damaged_ok=ImageFile.LOAD_TRUNCATED_IMAGES)
        pixels = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
        self.im = Image.frombytes(self.mode, self.size, pixels.data).im
        self.readonly = 0
        if not self.is_animated:
            self._reader = None
            self._release()
        self._pending = False  # last: from here on other threads go past the lock

    def verify(self) -> None:
        """Check every checksum of the file without decoding it, then close it.

        Raises:
            OSError: the file is truncated or damaged.
            ValueError: the image was closed.
        """
        if self._reader is None:
            return
        with self._lock:
            if self._reader is not None:  # another thread may have decoded it meanwhile
                self._check_open()
                try:
                    self._reader.verify()
                finally:
                    self._release()

    def save(self, fp: Any, format: str | None = None, **params: Any) -> None:
        """As `Image.save`; a file of several frames may also be saved over itself."""
        if self._reader is not None:
            with self._lock:
                if self._reader is not None and self.fp is not None and _is_file(self.fp, fp):
                    data = self._reader.detach()
                    self._release()
                    self.fp = data
        super().save(fp, format, **params)

    def _check_open(self) -> None:
        if self.fp is None:
            msg = "Operation on closed image"
            raise ValueError(msg)

    def _release(self) -> None:
        """Let go of the file, and close it if Pillow opened it."""
        if self._exclusive_fp and self.fp is not None:
            self.fp.close()
        self.fp = None


def _is_file(fp: IO[bytes], path: Any) -> bool:
    """Whether an open file is the one at a path."""
    try:
        return os.path.samestat(os.fstat(fp.fileno()), Path(os.fsdecode(path)).stat())
    except (OSError, ValueError, TypeError, AttributeError):
        return False


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


def _save(im: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    """Write the current frame of an image.

    Options: quality, or s and l, or one of target_size, target_bpp and target_psnr; icc_profile (of the image's info
    unless None); exif (bytes or `Image.Exif`), xmp (bytes or str), comment (bytes or str) and dpi, only if given;
    thumbnail, whether to store one; model, the name of the model to code with.
    """
    _write(fp, _encoded(im, [im]))


def _save_all(im: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    """Write all frames of an image and of the images in append_images.

    Options: those of `_save`, duration in milliseconds (a number, or one for each frame) and loop (0 is for ever).
    Of several frames, they are taken from `info` of each frame and of the first image unless given.
    """
    images = [im, *(im.encoderinfo.get("append_images") or ())]
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
        icc_profile=options.get("icc_profile", im.info.get("icc_profile")),
        exif=_exif(options.get("exif")),
        xmp=_utf8(options.get("xmp")),
        comment=_utf8(options.get("comment")),
        dpi=options.get("dpi"),
    )
    frames = Frames(source)
    if isinstance(source, _Sequence):
        loop = options.get("loop", im.info.get("loop") if frames.count > 1 else None)
        metadata = replace(metadata, durations=_durations(options.get("duration"), source.durations), loop=loop)
    return encode_frames(frames, rate, metadata, options.get("model"), thumbnail=bool(options.get("thumbnail")))


def _durations(given: Any, found: Sequence[float | None]) -> Any:
    """Durations of all frames: as given, or as found if there are several."""
    if given is None:
        return [time or 0 for time in found] if len(found) > 1 and set(found) != {None} else None
    return given if isinstance(given, list | tuple) else [given] * len(found)


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


def register() -> None:
    """Make the format known to Pillow; calling it again changes nothing."""
    Image.register_open(AgvImageFile.format, AgvImageFile, _accept)
    Image.register_save(AgvImageFile.format, _save)
    Image.register_save_all(AgvImageFile.format, _save_all)
    Image.register_extension(AgvImageFile.format, ".agv")
    Image.register_mime(AgvImageFile.format, MIME)


register()
