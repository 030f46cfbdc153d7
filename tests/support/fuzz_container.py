"""Fuzzing of the container reader.  The tests run it over seeded mutations; with atheris, which follows coverage:

    pip install atheris
    python -m tests.support.fuzz_container -max_total_time=600 -rss_limit_mb=512 CORPUS_FOLDER

Without a corpus folder it starts from nothing; `--seeds CORPUS_FOLDER` writes small valid files to start from.
Checksums are made right in half of the inputs, so that the fuzzer gets past them.  Nothing is imported from
`__future__`, since OSS-Fuzz puts lines in front of this file where it measures coverage.
"""

import io
import sys
from array import array
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

FUZZING = __name__ == "__main__" and sys.argv[1:2] != ["--seeds"]
followed: AbstractContextManager[Any] = nullcontext()
if FUZZING:
    import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

    followed = atheris.instrument_imports(include=["agvae"])

with followed:
    from agvae.container import (
        SIGNATURE,
        AgvError,
        DamagedFileError,
        Header,
        Metadata,
        Reader,
        TileData,
        tile_boxes,
        write_container,
    )
    from agvae.file.alpha import decode_alpha
    from tests.support.checksums import repair_checksums

MAX_PIXELS = 1 << 16


def one_input(data: bytes) -> None:
    """Read a file as far as the container goes; any exception but the documented ones is a finding."""
    repair, data = data[:1] > b"\x7f", SIGNATURE + data[1:]
    try:
        reader = Reader(io.BytesIO(repair_checksums(data) if repair else data))
    except AgvError:
        return
    header, count = reader.header, 0
    for tile in reader.tiles():
        assert (tile.payload is None) == (tile.error is not None)
        count += 1
    assert count == header.tile_count
    try:
        reader.verify()
    except AgvError:
        return
    if header.has_alpha and header.width * header.height <= MAX_PIXELS:
        for tile, (left, top, right, bottom) in zip(reader.tiles(0), tile_boxes(header), strict=True):
            assert tile.alpha is not None
            try:
                plane = decode_alpha(tile.alpha, right - left, bottom - top)
            except DamagedFileError:
                continue
            assert plane.shape == (bottom - top, right - left)


def write_seeds(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    everything = Metadata(b"icc", b"II*\0", b"<x/>", b"comment", (72.0, 72.0), (40.0,), 0, b"thumbnail")
    cases = [
        (Header(9, 7, "RGB", 10240, "base-1", bytes(8)), Metadata(), [TileData(b"payload")]),
        (Header(9, 7, "LA", 0, "m", bytes(8)), everything, [TileData(b"payload", b"\x04\xff")]),
        (Header(70, 65, "L", 0, "m", bytes(8), 64, 2), Metadata(), [TileData(b"x")] * 8),
        (Header(9, 7, "I;16", 0, "m", bytes(8), range=(1, 2)), Metadata(), [TileData(b"x")]),
        (
            Header(9, 7, "I;16", 0, "m", bytes(8), frames=2, range=(1, 9), ranges=array("H", (1, 2, 3, 9))),
            Metadata(),
            [TileData(b"x")] * 2,
        ),
    ]
    for number, case in enumerate(cases):
        data = write_container(*case)[len(SIGNATURE) :]
        (folder / f"seed-{number}").write_bytes(b"\xff" + data)


if __name__ == "__main__":
    if not FUZZING:
        write_seeds(Path(sys.argv[2]))
    else:
        atheris.Setup(sys.argv, one_input)
        atheris.Fuzz()
