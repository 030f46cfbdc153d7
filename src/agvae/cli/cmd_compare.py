"""`agvae compare`: a page with pictures by this and other codecs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from agvae.cli.arguments import add_force, add_rate, box, file
from agvae.cli.telling import check_free_target, report, say

if TYPE_CHECKING:
    from agvae.comparison import Comparison


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PICTURE", help="a picture that Pillow reads")
    parser.add_argument(
        "-o", "--output", type=file, required=True, metavar="PAGE", help="the HTML file to write, which holds all"
    )
    add_rate(parser)
    parser.add_argument("--model", metavar="NAME", help="weights to use; see agvae weights list")
    parser.add_argument(
        "--peers",
        nargs="*",
        metavar="NAME",
        help="other codecs: jpeg webp avif avif-psnr heic heic-420 heic-psnr jxl; "
        "default avif webp jpeg jxl heic-420, those installed",
    )
    parser.add_argument(
        "--equal", choices=("size", "psnr"), default="size", help="what files of a picture share; default size"
    )
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--box", type=box, metavar="L,T,R,B", help="only these pixels; default the middle if it is large")
    part.add_argument("--reduce", action="store_true", help="reduce a large picture, in place of taking its middle")
    add_force(parser)


def run(args: argparse.Namespace) -> int:
    from agvae.comparison import write_page

    args.paths = list(map(Path, args.paths))
    check_free_target(args.output, args.force)
    for path in args.paths:
        if args.output.exists() and path.exists() and path.samefile(args.output):
            msg = f"{args.output}: is a file to read"
            raise ValueError(msg)
    failed: list[str] = []
    write_page(args.output, _compared(args, failed), args.equal, replace=args.force)
    report(args.output, f"{len(args.paths) - len(failed)} pictures, {args.output.stat().st_size} bytes")
    return int(bool(failed))


def _compared(args: argparse.Namespace, failed: list[str]) -> Iterator[Comparison]:
    """Each picture compared; those that fail are told of, and an error if that are all."""
    import agvae
    import pillow_agvae  # noqa: F401  # so that .agv files can be compared, too
    from agvae.conversion.reasons import about, text_of, user_errors
    from agvae.images import register_readers

    register_readers()
    names = ("quality", "target_size", "target_bpp", "target_psnr", "model", "peers", "equal", "box", "reduce")
    options: dict[str, Any] = {name: getattr(args, name) for name in names}
    with tqdm(args.paths, unit=" pictures", dynamic_ncols=True, disable=not sys.stderr.isatty()) as bar:
        for path in bar:
            try:
                with about(path):
                    compared = agvae.compare(path, **options, progress=bar.set_postfix_str)
            except user_errors() as error:
                failed.append(text_of(error))
                if len(failed) == len(args.paths):
                    raise
                with tqdm.external_write_mode(sys.stderr):
                    say("error", failed[-1])
                continue
            yield compared
