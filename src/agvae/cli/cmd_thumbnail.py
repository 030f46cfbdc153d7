"""`agvae thumbnail`: a small PNG file of an .agv file, as file managers ask for it.

It is bounded in time and memory, and downloads nothing.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agvae.cli.arguments import add_force, file, integer

if TYPE_CHECKING:
    from agvae.container import Header, Reader

MAX_PIXELS = 2**25
"""What is decoded for a thumbnail: some ten seconds of work, and less than a gigabyte."""
SECONDS = 30
_SIDES = (1, 1024)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=file, metavar="FILE", help="an .agv file")
    parser.add_argument("output", type=file, metavar="PNG", help="the file to write")
    parser.add_argument(
        "-s",
        "--size",
        type=integer(*_SIDES),
        default=256,
        metavar="N",
        help="pixels of the longer side, up to 1024; default 256",
    )
    add_force(parser)


def run(args: argparse.Namespace) -> int:
    from agvae.cli.telling import check_paths
    from agvae.conversion.reasons import about
    from agvae.progress import watched
    from agvae.settings import options
    from agvae.whole_file import write_whole

    if not args.force and args.output.suffix.lower() != ".png":
        msg = f"{args.output}: a thumbnail is a PNG file, with the extension .png"
        raise ValueError(msg)
    check_paths(args.file, args.output, args.force)
    end = time.monotonic() + SECONDS

    def watch(_: int) -> None:
        if time.monotonic() > end:
            msg = f"a thumbnail takes more than {SECONDS} seconds"
            raise TimeoutError(msg)

    with about(args.file), watched(watch), options.using(offline=True):
        data = _png(args.file, args.size)
    write_whole(args.output, data, replace=args.force)
    return 0


def _png(path: Path, side: int) -> bytes:
    from io import BytesIO

    from PIL import Image

    from agvae.container import Reader
    from agvae.conversion.targets import orientation_of, turned
    from agvae.images import scaled

    with path.open("rb") as fp:
        reader = Reader(fp)
        image: Image.Image = Image.fromarray(_pixels(reader, side))
    if image.mode.startswith("I"):
        image = scaled(image)
    image.thumbnail((side, side), reducing_gap=2)
    info: dict[str, Any] = reader.metadata.to_info()
    if orientation_of(info) != 1:
        (image,), _ = turned([image], info)
    file = BytesIO()
    image.save(file, "PNG", icc_profile=info.get("icc_profile"))
    return file.getvalue()


def _pixels(reader: Reader, side: int) -> Any:
    """Those of the thumbnail in the file if it is large enough and not damaged, else of the picture."""
    from agvae.api import decode_frame
    from agvae.container import AgvError

    header, thumbnail = reader.header, reader.thumbnail()
    scale = min(1, side / max(header.width, header.height))
    enough = thumbnail is not None and thumbnail.header.width >= round(scale * header.width)
    if thumbnail is not None and enough and thumbnail.header.height >= round(scale * header.height):
        try:
            _check_size(thumbnail.header)
            return decode_frame(thumbnail)
        except AgvError:
            pass
    _check_size(header)
    return decode_frame(reader)


def _check_size(header: Header) -> None:
    from agvae.coding.windows import padded

    if padded(header.box).area > MAX_PIXELS:
        msg = f"{header.width} x {header.height} pixels are too many for a thumbnail"
        raise ValueError(msg)
