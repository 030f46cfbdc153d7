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


def is_current(
    target: Path | Remote, size: int, source: Path | Remote, status: Status, *, quick: bool = False
) -> bool | None:
    """Whether a target says that it was made of a source as this is now; None if it says nothing, or has changed since.

    A file that was moved, copied or touched is still the same by its content.

    Args:
        size: of the target.
        status: of the source.
        quick: do not read the source; None if that is needed.

    Raises:
        FileExistsError: it was made of another file.
    """
    if isinstance(target, Remote):
        return None
    try:
        target_size, source_size, time, name, content = os.getxattr(target, ORIGIN).decode().split()
    except (AttributeError, OSError, ValueError):
        return None
    if target_size != str(size):
        return None
    same_size, same_name = source_size == str(status.st_size), name == _name(source)
    if same_size and same_name and time == str(status.st_mtime_ns):
        return True
    if quick:
        return None
    if same_size and content == _content(source, status):
        return True
    if not same_name:
        raise FileExistsError(errno.EEXIST, "was made of another file, and is replaced only by force (--force)")
    return False


def _said(size: int, source: Path | Remote, status: Status) -> bytes:
    """Bytes of the target; bytes, time, hashed name and hashed content of the source."""
    return f"{size} {status.st_size} {status.st_mtime_ns} {_name(source)} {_content(source, status)}".encode()


def _name(source: Path | Remote) -> str:
    place = source.url if isinstance(source, Remote) else os.path.realpath(source)
    return hashlib.sha256(os.fsencode(place)).hexdigest()


def _content(source: Path | Remote, status: Status) -> str:
    if isinstance(source, Remote):  # which is not fetched again: its time stands for it
        return str(status.st_mtime_ns)
    found = hashlib.sha256()
    with source.open("rb") as file:
        while part := file.read(1 << 20):
            found.update(part)
    return found.hexdigest()
