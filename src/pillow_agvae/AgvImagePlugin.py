"""The .agv format for Pillow.

Opening looks at the header and metadata.  NumPy, PyTorch and the weights are loaded when pixels are first decoded or
encoded.
"""

from __future__ import annotations

import math
import mimetypes
import os
from io import BufferedReader
from operator import index
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageFile, ImagePalette

from agvae.container import SIGNATURE, Reader
from agvae.errors import NotAgvError
from agvae.shortage import loading
from pillow_agvae.appended import checked_images, same_file
from pillow_agvae.locking import give_lock, locked
from pillow_agvae.saving import save, save_all, save_over

if TYPE_CHECKING:
    from PIL._imaging import PixelAccess

MIME = "image/x-agv"

HELD = 2**26
"""Bytes up to which a file is read when it is opened, as Pillow does for WebP and AVIF."""


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(SIGNATURE)


class AgvImageFile(ImageFile.ImageFile):
    """An .agv file, each frame decoded on first need.

    `info` has `icc_profile`, `exif`, `xmp`, `comment` (bytes), `dpi` (two floats), `duration` (of the current frame in
    milliseconds) and `loop` (0 is for ever) where the file has them.

    Files of up to 64 MiB are read when they are opened, so that they may change or go.  Larger ones are read when a
    frame is needed, and those of several frames stay open until they are closed.  What is pickled or copied is the
    current frame.
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
    _box: tuple[float, float] | None = None
    """What `thumbnail` is to fit the image into."""

    def _open(self) -> None:
        assert self.fp is not None
        try:
            self._reader = Reader(self.fp, damaged_ok=ImageFile.LOAD_TRUNCATED_IMAGES)
        except NotAgvError as error:
            raise SyntaxError(error.reason) from error  # by which Pillow knows to ask another plugin
        if self._reader.end <= HELD:
            self._reader.detach()
        give_lock(self)
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
        if header.palette is not None:
            self.palette = ImagePalette.raw("RGBX", header.palette)
            if (transparency := transparency_of(header.palette)) is not None:
                self.info["transparency"] = transparency
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
        frame = index(frame)
        if not 0 <= frame < self.n_frames:
            msg = "attempt to seek outside sequence"
            raise EOFError(msg)
        if self._reader is not None:
            with locked([self]):
                if frame != self._frame:
                    self._check_open()
                    self._show(self._reader, frame)

    def tell(self) -> int:
        """The number of the current frame."""
        return self._frame

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> tuple[str, tuple[int, int, float, float]] | None:
        """Let the embedded thumbnail stand for the image if it is at least of a size; the mode stays.

        If the thumbnail then turns out to be damaged, loading decodes the image itself, in its own size.

        Returns:
            The mode, and the box of the thumbnail that is the whole image.  None if nothing was changed: there is no
            such thumbnail, or the image was decoded before.
        """
        if self._reader is None or size is None:
            return None
        with locked([self]):
            if not self._pending or self._draft is not None or self._frame != 0:
                return None
            thumbnail = self._reader.thumbnail()
            if thumbnail is None:
                return None
            if self._box is not None:  # the thumbnail is smoothed: more than the result has would be wasted
                scale = min(math.floor(new) / old for new, old in zip(self._box, self.size, strict=True))
                size = (round(self.width * scale), round(self.height * scale))
            width, height = thumbnail.header.width, thumbnail.header.height
            if width < size[0] or height < size[1]:
                return None
            self._draft, self._size = thumbnail, (width, height)
            if self._box is not None:
                self.load()
            return (self.mode, (0, 0, width, height)) if self._draft is not None else None

    def thumbnail(
        self,
        size: tuple[float, float],
        resample: Image.Resampling = Image.Resampling.BICUBIC,
        reducing_gap: float | None = 2.0,
    ) -> None:
        """As `Image.thumbnail`, from the embedded thumbnail if it is at least as large as the result.

        With a reducing_gap of None always from the image itself.
        """
        if self._reader is None:
            super().thumbnail(size, resample, reducing_gap)
            return
        with locked([self]):
            self._box = size
            try:
                super().thumbnail(size, resample, reducing_gap)
            finally:
                self._box = None

    def load(self) -> PixelAccess | None:
        """Decode the pixels of the current frame if that was not done yet; safe to call from several threads.

        Raises:
            OSError: the file is truncated or damaged (unless `ImageFile.LOAD_TRUNCATED_IMAGES`), or its model is
                not to be had.
            ValueError: the image was closed.
        """
        if self._pending:
            with locked([self]):
                if self._pending and self._reader is not None:
                    self._decode(self._reader)
        return super().load()

    def _decode(self, reader: Reader) -> None:
        with loading():
            from agvae.api import decode_frame

        self._check_open()
        pixels = None
        if self._draft is not None:
            try:
                pixels = decode_frame(self._draft)
            except OSError:
                self._draft, self._size = None, (reader.header.width, reader.header.height)
        if pixels is None:
            pixels = decode_frame(reader, self._frame, damaged_ok=ImageFile.LOAD_TRUNCATED_IMAGES, indices=True)
        pixels = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
        if self.mode == "1":
            self.im = Image.frombytes("L", self.size, pixels.data).convert("1", dither=Image.Dither.NONE).im
        else:
            self.im = Image.frombytes(self.mode, self.size, pixels.data).im
        self.readonly = 0
        if not self.is_animated:
            self._reader = None
            self._release()
        elif reader.end <= HELD:
            self._detach(reader)
        self._pending = False  # last: from here on other threads go past the lock

    def verify(self) -> None:
        """Check every checksum of the file without decoding it, then close it.

        Raises:
            OSError: the file is truncated or damaged.
            ValueError: the image was closed.
        """
        if self._reader is None:
            return
        with locked([self]):
            if self._reader is not None:  # another thread may have decoded it meanwhile
                self._check_open()
                try:
                    self._reader.verify()
                finally:
                    self._release()

    def save(self, fp: Any, format: str | None = None, **params: Any) -> None:
        """As `Image.save`; as .agv, nothing is written before all is read and coded, so that a failure costs no file.

        Meanwhile other threads cannot change the image, nor .agv images in append_images.
        """
        if "append_images" in params:
            params["append_images"] = checked_images(params["append_images"])
        images = [self, *params.get("append_images", ())]
        with locked(images):
            for image in images:
                if isinstance(image, AgvImageFile) and image._reader is not None and same_file(image.fp, fp):
                    image._detach(image._reader)
            if isinstance(fp, str | bytes | os.PathLike) and _is_own(fp, format):
                save_over(self, fp, params)
            else:
                super().save(fp, format, **params)

    def _detach(self, reader: Reader) -> None:
        """Read what is needed of the file and let go of it."""
        data = reader.detach()
        self._release()
        self.fp = BufferedReader(data)  # that nobody can write to

    def _check_open(self) -> None:
        if self.fp is None:
            msg = "Operation on closed image"
            raise ValueError(msg)

    def _release(self) -> None:
        """Let go of the file, and close it if Pillow opened it."""
        if self._exclusive_fp and self.fp is not None:
            self.fp.close()
        self.fp = None


def transparency_of(palette: bytes) -> int | bytes | None:
    """What Pillow has in `info` for the alpha of a palette of RGBA: as of GIF or of PNG, None if all is opaque."""
    alpha = palette[3::4]
    if not alpha.strip(b"\xff"):
        return None
    return alpha.index(0) if alpha.count(0) == 1 and alpha.count(255) == len(alpha) - 1 else alpha


def _is_own(path: str | bytes | os.PathLike[Any], format: str | None) -> bool:
    """Whether `Image.save` would write .agv to a path."""
    suffix = os.path.splitext(os.fsdecode(path))[1]  # noqa: PTH122 - a Path may be of Pillow's bytes
    return (format or Image.EXTENSION.get(suffix.lower(), "")).upper() == AgvImageFile.format


def register() -> None:
    """Make the format known to Pillow, and to `mimetypes`; calling it again changes nothing."""
    Image.register_open(AgvImageFile.format, AgvImageFile, _accept)
    Image.register_save(AgvImageFile.format, save)
    Image.register_save_all(AgvImageFile.format, save_all)
    Image.register_extension(AgvImageFile.format, ".agv")
    Image.register_mime(AgvImageFile.format, MIME)
    if not mimetypes.inited:
        mimetypes.types_map.setdefault(".agv", MIME)  # what the system says comes later, and wins
    elif ".agv" not in mimetypes.types_map:
        mimetypes.add_type(MIME, ".agv")


register()
