"""What files cost that claim much and hold little: seconds of one core, and memory, for what they claim.

    python benchmarks/hostile.py [CASE ...] [--model NAME] [--megapixels MP ...]

Every case claims so many megapixels, sides rounded up to multiples of 32 (those of many small pictures a sixteenth of
them), in a file that whoever knows the format can make, and is decoded in a process of its own, on Linux.  Memory is
the highest above what the process had once the model was loaded and a small picture decoded.  docs/SECURITY.md states
bounds from this, which `tests/core/test_cost.py` keeps.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageFile

import agvae
import pillow_agvae  # noqa: F401
from agvae import weights
from agvae.coding.loaded import load_model
from agvae.coding.windows import latent_shape
from agvae.container import Header, Metadata, Reader, TileData, tile_boxes, write_container
from agvae.file.alpha import encode_alpha

MEGAPIXEL = 10**6
_CELL = 32 * 32
"""Pixels that one pixel claims."""


def forged(
    width: int,
    height: int,
    *,
    mode: str = "RGB",
    tile_size: int = 1024,
    frames: int = 1,
    dense: bool = False,
    sound: float = 1,
    thumbnail: bytes | None = None,
    model: str | None = None,
) -> bytes:
    """A file of that size whose tiles are alike.

    Args:
        dense: latents of noise at the highest quality, in place of nothing at all.
        sound: share of the tiles that decode; at the place of others there is nothing.
    """
    coder = load_model(model)
    level = 20480 if dense else 0
    range_ = (0, 65535) if mode == "I;16" else None
    header = Header(width, height, mode, level, coder.name, coder.digest, tile_size, frames, range=range_)
    known: dict[tuple[int, int], TileData] = {}
    tiles = []
    for box in tile_boxes(header):
        shape, size = latent_shape(box), (box[2] - box[0], box[3] - box[1])
        if size not in known:
            y = torch.zeros(1, *shape, coder.network.config.latent)
            if dense:
                y.normal_(0, 30, generator=torch.Generator().manual_seed(0))
            plane = np.arange(size[0] * size[1], dtype=np.uint8).reshape(size[::-1])
            payload = coder.pack(y, [level])[0].payload
            known[size] = TileData(payload, encode_alpha(plane) if header.has_alpha else None)
        tiles.append(known[size])
    tiles *= frames
    kept = round(sound * len(tiles)) if sound in (0, 1) else max(1, int(sound * len(tiles)))
    tiles[kept:] = [TileData(b"", tile.alpha) for tile in tiles[kept:]]
    return write_container(header, Metadata(thumbnail=thumbnail), tiles)


def _decode(data: bytes, count: int = 1) -> None:
    agvae.decode(data, damaged_ok=True)


def _decode_batch(data: bytes, count: int) -> None:
    agvae.decode_batch([data] * count, damaged_ok=True)


def _load_frames(data: bytes, count: int) -> None:
    with Image.open(io.BytesIO(data)) as image:
        for frame in range(count):
            image.seek(frame)
            image.load()


def _draft(data: bytes, count: int) -> None:
    with Image.open(io.BytesIO(data)) as image:
        image.draft(None, image.size)
        image.load()


Case = tuple[Callable[[bytes, int], None], Callable[..., bytes]]


def _square(**options: object) -> Case:
    def make(pixels: int, model: str | None) -> bytes:
        side = round(pixels**0.5 / 32) * 32
        return forged(side, side, model=model, **options)  # type: ignore[arg-type]

    return _decode, make


def _with_thumbnail(pixels: int, model: str | None) -> bytes:
    side = round(pixels**0.5 / 32) * 32
    return forged(side, side, sound=0, thumbnail=forged(side, side, model=model), model=model)


CASES: dict[str, Case] = {
    "flat": _square(),
    "dense": _square(dense=True),
    "all tiles lost": _square(sound=0),
    "one tile there": _square(sound=1e-9),
    "tiles of 64 pixels": _square(tile_size=64),
    "dense tiles of 64 pixels": _square(tile_size=64, dense=True),
    "alpha": _square(mode="RGBA"),
    "16 bits": _square(mode="I;16"),
    "one pixel wide": (_decode, lambda pixels, model: forged(1, pixels // 32, model=model)),
    "one pixel high, dense tiles of 64 pixels": (
        _decode,
        lambda pixels, model: forged(pixels // 32, 1, tile_size=64, dense=True, model=model),
    ),
    "thumbnail as large as the picture": (_draft, _with_thumbnail),
    "frames of one pixel": (_load_frames, lambda pixels, model: forged(1, 1, frames=pixels // _CELL, model=model)),
    "a batch of pictures of one pixel": (_decode_batch, lambda pixels, model: forged(1, 1, model=model)),
}


MANY = ("frames of one pixel", "a batch of pictures of one pixel")
"""Cases with a file or frame for each cell, which take longest."""


class Cost(NamedTuple):
    """Bytes of the file, seconds of one core, and most bytes of memory at one time."""

    file: int
    seconds: float
    memory: int


def cost(case: str, pixels: int, model: str | None = None, **environment: str) -> Cost:
    """What a process of its own needs to decode a case of so many pixels, in these variables of the environment."""
    data = CASES[case][1](pixels, model)
    command = [sys.executable, __file__, "--child", str(pixels // _CELL), case]
    variables = {**os.environ, "AGVAE_DEVICE": "cpu", "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run(command, input=data, capture_output=True, env=variables)
    if done.returncode:
        raise RuntimeError(done.stderr.decode())
    return Cost(len(data), *json.loads(done.stdout))


def _child(case: str, count: int) -> None:
    Image.MAX_IMAGE_PIXELS = None
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    data = sys.stdin.buffer.read()
    agvae.decode(forged(64, 64, model=Reader(io.BytesIO(data)).header.model))
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forgets VmHWM, the most that there was
    before, start = _status("VmRSS"), time.process_time()
    CASES[case][0](data, count)
    print(json.dumps((time.process_time() - start, _status("VmHWM") - before)))


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of: {'; '.join(CASES)}")
    parser.add_argument("--model", help="the default one if not given")
    parser.add_argument("--megapixels", type=float, nargs="+", default=[2, 8])
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child is not None:
        _child(args.cases[0], args.child)
        return
    name = args.model or weights.registry()["default"]
    print(f"{name}, SHA-256 {weights.registry()['models'][name]['sha256']}; torch {torch.__version__}, one thread")
    print(f"{_cpu()}, {os.cpu_count()} cores\n")
    print("| claim | MP | bytes of the file | s / MP | MB |\n|---|---|---|---|---|")
    for case in args.cases or CASES:
        for megapixels in args.megapixels:
            claimed = megapixels / 16 if case in MANY else megapixels
            file, seconds, memory = cost(case, int(claimed * MEGAPIXEL), args.model)
            print(f"| {case} | {claimed:g} | {file} | {seconds / claimed:.2f} | {memory / 1e6:.0f} |", flush=True)


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown processor")


if __name__ == "__main__":
    main()
