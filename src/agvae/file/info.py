"""What a file says of itself, for people and programs: `agvae.read_info`, `agvae.read_metadata`.

Needs neither NumPy nor the codec.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agvae.file.header import WITHOUT_MODEL
from agvae.file.layout import Reader
from agvae.file.metadata import Metadata
from agvae.quality import level_to_quality, split_level
from agvae.streams import Source, Stream, opened
from agvae.words import counted


def read_info(source: Source) -> dict[str, Any]:
    """What the header of a file says, in types that JSON has; decodes nothing.

    Args:
        source: the bytes of a file (any bytes-like object), its path, or a binary file, whose position stays if it can
            seek; else it is read as far as the header goes, which also says its length.

    Returns:
        width, height, mode, range ([low, high] of mode I;16, else None), ranges (a list of those of each frame, None
        where all have the same), quality, s, l, bytes (of the file), bpp (bits per pixel of a frame), model, digest
        (hexadecimal), frames, durations (list of milliseconds, or None), loop (or None), tiles (per frame), tile_size,
        thumbnail ([width, height] or None), lossless (no model coded any of it, and quality, s and l mean nothing), and
        metadata (a list of the names present).

    Raises:
        AgvError: not an .agv file, or its header is truncated, damaged or too new.
    """
    return info_of(*_read(source))


def info_of(reader: Reader, size: int) -> dict[str, Any]:
    """The same of an opened file of so many bytes."""
    header, metadata, thumbnail = reader.header, reader.metadata, reader.thumbnail()
    s, l = split_level(header.level)  # noqa: E741
    return {
        "width": header.width,
        "height": header.height,
        "mode": header.mode,
        "range": list(header.range) if header.range else None,
        "ranges": [header.ranges[k : k + 2].tolist() for k in range(0, 2 * header.frames, 2)]
        if header.ranges
        else None,
        "quality": level_to_quality(header.level),
        "s": s,
        "l": l,
        "bytes": size,
        "bpp": 8 * size / (header.width * header.height * header.frames),
        "model": header.model,
        "digest": header.digest.hex(),
        "frames": header.frames,
        "durations": list(metadata.durations) if metadata.durations else None,
        "loop": metadata.loop,
        "tiles": header.tiles_per_frame,
        "tile_size": header.tile_size,
        "thumbnail": [thumbnail.header.width, thumbnail.header.height] if thumbnail else None,
        "lossless": header.model == WITHOUT_MODEL,
        "metadata": [name for name, value in vars(metadata).items() if value is not None],
    }


def in_words(found: Mapping[str, Any]) -> dict[str, str]:
    """What `read_info` found of the image and how it is coded, for people."""
    values = ", values from {} to {}".format(*found["range"]) if found["range"] else ""
    by_model = not found["lossless"]
    return {
        "image": f"{found['width']} x {found['height']} {found['mode']}{values}",
        "frames": frames_in_words(found["frames"], found["durations"], found["loop"]),
        "quality": f"{found['quality']:.6g} (s = {found['s']}, l = {found['l']:.6g})" if by_model else "without loss",
        "model": f"{found['model']} (SHA-256 {found['digest']}...)" if by_model else "none",
        "tiles": f"{found['tiles']} of {found['tile_size']} x {found['tile_size']}",
        "thumbnail": "{} x {}".format(*found["thumbnail"]) if found["thumbnail"] else "none",
        "metadata": ", ".join(found["metadata"]) or "none",
    }


def frames_in_words(count: int, durations: Sequence[float] | None, loop: int | None) -> str:
    """How many frames there are, how long they last together, and how often they are shown."""
    text = f"{count}"
    if durations:
        text += f", {sum(durations):.10g} ms in all"
    if loop is not None:
        text += f", shown {counted(loop, 'time')}" if loop else ", shown for ever"
    return text


def read_metadata(source: Source) -> Metadata:
    """What a file holds besides pixels, to look at or to hand to `agvae.encode`; decodes nothing.

    `thumbnail` is None: it shows the pixels of this file, and would be wrong beside others.

    Args:
        source: as of `read_info`.

    Raises:
        AgvError: not an .agv file, or its header or metadata are truncated, damaged or too new.
    """
    reader, _ = _read(source)
    return replace(reader.metadata, thumbnail=None)


def _read(source: Source) -> tuple[Reader, int]:
    """The opened file and its length in bytes; the position of a binary file stays."""
    with opened(source) as fp:
        start = fp.tell()
        try:
            reader = Reader(fp)
            size = (reader.end if isinstance(fp, Stream) else fp.seek(0, os.SEEK_END)) - start
        finally:
            fp.seek(start)
    return reader, size
