"""`agvae export`: the model file of a checkpoint."""

from __future__ import annotations

import argparse
import contextlib
import json
from pathlib import Path

from agvae.cli.arguments import add_force, file
from agvae.cli.telling import check_paths
from agvae.whole_file import make_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=file, metavar="CHECKPOINT", help="written by agvae train")
    parser.add_argument("output", type=file, nargs="?", metavar="OUT", help="default NAME.safetensors")
    parser.add_argument("--name", default="custom", help="name of the model in registry and files; default custom")
    parser.add_argument(
        "--calibrate",
        action="append",
        metavar="DATA",
        help="images to find the units of the entropy model's integers with, as for agvae train --data; default: those"
        " that it was trained with",
    )
    add_force(parser)


def run(args: argparse.Namespace) -> int:
    from agvae.container import check_model_name
    from agvae.training.export import check_model_path, export_checkpoint
    from agvae.weights import WeightsError, registry
    from agvae.weights.registration import describe_model

    check_model_name(args.name)
    output: Path = args.output or Path(f"{args.name}.safetensors")
    check_model_path(output)
    with contextlib.suppress(WeightsError):  # that there is no registry yet is no fault
        if args.name in registry()["models"] and not args.force:
            msg = f"a model {args.name!r} exists, to which files refer by this name: choose another, or --force"
            raise ValueError(msg)
    make_folder(output.parent)
    check_paths(args.checkpoint, output, args.force)
    export_checkpoint(args.checkpoint, output, args.name, replace=args.force, calibrate=args.calibrate)
    print(json.dumps(dict([describe_model(output)]), indent=1))
    return 0
