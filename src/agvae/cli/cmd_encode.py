"""`agvae encode`: an image to an .agv file."""

from __future__ import annotations

import argparse
from io import BytesIO
from typing import Any

from agvae.cli.arguments import add_force, add_quality, file, refuse_others
from agvae.cli.telling import NO_ARRAYS, about, check_paths, report, say
from agvae.whole_file import is_stream, write_whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=file, metavar="IN", help="an image that Pillow reads")
    parser.add_argument("output", type=file, metavar="OUT", help="the .agv file to write")
    parser.add_argument("others", type=file, nargs="*", help=argparse.SUPPRESS)
    add_quality(parser)
    parser.add_argument("--lossless", action="store_true", help="every pixel as it is; leaves no quality to choose")
    parser.add_argument("--model", metavar="NAME", help="weights to use; see agvae weights list")
    parser.add_argument("--exact", action="store_true", help="keep the colour of fully transparent pixels")
    add_force(parser)
    parser.set_defaults(usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    import agvae
    import pillow_agvae  # noqa: F401  # so that .agv files can be read and written
    from agvae.cli.originals import metadata_lost, metadata_of, parts_lost
    from agvae.images import opened, register_readers

    refuse_others(args)
    if args.output.suffix.lower() != ".agv" and not is_stream(args.output):
        msg = f"{args.output}: an AGV file has the extension .agv"
        raise ValueError(msg)
    check_paths(args.input, args.output, args.force)
    register_readers()
    with about(args.input), opened(args.input) as image:
        arrays = image.format == "AGV" and "arrays" in agvae.read_info(args.input)["metadata"]
        lost, all_frames = parts_lost(image, lossless=args.lossless)
        image.load()
        lost += metadata_lost(image) + [NO_ARRAYS] * arrays
        coded = BytesIO()
        rate = {"lossless": True} if args.lossless else {"quality": args.quality}
        options = {**rate, "model": args.model, "exact": args.exact, **metadata_of(image)}
        image.save(coded, "AGV", save_all=all_frames, **options)
    for sentence in lost:
        say("warning", f"{args.input}: {sentence}")
    data = coded.getvalue()
    with about(args.output):
        write_whole(args.output, data, replace=args.force)
    found = agvae.read_info(data)
    frames = f"{found['frames']} frames, " if found["frames"] > 1 else ""
    report(args.output, f"{frames}{len(data)} bytes, {found['bpp']:.4f} bpp, {rate_in_words(found)}")
    return 0


def rate_in_words(found: dict[str, Any]) -> str:
    return "without loss" if found["lossless"] else f"quality {found['quality']:.6g}"
