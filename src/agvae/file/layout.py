"""A file as a whole, written and read: signature, header, metadata, an index if there are several tiles, and tiles.

docs/FORMAT.md is the specification.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Iterator
from copy import copy
from io import BytesIO
from itertools import accumulate
from typing import IO, Any

from agvae.errors import AgvError, DamagedFileError, NotAgvError, about, name_of
from agvae.file.chunks import OVERHEAD, START, chunk, pass_over, read, read_chunk_at, read_payload, read_start
from agvae.file.header import (
    LONGEST,
    LONGEST_PALETTE,
    Header,
    big_endian,
    pack_header,
    pack_ranges,
    ranges_size,
    unpack_header,
    with_palette,
    with_ranges,
)
from agvae.file.metadata import MAX_METADATA, NAMES, Metadata, pack_metadata, unpack_metadata
from agvae.file.payload import ALL_KINDS, MAX_TILE, TileData, kinds, pack_tile, unpack_tile
from agvae.lazy import lazy

SIGNATURE = b"\xe1AGV\r\n\x1a\n"


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
    if header.mode == "P" and header.palette is None:
        msg = "mode P must have a palette"
        raise ValueError(msg)
    packed = [(tile.kind, pack_tile(header, tile)) for tile in tiles]
    payloads = [payload for _, payload in packed]
    if len(payloads) != header.tile_count:
        msg = f"the header asks for {header.tile_count} tiles, not {len(payloads)}"
        raise ValueError(msg)
    parts = [SIGNATURE, chunk(b"HEAD", pack_header(header))]
    if header.ranges is not None:
        parts.append(chunk(b"RANG", pack_ranges(header.ranges)))
    if header.palette is not None:
        parts.append(chunk(b"PALT", header.palette))
    parts += (chunk(kind, payload) for kind, payload in pack_metadata(metadata))
    if len(payloads) > 1:
        parts.append(chunk(b"INDX", struct.pack(f">{len(payloads)}I", *map(len, payloads))))
    parts += (chunk(kind, payload) for kind, payload in packed)
    return b"".join(parts)


class Reader:
    """Reads a file: header and metadata at once, tiles on demand.

    It trusts nothing: whatever is wrong with a file becomes an `agvae.errors.AgvError` or a tile marked as damaged.

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
            self.header = _read_header(fp)
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
        position = self._first_tile + self._starts[k] + k * OVERHEAD
        try:
            kind, payload = read_chunk_at(self._fp, position, kinds(self.header.mode), self._lengths[k])
            return unpack_tile(self.header, kind, payload)
        except AgvError as error:
            error.filename = self.filename
            return TileData(None, None, error)

    @lazy
    def _starts(self) -> array[int]:
        """Payload bytes before each tile."""
        return array("Q", accumulate(self._lengths, initial=0))

    @property
    def end(self) -> int:
        """Where the last tile ends in the file."""
        return self._first_tile + sum(self._lengths) + len(self._lengths) * OVERHEAD

    def over(self, fp: IO[bytes]) -> Reader:
        """A reader of the same file, opened anew as `fp`; nothing is parsed again."""
        self._starts  # noqa: B018  # found once for all
        other = copy(self)
        other._fp = fp
        return other

    def detach(self) -> BytesIO:
        """Read all of the file that tiles are read from, so that it may change or go; gives that instead."""
        self._fp.seek(0)
        self._fp = data = BytesIO(read(self._fp, self.end))
        return data

    def thumbnail(self) -> Reader | None:
        """The embedded thumbnail; None if there is none that can stand for the image: with right checksums, of one
        frame, the same mode, and not larger."""
        return self._thumbnail

    @lazy
    def _thumbnail(self) -> Reader | None:
        if self.metadata.thumbnail is None:
            return None
        data, own = BytesIO(self.metadata.thumbnail), self.header
        try:
            small = _read_header(data)
            fits = small.frames == 1 and small.width <= own.width and small.height <= own.height
            if not fits or small.mode != own.mode:
                return None
            data.seek(0)
            reader = Reader(data)
            reader.verify()
        except AgvError:
            return None
        return reader

    def verify(self) -> None:
        """Check the checksum of every tile, without decoding.

        Raises:
            AgvError: the error of the first tile that is damaged or missing.
        """
        for tile in self.tiles():
            if tile.error is not None:
                raise tile.error

    def _read_preamble(self, damaged_ok: bool) -> array[int]:
        """Read the chunks between header and tiles; sets ranges and metadata and gives the tiles' lengths."""
        seen: dict[str, Any] = {}
        count, tile_kinds = self.header.tile_count, kinds(self.header.mode)
        while True:
            kind, length = read_start(self._fp)
            if kind in tile_kinds and count == 1:
                self._first_tile = self._fp.tell() - START.size
                lengths = array("I", (length,))
                break
            if kind == b"INDX" and count > 1 and length == 4 * count:
                lengths = big_endian(array("I", read_payload(self._fp, kind, length, length)))
                self._first_tile = self._fp.tell()
                break
            if kind == b"RANG" and self.header.ranges is None and length == ranges_size(self.header):
                self.header = with_ranges(self.header, read_payload(self._fp, kind, length, length))
            elif kind == b"PALT" and self.header.mode == "P" and self.header.palette is None:
                self.header = with_palette(self.header, read_payload(self._fp, kind, length, LONGEST_PALETTE))
            elif kind in (b"HEAD", b"RANG", b"PALT", b"INDX", *ALL_KINDS):
                msg = f"misplaced chunk {kind.decode()}"
                raise DamagedFileError(msg)
            elif kind in NAMES:
                self._read_metadata(kind, length, seen, damaged_ok)
            else:
                pass_over(self._fp, kind, length)
        if self.header.mode == "P" and self.header.palette is None:
            msg = "no palette"
            raise DamagedFileError(msg)
        if max(lengths) > MAX_TILE:
            msg = "a tile is too long"
            raise DamagedFileError(msg)
        self.metadata = Metadata(**seen)
        return lengths

    def _read_metadata(self, kind: bytes, length: int, seen: dict[str, Any], damaged_ok: bool) -> None:
        """Read one chunk of metadata to its name in `seen`."""
        name = NAMES[kind]
        try:
            payload = read_payload(self._fp, kind, length, MAX_METADATA)
            if name in seen:
                msg = f"two chunks {kind.decode()}"
                raise DamagedFileError(msg)
            seen[name] = unpack_metadata(name, payload, self.header.frames)
        except DamagedFileError:
            if not damaged_ok:
                raise


def _read_header(fp: IO[bytes]) -> Header:
    """Signature and header, from the start of a file."""
    if read(fp, len(SIGNATURE)) != SIGNATURE:
        msg = "not an AGV file"
        raise NotAgvError(msg)
    kind, length = read_start(fp)
    if kind != b"HEAD":
        msg = "no header"
        raise DamagedFileError(msg)
    return unpack_header(read_payload(fp, kind, length, LONGEST))
