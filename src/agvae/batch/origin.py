"""What a target says of the file that it was made of, where the file system keeps extended attributes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from pathlib import Path

from agvae.batch.remote import Remote, RemoteStatus
from agvae.whole_file import ORIGIN

Status = os.stat_result | RemoteStatus


def remember(part: Path, source: Path | Remote, status: Status) -> None:
    """Have a complete file say what it was made of; nothing happens where that cannot be kept."""
    if hasattr(os, "setxattr"):
        with contextlib.suppress(OSError):
            os.setxattr(part, ORIGIN, _said(part.stat().st_size, source, status))


def is_current(target: Path | Remote, size: int, source: Path | Remote, status: Status) -> bool | None:
    """Whether a target says that it was made of a source as this is now; None if it says nothing, or has changed since.

    Files of the same size and time are taken for the same, wherever they lie.

    Args:
        size: of the target.
        status: of the source.

    Raises:
        FileExistsError: it was made of another file.
    """
    if isinstance(target, Remote):
        return None
    try:
        said = os.getxattr(target, ORIGIN).split()
    except (AttributeError, OSError):
        return None
    now = _said(size, source, status).split()
    if len(said) != len(now) or said[0] != now[0]:
        return None
    if said[1:3] == now[1:3]:
        return True
    if said[3] != now[3]:
        raise FileExistsError(errno.EEXIST, "was made of another file, and is replaced only by force")
    return False


def _said(size: int, source: Path | Remote, status: Status) -> bytes:
    """Bytes of the target; bytes, time and hashed name of the source."""
    place = source.url if isinstance(source, Remote) else os.path.realpath(source)
    name = hashlib.sha256(os.fsencode(place)).hexdigest()
    return f"{size} {status.st_size} {status.st_mtime_ns} {name}".encode()
