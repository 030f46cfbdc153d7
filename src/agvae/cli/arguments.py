"""Types of arguments, and arguments that several commands have."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from agvae.addresses import is_url


def quality(text: str) -> float:
    from agvae.quality import parse_quality

    try:
        value = float(text)
        parse_quality(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return value


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


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        msg = f"{value} is not a positive number"
        raise argparse.ArgumentTypeError(msg)
    return value


def size(text: str) -> float:
    """The type of an argument that is a number of bytes, with or without a unit."""
    number, unit = re.fullmatch(r"(.*?) ?([km]i?)?b?", text, re.IGNORECASE).groups()  # type: ignore[union-attr]
    try:
        return float(number) * _UNITS[(unit or "").lower()]
    except ValueError:
        msg = f"{text!r} is no number of bytes, such as 20000, 20k or 1.5M (of 1000), 20Ki or 1.5Mi (of 1024)"
        raise argparse.ArgumentTypeError(msg) from None


def minutes(text: str) -> float:
    value = float(text)
    if not value > 0:
        msg = f"{text} is not a positive number"
        raise argparse.ArgumentTypeError(msg)
    return value


_UNITS = {"": 1, "k": 10**3, "m": 10**6, "ki": 2**10, "mi": 2**20}


def box(text: str) -> tuple[int, ...]:
    sides = tuple(map(int, text.split(",")))
    if len(sides) != 4:
        raise ValueError
    return sides


def frame(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def add_rate(parser: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    """The quality of an .agv file, or what it is to be found by."""
    rate = parser.add_mutually_exclusive_group()
    rate.add_argument("-q", "--quality", type=quality, metavar="Q", help="1 to 6, or 10 to 100 percent; default 3.5")
    rate.add_argument(
        "--target-size",
        type=size,
        metavar="BYTES",
        help="the best quality of at most so many bytes a file; 20k and 1M are thousands and millions",
    )
    rate.add_argument(
        "--target-bpp", type=float, metavar="BITS", help="the best quality of at most so many bits a pixel"
    )
    rate.add_argument("--target-psnr", type=float, metavar="DB", help="the quality of this PSNR, within 0.05 dB")
    return rate


def add_quality(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-q", "--quality", type=quality, default=3.5, metavar="Q", help="1 to 6, or 10 to 100 percent; default 3.5"
    )


def add_force(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--force", action="store_true", help="replace what is there already")


def path_of_model(text: str) -> str:
    """The file of a model that is given by its name, or by that of its file."""
    from agvae.weights import find, registry

    return str(find(text)) if not Path(text).exists() and text in registry()["models"] else text
