"""Chunks, of which a file is made: four letters, length of the payload, payload, and a CRC-32 of letters and payload.

Reading trusts nothing: it holds in memory what a file has, not what it claims.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Sequence
from io import BufferedReader, FileIO
from typing import IO

from agvae.errors import DamagedFileError, TruncatedFileError, UnsupportedFileError

START = struct.Struct(">4sI")
_CRC = struct.Struct(">I")
OVERHEAD = START.size + _CRC.size
"""Bytes of a chunk beside its payload."""
_READ_BLOCK = 2**16


def chunk(kind: bytes, payload: bytes) -> bytes:
    """The bytes of a chunk."""
    return START.pack(kind, len(payload)) + payload + _CRC.pack(_crc(kind, payload))


def read_start(fp: IO[bytes]) -> tuple[bytes, int]:
    """Kind and length of the chunk that comes.

    Raises:
        TruncatedFileError: the file ends here.
        DamagedFileError: no chunk begins here.
    """
    start = read(fp, START.size)
    if len(start) < START.size:
        raise _truncated()
    kind, length = START.unpack(start)
    if not kind.isalpha():
        msg = "not a chunk"
        raise DamagedFileError(msg)
    return kind, length


def read_payload(fp: IO[bytes], kind: bytes, length: int, limit: int) -> bytes:
    """The payload of the chunk whose start was read.

    Raises:
        TruncatedFileError: the file ends too early.
        DamagedFileError: it is longer than `limit`, or its checksum is wrong.
    """
    if length > limit:
        msg = f"chunk {kind.decode()} is too long"
        raise DamagedFileError(msg)
    data = read(fp, length + _CRC.size)
    if len(data) < length + _CRC.size:
        raise _truncated()
    payload = data[:length]
    _check(kind, _crc(kind, payload), data[length:])
    return payload


def pass_over(fp: IO[bytes], kind: bytes, length: int) -> None:
    """Go past an unknown chunk whose start was read.

    Raises:
        TruncatedFileError, DamagedFileError: as `read_payload`.
        UnsupportedFileError: who does not know it cannot read the file, as the capital at its beginning says.
    """
    crc = zlib.crc32(kind)
    while length > 0:
        block = read(fp, min(length, _READ_BLOCK))
        if not block:
            raise _truncated()
        crc = zlib.crc32(block, crc)
        length -= len(block)
    stored = read(fp, _CRC.size)
    if len(stored) < _CRC.size:
        raise _truncated()
    _check(kind, crc, stored)
    if kind[:1].isupper():
        msg = f"unsupported AGV chunk {kind.decode()!r}: a newer version of agvae is needed"
        raise UnsupportedFileError(msg)


def read_chunk_at(fp: IO[bytes], position: int, kinds: Sequence[bytes], length: int) -> tuple[bytes, bytes]:
    """Kind and payload of a chunk that must begin at a position, be of one of these kinds, and have a length.

    Raises:
        TruncatedFileError: the file ends too early.
        DamagedFileError: there is no such chunk, or its checksum is wrong.
    """
    data = _read_at(fp, position, length + OVERHEAD)
    if len(data) < length + OVERHEAD:
        msg = f"image file is truncated ({len(data)} bytes not processed)"
        raise TruncatedFileError(msg)
    kind, payload = data[:4], data[START.size : -_CRC.size]
    if kind not in kinds or data[: START.size] != START.pack(kind, length):
        msg = "no tile where the index says"
        raise DamagedFileError(msg)
    _check(kind, _crc(kind, payload), data[-_CRC.size :])
    return kind, payload


def read(fp: IO[bytes], length: int) -> bytes:
    """Up to `length` bytes, fewer only at the end of the file."""
    return _collect(lambda size, _: fp.read(size), length)


def _read_at(fp: IO[bytes], position: int, length: int) -> bytes:
    """`read` from a position; of a real file without moving it, as a forked process may share it."""
    file = fp.raw if type(fp) is BufferedReader else fp
    if type(file) is not FileIO or not hasattr(os, "pread"):  # what is on top of a file has that file's descriptor
        fp.seek(position)
        return read(fp, length)
    descriptor = file.fileno()
    return _collect(lambda size, done: os.pread(descriptor, size, position + done), length)


def _collect(take: Callable[[int, int], bytes], length: int) -> bytes:
    """All that `take`, called with a size and how much there is already, gives of `length` bytes."""
    parts = []
    done = 0
    while done < length:
        part = take(min(length - done, _READ_BLOCK), done)
        if not part:
            break
        parts.append(part)
        done += len(part)
    return b"".join(parts)


def _crc(kind: bytes, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(kind))


def _check(kind: bytes, crc: int, stored: bytes) -> None:
    if _CRC.pack(crc) != stored:
        msg = f"wrong checksum of chunk {kind.decode()}"
        raise DamagedFileError(msg)


def _truncated() -> TruncatedFileError:
    return TruncatedFileError("Truncated File Read")
