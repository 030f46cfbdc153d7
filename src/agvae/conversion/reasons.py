"""What goes wrong with files, and how it is said."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator


def text_of(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError) and error.filename is None and _is_nowhere():
        return "the working directory is gone: go to one that is there"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or ("not enough memory" if isinstance(error, MemoryError) else type(error).__name__)


def _is_nowhere() -> bool:
    """Whether the working directory was removed, of which libraries ask the name even where they do not need it."""
    try:
        os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        return True
    return False


@contextlib.contextmanager
def about(path: object) -> Iterator[None]:
    """Have errors say which file they are about."""
    try:
        yield
    except (BrokenPipeError, ModuleNotFoundError):
        raise
    except Exception as error:  # Pillow's readers and writers raise all kinds at what they do not know
        text = text_of(error)
        if isinstance(error, user_errors()):
            if str(path) in text:
                raise
        else:
            text = f"{type(error).__name__}: {text}"
        msg = f"{path}: {text}"
        raise ValueError(msg) from error


def user_errors() -> tuple[type[Exception], ...]:
    """What bad files and bad values raise."""
    from PIL import Image

    common = (OSError, SyntaxError, ValueError, MemoryError, OverflowError, EOFError, struct.error)
    return *common, Image.DecompressionBombError
