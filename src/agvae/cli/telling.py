"""What the command line says: results, warnings and errors, and which paths it may write."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from agvae.whole_file import check_target, is_stream


def fail(message: str) -> int:
    say("error", message)
    return 1


def say(kind: str, message: str) -> None:
    print(f"agvae: {kind}: {' '.join(message.split())}", file=sys.stderr)


def report(path: Path, text: str) -> None:
    """Say what was written; on standard error if that may be standard output."""
    print(f"{path}: {text}", file=sys.stderr if is_stream(path) else sys.stdout)


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
