"""The chunk of a tile: how its colour is coded, the colour, and in modes that have it alpha."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from agvae.errors import AgvError, DamagedFileError
from agvae.file.header import Header

NETWORK, WITHOUT_LOSS, MIXED = b"TILE", b"WEBP", b"MIXT"
"""Kinds of chunks: colour coded by the model; without loss; some of it by the model and some without loss."""
ALL_KINDS = (NETWORK, WITHOUT_LOSS, MIXED)

MAX_TILE = 2**28
"""Largest payload of a tile's chunk in bytes."""

_LENGTH = struct.Struct(">I")


@dataclass(frozen=True)
class TileData:
    """One tile of one frame.

    Attributes:
        payload: the coded colour, or None if it could not be read.
        alpha: the coded alpha of a mode that has one.
        error: why there is no payload.
        kind: of its chunk: NETWORK; WITHOUT_LOSS; in modes of 8 bits MIXED.
    """

    payload: bytes | None
    alpha: bytes | None = None
    error: AgvError | None = None
    kind: bytes = NETWORK


def kinds(mode: str) -> tuple[bytes, ...]:
    """Those that tiles of a mode may have."""
    if mode == "I;16":
        return NETWORK, WITHOUT_LOSS
    return (WITHOUT_LOSS,) if mode in ("1", "P") else (NETWORK, WITHOUT_LOSS, MIXED)


def join_mixed(exact: bytes, by_model: bytes) -> bytes:
    """The colour of a MIXED tile: what lies over the model's reconstruction, and what the model coded."""
    return _LENGTH.pack(len(exact)) + exact + by_model


def split_mixed(colour: bytes) -> tuple[bytes, bytes]:
    """Inverse of `join_mixed`.

    Raises:
        DamagedFileError: it is shorter than it says.
    """
    rest = colour[_LENGTH.size :]
    if len(colour) < _LENGTH.size or (length := _LENGTH.unpack_from(colour)[0]) > len(rest):
        msg = "a mixed tile of wrong length"
        raise DamagedFileError(msg)
    return rest[:length], rest[length:]


def pack_tile(header: Header, tile: TileData) -> bytes:
    """The payload of its chunk.

    Raises:
        ValueError: it has no colour, its kind or its alpha does not fit the header, or it exceeds 256 MiB.
    """
    if tile.kind not in kinds(header.mode):
        msg = f"a tile of mode {header.mode} cannot be of kind {tile.kind.decode()}"
        raise ValueError(msg)
    if tile.payload is None or (tile.alpha is not None) != header.has_alpha:
        msg = f"a tile of mode {header.mode} must have {'colour and alpha' if header.has_alpha else 'no alpha'}"
        raise ValueError(msg)
    payload = tile.payload
    if tile.alpha is not None:
        payload = _LENGTH.pack(len(payload)) + payload + tile.alpha
    if len(payload) > MAX_TILE:
        msg = f"a tile has more than {MAX_TILE} bytes"
        raise ValueError(msg)
    return payload


def unpack_tile(header: Header, kind: bytes, payload: bytes) -> TileData:
    """The tile of a chunk of a kind that the mode may have.

    Raises:
        DamagedFileError: it has no room for the alpha that the header asks for.
    """
    if not header.has_alpha:
        return TileData(payload, kind=kind)
    colour_and_alpha = payload[_LENGTH.size :]
    if len(payload) < _LENGTH.size or (length := _LENGTH.unpack_from(payload)[0]) > len(colour_and_alpha):
        msg = "a tile without alpha"
        raise DamagedFileError(msg)
    return TileData(colour_and_alpha[:length], colour_and_alpha[length:], kind=kind)
