"""`agvae reproduce`: a figure or table of the paper, where the source tree is there."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from agvae.cli.arguments import add_force
from agvae.cli.telling import check_free_target, report, say, tell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _reproduction().add_arguments(parser)
    add_force(parser)


def run(args: argparse.Namespace) -> int:
    for path in args.out.glob(f"{args.experiment}.*"):
        check_free_target(path, args.force)
    outcome = _reproduction().run(args, tell)
    for path in outcome.files:
        report(path, "written")
    if outcome.lack:
        say("warning" if outcome.files else "error", outcome.lack)
        tell(f"To train them on the images in DATA:\n{outcome.recipe}")
    return 0 if outcome.files else 1


def _reproduction() -> Any:
    """`reproduction.command` of this source tree, or of the one in which `python -m reproduction` runs.

    Raises:
        FileNotFoundError: agvae is installed without its source tree.
    """
    if "reproduction" not in sys.modules:
        file = Path(__file__).parents[3] / "reproduction" / "__init__.py"
        if not file.is_file():
            msg = (
                "agvae reproduce needs the folders reproduction and weights/experiments, which are in the repository "
                "and not in the installed package; at the root of a clone, python -m reproduction does the same"
            )
            raise FileNotFoundError(msg)
        spec = importlib.util.spec_from_file_location("reproduction", file)
        assert spec is not None
        assert spec.loader is not None
        sys.modules["reproduction"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["reproduction"])
    return importlib.import_module("reproduction.command")
