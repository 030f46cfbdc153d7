"""Pillow images to .agv files: the options of `Image.save`, frames and what is taken from `info`."""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import BufferedRandom, BufferedWriter, BytesIO, RawIOBase
from typing import IO, Any

from PIL import Image

from agvae.callers import level_of_caller
from agvae.file.metadata import WHOLE_IMAGE, Metadata
from agvae.quality import DEFAULT_QUALITY, QUALITY_RANGES
from agvae.shortage import loading
from agvae.whole_file import check_target, write_in_place, write_whole
from pillow_agvae.appended import AllFrames, check_sources, checked_images
from pillow_agvae.locking import locked

_RATES = ("quality", "s", "l", "target_size", "target_bpp", "target_psnr")
_KNOWN = {
    *_RATES,
    *WHOLE_IMAGE,
    "duration",
    "loop",
    "append_images",
    "exact",
    "lossless",
    "model",
    "thumbnail",
    "tile_size",
    "effort",
}

_EFFORTS_AND_LAYOUTS = {
    *("optimize", "progressive", "progression", "subsampling", "keep_rgb", "streamtype"),  # JPEG
    *("restart_marker_blocks", "restart_marker_rows"),
    *("compress_level", "compress_type", "compression", "big_tiff", "interlace", "disposal"),  # PNG, TIFF, GIF
    *("method", "alpha_quality", "minimize_size", "allow_mixed", "kmin", "kmax"),  # WebP
    *("speed", "codec", "max_threads", "tile_rows", "tile_cols", "autotiling", "advanced"),  # AVIF, JPEG XL
    *("range", "alpha_premultiplied"),
}
"""Options of other formats that programs pass whatever the format is, and that say nothing of what a picture shows."""

_REFUSED = {
    "append": "images cannot be appended to an AGV file: give all frames at once, with append_images",
}


_KEPT_BY_WRITING_IN_PLACE = (errno.EMLINK, errno.EACCES, errno.EPERM)
"""Why a file cannot be replaced that may have new content: other hard links, its folder, its owner."""


def save_whole(image: Image.Image, path: str | bytes | os.PathLike[Any], **options: Any) -> None:
    """Save an image as .agv, as `image.save(path, "AGV", **options)` does, but whole or not at all.

    A file that is at the path stays what it is until the new one is complete, so a save may fail, and the image or
    those of append_images may come from that very file, or from a link to it.

    Raises:
        ValueError: the path has the suffix of another format.
        OSError: the file that is there cannot be replaced, as it is read-only or has other hard links.
        What `Image.save` raises.  A file that was there is unchanged.
    """
    name = os.fsdecode(path)
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122
    other = Image.registered_extensions().get(suffix, "AGV")
    if suffix and other != "AGV":  # older Pillows take names without a suffix for SPIDER
        msg = f"{name}: this is a name for {other}, not for AGV"
        raise ValueError(msg)
    check_target(name)
    write_whole(name, _file_of(image, name, options))


def save_over(image: Image.Image, path: str | bytes | os.PathLike[Any], options: Mapping[str, Any]) -> None:
    """`image.save(path, "AGV", **options)` with nothing written before all is read and coded.

    The file is written whole or not at all if it can be replaced; otherwise, as where it has several hard links, it
    gets new content in its place, and the old one back if that fails.
    """
    name = os.fsdecode(path)
    data = _file_of(image, name, options)
    try:
        write_whole(name, data)
    except OSError as error:
        if error.errno not in _KEPT_BY_WRITING_IN_PLACE or not os.path.exists(name):  # noqa: PTH110
            raise
        write_in_place(name, data)


def _file_of(image: Image.Image, name: str, options: Mapping[str, Any]) -> bytes:
    file = _NamedFile(name)
    image.save(file, "AGV", **options)
    return file.getvalue()


