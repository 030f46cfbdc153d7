"""`agvae evaluate`: rate, quality and time over a folder of images."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import is_zipfile

from agvae.cli.arguments import add_force, folder, positive, quality
from agvae.cli.telling import tell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=folder, metavar="DIR", help="folder of images")
    parser.add_argument(
        "-o", "--output", type=folder, default=Path("evaluation"), metavar="DIR", help="for results; default evaluation"
    )
    parser.add_argument(
        "-q", "--qualities", type=quality, nargs="+", metavar="Q", help="to measure; default 1, 1.5, ... 6"
    )
    parser.add_argument(
        "--peers",
        nargs="*",
        metavar="NAME",
        help="other codecs to measure: jpeg webp avif avif-psnr heic heic-420 heic-psnr jxl; default those installed",
    )
    parser.add_argument(
        "--anchors",
        nargs="+",
        default=[],
        metavar=("FILE", "NAME"),
        help='JSON file {codec: {"bpp": [...], "psnr": [...]}} of curves over the same images, and which of them '
        "to compare with; default all",
    )
    parser.add_argument(
        "--model", metavar="MODEL", help="to measure: a name (see agvae weights list), a model file, or a checkpoint"
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N images")
    add_force(parser)


def run(args: argparse.Namespace) -> int:
    from agvae.evaluation.peers import available_peers
    from agvae.evaluation.report import read_anchors
    from agvae.evaluation.run import DEFAULT_QUALITIES, EvaluationOptions, evaluate
    from agvae.images import register_readers

    register_readers()
    with _known(args.model) as model:
        options = EvaluationOptions(
            folder=args.folder,
            output=args.output,
            qualities=args.qualities or DEFAULT_QUALITIES,
            peers=available_peers() if args.peers is None else args.peers,
            model=model,
            anchors=read_anchors(Path(args.anchors[0]), args.anchors[1:]) if args.anchors else {},
            limit=args.limit,
            force=args.force,
        )
        print(evaluate(options, args.command_line, tell))
    return 0


@contextlib.contextmanager
def _known(model: str | None) -> Iterator[str | None]:
    """The name of a model that is given by it, by its file or by a checkpoint, and is known within the block."""
    if model is None or not Path(model).is_file():
        yield model
        return
    from agvae.training.export import export_checkpoint
    from agvae.weights import registered

    with TemporaryDirectory() as place:
        path = Path(model)
        if is_zipfile(path):  # as PyTorch writes
            path = Path(place) / "model.safetensors"
            export_checkpoint(Path(model), path, "checkpoint")
        with registered(path) as name:
            yield name
