"""The .agv container: chunks with checksums around independent tiles.

A file is a signature, a header chunk, metadata chunks, an index of the tiles' lengths if there is more than one,
and one chunk per tile.  docs/FORMAT.md is the specification.  Tile payloads are opaque bytes here.  `Reader`
trusts nothing: it holds in memory only bytes that the file really has, and whatever is wrong with a file becomes
an `agvae.errors.AgvError` or a tile marked as damaged.
"""

from __future__ import annotations

import math
import os
import re
import struct
import sys
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from io import BufferedReader, BytesIO, FileIO
from itertools import accumulate
from numbers import Integral, Real
from operator import le
from typing import IO, Any

from agvae.errors import AgvError as AgvError
from agvae.errors import DamagedFileError as DamagedFileError
from agvae.errors import NotAgvError, about, name_of
from agvae.errors import TruncatedFileError as TruncatedFileError
from agvae.errors import UnsupportedFileError as UnsupportedFileError
from agvae.quality import MAX_LEVEL

SIGNATURE = b"\x96AGV\r\n\x1a\n"
VERSION = 1
MODES = ("L", "LA", "RGB", "RGBA", "I;16")
TILE_SIZE = 1024
"""Default side of tiles in pixels."""

MAX_SIDE = 2**31 - 1
MAX_FRAMES = 2**31 - 1
MAX_TILE_SIZE = 1024
MAX_METADATA = 2**26
"""Largest payload of a metadata chunk in bytes."""
MAX_DURATION = (2**32 - 1) / 1000
"""Longest duration of a frame in milliseconds."""
DPI_RANGE = (1e-3, 1e6)
"""Lowest and highest resolution in pixels per inch."""
MAX_TILE = 2**28
"""Largest payload of a tile's chunk in bytes."""
EXIF_PREFIX = b"Exif\0\0"
"""What JPEG files and Pillow have in front of Exif data."""

Box = tuple[int, int, int, int]

_HEADER = struct.Struct(">BBBBHIII8sB")
_CHUNK_START = struct.Struct(">4sI")
_CRC = struct.Struct(">I")
_DPI = struct.Struct(">dd")
_U32 = struct.Struct(">I")
_RANGE = struct.Struct(">HH")
_OVERHEAD = _CHUNK_START.size + _CRC.size
_GREY = 1
_TILE_UNIT = 64
_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_METADATA_KINDS = {
    "icc_profile": b"iccp",
    "exif": b"exif",
    "xmp": b"xmpp",
    "comment": b"cmnt",
    "dpi": b"phys",
    "durations": b"durs",
    "loop": b"loop",
    "thumbnail": b"thmb",
    "arrays": b"arry",
}
_METADATA_NAMES = {kind: name for name, kind in _METADATA_KINDS.items()}
_READ_BLOCK = 2**16


