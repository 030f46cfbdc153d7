"""What a file says of its image: the chunks HEAD, RANG and PALT, and the boxes of its tiles."""

from __future__ import annotations

import re
import struct
import sys
from array import array
from collections.abc import Callable
from dataclasses import dataclass, replace
from operator import le
from typing import Any

from agvae.boxes import Box, grid, grid_box, grid_size
from agvae.errors import DamagedFileError, UnsupportedFileError
from agvae.quality import MAX_LEVEL

VERSION = 1
MODES = ("L", "LA", "RGB", "RGBA", "I;16", "1", "P")
TILE_SIZE = 1024
"""Default side of tiles in pixels."""
MAX_SIDE = 2**31 - 1
MAX_FRAMES = 2**31 - 1
MAX_TILE_SIZE = 1024

_HEAD = struct.Struct(">BBBBHIII8sB")
_RANGE = struct.Struct(">HH")
LONGEST = _HEAD.size + 255 + _RANGE.size
"""Most bytes of a payload of HEAD."""
LONGEST_PALETTE = 4 * 256
"""Most bytes of a payload of PALT."""
WITHOUT_MODEL = "lossless"
"""In the place of a model's name in files that need none."""
_GREY = 1
_TILE_UNIT = 64
_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True)
class Header:
    """What a file says of its image.

    Attributes:
        width, height: in pixels, 1 .. 2^31 - 1.
        mode: "L", "LA", "RGB" or "RGBA", 8 bits a band; "I;16", grey of 16 bits; or, without loss alone, "1", black and
            white, or "P", colours of a palette.
        level: quality in fixed point, 0 .. 20480, see `agvae.quality`.
        model: name of the model that coded the tiles, 1 to 64 of the characters A-Z a-z 0-9 . _ -
        digest: the first 8 bytes of the SHA-256 of the model's file.
        tile_size: side of the tiles in pixels, a multiple of 64 up to 1024.
        frames: number of frames, each width x height.
        grey: the three bands of a mode with colour are equal.
        range: (low, high) of mode I;16, 0 <= low <= high <= 65535: the grey values that stand for 0 and 1.  None in
            other modes.
        ranges: low and high of each frame in turn, all within `range`, where not all frames have that one; else None.
        palette: in mode P red, green, blue and alpha of 1 to 256 colours; None in other modes, and before it is read.

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
    palette: bytes | None = None

    def __post_init__(self) -> None:
        _check_integer("width", self.width, 1, MAX_SIDE)
        _check_integer("height", self.height, 1, MAX_SIDE)
        _check_integer("level", self.level, 0, MAX_LEVEL)
        _check_integer("frames", self.frames, 1, MAX_FRAMES)
        check_tile_size(self.tile_size)
        if self.mode not in MODES:
            msg = f"mode must be one of {', '.join(MODES)}, not {self.mode!r}"
            raise ValueError(msg)
        if self.grey and not self.mode.startswith("RGB"):
            msg = f"mode {self.mode} has no colour bands to be grey"
            raise ValueError(msg)
        _check_range(self.mode, self.range)
        _check_ranges(self)
        _check_palette(self.mode, self.palette)
        check_model_name(self.model)
        if len(self.digest) != 8:
            msg = "digest must have 8 bytes"
            raise ValueError(msg)

    @property
    def has_alpha(self) -> bool:
        return self.mode.endswith("A")

    @property
    def box(self) -> Box:
        """That of a whole frame."""
        return Box(0, 0, self.width, self.height)

    def range_of(self, frame: int) -> tuple[int, int] | None:
        """(low, high) of one frame, None in modes other than I;16."""
        return self.range if self.ranges is None else (self.ranges[2 * frame], self.ranges[2 * frame + 1])

    @property
    def tiles_per_frame(self) -> int:
        return grid_size(self.width, self.height, self.tile_size)

    @property
    def tile_count(self) -> int:
        """Tiles of all frames."""
        return self.tiles_per_frame * self.frames


def tile_boxes(header: Header) -> list[Box]:
    """Those of the tiles of one frame, the same for each, in the order of the file."""
    return grid(header.width, header.height, header.tile_size)


def tile_box(header: Header, number: int) -> Box:
    """The box of one tile of a frame."""
    return grid_box(header.width, header.height, header.tile_size, number)


def tiles_touched(header: Header, box: Box) -> list[int]:
    """The numbers of the tiles of a frame that a box within it touches."""
    side, columns = header.tile_size, -(-header.width // header.tile_size)
    left, top, right, bottom = box.aligned(side)
    return [y // side * columns + x // side for y in range(top, bottom, side) for x in range(left, right, side)]


def pack_header(header: Header) -> bytes:
    """The payload of HEAD."""
    name = header.model.encode("ascii")
    return (
        _HEAD.pack(
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


def unpack_header(payload: bytes) -> Header:
    """The header of a payload of HEAD, without `ranges`.

    Raises:
        UnsupportedFileError: it needs a newer reader.
        DamagedFileError: no header has these values.
    """
    if payload and payload[0] > VERSION:
        msg = f"unsupported AGV version {payload[0]} (this build reads up to {VERSION}): install a newer agvae"
        raise UnsupportedFileError(msg)
    if len(payload) < _HEAD.size:
        msg = "header too short"
        raise DamagedFileError(msg)
    version, mode, flags, tile_units, level, width, height, frames, digest, length = _HEAD.unpack_from(payload)
    if version == 0 or mode == 0:
        msg = "impossible header"
        raise DamagedFileError(msg)
    if mode > len(MODES):
        msg = f"unsupported AGV mode {mode}: a newer version of agvae is needed"
        raise UnsupportedFileError(msg)
    if flags & ~_GREY:
        msg = f"unsupported AGV flags {flags:#04x}: a newer version of agvae is needed"
        raise UnsupportedFileError(msg)
    name, rest = payload[_HEAD.size : _HEAD.size + length], payload[_HEAD.size + length :]
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


def pack_ranges(ranges: array[int]) -> bytes:
    """The payload of RANG."""
    return big_endian(ranges).tobytes()


def ranges_size(header: Header) -> int:
    """Bytes of the payload of RANG."""
    return _RANGE.size * header.frames


def with_ranges(header: Header, payload: bytes) -> Header:
    """The header with what a payload of RANG says.

    Raises:
        DamagedFileError: no header has these values.
    """
    return _from_file(replace, header, ranges=big_endian(array("H", payload)))


def with_palette(header: Header, payload: bytes) -> Header:
    """The header with what a payload of PALT says.

    Raises:
        DamagedFileError: it is no palette.
    """
    return _from_file(replace, header, palette=payload)


def big_endian(numbers: array[int]) -> array[int]:
    """Numbers in the machine's byte order from such in that of files, or the other way."""
    numbers = numbers[:]
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def check_model_name(name: object) -> None:
    """Raises ValueError unless `name` is one that a header can hold."""
    if not isinstance(name, str) or not _MODEL_NAME.fullmatch(name):
        msg = f"not a model name (1 to 64 of A-Z a-z 0-9 . _ -, first a letter or digit): {name!r}"
        raise ValueError(msg)


