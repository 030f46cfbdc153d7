"""Small .agv files, and seeded mutations of them that get past the checksums."""

from __future__ import annotations

import itertools
import random
import struct
import zlib
from collections.abc import Callable, Iterator

import agvae
from agvae.container import SIGNATURE
from tests.support.helpers import picture

Chunks = list[tuple[bytes, bytes]]
"""Kind and payload of each."""

BOUNDARIES = (0, 1, 2**7 - 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**26, 2**26 + 1, 2**28, 2**28 + 1)
BOUNDARIES += (2**31 - 2, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 2, 2**32 - 1)
HEADER_FIELDS = {"version": 1, "mode": 1, "flags": 1, "tile_size": 1, "level": 2, "width": 4, "height": 4, "frames": 4}
"""Size in bytes of what HEAD has before the digest, in order."""
SIDES = (
    (2**31 - 1, 2**31 - 1),  # beyond 32 bits, and nearly 64
    (2**16, 2**16),  # 0 in 32 bits
    (2**16 + 1, 2**16),  # small in 32 bits
    (46341, 46341),  # negative in 32 bits
    (2**31, 2**31),
    (2**32 - 1, 2**32 - 1),  # 1 in 32 bits
    (2**31 - 1, 1),
    (1, 2**31 - 1),
    (1024, 1025),
    (1, 1),
)
KINDS = (b"HEAD", b"INDX", b"TILE", b"iccp", b"exif", b"xmpp", b"cmnt", b"phys", b"durs", b"loop", b"thmb", b"arry")
OTHER_KINDS = (b"head", b"tILE", b"ABCD", b"abcd", b"TIL ", b"\0\0\0\0", b"\xff\xff\xff\xff")


def small_files() -> dict[str, bytes]:
    """Three files of less than 2 KB, by name: one tile; tiles, alpha, metadata; 16-bit frames with a thumbnail."""
    metadata = agvae.Metadata(b"icc" * 20, b"II*\0\x08\0\0\0\0\0", b"<x/>", b"comment", (300.0, 72.0))
    plain = agvae.encode(picture(40, 24))
    grey = picture(64, 24)[..., :2]
    grey[..., 1] //= 64
    return {
        "plain": plain,
        "tiles": _side_by_side(agvae.encode(grey, 1, metadata=metadata)),
        "frames": _frames(plain, thumbnail=agvae.encode(picture(10, 6), 1)),
    }


def _side_by_side(data: bytes) -> bytes:
    """The one tile of a file 64 pixels wide twice, in a file of 128 pixels."""
    (_, head), *metadata, (_, tile) = split_chunks(data)
    head = head[:3] + b"\1" + head[4:6] + struct.pack(">I", 128) + head[10:]
    return join_chunks([(b"HEAD", head), *metadata, *_index(tile, tile)])


def _frames(data: bytes, thumbnail: bytes) -> bytes:
    """The one tile of a file twice, as frames of 16-bit grey."""
    (_, head), (_, tile) = split_chunks(data)
    head = head[:1] + b"\5" + head[2:14] + struct.pack(">I", 2) + head[18:] + struct.pack(">HH", 100, 50000)
    metadata = [(b"durs", struct.pack(">II", 40_000, 2**32 - 1)), (b"loop", struct.pack(">I", 3)), (b"thmb", thumbnail)]
    return join_chunks([(b"HEAD", head), *metadata, *_index(tile, tile)])


def _index(*tiles: bytes) -> Chunks:
    lengths = struct.pack(f">{len(tiles)}I", *map(len, tiles))
    return [(b"INDX", lengths), *((b"TILE", tile) for tile in tiles)]


def split_chunks(data: bytes) -> Chunks:
    """The chunks of a sound file."""
    chunks, position = [], len(SIGNATURE)
    while position < len(data):
        kind, length = struct.unpack_from(">4sI", data, position)
        chunks.append((kind, data[position + 8 : position + 8 + length]))
        position += 12 + length
    return chunks


def join_chunks(chunks: Chunks) -> bytes:
    """A file of these chunks, with right checksums."""
    return SIGNATURE + b"".join(map(_chunk, chunks))


