"""`agvae compare`: a page with pictures by this and other codecs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agvae.cli.arguments import add_force, add_rate, box, file, model_name
from agvae.cli.several import check_page, each
from agvae.cli.telling import report
from agvae.words import counted

if TYPE_CHECKING:
    from agvae.comparison import Comparison


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PICTURE", help="a picture that Pillow reads")
    parser.add_argument(
        "-o", "--output", type=file, required=True, metavar="PAGE", help="the HTML file to write, which holds all"
    )
    add_rate(parser)
    parser.add_argument("--model", type=model_name, metavar="NAME", help="weights to use; see agvae weights list")
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

    paths, failed = list(map(Path, args.paths)), list[str]()
    check_page(paths, args.output, args.force)
    write_page(args.output, _compared(args, paths, failed), args.equal, replace=args.force)
    report(args.output, f"{counted(len(paths) - len(failed), 'picture')}, {args.output.stat().st_size} bytes")
    return int(bool(failed))


def _compared(args: argparse.Namespace, paths: list[Path], failed: list[str]) -> Iterator[Comparison]:
    import agvae
    import pillow_agvae  # noqa: F401  # so that .agv files can be compared, too
    from agvae.images import register_readers

    register_readers()
    names = ("quality", "target_size", "target_bpp", "target_psnr", "model", "peers", "equal", "box", "reduce")
    options: dict[str, Any] = {name: getattr(args, name) for name in names}
    return each(paths, lambda path, tell: agvae.compare(path, **options, progress=tell), failed)
