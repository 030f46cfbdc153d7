"""Files of a run, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import torch

CHECKPOINT, BEST, LAST_GOOD = "checkpoint.pt", "best.pt", "last-good.pt"
"""To go on from; the averaged weights that validated best; the checkpoint before the last step that was skipped."""


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint so that after a crash of the process or the machine the old or the new one is there, whole.

    Raises:
        OSError: it cannot be written; the old one is unchanged and nothing is left beside it.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, RuntimeError):  # how PyTorch says that a disk is full
            raise OSError(*_reason(error, path)) from error
        raise


def keep_last_good(output: Path) -> None:
    """Keep the checkpoint that is there, which the next one would replace, as the last good one."""
    checkpoint, part = output / CHECKPOINT, output / f"{LAST_GOOD}.part"
    if checkpoint.exists():
        part.unlink(missing_ok=True)
        os.link(checkpoint, part)
        part.replace(output / LAST_GOOD)


def check_free(output: Path, resumed: Path | None) -> None:
    """Refuse a folder with the checkpoint of another run than the one that goes on.

    Raises:
        ValueError: there is one.
    """
    if (output / CHECKPOINT).exists() and not (resumed and resumed.parent.resolve() == output.resolve()):
        msg = f"{output} holds a run: go on with it (--resume {output / CHECKPOINT}), or name another folder"
        raise ValueError(msg)


def _reason(error: RuntimeError, path: Path) -> tuple[Any, ...]:
    cause = error.__context__
    if isinstance(cause, OSError) and cause.errno:
        return cause.errno, cause.strerror, str(path)
    return (f"{path}: {error}",)


def _sync_folder(folder: Path) -> None:
    """Make a rename last; systems that cannot open folders need no such thing."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