class _NamedFile(BytesIO):
    """A file in memory with the name of the one that its bytes are for."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


@contextmanager
def naming(name: str | bytes) -> Iterator[None]:
    """Put the name of the file to write, if it has one, in errors that name none."""
    try:
        yield
    except (OSError, ValueError) as error:
        if name and getattr(error, "filename", None) is None:
            if len(error.args) == 1:
                error.args = (f"{os.fsdecode(name)}: {error.args[0]}",)
            elif isinstance(error, OSError):
                error.filename = os.fsdecode(name)
        raise


def save(im: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    """Write the current frame of an image.

    Options: quality, or s and l, or one of target_size, target_bpp and target_psnr; icc_profile (of the image's info
    unless None); exif (bytes or `Image.Exif`), xmp (bytes or str), comment (bytes or str), dpi, duration (ms) and loop,
    only if given; lossless, whether to keep every pixel as it is, beside which quality says nothing; exact, whether to
    keep the colour of transparent pixels; thumbnail, whether to store one, or its longer side; model, the name of the
    model to code with; tile_size, the side of its tiles in pixels; effort, 1 to 9, how long to look for fewer bits.
    """
    with naming(filename):
        _write(fp, _encoded(im, [im]))


def save_all(im: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    """Write all frames of an image and of the images in append_images.

    Options: those of `save`, duration in milliseconds (a number, or one for each frame) and loop (0 is for ever).
    Of several frames, they are taken from `info` of each frame and of the first image unless given; there, what a
    file cannot hold is ignored.
    """
    with naming(filename):
        images = [im, *checked_images(im.encoderinfo.get("append_images"))]
        with locked(images):
            check_sources(images, fp)
            places = [image.tell() for image in images]
            try:
                data = _encoded(im, AllFrames(images))
            finally:
                for image, place in zip(images, places, strict=True):
                    image.seek(place)
        _write(fp, data)


def _encoded(im: Image.Image, source: Sequence[Image.Image] | AllFrames) -> bytes:
    with loading():
        from agvae.coding.frames import Frames
        from agvae.encoding import check_flag, encode_frames, parse_rate

    options = im.encoderinfo
    _check_options(options, im.info)
    lossless = options.get("lossless")
    rate = parse_rate(
        **{name: options.get(name) for name in _RATES if name != "quality" or not lossless}, lossless=lossless
    )
    check_flag("exact", options.get("exact"))
    metadata = _of_whole_image(im)  # wrong ones are told of before frames are gone through
    frames = Frames(source, exact=bool(options.get("exact")), lossless=bool(lossless))
    found = source.durations if isinstance(source, AllFrames) else [None]
    metadata = replace(
        metadata,
        durations=_durations(options.get("duration"), found),
        loop=options.get("loop", _usable("loop", im.info.get("loop")) if frames.count > 1 else None),
    )
    shape = {
        "thumbnail": options.get("thumbnail", False),
        "tile_size": options.get("tile_size"),
        "effort": options.get("effort"),
    }
    return encode_frames(frames, rate, metadata, options.get("model"), **shape)


def _of_whole_image(im: Image.Image) -> Metadata:
    """The metadata that are the same for all frames: as given, the profile from `info` unless it is."""
    given = {name: im.encoderinfo.get(name) for name in WHOLE_IMAGE}
    if "icc_profile" not in im.encoderinfo:
        given["icc_profile"] = _usable("icc_profile", im.info.get("icc_profile"))
    return Metadata(**given)


def _check_options(options: Mapping[str, Any], info: Mapping[Any, Any]) -> None:
    """Refuse options that cannot be met, and warn of unknown ones, unless `info` of the image was handed on."""
    if options.get("quality", DEFAULT_QUALITY) is None:
        msg = f"Invalid quality setting: quality must be {QUALITY_RANGES}, not None"
        raise ValueError(msg)
    for name, msg in _REFUSED.items():
        if options.get(name):
            raise ValueError(msg)
    for name, value in options.items():
        known = name in _KNOWN | _EFFORTS_AND_LAYOUTS | _REFUSED.keys()
        if value is not None and not known and info.get(name) is not value:
            warnings.warn(f"AGV has no option {name!r}: it is ignored", stacklevel=level_of_caller())


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
    """Write everything, also to an unbuffered file, which may take less at a time.

    What other file objects return is not looked at, as nowhere in Pillow: some give None, True or a number of other
    bytes.  Buffers of files are passed by, as by Pillow's encoders: what a full disk left in one would be written again
    when Pillow closes the file, and its error take the place of ours.
    """
    if type(fp) in (BufferedRandom, BufferedWriter):
        fp.flush()
        fp = fp.raw  # type: ignore[attr-defined]
    if not isinstance(getattr(fp, "file", fp), RawIOBase):  # the wrappers of tempfile have a `file`
        fp.write(data)
        return
    rest = memoryview(data)
    while rest:
        written: int | None = fp.write(rest)
        if not written or not 0 < written <= len(rest):
            msg = f"could not write the last {len(rest)} bytes"
            raise OSError(msg)
        rest = rest[written:]
