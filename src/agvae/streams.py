"""Files that cannot seek, such as pipes and what a server sends, made to be read like others."""

from __future__ import annotations

import os
import sys
from io import BytesIO
from typing import IO

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
