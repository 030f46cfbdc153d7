"""`agvae train`: a run of training, begun or resumed."""

from __future__ import annotations

import argparse
import contextlib
import inspect
import os
import re
import sys
import typing
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from agvae.cli.arguments import minutes, path_of_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _let_threads_sleep()
    from agvae.training.options import TrainingOptions

    parser.epilog, described = _described(TrainingOptions)
    types = typing.get_type_hints(TrainingOptions)
    for field in fields(TrainingOptions):
        if field.default is MISSING:
            note = "; needed unless --resume is given"
        else:
            note = f"; default {str(field.default).removesuffix('.0')}" if field.default not in ("", ()) else ""
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            dest=f"option_{field.name}",
            **_form(field.name, types[field.name]),
            default=argparse.SUPPRESS,
            help=(described.get(field.name, "").rstrip(".") + note).replace("%", "%%"),
        )
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--resume", type=Path, metavar="CHECKPOINT", help="go on from it, with its options where none are given"
    )
    start.add_argument(
        "--init-from", metavar="MODEL", help="start from a model, by its name or its file, which also says the preset"
    )
    start.add_argument("--from-zoo", metavar="FILE", help="start from a checkpoint of CompressAI's zoo")
    parser.add_argument(
        "--stop-after",
        type=minutes,
        default=float("inf"),
        metavar="MINUTES",
        help="stop early, and validate after that",
    )
    parser.set_defaults(usage_error=parser.error)


def _let_threads_sleep() -> None:
    """Have PyTorch's threads, if it is still to be imported, look for work a hundredth as often before they sleep.

    Steps are then 40 % faster beside other work, and 2 % slower on an idle machine.
    """
    if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")


def _described(options: type) -> tuple[str, dict[str, str]]:
    """What the docstring says of a run, and of each option."""
    about, _, rest = (inspect.getdoc(options) or "").partition("\nAttributes:\n")
    attributes = re.findall(r"^    (\w[\w, ]*): (.*(?:\n {8}.*)*)", rest.partition("\nRaises:")[0], re.MULTILINE)
    return about, {name: " ".join(text.split()) for names, text in attributes for name in names.split(", ")}


def _form(name: str, kind: Any) -> dict[str, Any]:
    """How an option is given: texts of a sequence one by one."""
    if kind in (str, int, float):
        word = {"output": "FOLDER", "preset": "NAME", "device": "NAME", "betas": "NUMBERS"}.get(name)
        return {"type": kind, "metavar": word or {str: "KIND", int: "N", float: "X"}[kind]}
    return {"action": "append", "metavar": "SOURCE"}


def run(args: argparse.Namespace) -> int:
    import pillow_agvae  # noqa: F401  # so that .agv files can be read
    from agvae.images import register_readers
    from agvae.training.checkpoint import check_free
    from agvae.training.export import checkpoint_config, read_checkpoint
    from agvae.training.options import TrainingOptions
    from agvae.training.trainer import Trainer
    from agvae.weights import read_model_file

    given = {name[7:]: value for name, value in vars(args).items() if name.startswith("option_")}
    network = None
    if args.resume:
        state = read_checkpoint(args.resume)
        network = checkpoint_config(args.resume, state)
        if "patches" in given and "minutes" not in given:
            given["minutes"] = 0.0
        if given.get("metric") == "mse":  # which has no such weight
            given = {"mse_weight": 0.0} | given
        stored = state["options"] | {"preset": network.preset}
        if not _is_folder(stored["output"], args.resume.parent):  # moved, or named from another folder
            stored["output"] = str(args.resume.parent)
        given = stored | given
    elif args.init_from:
        args.init_from = path_of_model(args.init_from)
        given = {"preset": read_model_file(args.init_from).config.preset} | given
    missing = [f.name for f in fields(TrainingOptions) if f.default is MISSING and f.name not in given]
    if missing:
        args.usage_error(f"the following arguments are required: {', '.join('--' + name for name in missing)}")
    options = TrainingOptions(**given)
    register_readers()
    check_free(Path(options.output), args.resume)
    trainer = Trainer(options, args.init_from, args.from_zoo, network)
    if args.resume:
        trainer.resume(args.resume)
    with _tensor_cores() if options.precision == "bf16" else contextlib.nullcontext():
        trainer.run(args.stop_after)
    trainer.close()
    return 0


@contextlib.contextmanager
def _tensor_cores() -> Iterator[None]:
    """Products of float32 matrices in TF32, on GPUs that have it: 10 bits of mantissa, three more than bfloat16."""
    import torch

    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def _is_folder(name: str, folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return Path(name).samefile(folder)
    return False
