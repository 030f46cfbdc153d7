"""`agvae demo`: the bundled photograph, there and back."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agvae.cli.arguments import add_force, add_quality, folder
from agvae.cli.telling import check_free_target
from agvae.shortage import loading
from agvae.whole_file import make_folder, write_whole

if TYPE_CHECKING:
    from PIL import Image


DEMO_PHOTOGRAPH = "chelsea.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_quality(parser)
    parser.add_argument(
        "--out", type=folder, default=Path("agvae-demo"), metavar="DIR", help="for both files; default agvae-demo"
    )
    add_force(parser)


def run(args: argparse.Namespace) -> int:
    from importlib.resources import as_file, files

    import numpy as np
    from PIL import Image

    import agvae

    with loading():
        from agvae.coding.loaded import load_model
    from agvae.metrics import psnr

    encoded, decoded = args.out / "chelsea.agv", args.out / "chelsea.png"
    make_folder(args.out)
    for target in (encoded, decoded):
        check_free_target(target, args.force)
    with as_file(files("agvae") / "data" / DEMO_PHOTOGRAPH) as path:
        photograph = Image.open(path)
        photograph.load()
    _, load_s = _timed(load_model)
    agvae.decode(agvae.encode(photograph.crop((0, 0, 64, 64))))  # the first call sets up thread pools and kernels
    data, encode_s = _timed(lambda: agvae.encode(photograph, quality=args.quality))
    pixels, decode_s = _timed(lambda: agvae.decode(data))

    png = BytesIO()
    Image.fromarray(pixels).save(png, "PNG")
    write_whole(encoded, data, replace=args.force)
    write_whole(decoded, png.getvalue(), replace=args.force)
    quality = psnr(np.asarray(photograph), pixels)
    print(f"chelsea, {photograph.width} x {photograph.height}, at quality {args.quality:g}:")
    print(f"  {len(data)} bytes, {_bpp(data, photograph):.3f} bpp, PSNR {quality:.2f} dB")
    print(f"  weights loaded in {load_s:.2f} s, encoded in {encode_s:.3f} s, decoded in {decode_s:.3f} s")
    print(f"wrote {encoded} and {decoded}")
    return 0


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def _bpp(data: bytes, image: Image.Image) -> float:
    return 8 * len(data) / (image.width * image.height)
