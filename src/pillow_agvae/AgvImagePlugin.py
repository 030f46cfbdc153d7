"""The .agv format for Pillow.

Opening reads the header and metadata.  NumPy, PyTorch and the weights are loaded when pixels are first decoded or
encoded.
"""

from __future__ import annotations

import threading
from io import RawIOBase
from typing import IO, TYPE_CHECKING, Any

from PIL import Image, ImageFile

from agvae.container import EXIF_PREFIX, SIGNATURE, Metadata, Reader
from agvae.quality import DEFAULT_QUALITY, QUALITY_RANGES, parse_quality

if TYPE_CHECKING:
    from PIL._imaging import PixelAccess

MIME = "image/x-agv"


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(SIGNATURE)


class AgvImageFile(ImageFile.ImageFile):
    """An .agv file, decoded on first need.

    `info` has `icc_profile`, `exif`, `xmp`, `comment` (bytes) and `dpi` (two floats) where the file has them.
    """

    format = "AGV"
    format_description = "AG-VAE learned image compression"
    n_frames = 1
    is_animated = False

    _reader: Reader | None = None
    """The opened file until its pixels are decoded."""

    def _open(self) -> None:
        assert self.fp is not None
        self._reader = Reader(self.fp, damaged_ok=ImageFile.LOAD_TRUNCATED_IMAGES)
        self._lock = threading.RLock()
        header, metadata = self._reader.header, self._reader.metadata
        self._size = (header.width, header.height)
        self._mode = header.mode
        self.info = dict(metadata.to_info().items())

    def load(self) -> PixelAccess | None:
        """Decode the pixels if that was not done yet; safe to call from several threads.

        Raises:
            OSError: the file is truncated or damaged (unless `ImageFile.LOAD_TRUNCATED_IMAGES`), or its model is
                not to be had.
            ValueError: the image was closed.
        """
        if self._reader is not None:
            with self._lock:
                if self._reader is not None:
                    self._decode(self._reader)
        return super().load()

    def _decode(self, reader: Reader) -> None:
        from agvae.api import decode_frame

        self._check_open()
        pixels = decode_frame(reader, damaged_ok=ImageFile.LOAD_TRUNCATED_IMAGES)
        pixels = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
        self.im = Image.frombytes(self.mode, self.size, pixels.data).im
        self.readonly = 0
        self._reader = None  # last: from here on other threads go past the lock
        self._release()

    def verify(self) -> None:
        """Check every checksum of the file without decoding it, then close it.

        Raises:
            OSError: the file is truncated or damaged.
            ValueError: the image was closed.
        """
        if self._reader is not None:
            with self._lock:
                self._check_open()
                try:
                    self._reader.verify()
                finally:
                    self._release()

    def seek(self, frame: int) -> None:
        if frame != 0:
            msg = "attempt to seek outside sequence"
            raise EOFError(msg)

    def _check_open(self) -> None:
        if self.fp is None:
            msg = "Operation on closed image"
            raise ValueError(msg)

    def _release(self) -> None:
        """Let go of the file, and close it if Pillow opened it."""
        if self._exclusive_fp and self.fp is not None:
            self.fp.close()
        self.fp = None


def _save(im: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    """Write one image.

    Options: quality, or s and l; icc_profile (of the image's info unless None); exif (bytes or `Image.Exif`), xmp
    (bytes or str), comment (bytes or str) and dpi, only if given; model, the name of the model to code with.
    """
    options = im.encoderinfo
    if options.get("quality", DEFAULT_QUALITY) is None:
        msg = f"Invalid quality setting: quality must be {QUALITY_RANGES}, not None"
        raise ValueError(msg)
    level = parse_quality(options.get("quality"), s=options.get("s"), l=options.get("l"))
    metadata = Metadata(
        icc_profile=options.get("icc_profile", im.info.get("icc_profile")),
        exif=_exif(options.get("exif")),
        xmp=_utf8(options.get("xmp")),
        comment=_utf8(options.get("comment")),
        dpi=options.get("dpi"),
    )
    if 0 in im.size:
        msg = "cannot write empty image"
        raise ValueError(msg)
    from agvae.api import encode_frames
    from agvae.frames import Frames

    _write(fp, encode_frames(Frames([im]), level, metadata, options.get("model")))


def _save_all(im: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    if getattr(im, "n_frames", 1) > 1 or im.encoderinfo.get("append_images"):
        msg = "cannot write more than one frame as AGV"
        raise ValueError(msg)
    _save(im, fp, filename)


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
