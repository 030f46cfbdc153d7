"""What the command line says: results, warnings and errors, and which paths it may write."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import BinaryIO, TextIO

from agvae.whole_file import check_target, is_stream


def fail(message: str) -> int:
    say("error", message)
    return 1


def say(kind: str, message: str) -> None:
    tell(f"agvae: {kind}: {' '.join(message.split())}")


def report(path: Path, text: str, *, streamed: bool = False) -> None:
    """Say what was written; on standard error if that may be standard output."""
    if streamed or is_stream(path):
        tell(f"{path}: {text}")
    else:
        print(f"{path}: {text}")


def tell(text: str) -> None:
    """Print on standard error, or nowhere if that is closed: `print` would take standard output in its place."""
    if sys.stderr is not None:
        print(text, file=sys.stderr, flush=True)


def standard_input() -> BinaryIO:
    """
    Raises:
        ValueError: it is closed.
    """
    return _open(sys.stdin, "input").buffer


def standard_output() -> BinaryIO:
    """
    Raises:
        ValueError: it is closed.
    """
    return _open(sys.stdout, "output").buffer


def _open(stream: TextIO | None, name: str) -> TextIO:
    if stream is None:
        msg = f"standard {name} is closed: give the name of a file in place of -"
        raise ValueError(msg)
    return stream


def check_paths(source: Path, target: Path, force: bool) -> None:
    """Find out before any work whether what is made of a file may be written to another."""
    with contextlib.suppress(FileNotFoundError):
        if not is_stream(target) and source.samefile(target):
            msg = f"{target}: is the file to read"
            raise ValueError(msg)
    check_free_target(target, force)


def check_free_target(path: Path, force: bool) -> None:
    try:
        check_target(path, replace=force)
    except FileExistsError as error:
        raise FileExistsError(error.errno, "exists already, and is replaced only with --force", str(path)) from None
