"""The arguments of `agvae reproduce`, and what it does with them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from agvae.cli.arguments import folder
from reproduction.experiments import EXPERIMENTS
from reproduction.kinds import DEFAULT_MODEL, Progress, Setup
from reproduction.runs import WEIGHTS

if TYPE_CHECKING:
    from reproduction.outcome import Outcome


def add_arguments(parser: argparse.ArgumentParser) -> None:
    of_any_model = [name for name, experiment in EXPERIMENTS.items() if experiment.any_model]
    parser.set_defaults(usage_error=parser.error)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    listed = (f"  {name:<10} {experiment.title}" for name, experiment in EXPERIMENTS.items())
    parser.epilog = "\n".join(["experiments:", *listed])
    parser.add_argument("experiment", choices=EXPERIMENTS, metavar="EXPERIMENT", help="see below")
    parser.add_argument("--out", type=folder, default=Path("reproduced"), metavar="DIR", help="default reproduced")
    parser.add_argument(
        "--images",
        type=folder,
        metavar="DIR",
        help="folder of images for rate-distortion curves; the paper's is Kodak's",
    )
    parser.add_argument(
        "--image", type=Path, metavar="FILE", help="for fig2 and supp-fig2; default a bundled photograph"
    )
    parser.add_argument(
        "--weights", type=folder, metavar="DIR", help="folder of models of the same names, your own runs"
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help=f"of {', '.join(of_any_model[:-1])} and {of_any_model[-1]} alone; default {DEFAULT_MODEL}, the run with "
        "the paper's network",
    )


def run(args: argparse.Namespace, progress: Progress) -> Outcome:
    """Raises as `reproduction.outcome.reproduce` does, and SystemExit if the experiment has models of its own."""
    if args.model is not None and not EXPERIMENTS[args.experiment].any_model:
        of_any_model = (name for name, experiment in EXPERIMENTS.items() if experiment.any_model)
        args.usage_error(f"{args.experiment} has models of its own: --model is for {', '.join(of_any_model)}")
    from reproduction.outcome import reproduce

    setup = Setup(
        args.out,
        args.weights or WEIGHTS,
        args.images,
        args.image,
        args.model or DEFAULT_MODEL,
        args.command_line,
    )
    return reproduce(args.experiment, setup, progress)
