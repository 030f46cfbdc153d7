"""Files of a run, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from agvae.whole_file import check_target, whole_file

CHECKPOINT, BEST, LAST_GOOD = "checkpoint.pt", "best.pt", "last-good.pt"
"""To go on from; the averaged weights that validated best; the checkpoint before the last step that was skipped."""
VALIDATION = "validation.csv"
"""Table of all validations of a run."""
LOCK = ".lock"
"""What a run holds while it is at work."""


@contextlib.contextmanager
def only_run(output: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Keep other runs out of a folder until the block ends, or the process; `say` is told where that cannot be.

    Raises:
        ValueError: another run is at work there.
        OSError: the lock or, later, a checkpoint cannot be written there.
    """
    from filelock import FileLock, Timeout

    for name in (CHECKPOINT, BEST, LAST_GOOD):
        check_target(output / name)
    lock = FileLock(output / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        msg = f"another run is at work in {output}: name another folder"
        raise ValueError(msg) from None
    except NotImplementedError:
        say(f"warning: a second run in {output} would not be noticed, as its file system has no locks")
    try:
        yield
    finally:
        lock.release()


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint as `agvae.whole_file` does: whatever crashes, the old or the new one is there, whole.

    Raises:
        OSError: it cannot be written; the old one is unchanged.
    """
    try:
        with whole_file(path) as file:
            torch.save(state, file)
    except RuntimeError as error:  # how PyTorch hands on what the file raised
        reason = error.__context__
        if isinstance(reason, OSError):
            raise OSError(reason.errno, reason.strerror, str(path)) from error
        msg = f"{path}: {error}"
        raise OSError(msg) from error


def keep_last_good(output: Path) -> None:
    """Keep the checkpoint that is there, which the next one will replace, as the last good one.

    Raises:
        OSError: it cannot be copied.
    """
    if (output / CHECKPOINT).exists():
        with (output / CHECKPOINT).open("rb") as source, whole_file(output / LAST_GOOD) as target:
            shutil.copyfileobj(source, target)


def check_free(output: Path, resumed: Path | None) -> None:
    """Refuse a folder with a file of another run than the one that goes on, from CHECKPOINT or LAST_GOOD in it.

    Raises:
        ValueError: there is one.
    """
    if resumed and resumed.name in (CHECKPOINT, LAST_GOOD) and resumed.parent.resolve() == output.resolve():
        return
    found = [name for name in (CHECKPOINT, BEST, LAST_GOOD, VALIDATION) if os.path.lexists(output / name)]
    if CHECKPOINT in found:
        msg = f"{output} holds a run: go on with it (--resume {output / CHECKPOINT}), or name another folder"
        raise ValueError(msg)
    if found:
        msg = f"{output} holds {' and '.join(found)} of another run: name another folder"
        raise ValueError(msg)
