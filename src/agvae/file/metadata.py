"""What a file holds besides pixels: one row of `KINDS` for each kind of it."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, NamedTuple

from agvae.errors import DamagedFileError

MAX_METADATA = 2**26
"""Largest payload of a metadata chunk in bytes."""
MAX_DURATION = (2**32 - 1) / 1000
"""Longest duration of a frame in milliseconds."""
DPI_RANGE = (1e-3, 1e6)
"""Lowest and highest resolution in pixels per inch."""
EXIF_PREFIX = b"Exif\0\0"
"""What JPEG files and Pillow have in front of Exif data."""

_DPI = struct.Struct(">dd")
_U32 = struct.Struct(">I")


@dataclass(frozen=True)
class Metadata:
    """What a file holds besides pixels; None, or empty, is absent.

    Attributes:
        icc_profile: an ICC profile.
        exif: Exif data from the TIFF header on, without the prefix "Exif\\0\\0".
        xmp: an XMP packet.
        comment: any bytes.
        dpi: horizontal and vertical resolution in pixels per inch, 1e-3 to 1e6.
        durations: of each frame in milliseconds, 0 to 4294967.295, in whole microseconds.
        loop: how often the frames are shown, 0 .. 2^32 - 1; 0 is for ever.
        thumbnail: a smaller version of the first frame, itself an .agv file.
        arrays: JSON that says how the frames form arrays, see docs/FORMAT.md.

    Values may also be what `Image.save` takes: any bytes-like object for bytes, `str` for xmp and comment, which become
    UTF-8, an `Image.Exif`, Exif data with its prefix, any real numbers for floats; durations are rounded.  Bytes are
    stored as they are and never parsed.

    Raises:
        ValueError: a value is not of its type, has more than 64 MiB, or is impossible.
    """

    icc_profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    comment: bytes | None = None
    dpi: tuple[float, float] | None = None
    durations: tuple[float, ...] | None = None
    loop: int | None = None
    thumbnail: bytes | None = None
    arrays: bytes | None = None

    def __post_init__(self) -> None:
        for name, kind in KINDS.items():
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, kind.checked(name, value))

    def to_info(self) -> dict[str, Any]:
        """What is present and concerns the whole image, as Pillow has it in `Image.info`: Exif data with its prefix."""
        info = {name: value for name in WHOLE_IMAGE if (value := getattr(self, name)) is not None}
        if self.exif is not None:
            info["exif"] = EXIF_PREFIX + self.exif
        return info


class Kind(NamedTuple):
    """One kind of metadata.

    Attributes:
        chunk: its kind.
        checked: takes the name and a value that was given, returns it as `Metadata` holds it, None for an empty one,
            or raises ValueError.
        pack: takes a checked value, returns its payload.
        size: takes the number of frames, returns the only length of a payload; None where all are good.
        unpack: takes a payload of that length, returns the value, or raises ValueError.
    """

    chunk: bytes
    checked: Callable[[str, Any], Any]
    pack: Callable[[Any], bytes] = bytes
    size: Callable[[int], int] | None = None
    unpack: Callable[[bytes], Any] = bytes


def pack_metadata(metadata: Metadata) -> list[tuple[bytes, bytes]]:
    """Kind and payload of the chunk of each value that is there, in the order of a file."""
    values = {name: getattr(metadata, name) for name in KINDS}
    return [(KINDS[name].chunk, KINDS[name].pack(value)) for name, value in values.items() if value is not None]


def unpack_metadata(name: str, payload: bytes, frames: int) -> Any:
    """The value of a metadata chunk of a file of so many frames.

    Raises:
        DamagedFileError: no such chunk has this payload.
    """
    kind = KINDS[name]
    if kind.size is not None and len(payload) != kind.size(frames):
        msg = f"wrong length of chunk {kind.chunk.decode()}"
        raise DamagedFileError(msg)
    try:
        return kind.unpack(payload)
    except ValueError as error:
        raise DamagedFileError(str(error)) from error


def _checked_bytes(name: str, value: Any) -> bytes | None:
    if not isinstance(value, bytes | bytearray | memoryview):
        msg = f"{name} must be bytes, not {type(value).__name__}"
        raise ValueError(msg)
    data = bytes(value)
    if len(data) > MAX_METADATA:
        msg = f"{name} has more than {MAX_METADATA} bytes"
        raise ValueError(msg)
    return data or None


def _checked_text(name: str, value: Any) -> bytes | None:
    return _checked_bytes(name, value.encode("utf-8") if isinstance(value, str) else value)


def _checked_exif(name: str, value: Any) -> bytes | None:
    if hasattr(value, "get_ifd"):  # an Image.Exif, which writes a header for no tags, too
        data = value.tobytes()
        value = b"" if data == type(value)().tobytes() else data
    data = _checked_bytes(name, value)
    return data and (data.removeprefix(EXIF_PREFIX) or None)


def _checked_dpi(name: str, value: Any) -> tuple[float, float]:
    low, high = DPI_RANGE
    try:
        horizontal, vertical = (float(part) if isinstance(part, Real) else math.nan for part in value)
    except (TypeError, ValueError, OverflowError):
        horizontal = vertical = math.nan
    if not (low <= horizontal <= high and low <= vertical <= high):
        msg = f"{name} must be two numbers from {low:g} to {high:g}, not {value!r}"
        raise ValueError(msg)
    return horizontal, vertical


def _checked_durations(name: str, values: Any) -> tuple[float, ...] | None:
    try:
        numbers = (value if isinstance(value, Real) and not isinstance(value, bool) else math.nan for value in values)
        times = tuple(map(float, numbers))
    except (TypeError, OverflowError):
        times = (math.nan,)
    if not all(0 <= time <= MAX_DURATION for time in times):
        msg = f"{name} must be numbers of milliseconds from 0 to {MAX_DURATION:.3f}"
        raise ValueError(msg)
    if 4 * len(times) > MAX_METADATA:
        msg = f"no more than {MAX_METADATA // 4} frames can have {name}"
        raise ValueError(msg)
    return tuple(_microseconds(time) / 1000 for time in times) or None


def _checked_loop(name: str, value: Any) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool) or not 0 <= int(value) < 2**32:
        msg = f"{name} must be an integer from 0 to {2**32 - 1}, not {value!r}"
        raise ValueError(msg)
    return int(value)


def _microseconds(milliseconds: float) -> int:
    return round(1000 * milliseconds)


def _pack_durations(times: tuple[float, ...]) -> bytes:
    return struct.pack(f">{len(times)}I", *map(_microseconds, times))


def _unpack_durations(payload: bytes) -> tuple[float, ...]:
    return tuple(time / 1000 for (time,) in _U32.iter_unpack(payload))


KINDS = {
    "icc_profile": Kind(b"iccp", _checked_bytes),
    "exif": Kind(b"exif", _checked_exif),
    "xmp": Kind(b"xmpp", _checked_text),
    "comment": Kind(b"cmnt", _checked_text),
    "dpi": Kind(
        b"phys",
        _checked_dpi,
        lambda dpi: _DPI.pack(*dpi),
        lambda _: _DPI.size,
        lambda payload: _checked_dpi("dpi", _DPI.unpack(payload)),
    ),
    "durations": Kind(b"durs", _checked_durations, _pack_durations, lambda frames: 4 * frames, _unpack_durations),
    "loop": Kind(b"loop", _checked_loop, _U32.pack, lambda _: _U32.size, lambda payload: _U32.unpack(payload)[0]),
    "thumbnail": Kind(b"thmb", _checked_bytes),
    "arrays": Kind(b"arry", _checked_bytes),
}
"""By the name of their attribute, in the order of a file."""

NAMES = {kind.chunk: name for name, kind in KINDS.items()}
"""Names by chunk."""

WHOLE_IMAGE = ("icc_profile", "exif", "xmp", "comment", "dpi")
"""What concerns the whole image and has the same name in Pillow's `Image.info`."""