@dataclass(frozen=True)
class Header:
    """What a file says of its image.

    Attributes:
        width, height: in pixels, 1 .. 2^31 - 1.
        mode: "L", "LA", "RGB" or "RGBA", 8 bits a band; or "I;16", grey of 16 bits.
        level: quality in fixed point, 0 .. 20480, see `agvae.quality`.
        model: name of the model that coded the tiles, 1 to 64 of the characters A-Z a-z 0-9 . _ -
        digest: the first 8 bytes of the SHA-256 of the model's file.
        tile_size: side of the tiles in pixels, a multiple of 64 up to 1024.
        frames: number of frames, each width x height.
        grey: the three bands of a mode with colour are equal.
        range: (low, high) of mode I;16, 0 <= low <= high <= 65535: the grey values that stand for 0 and 1.  None in
            other modes.
        ranges: low and high of each frame in turn, all within `range`, where not all frames have that one; else None.

    Raises:
        ValueError: a value is outside its range.
    """

    width: int
    height: int
    mode: str
    level: int
    model: str
    digest: bytes
    tile_size: int = TILE_SIZE
    frames: int = 1
    grey: bool = False
    range: tuple[int, int] | None = None
    ranges: array[int] | None = None

    def __post_init__(self) -> None:
        _check_range("width", self.width, 1, MAX_SIDE)
        _check_range("height", self.height, 1, MAX_SIDE)
        _check_range("level", self.level, 0, MAX_LEVEL)
        _check_range("frames", self.frames, 1, MAX_FRAMES)
        _check_range("tile_size", self.tile_size, _TILE_UNIT, MAX_TILE_SIZE)
        if self.tile_size % _TILE_UNIT:
            msg = f"tile_size must be a multiple of {_TILE_UNIT}, not {self.tile_size}"
            raise ValueError(msg)
        if self.mode not in MODES:
            msg = f"mode must be one of {', '.join(MODES)}, not {self.mode!r}"
            raise ValueError(msg)
        if self.grey and not self.mode.startswith("RGB"):
            msg = f"mode {self.mode} has no colour bands to be grey"
            raise ValueError(msg)
        _check_pixel_range(self.mode, self.range)
        _check_frame_ranges(self)
        check_model_name(self.model)
        if len(self.digest) != 8:
            msg = "digest must have 8 bytes"
            raise ValueError(msg)

    @property
    def has_alpha(self) -> bool:
        return self.mode.endswith("A")

    def range_of(self, frame: int) -> tuple[int, int] | None:
        """(low, high) of one frame, None in modes other than I;16."""
        return self.range if self.ranges is None else (self.ranges[2 * frame], self.ranges[2 * frame + 1])

    @property
    def tiles_per_frame(self) -> int:
        return -(-self.width // self.tile_size) * -(-self.height // self.tile_size)

    @property
    def tile_count(self) -> int:
        """Tiles of all frames."""
        return self.tiles_per_frame * self.frames


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

    Bytes are stored as they are and never parsed.  Any bytes-like object becomes bytes, any real numbers a tuple of
    floats; durations are rounded.

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
        for name in ("icc_profile", "exif", "xmp", "comment", "thumbnail", "arrays"):
            object.__setattr__(self, name, _checked_bytes(name, getattr(self, name)))
        object.__setattr__(self, "dpi", _checked_dpi(self.dpi))
        object.__setattr__(self, "durations", _checked_durations(self.durations))
        if self.loop is not None:
            object.__setattr__(self, "loop", _checked_loop(self.loop))

    def to_info(self) -> dict[str, Any]:
        """What is present and concerns the whole image, as Pillow has it in `Image.info`: Exif data with its prefix."""
        names = ("icc_profile", "exif", "xmp", "comment", "dpi")
        info = {name: value for name in names if (value := getattr(self, name)) is not None}
        if self.exif is not None:
            info["exif"] = EXIF_PREFIX + self.exif
        return info


@dataclass(frozen=True)
class TileData:
    """One tile of one frame.

    Attributes:
        payload: the coded colour, or None if it could not be read.
        alpha: the coded alpha of a mode that has one.
        error: why there is no payload.
    """

    payload: bytes | None
    alpha: bytes | None = None
    error: AgvError | None = None


def grid_boxes(width: int, height: int, tile_size: int) -> list[Box]:
    """(left, top, right, bottom) of the tiles of an image, row by row; those at the right and bottom are smaller."""
    count = -(-width // tile_size) * -(-height // tile_size)
    return [_grid_box(width, height, tile_size, number) for number in range(count)]


def _grid_box(width: int, height: int, tile_size: int, number: int) -> Box:
    row, column = divmod(number, -(-width // tile_size))
    left, top = column * tile_size, row * tile_size
    return left, top, min(left + tile_size, width), min(top + tile_size, height)


def tile_boxes(header: Header) -> list[Box]:
    """(left, top, right, bottom) of the tiles of one frame, the same for each, in the order of the file."""
    return grid_boxes(header.width, header.height, header.tile_size)


def tile_box(header: Header, number: int) -> Box:
    """The box of one tile of a frame."""
    return _grid_box(header.width, header.height, header.tile_size, number)


def write_container(header: Header, metadata: Metadata, tiles: Iterable[TileData]) -> bytes:
    """The bytes of a file.

    Args:
        tiles: those of every frame in turn, each in the order of `tile_boxes`.

    Raises:
        ValueError: the number of tiles or durations, or the tiles' alpha does not fit the header, or a tile exceeds
            256 MiB.
    """
    if metadata.durations is not None and len(metadata.durations) != header.frames:
        msg = f"there must be durations of {header.frames} frames, not {len(metadata.durations)}"
        raise ValueError(msg)
    payloads = [_join_alpha(header, tile) for tile in tiles]
    if len(payloads) != header.tile_count:
        msg = f"the header asks for {header.tile_count} tiles, not {len(payloads)}"
        raise ValueError(msg)
    parts = [SIGNATURE, _chunk(b"HEAD", _pack_header(header))]
    if header.ranges is not None:
        parts.append(_chunk(b"RANG", _big_endian(header.ranges).tobytes()))
    for field in fields(metadata):
        if (value := getattr(metadata, field.name)) is not None:
            parts.append(_chunk(_METADATA_KINDS[field.name], _pack_metadata(field.name, value)))
    if len(payloads) > 1:
        parts.append(_chunk(b"INDX", struct.pack(f">{len(payloads)}I", *map(len, payloads))))
    parts += (_chunk(b"TILE", payload) for payload in payloads)
    return b"".join(parts)


class Reader:
    """Reads a file: header and metadata at once, tiles on demand.

    Args:
        fp: a seekable binary file, positioned at the signature; it stays open and is used as long as tiles
            are read.
        damaged_ok: leave out damaged metadata instead of refusing the file.

    Attributes:
        header: the `Header`.
        metadata: the `Metadata`.
        filename: of the file, None for one without a name; errors have it, too.

    Raises:
        NotAgvError: the signature is another one.
        TruncatedFileError: the file ends before the first tile.
        UnsupportedFileError: the file needs a newer reader.
        DamagedFileError: header, metadata or index are damaged.
    """

    def __init__(self, fp: IO[bytes], *, damaged_ok: bool = False) -> None:
        self._fp = fp
        self.filename = name_of(fp)
        with about(self.filename):
            self.header = self._read_header()
            self.metadata = Metadata()
            self._lengths = self._read_preamble(damaged_ok)

    def tiles(self, frame: int | None = None) -> Iterator[TileData]:
        """Every tile of one frame, 0 .. frames - 1, or of all frames in turn, as `tile` gives it."""
        count = self.header.tiles_per_frame
        for k in range(count * self.header.frames if frame is None else count):
            yield self.tile(k // count if frame is None else frame, k % count)

    def tile(self, frame: int, number: int) -> TileData:
        """A tile of a frame by its number in the order of `tile_boxes`.

        One that is damaged or missing comes without a payload and with the reason; the others are not affected.
        """
        k = frame * self.header.tiles_per_frame + number
        try:
            return self._tile(self._first_tile + self._starts[k] + k * _OVERHEAD, self._lengths[k])
        except AgvError as error:
            error.filename = self.filename
            return TileData(None, None, error)

    @cached_property
    def _starts(self) -> array[int]:
        """Payload bytes before each tile."""
        return array("Q", accumulate(self._lengths, initial=0))

    @property
    def end(self) -> int:
        """Where the last tile ends in the file."""
        return self._first_tile + sum(self._lengths) + len(self._lengths) * _OVERHEAD

    def detach(self) -> BytesIO:
        """Read all of the file that tiles are read from, so that it may change or go; gives that instead."""
        self._fp.seek(0)
        self._fp = data = BytesIO(_read(self._fp, self.end))
        return data

    def thumbnail(self) -> Reader | None:
        """The embedded thumbnail; None if there is none that can stand for the image: with right checksums, of one
        frame, the same mode, and not larger."""
        if self.metadata.thumbnail is None:
            return None
        try:
            reader = Reader(BytesIO(self.metadata.thumbnail))
            reader.verify()
        except AgvError:
            return None
        own, small = self.header, reader.header
        fits = small.frames == 1 and small.width <= own.width and small.height <= own.height
        return reader if fits and small.mode == own.mode else None

    def verify(self) -> None:
        """Check the checksum of every tile, without decoding.

        Raises:
            AgvError: the error of the first tile that is damaged or missing.
        """
        for tile in self.tiles():
            if tile.error is not None:
                raise tile.error

    def _read_header(self) -> Header:
        if _read(self._fp, len(SIGNATURE)) != SIGNATURE:
            msg = "not an AGV file"
            raise NotAgvError(msg)
        kind, length = self._chunk_start()
        if kind != b"HEAD":
            msg = "no header"
            raise DamagedFileError(msg)
        return _unpack_header(self._payload(kind, length, _HEADER.size + 255 + _RANGE.size))

    def _read_preamble(self, damaged_ok: bool) -> array[int]:
        """Read the chunks between header and tiles; sets ranges and metadata and gives the tiles' lengths."""
        seen: dict[str, Any] = {}
        count = self.header.tile_count
        while True:
            kind, length = self._chunk_start()
            if kind == b"TILE" and count == 1:
                self._first_tile = self._fp.tell() - _CHUNK_START.size
                lengths = array("I", (length,))
                break
            if kind == b"INDX" and count > 1 and length == 4 * count:
                lengths = _big_endian(array("I", self._payload(kind, length, length)))
                self._first_tile = self._fp.tell()
                break
            if kind == b"RANG" and self.header.ranges is None and length == _RANGE.size * self.header.frames:
                ranges = _big_endian(array("H", self._payload(kind, length, length)))
                self.header = _from_file(replace, self.header, ranges=ranges)
                continue
            if kind in (b"HEAD", b"RANG", b"INDX", b"TILE"):
                msg = f"misplaced chunk {kind.decode()}"
                raise DamagedFileError(msg)
            if kind in _METADATA_NAMES:
                try:
                    name = _METADATA_NAMES[kind]
                    payload = self._payload(kind, length, MAX_METADATA)
                    if name in seen:
                        msg = f"two chunks {kind.decode()}"
                        raise DamagedFileError(msg)
                    seen[name] = _unpack_metadata(name, payload, self.header.frames)
                except DamagedFileError:
                    if not damaged_ok:
                        raise
            else:
                self._skip(kind, length)
        if max(lengths) > MAX_TILE:
            msg = "a tile is too long"
            raise DamagedFileError(msg)
        self.metadata = Metadata(**seen)
        return lengths

    def _chunk_start(self) -> tuple[bytes, int]:
        start = _read(self._fp, _CHUNK_START.size)
        if len(start) < _CHUNK_START.size:
            raise _truncated_header()
        kind, length = _CHUNK_START.unpack(start)
        if not kind.isalpha():
            msg = "not a chunk"
            raise DamagedFileError(msg)
        return kind, length

    def _payload(self, kind: bytes, length: int, limit: int) -> bytes:
        """The rest of a chunk whose start was read."""
        if length > limit:
            msg = f"chunk {kind.decode()} is too long"
            raise DamagedFileError(msg)
        data = _read(self._fp, length + _CRC.size)
        if len(data) < length + _CRC.size:
            raise _truncated_header()
        payload = data[:length]
        _check_crc(kind, zlib.crc32(payload, zlib.crc32(kind)), data[length:])
        return payload

    def _skip(self, kind: bytes, length: int) -> None:
        """Pass over an unknown chunk, or refuse it if it is critical."""
        crc = zlib.crc32(kind)
        while length > 0:
            block = _read(self._fp, min(length, _READ_BLOCK))
            if not block:
                raise _truncated_header()
            crc = zlib.crc32(block, crc)
            length -= len(block)
        stored = _read(self._fp, _CRC.size)
        if len(stored) < _CRC.size:
            raise _truncated_header()
        _check_crc(kind, crc, stored)
        if kind[:1].isupper():
            msg = f"unsupported AGV chunk {kind.decode()!r}: a newer version of agvae is needed"
            raise UnsupportedFileError(msg)

    def _tile(self, position: int, length: int) -> TileData:
        data = _read_at(self._fp, position, length + _OVERHEAD)
        if len(data) < length + _OVERHEAD:
            msg = f"image file is truncated ({len(data)} bytes not processed)"
            raise TruncatedFileError(msg)
        payload = data[_CHUNK_START.size : -_CRC.size]
        if data[: _CHUNK_START.size] != _CHUNK_START.pack(b"TILE", length):
            msg = "no tile where the index says"
            raise DamagedFileError(msg)
        _check_crc(b"TILE", zlib.crc32(payload, zlib.crc32(b"TILE")), data[-_CRC.size :])
        return _split_alpha(self.header, payload)


def check_model_name(name: object) -> None:
    """Raises ValueError unless `name` is one that a header can hold."""
    if not isinstance(name, str) or not _MODEL_NAME.fullmatch(name):
        msg = f"not a model name (1 to 64 of A-Z a-z 0-9 . _ -, first a letter or digit): {name!r}"
        raise ValueError(msg)


def _checked_bytes(name: str, value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        data = value
    elif isinstance(value, bytearray | memoryview):
        data = bytes(value)
    else:
        msg = f"{name} must be bytes, not {type(value).__name__}"
        raise ValueError(msg)
    if data is not None and len(data) > MAX_METADATA:
        msg = f"{name} has more than {MAX_METADATA} bytes"
        raise ValueError(msg)
    return data or None


def _checked_dpi(value: Any) -> tuple[float, float] | None:
    if value is None:
        return None
    low, high = DPI_RANGE
    try:
        horizontal, vertical = (float(part) if isinstance(part, Real) else math.nan for part in value)
    except (TypeError, ValueError, OverflowError):
        horizontal = vertical = math.nan
    if not (low <= horizontal <= high and low <= vertical <= high):
        msg = f"dpi must be two numbers from {low:g} to {high:g}, not {value!r}"
        raise ValueError(msg)
    return horizontal, vertical


def _checked_durations(values: Any) -> tuple[float, ...] | None:
    if values is None:
        return None
    try:
        numbers = (value if isinstance(value, Real) and not isinstance(value, bool) else math.nan for value in values)
        times = tuple(map(float, numbers))
    except (TypeError, OverflowError):
        times = (math.nan,)
    if not all(0 <= time <= MAX_DURATION for time in times):
        msg = f"durations must be numbers of milliseconds from 0 to {MAX_DURATION:.3f}"
        raise ValueError(msg)
    if 4 * len(times) > MAX_METADATA:
        msg = f"no more than {MAX_METADATA // 4} frames can have durations"
        raise ValueError(msg)
    return tuple(_microseconds(time) / 1000 for time in times) or None


def _microseconds(milliseconds: float) -> int:
    return round(1000 * milliseconds)


def _checked_loop(value: Any) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool) or not 0 <= int(value) < 2**32:
        msg = f"loop must be an integer from 0 to {2**32 - 1}, not {value!r}"
        raise ValueError(msg)
    return int(value)


def _check_pixel_range(mode: str, value: object) -> None:
    if mode != "I;16" and value is None:
        return
    match value:
        case (int(low), int(high)) if mode == "I;16" and 0 <= low <= high <= 0xFFFF:
            return
    msg = f"range must be two integers from 0 to 65535 in mode I;16, and None in others, not {value!r} in mode {mode}"
    raise ValueError(msg)


def _check_frame_ranges(header: Header) -> None:
    ranges = header.ranges
    if ranges is None:
        return
    if header.range is not None and isinstance(ranges, array) and len(ranges) == 2 * header.frames:
        lows, highs = ranges[::2], ranges[1::2]
        if header.range[0] <= min(lows) and max(highs) <= header.range[1] and all(map(le, lows, highs)):
            return
    msg = "ranges must be low and high of each frame of mode I;16, within the range of all"
    raise ValueError(msg)


def _check_range(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or not low <= value <= high:
        msg = f"{name} must be an integer from {low} to {high}, not {value!r}"
        raise ValueError(msg)


def _truncated_header() -> TruncatedFileError:
    return TruncatedFileError("Truncated File Read")


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return _CHUNK_START.pack(kind, len(payload)) + payload + _CRC.pack(zlib.crc32(payload, zlib.crc32(kind)))


def _check_crc(kind: bytes, crc: int, stored: bytes) -> None:
    if _CRC.pack(crc) != stored:
        msg = f"wrong checksum of chunk {kind.decode()}"
        raise DamagedFileError(msg)


def _read_at(fp: IO[bytes], position: int, length: int) -> bytes:
    """`_read` from a position; of a real file without moving it, as a forked process may share it."""
    file = fp.raw if type(fp) is BufferedReader else fp
    if type(file) is not FileIO or not hasattr(os, "pread"):  # what is on top of a file has that file's descriptor
        fp.seek(position)
        return _read(fp, length)
    descriptor = file.fileno()
    return _collect(lambda size, done: os.pread(descriptor, size, position + done), length)


def _read(fp: IO[bytes], length: int) -> bytes:
    """Up to `length` bytes, fewer only at the end of the file; allocates what the file has, not what it claims."""
    return _collect(lambda size, _: fp.read(size), length)


def _collect(read: Callable[[int, int], bytes], length: int) -> bytes:
    """All that `read`, called with a size and how much there is already, gives of `length` bytes."""
    parts = []
    done = 0
    while done < length:
        part = read(min(length - done, _READ_BLOCK), done)
        if not part:
            break
        parts.append(part)
        done += len(part)
    return b"".join(parts)


def _pack_header(header: Header) -> bytes:
    name = header.model.encode("ascii")
    return (
        _HEADER.pack(
            VERSION,
            MODES.index(header.mode) + 1,
            _GREY if header.grey else 0,
            header.tile_size // _TILE_UNIT,
            header.level,
            header.width,
            header.height,
            header.frames,
            header.digest,
            len(name),
        )
        + name
        + (b"" if header.range is None else _RANGE.pack(*header.range))
    )


def _unpack_header(payload: bytes) -> Header:
    if payload and payload[0] > VERSION:
        msg = f"unsupported AGV version {payload[0]} (this build reads up to {VERSION}): install a newer agvae"
        raise UnsupportedFileError(msg)
    if len(payload) < _HEADER.size:
        msg = "header too short"
        raise DamagedFileError(msg)
    version, mode, flags, tile_units, level, width, height, frames, digest, length = _HEADER.unpack_from(payload)
    if version == 0 or mode == 0:
        msg = "impossible header"
        raise DamagedFileError(msg)
    if mode > len(MODES):
        msg = f"unsupported AGV mode {mode}: a newer version of agvae is needed"
        raise UnsupportedFileError(msg)
    if flags & ~_GREY:
        msg = f"unsupported AGV flags {flags:#04x}: a newer version of agvae is needed"
        raise UnsupportedFileError(msg)
    name, rest = payload[_HEADER.size : _HEADER.size + length], payload[_HEADER.size + length :]
    has_range = MODES[mode - 1] == "I;16"
    if len(name) != length or len(rest) != (_RANGE.size if has_range else 0):
        msg = "a header of wrong length"
        raise DamagedFileError(msg)
    return _from_file(
        Header,
        width=width,
        height=height,
        mode=MODES[mode - 1],
        level=level,
        model=name.decode("ascii", "replace"),
        digest=digest,
        tile_size=tile_units * _TILE_UNIT,
        frames=frames,
        grey=bool(flags & _GREY),
        range=_RANGE.unpack(rest) if has_range else None,
    )


def _from_file(make: Callable[..., Header], *args: Any, **values: Any) -> Header:
    """A header of values from a file, which are damage where no header may have them."""
    try:
        return make(*args, **values)
    except ValueError as error:
        raise DamagedFileError(str(error)) from error


def _big_endian(numbers: array[int]) -> array[int]:
    """Numbers in the machine's byte order from such in that of files, or the other way."""
    numbers = numbers[:]
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def _pack_metadata(name: str, value: Any) -> bytes:
    match name:
        case "dpi":
            return _DPI.pack(*value)
        case "durations":
            return struct.pack(f">{len(value)}I", *map(_microseconds, value))
        case "loop":
            return _U32.pack(value)
        case _:
            return bytes(value)


def _unpack_metadata(name: str, payload: bytes, frames: int) -> Any:
    """The value of a metadata chunk."""
    sizes = {"dpi": _DPI.size, "durations": 4 * frames, "loop": _U32.size}
    if len(payload) != sizes.get(name, len(payload)):
        msg = f"wrong length of chunk {_METADATA_KINDS[name].decode()}"
        raise DamagedFileError(msg)
    match name:
        case "dpi":
            value = _DPI.unpack(payload)
            try:
                return _checked_dpi(value)
            except ValueError as error:
                raise DamagedFileError(str(error)) from error
        case "durations":
            return tuple(time / 1000 for (time,) in _U32.iter_unpack(payload))
        case "loop":
            return _U32.unpack(payload)[0]
        case _:
            return payload


def _join_alpha(header: Header, tile: TileData) -> bytes:
    if tile.payload is None or (tile.alpha is not None) != header.has_alpha:
        msg = f"a tile of mode {header.mode} must have {'colour and alpha' if header.has_alpha else 'no alpha'}"
        raise ValueError(msg)
    payload = tile.payload
    if tile.alpha is not None:
        payload = _U32.pack(len(payload)) + payload + tile.alpha
    if len(payload) > MAX_TILE:
        msg = f"a tile has more than {MAX_TILE} bytes"
        raise ValueError(msg)
    return payload


def _split_alpha(header: Header, payload: bytes) -> TileData:
    if not header.has_alpha:
        return TileData(payload)
    if len(payload) < _U32.size:
        msg = "a tile without alpha"
        raise DamagedFileError(msg)
    (length,) = _U32.unpack_from(payload)
    rest = payload[_U32.size :]
    if length > len(rest):
        msg = "a tile without alpha"
        raise DamagedFileError(msg)
    return TileData(rest[:length], rest[length:])