def mutate(data: bytes, seed: int) -> bytes:
    """A damaged version of a sound file, the same for a seed everywhere."""
    rng = random.Random(seed)
    raw = rng.random() < 0.5 or not _is_sound(data)
    mutations = (_flip, _cut, _insert, _repeat, _length) if raw else (_header, _sides, _word, _payload, _order, _kind)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice(mutations)(rng, data) or b"\0"
    return data


def _is_sound(data: bytes) -> bool:
    try:
        return join_chunks(split_chunks(data)) == data
    except struct.error:
        return False


def boundary_cases(data: bytes) -> Iterator[bytes]:
    """A sound file with every header field, pair of sides and length of a chunk in turn at each of its boundaries."""
    chunks = split_chunks(data)
    (kind, head), *rest = chunks
    for name, size in HEADER_FIELDS.items():
        at, limit = _header_offset(name), 2 ** (8 * size)
        now = int.from_bytes(head[at : at + size], "big")
        for value in sorted({value % limit for value in (*BOUNDARIES, now - 1, now + 1, 20480, 20481, 5, 6, 16, 17)}):
            changed = head[:at] + value.to_bytes(size, "big") + head[at + size :]
            yield join_chunks([(kind, changed), *rest])
    for sides in itertools.product(SIDES, (1, 2, 2**31 - 1, 2**32 - 1), (1, 16)):
        yield join_chunks([(kind, _with_sides(head, *sides)), *rest])
    for at in range(len(chunks)):
        start = len(join_chunks(chunks[:at])) + 4
        for length in BOUNDARIES:
            yield data[:start] + struct.pack(">I", length) + data[start + 4 :]


def _flip(rng: random.Random, data: bytes) -> bytes:
    flipped = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        flipped[rng.randrange(len(data))] ^= rng.choice((1, 0x20, 0x80, 0xFF, rng.randrange(1, 256)))
    return bytes(flipped)


def _cut(rng: random.Random, data: bytes) -> bytes:
    start, stop = _slice(rng, data)
    return data[:start] + data[stop:]


def _insert(rng: random.Random, data: bytes) -> bytes:
    position = rng.randrange(len(data) + 1)
    return data[:position] + rng.randbytes(rng.choice((1, 2, 4, 12, 300))) + data[position:]


def _repeat(rng: random.Random, data: bytes) -> bytes:
    start, stop = _slice(rng, data)
    position = rng.randrange(len(data) + 1)
    return data[:position] + data[start:stop] + data[position:]


def _length(rng: random.Random, data: bytes) -> bytes:
    """Another length for a chunk, whose checksum is then right if the file goes that far."""
    starts = [at for at in range(len(SIGNATURE), len(data) - 8) if data[at : at + 4] in KINDS]
    if not starts:
        return data
    at = rng.choice(starts)
    (length,) = struct.unpack_from(">I", data, at + 4)
    rest = len(data) - at - 8
    length = rng.choice((*BOUNDARIES, length - 1, length + 1, rest - 5, rest - 4, rest - 3, rest)) % 2**32
    changed = bytearray(data)
    struct.pack_into(">I", changed, at + 4, length)
    if length <= rest - 4:
        crc = zlib.crc32(data[at + 8 : at + 8 + length], zlib.crc32(data[at : at + 4]))
        struct.pack_into(">I", changed, at + 8 + length, crc)
    return bytes(changed)


def _chunk_mutation(change: Callable[[random.Random, Chunks], None]) -> Callable[[random.Random, bytes], bytes]:
    """A mutation of the chunks, after which checksums are right and, mostly, the index of the tiles, too."""

    def mutation(rng: random.Random, data: bytes) -> bytes:
        chunks = split_chunks(data)
        change(rng, chunks)
        if rng.random() < 0.8:
            lengths = [len(payload) for kind, payload in chunks if kind == b"TILE"]
            index = struct.pack(f">{len(lengths)}I", *lengths)
            chunks = [(kind, index if kind == b"INDX" else payload) for kind, payload in chunks]
        return join_chunks(chunks)

    return mutation


