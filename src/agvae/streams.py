"""Where the bytes of a file come from; what cannot seek, as a pipe or a server, is made to be read like others."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, cast

Source = bytes | bytearray | memoryview | str | os.PathLike[str] | IO[bytes]
"""The bytes of a file, its path, or the opened file."""

_BLOCK = 1 << 20


class Stream(BytesIO):
    """What a file that cannot seek gave so far, and more of it as that is asked for."""

    def __init__(self, fp: IO[bytes]) -> None:
        super().__init__()
        self._fp = fp
        self.name = getattr(fp, "name", None)

    def read(self, size: int | None = -1, /) -> bytes:
        self._take(sys.maxsize if size is None or size < 0 else self.tell() + size)
        return super().read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        if whence == os.SEEK_END:
            self._take(sys.maxsize)
        return super().seek(offset, whence)

    def _take(self, end: int) -> None:
        place, length = self.tell(), super().seek(0, os.SEEK_END)
        while length < end and (part := self._fp.read(min(end - length, _BLOCK))):
            length += self.write(part)
        super().seek(place)


@contextmanager
def opened(source: Source) -> Iterator[IO[bytes]]:
    """A source as a binary file that can seek.

    Raises:
        TypeError: it is none.
        OSError: there is no such file.
    """
    if isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as fp:
            yield seekable(fp)
    elif hasattr(source, "read"):
        yield seekable(cast(IO[bytes], source))
    else:
        try:
            data = memoryview(source)
        except TypeError as error:
            msg = f"source must be the bytes of a file, its path or a binary file, not {type(source).__name__}"
            raise TypeError(msg) from error
        yield BytesIO(data.tobytes())


def seekable(fp: IO[bytes]) -> IO[bytes]:
    """The file itself if it can seek, else a `Stream` of it."""
    return fp if _seeks(fp) else Stream(fp)


def _seeks(fp: IO[bytes]) -> bool:
    try:
        if hasattr(fp, "seekable") and not fp.seekable():
            return False
        fp.seek(fp.tell())
    except Exception:  # what has none of these, or raises of its own, as members of a tar stream do
        return False
    return True
