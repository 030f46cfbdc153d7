"""`agvae view`: pictures in the browser."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from agvae.cli.arguments import add_force, box, file, frame
from agvae.cli.several import check_page, each
from agvae.cli.telling import report, say
from agvae.whole_file import whole_file
from agvae.words import counted

if TYPE_CHECKING:
    from agvae.viewing import View


_PIXELS = 2**26
"""What a page shows of all its pictures together."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="FILE", help="an .agv file, or another that Pillow reads")
    parser.add_argument(
        "-o", "--output", type=file, metavar="PAGE", help="write the HTML file, which holds all, and open no browser"
    )
    parser.add_argument("--box", type=box, metavar="L,T,R,B", help="only these pixels, as they are stored; default all")
    parser.add_argument("--frame", type=frame, metavar="N", help="only this frame, from 0; default all")
    add_force(parser)


def run(args: argparse.Namespace) -> int:
    from agvae.pages.showing import shown
    from agvae.viewing import view_page

    paths, failed, damaged = list(map(Path, args.paths)), list[str](), list[Path]()
    if args.output is not None:
        check_page(paths, args.output, args.force)
    pieces = view_page(_views(args, paths, failed, damaged), _title(paths), single=len(paths) == 1)
    if args.output is not None:
        with whole_file(args.output, replace=args.force) as target:
            for piece in pieces:
                target.write(piece.encode())
        report(args.output, f"{counted(len(paths) - len(failed), 'picture')}, {args.output.stat().st_size} bytes")
    else:
        page = bytearray()
        for piece in pieces:
            page += piece.encode()
        if not shown(page):
            place = Path(tempfile.mkdtemp(prefix="agvae-")) / f"{paths[0].stem}.html"
            with whole_file(place) as target:
                target.write(page)
            report(place, "no browser asked for this page: open it yourself")
    return int(bool(failed or damaged))


def _title(paths: list[Path]) -> str:
    from agvae.pages import printable

    return printable(paths[0].name) if len(paths) == 1 else counted(len(paths), "picture")


def _views(args: argparse.Namespace, paths: list[Path], failed: list[str], damaged: list[Path]) -> Iterator[View]:
    """Each picture as the page shows it; those of which something is missing are told of."""
    import pillow_agvae  # noqa: F401  # as for all that reads and writes pictures
    from agvae.images import register_readers
    from agvae.viewing import read_view
    from agvae.viewing.displayed import PIXELS

    register_readers()
    pixels = min(PIXELS, _PIXELS // len(paths))

    def view(path: Path, _: Callable[[str], None]) -> View:
        found = read_view(path, box=args.box, frame=args.frame, pixels=pixels)
        for sentence in found.missing:
            say("warning", f"{path}: {sentence}")
        if found.missing:
            damaged.append(path)
        return found

    return each(paths, view, failed)
