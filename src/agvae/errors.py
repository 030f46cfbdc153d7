"""What can be wrong with files and weights: one hierarchy, all of it `OSError`.

    AgvError
        NotAgvError            not an .agv file at all
        TruncatedFileError     it ends too early
        DamagedFileError       it holds what no writer writes
        UnsupportedFileError   it is sound, but needs something that is not here
        WeightsError           weights are unknown, unreadable, or not to be had
        DownloadError          (inside of this library) an address did not give the file

What is wrong with an argument is a ValueError or a TypeError, as everywhere in Python.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

Failures = tuple[type[Exception], ...]
"""Kinds of errors that one of many pictures may have without an end of the others."""


class AgvError(OSError):
    """A file, or the weights that it needs, cannot be used.

    Attributes:
        filename: the file that it is about, or None where that is not known; the message begins with it.
        reason: the message without it.
    """

    @property
    def reason(self) -> str:
        return Exception.__str__(self)

    def __str__(self) -> str:
        return named(self.filename, self.reason)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args, {**vars(self), "filename": self.filename}


class NotAgvError(AgvError):
    """The content is that of another kind of file, or of none."""


class TruncatedFileError(AgvError):
    """The file ends too early."""


class UnsupportedFileError(AgvError):
    """The file is sound but needs something that this installation lacks."""


class DamagedFileError(AgvError):
    """The file holds what no writer writes."""

    @property
    def reason(self) -> str:
        return f"broken data stream when reading image file ({super().reason})"


class WeightsError(AgvError):
    """Weights are unknown, unreadable, or not to be had; the message says what to do."""


class DownloadError(AgvError):
    """The file is not to be had from this address, or not now."""


@contextmanager
def about(filename: str | None) -> Iterator[None]:
    """Say of errors from within which file they are about, unless they say so themselves."""
    try:
        yield
    except AgvError as error:
        if error.filename is None:
            error.filename = filename
        raise


def named(name: str | bytes | os.PathLike[str] | None, text: str) -> str:
    """A message that begins with the name of a file, if there is one."""
    if not name:
        return text
    name = os.fsdecode(name)
    return f"{name if name.isprintable() else repr(name)}: {text}"


def name_of(file: object) -> str | None:
    """The name of an opened file, None for one without."""
    name = getattr(file, "name", None)
    return os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else None


def require(condition: object, text: str) -> None:
    """
    Raises:
        ValueError: of this text, unless the condition holds.
    """
    if not condition:
        raise ValueError(text)
