"""`agvae decode`: .agv files to another image format."""

from __future__ import annotations

import argparse
from pathlib import PurePath
from typing import Any

from agvae.cli.arguments import STANDARD, box, frame
from agvae.cli.conversions import add_limits, add_paths, check_usage, chosen, read_one, run_batch, write_one
from agvae.cli.telling import say
from agvae.whole_file import is_stream

_EXAMPLES = [
    "photo.agv photo.png",
    "coded --out back --format webp --quality 85",
    "large.agv part.png --box 1000,2000,1512,2512",
    "- - --format jpg < photo.agv > photo.jpg",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_paths(
        parser, "decode", "an .agv file", "an image file, whose extension says the format", "coded/**/*.agv", _EXAMPLES
    )
    parser.add_argument("--format", metavar="NAME", help="format such as jpg, for --out DIR and for pipes; default png")
    parser.add_argument(
        "-q",
        "--quality",
        type=float,
        metavar="Q",
        help="as the format has it, 1 to 100 of JPEG and 0 to 100 of most others; default its own, 75 of JPEG",
    )
    parser.add_argument("--box", type=box, metavar="L,T,R,B", help="only these pixels, as they are stored; default all")
    parser.add_argument(
        "--frame", type=frame, metavar="N", help="only this frame, from 0; default all that the format holds"
    )
    parser.add_argument(
        "--background", metavar="COLOUR", help="what transparency is put on where a format holds none; default white"
    )
    parser.add_argument(
        "--eight-bits",
        action="store_true",
        help="make 8 bits of 16 by the range of their values; default where a format holds 8 alone",
    )
    parser.add_argument("--damaged-ok", action="store_true", help="leave damaged tiles grey; default: refuse the file")
    add_limits(parser)


def run(args: argparse.Namespace) -> int:
    check_usage(args)
    with chosen(args):
        return _run_one(args) if args.out is None else _run_batch(args)


def _options(args: argparse.Namespace) -> dict[str, Any]:
    names = ("quality", "box", "frame", "background", "eight_bits", "damaged_ok", "metadata", "max_pixels")
    return {name: getattr(args, name) for name in names} | {"place": not args.strip_gps}


def _run_batch(args: argparse.Namespace) -> int:
    from agvae import batch

    found = batch.decode(
        args.paths,
        args.out,
        args.format or PurePath(args.name or "").suffix or "png",
        **_options(args),
        name=args.name,
        preserve=args.preserve,
        force=args.force,
        jobs=args.jobs,
        threads=args.threads,
        scheduler=args.scheduler,
    )
    return run_batch(args, found, "decoded")


def _run_one(args: argparse.Namespace) -> int:
    import pillow_agvae  # noqa: F401  # so that .agv files can be written
    from agvae.conversion.from_agv import decoded, decoding, taken
    from agvae.conversion.reasons import about
    from agvae.images import register_readers

    register_readers()
    options = decoding(_format(args), **_options(args))
    source = read_one(args)
    with about(args.input):
        picture = taken(source, options)
    with about(args.output):
        found = decoded(picture, options)
    for sentence in found.lost:
        say("warning", f"{args.output}: {sentence}")
    count = f"{found.frames} frames of " if found.frames > 1 else ""
    with about(args.output):
        write_one(args, found.data, f"{count}{found.frame.width} x {found.frame.height}, {found.frame.mode}")
    return 0


def _format(args: argparse.Namespace) -> str:
    """The format of one file: that of its name, or, of a pipe, the one that was asked for."""
    from PIL import Image

    from agvae.conversion.targets import format_of

    asked = args.format and format_of(args.format)[0]
    if args.output == STANDARD or is_stream(args.output):
        return asked or "PNG"
    form = Image.registered_extensions().get(args.output.suffix.lower())
    if form not in Image.SAVE:
        msg = f"{args.output}: Pillow writes no format of this extension"
        raise ValueError(msg)
    if asked and asked != form:
        msg = f"{args.output}: this is a name for {form}, not for {asked}"
        raise ValueError(msg)
    return form
