"""`agvae encode`: images to .agv files."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agvae.cli.arguments import STANDARD, add_rate, effort, model_name, thumbnail_side, tile_size
from agvae.cli.bars import coding
from agvae.cli.conversions import add_limits, add_paths, check_usage, chosen, read_one, run_batch, write_one
from agvae.cli.telling import say
from agvae.whole_file import is_stream

if TYPE_CHECKING:
    from agvae.conversion.to_agv import Encoding

_EXAMPLES = [
    "photo.png photo.agv --quality 4",
    "photos 'scans/**/*.tif' --out coded --target-bpp 0.5 --log coded.jsonl",
    "- - < photo.jpg > photo.agv",
]
_TARGETS = ("target_size", "target_bpp", "target_psnr")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_paths(parser, "encode", "an image that Pillow reads", "the .agv file to write", "photos/**/*.png", _EXAMPLES)
    rate = add_rate(parser)
    rate.add_argument("--lossless", action="store_true", help="keep every pixel as it is")
    parser.add_argument(
        "--model", type=model_name, metavar="NAME", help="weights to use, of agvae weights list; default base-1"
    )
    parser.add_argument("--exact", action="store_true", help="keep the colour of fully transparent pixels; default no")
    thumbnail = parser.add_mutually_exclusive_group()
    thumbnail.add_argument(
        "--thumbnail", action="store_true", help="store a small copy, of up to 384 pixels a side; default none"
    )
    thumbnail.add_argument(
        "--thumbnail-side",
        type=thumbnail_side,
        dest="thumbnail",
        metavar="N",
        help="store one of up to N pixels a side, 16 to 1024",
    )
    parser.add_argument(
        "--tile-size",
        type=tile_size,
        metavar="N",
        help="side of the tiles that are coded apart, a multiple of 64 up to 1024; default 1024",
    )
    parser.add_argument(
        "--effort",
        type=effort,
        metavar="N",
        help="1 to 9, how long to look for fewer bits: 2 five to eight times as long as 1, each further one up to "
        "twice as long as the one before; default 1",
    )
    add_limits(parser)


def run(args: argparse.Namespace) -> int:
    check_usage(args)
    with chosen(args):
        return _run_one(args) if args.out is None else _run_batch(args)


def _run_batch(args: argparse.Namespace) -> int:
    from agvae import batch

    rate: dict[str, Any] = {name: getattr(args, name) for name in ("quality", "lossless", *_TARGETS)}
    found = batch.encode(
        args.paths,
        args.out,
        **rate,
        model=args.model,
        thumbnail=args.thumbnail,
        exact=args.exact,
        tile_size=args.tile_size,
        effort=args.effort,
        metadata=args.metadata,
        place=not args.strip_gps,
        name=args.name or "{stem}.agv",
        preserve=args.preserve,
        force=args.force,
        jobs=args.jobs,
        threads=args.threads,
        scheduler=args.scheduler,
        max_pixels=args.max_pixels,
    )
    return run_batch(args, found, "encoded")


def _run_one(args: argparse.Namespace) -> int:
    import agvae
    import pillow_agvae  # noqa: F401  # so that .agv files can be read and written
    from agvae.conversion.reasons import about
    from agvae.conversion.to_agv import encoded
    from agvae.images import register_readers

    if args.output != STANDARD and args.output.suffix.lower() != ".agv" and not is_stream(args.output):
        msg = f"{args.output}: an AGV file has the extension .agv"
        raise ValueError(msg)
    source = read_one(args)
    register_readers()
    options = _options(args)
    with about(args.input), coding(partial(_pixels, source, options), shown=not args.quiet):
        data, lost = encoded(source, options)
    for sentence in lost:
        say("warning", f"{args.input}: {sentence}")
    found = agvae.read_info(data)
    frames = f"{found['frames']} frames, " if found["frames"] > 1 else ""
    with about(args.output):
        write_one(args, data, f"{frames}{len(data)} bytes, {found['bpp']:.4f} bpp, {rate_in_words(found)}")
    return 0


def _pixels(source: Path | bytes, options: Encoding) -> int | None:
    """How many will be coded: more than there are where several qualities are tried.

    The weights are here then, whose bytes would count, too.
    """
    from io import BytesIO

    from PIL import Image

    from agvae.conversion.to_agv import limited
    from agvae.weights import find, registry

    if "lossless" not in options.rate:
        find(options.model or registry()["default"])
    file = BytesIO(source) if isinstance(source, bytes) else source
    with limited(options.max_pixels), Image.open(file) as image:
        several = getattr(image, "n_frames", 1) > 1 or not options.rate.keys().isdisjoint(_TARGETS)
        return None if several else image.width * image.height


def _options(args: argparse.Namespace) -> Encoding:
    from agvae.conversion.to_agv import Encoding

    given = {name: getattr(args, name) for name in ("quality", *_TARGETS)}
    rate: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if args.lossless:
        rate["lossless"] = True
    return Encoding(
        rate,
        args.model,
        args.exact,
        args.thumbnail,
        args.tile_size,
        args.metadata,
        not args.strip_gps,
        args.max_pixels,
        args.effort,
    )


def rate_in_words(found: dict[str, Any]) -> str:
    return "without loss" if found["lossless"] else f"quality {found['quality']:.6g}"
