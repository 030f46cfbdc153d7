"""Types of arguments, and arguments that several commands have."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agvae.addresses import is_url


def quality(text: str) -> float:
    from agvae.quality import parse_quality

    return float(_checked(number(text), parse_quality))


def effort(text: str) -> int:
    from agvae.quality import parse_effort

    return int(_checked(number(text), parse_effort))


def tile_size(text: str) -> int:
    from agvae.file.header import check_tile_size

    return int(_checked(number(text), check_tile_size))


def thumbnail_side(text: str) -> int:
    from agvae import encoding

    return int(_checked(number(text), encoding.thumbnail_side))


def target_size(text: str) -> float:
    return _target("target_size", size(text))


def target_bpp(text: str) -> float:
    return _target("target_bpp", number(text))


def target_psnr(text: str) -> float:
    return _target("target_psnr", number(text))


def number(text: str) -> Any:
    """An int or a float, or the text itself, for a check that says what is wanted in place of it."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def _target(name: str, value: Any) -> float:
    from agvae.encoding import parse_rate

    return float(_checked(value, lambda value: parse_rate(**{name: value})))


def _checked(value: Any, check: Callable[[Any], object]) -> Any:
    """A value that the library takes; what it says of others is wrong usage."""
    try:
        check(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return value


def integer(low: int, high: int | None = None) -> Callable[[str], int]:
    """The type of an argument that is an integer within bounds."""
    wanted = f"an integer from {low} {'on' if high is None else f'to {high}'}"

    def parsed(text: str) -> int:
        value = number(text)
        if not isinstance(value, int) or value < low or (high is not None and value > high):
            msg = f"must be {wanted}, not {text!r}"
            raise argparse.ArgumentTypeError(msg)
        return value

    return parsed


positive = integer(1)
frame = integer(0)


STANDARD = Path("-")
"""Standard input or output."""


def file_or_standard(text: str) -> Path:
    return STANDARD if text == "-" else file(text)


def file(text: str) -> Path:
    if text == "-":
        msg = "standard input and output cannot be used"
        raise argparse.ArgumentTypeError(msg)
    if os.path.basename(text) in ("", ".", ".."):  # noqa: PTH119  # a Path forgets what is behind the last slash
        msg = f"{text!r} is the name of a folder"
        raise argparse.ArgumentTypeError(msg)
    return Path(text)


def folder(text: str) -> Path:
    """The type of an argument that names a folder."""
    if not text:
        msg = "the name of a folder is needed"
        raise argparse.ArgumentTypeError(msg)
    return Path(text)


def folder_or_url(text: str) -> Path | str:
    """The type of an argument that names a folder, here or elsewhere."""
    return text if is_url(text) else folder(text)


def size(text: str) -> float:
    """The type of an argument that is a number of bytes, with or without a unit."""
    number, unit = re.fullmatch(r"(.*?) ?([km]i?)?b?", text, re.IGNORECASE).groups()  # type: ignore[union-attr]
    try:
        return float(number) * _UNITS[(unit or "").lower()]
    except ValueError:
        msg = f"{text!r} is no number of bytes, such as 20000, 20k or 1.5M (of 1000), 20Ki or 1.5Mi (of 1024)"
        raise argparse.ArgumentTypeError(msg) from None


def minutes(text: str) -> float:
    value = number(text)
    if not isinstance(value, int | float) or not value > 0:
        msg = f"must be a positive number of minutes, not {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return float(value)


_UNITS = {"": 1, "k": 10**3, "m": 10**6, "ki": 2**10, "mi": 2**20}


def box(text: str) -> tuple[int, ...]:
    sides = [number(side) for side in text.split(",")]
    if len(sides) != 4 or not all(isinstance(side, int) and side >= 0 for side in sides):
        msg = f"must be four integers from 0 on, left,top,right,bottom, not {text!r}"
        raise argparse.ArgumentTypeError(msg)
    left, top, right, bottom = sides
    if left >= right or top >= bottom:
        msg = f"left,top,right,bottom must be left before right and top before bottom, not {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return left, top, right, bottom


def add_rate(parser: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    """The quality of an .agv file, or what it is to be found by."""
    rate = parser.add_mutually_exclusive_group()
    rate.add_argument("-q", "--quality", type=quality, metavar="Q", help="1 to 6, or 10 to 100 percent; default 3.5")
    rate.add_argument(
        "--target-size",
        type=target_size,
        metavar="BYTES",
        help="the best quality of at most so many bytes a file; 20k and 1M are thousands and millions",
    )
    rate.add_argument(
        "--target-bpp", type=target_bpp, metavar="BITS", help="the best quality of at most so many bits a pixel"
    )
    rate.add_argument("--target-psnr", type=target_psnr, metavar="DB", help="the quality of this PSNR, within 0.05 dB")
    return rate


def add_quality(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-q", "--quality", type=quality, default=3.5, metavar="Q", help="1 to 6, or 10 to 100 percent; default 3.5"
    )


def add_force(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--force", action="store_true", help="replace what is there already")


def model_name(text: str) -> str:
    """The type of an argument that names a model where its file will not do, as .agv files refer to it by name."""
    if Path(text).suffix in (".safetensors", ".pt") and Path(text).is_file():
        msg = (
            f"{text!r} is a file, and a model is wanted by its name: agvae export makes the file of a model of a "
            "checkpoint, and agvae weights register gives those of a folder their names"
        )
        raise argparse.ArgumentTypeError(msg)
    return text


def path_of_model(text: str) -> str:
    """The file of a model that is given by its name, or by that of its file."""
    from agvae.weights import find, registry

    return str(find(text)) if not Path(text).exists() and text in registry()["models"] else text