def _from_file(make: Callable[..., Header], *args: Any, **values: Any) -> Header:
    """A header of values from a file, which are damage where no header may have them."""
    try:
        return make(*args, **values)
    except ValueError as error:
        raise DamagedFileError(str(error)) from error


def _check_range(mode: str, value: object) -> None:
    if mode != "I;16" and value is None:
        return
    match value:
        case (int(low), int(high)) if mode == "I;16" and 0 <= low <= high <= 0xFFFF:
            return
    msg = f"range must be two integers from 0 to 65535 in mode I;16, and None in others, not {value!r} in mode {mode}"
    raise ValueError(msg)


def _check_ranges(header: Header) -> None:
    ranges = header.ranges
    if ranges is None:
        return
    if header.range is not None and isinstance(ranges, array) and len(ranges) == 2 * header.frames:
        lows, highs = ranges[::2], ranges[1::2]
        if header.range[0] <= min(lows) and max(highs) <= header.range[1] and all(map(le, lows, highs)):
            return
    msg = "ranges must be low and high of each frame of mode I;16, within the range of all"
    raise ValueError(msg)


def _check_palette(mode: str, palette: object) -> None:
    if palette is None:
        return
    sound = isinstance(palette, bytes) and len(palette) % 4 == 0 and 4 <= len(palette) <= LONGEST_PALETTE
    if mode != "P" or not sound:
        msg = "palette must be 4 bytes for each of 1 to 256 colours, in mode P alone"
        raise ValueError(msg)


def check_tile_size(side: int) -> int:
    """The side of a tile itself, if it can be one; raises ValueError if not."""
    _check_integer("tile_size", side, _TILE_UNIT, MAX_TILE_SIZE)
    if side % _TILE_UNIT:
        msg = f"tile_size must be a multiple of {_TILE_UNIT}, not {side}"
        raise ValueError(msg)
    return side


def _check_integer(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or not low <= value <= high:
        msg = f"{name} must be an integer from {low} to {high}, not {value!r}"
        raise ValueError(msg)