@_chunk_mutation
def _header(rng: random.Random, chunks: Chunks) -> None:
    """Header fields at their boundaries."""
    kind, payload = chunks[0]
    if kind != b"HEAD" or len(payload) < 27:
        return
    changed = bytearray(payload)
    for name in rng.sample(list(HEADER_FIELDS), rng.choice((1, 1, 2, 3))):
        size, at = HEADER_FIELDS[name], _header_offset(name)
        now = int.from_bytes(changed[at : at + size], "big")
        limit = 2 ** (8 * size)
        value = rng.choice((*BOUNDARIES, now - 1, now + 1, 20480, 20481, rng.randrange(8), rng.randrange(17))) % limit
        changed[at : at + size] = value.to_bytes(size, "big")
    if rng.random() < 0.3:  # digest, name, range
        changed[rng.randrange(18, len(changed))] = rng.randrange(256)
    chunks[0] = (kind, bytes(changed))


@_chunk_mutation
def _sides(rng: random.Random, chunks: Chunks) -> None:
    """Sides whose product overflows, in any number of frames, in tiles of any size."""
    kind, payload = chunks[0]
    if kind == b"HEAD" and len(payload) >= 27:
        frames, tile_size = rng.choice((1, 1, 2, 2**31 - 1, 2**32 - 1)), rng.choice((payload[3], 1, 16))
        chunks[0] = (kind, _with_sides(payload, rng.choice(SIDES), frames, tile_size))


def _with_sides(head: bytes, sides: tuple[int, int], frames: int, tile_size: int) -> bytes:
    return head[:3] + bytes((tile_size,)) + head[4:6] + struct.pack(">III", *sides, frames) + head[18:]


@_chunk_mutation
def _word(rng: random.Random, chunks: Chunks) -> None:
    """Any 16 or 32 bits of a payload at a boundary: lengths, durations, ranges."""
    at, kind, payload = _any_chunk(rng, chunks)
    size = rng.choice((2, 4))
    if len(payload) >= size:
        offset = rng.choice((0, len(payload) - size, rng.randrange(0, len(payload) - size + 1)))
        word = (rng.choice(BOUNDARIES) % 2 ** (8 * size)).to_bytes(size, "big")
        chunks[at] = (kind, payload[:offset] + word + payload[offset + size :])


@_chunk_mutation
def _payload(rng: random.Random, chunks: Chunks) -> None:
    at, kind, payload = _any_chunk(rng, chunks)
    if kind == b"thmb" and payload and rng.random() < 0.8:
        payload = mutate(payload, rng.getrandbits(32))
    elif payload:
        payload = rng.choice((_flip, _cut, _insert, _repeat))(rng, payload)
    chunks[at] = (kind, payload)


@_chunk_mutation
def _order(rng: random.Random, chunks: Chunks) -> None:
    at, kind, payload = _any_chunk(rng, chunks)
    action = rng.choice(("drop", "double", "swap", "add"))
    if action == "drop" and len(chunks) > 1:
        del chunks[at]
    elif action == "double":
        chunks.insert(at, (kind, payload))
    elif action == "swap":
        other, *_ = _any_chunk(rng, chunks)
        chunks[at], chunks[other] = chunks[other], chunks[at]
    elif action == "add":
        chunks.insert(at, (rng.choice(KINDS + OTHER_KINDS), rng.randbytes(rng.choice((0, 1, 4, 8, 16, 200)))))


@_chunk_mutation
def _kind(rng: random.Random, chunks: Chunks) -> None:
    at, _, payload = _any_chunk(rng, chunks)
    chunks[at] = (rng.choice(KINDS + OTHER_KINDS), payload)


def _any_chunk(rng: random.Random, chunks: Chunks) -> tuple[int, bytes, bytes]:
    at = rng.randrange(len(chunks))
    return at, *chunks[at]


def _header_offset(name: str) -> int:
    names = list(HEADER_FIELDS)
    return sum(HEADER_FIELDS[before] for before in names[: names.index(name)])


def _slice(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data))
    return start, min(len(data), start + rng.choice((1, 2, 4, 8, 12, 64, len(data))))


def _chunk(chunk: tuple[bytes, bytes]) -> bytes:
    kind, payload = chunk
    return struct.pack(">4sI", kind, len(payload)) + payload + struct.pack(">I", zlib.crc32(payload, zlib.crc32(kind)))
