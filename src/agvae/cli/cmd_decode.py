"""`agvae decode`: an .agv file to another image format."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from agvae.cli.arguments import add_force, file, refuse_others
from agvae.cli.telling import NO_ARRAYS, about, check_paths, report, say
from agvae.shortage import loading
from agvae.whole_file import is_stream, write_whole

if TYPE_CHECKING:
    from PIL import Image

    from agvae.container import Reader


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=file, metavar="IN", help="an .agv file")
    parser.add_argument(
        "output", type=file, metavar="OUT", help="an image file; its extension says the format, and pipes get PNG"
    )
    parser.add_argument("others", type=file, nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--damaged-ok", action="store_true", help="leave damaged tiles grey instead of giving up")
    add_force(parser)
    parser.set_defaults(usage_error=parser.error)


def run(args: argparse.Namespace) -> int:
    from PIL import Image

    import pillow_agvae  # noqa: F401  # so that .agv files can be written
    from agvae.cli.targets import OWN, fitted
    from agvae.cli.written import written
    from agvae.file.header import WITHOUT_MODEL
    from agvae.images import register_readers

    refuse_others(args)
    register_readers()
    form = "PNG" if is_stream(args.output) else Image.registered_extensions().get(args.output.suffix.lower())
    if form not in Image.SAVE:
        msg = f"{args.output}: Pillow writes no format of this extension"
        raise ValueError(msg)
    check_paths(args.input, args.output, args.force)
    lost: list[str] = []
    with about(args.input):
        reader, frames = _decoded(args.input, form in Image.SAVE_ALL, args.damaged_ok, lost)
    with about(args.output):
        if reader.metadata.arrays is not None:
            lost.append(NO_ARRAYS)
        fit, info, unfit = fitted(frames, reader.metadata.to_info(), form)
        if form == OWN and reader.header.model == WITHOUT_MODEL:
            info = {**info, "lossless": True}
        data, changed = written(fit, info, form, reader.metadata.durations, reader.metadata.loop)
    if len(frames) < reader.header.frames:
        unfit.append(f"only the first of {reader.header.frames} frames, as {form} holds one")
    for sentence in (*lost, *unfit, *changed):
        say("warning", f"{args.output}: {sentence}")
    with about(args.output):
        write_whole(args.output, data, replace=args.force)
    count = f"{len(fit)} frames of " if len(fit) > 1 else ""
    report(args.output, f"{count}{fit[0].width} x {fit[0].height}, {fit[0].mode}")
    return 0


def _decoded(path: Path, all_frames: bool, damaged_ok: bool, lost: list[str]) -> tuple[Reader, list[Image.Image]]:
    """The first or all frames of a file, and added to `lost` what was damaged.

    Raises:
        ValueError: not one tile is left.
        OSError: it cannot be read, or it is damaged and must not be.
    """
    from agvae.container import Reader
    from agvae.errors import DamagedFileError, TruncatedFileError
    from agvae.streams import seekable

    with path.open("rb") as opened:
        file = seekable(opened)
        try:
            reader = Reader(file)
            return reader, _frames_of(reader, all_frames)
        except (DamagedFileError, TruncatedFileError) as error:
            if not damaged_ok:
                raise
            reason = error.reason
        file.seek(0)
        return _damaged(path, Reader(file, damaged_ok=True), all_frames, reason, lost)


def _damaged(
    path: Path, reader: Reader, all_frames: bool, reason: str, lost: list[str]
) -> tuple[Reader, list[Image.Image]]:
    """As `_decoded`, of a file that is damaged for a reason."""
    count = reader.header.frames if all_frames else 1
    broken = _broken_tiles(reader, count)
    total = reader.header.tiles_per_frame * count
    if broken == total:
        msg = f"{path}: every tile is lost ({reason})"
        raise ValueError(msg)
    tiles = f"{broken} of {total} tiles are lost and grey" if broken else "the colour of all tiles is there"
    lost.append(f"the file is damaged ({reason}); {tiles}")
    return reader, _frames_of(reader, all_frames, damaged_ok=True)


def _frames_of(reader: Reader, all_frames: bool, *, damaged_ok: bool = False) -> list[Image.Image]:
    from PIL import Image

    from agvae.api import decode_frame

    count = reader.header.frames if all_frames else 1
    return [Image.fromarray(decode_frame(reader, frame, damaged_ok=damaged_ok)) for frame in range(count)]


def _broken_tiles(reader: Reader, frames: int) -> int:
    """How many tiles of the first frames do not decode."""
    with loading():
        from agvae.coding.extract import exact_pixels
    from agvae.container import tile_boxes
    from agvae.errors import DamagedFileError
    from agvae.file.payload import NETWORK

    broken = 0
    for frame in range(frames):
        for tile, box in zip(reader.tiles(frame), tile_boxes(reader.header), strict=True):
            try:
                if tile.payload is None:
                    broken += 1
                elif tile.kind == NETWORK:
                    with loading():
                        from agvae.coding.tiles import latents_sha256

                    latents_sha256(replace(reader.header, width=box.width, height=box.height, frames=1), [tile.payload])
                else:
                    exact_pixels(tile.payload, reader.header.range_of(frame), box)
            except DamagedFileError:
                broken += 1
    return broken
