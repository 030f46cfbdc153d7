"""Files that lazy layers are read from: an array stays true to what it was opened from."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, Any
from weakref import WeakSet

from numpy.typing import NDArray
from PIL import Image

from agvae.container import AgvError, Reader
from agvae.runtime import after_fork

_opened: WeakSet[OpenedFile] = WeakSet()
_lock = threading.Lock()


class OpenedFile:
    """A file as it was when it was opened, which is read from as long as there are arrays of it.

    Attributes:
        path: absolute, since frames are read later, maybe with another working directory.
        reader: its header, parsed once.

    Raises:
        OSError: it cannot be read, is empty, or is no `.agv` file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self._content: bytes | None = None
        with named(self.path), self.path.open("rb") as file:
            self._stamp = _stamp(file)
            if self._stamp[-1] == 0:
                msg = "it is empty"
                raise AgvError(msg)
            self.reader = Reader(file).over(BytesIO())
        self._register()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Of a copy in another process, say."""
        vars(self).update(state)
        self._register()

    def _register(self) -> None:
        with _lock:
            _opened.add(self)

    @contextmanager
    def opened(self) -> Iterator[Reader]:
        """A reader of what was opened.

        Raises:
            OSError: the file is not there, or has been changed by others than this package.
        """
        with self._file() as file:
            yield self.reader.over(file)

    def decode(self, frames: Sequence[int], *, damaged_ok: bool = False) -> list[NDArray[Any]]:
        """The pixels of some frames, as `agvae.decode` gives them; several share a batch."""
        from agvae.coding.extract import Job, decoded

        with self.opened() as reader:
            return list(decoded([Job(reader, number) for number in frames], damaged_ok=damaged_ok))

    def keep(self, path: Path) -> None:
        """Take what was opened into memory, as it is in the file, if a path is that of the file."""
        if self._content is None and path.exists() and self.path.exists() and self.path.samefile(path):
            with named(path), path.open("rb") as file:
                if _stamp(file) == self._stamp:
                    self._content = file.read()

    def _file(self) -> IO[bytes]:
        if self._content is None:
            file = self.path.open("rb")
            if _stamp(file) == self._stamp:
                return file
            file.close()
        if self._content is None:  # nor kept meanwhile
            msg = f"{self.path} has changed since it was opened: open it again"
            raise OSError(msg)
        return BytesIO(self._content)


def keep_open(path: Path) -> None:
    """Before a file is replaced: what is read from it goes on with its content of now, in memory.

    Raises:
        OSError: it cannot be read.
    """
    with _lock:
        files = list(_opened)
    for file in files:
        file.keep(path)


def _stamp(file: IO[bytes]) -> tuple[int, ...]:
    """What differs once a file has been written anew."""
    state = os.fstat(file.fileno())
    return state.st_mtime_ns, state.st_size


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Say of which file an error is, unless it says so itself."""
    try:
        yield
    except (SyntaxError, ValueError, OSError, Image.DecompressionBombError) as error:
        if type(error) is OSError and str(error).startswith(f"{path} "):
            raise
        reason = error.reason if isinstance(error, AgvError) else getattr(error, "strerror", None) or error
        msg = f"{path} cannot be opened: {reason}"
        raise OSError(msg) from error


def _after_fork() -> None:
    """A thread that held the lock is not there in a forked child."""
    global _lock
    _lock = threading.Lock()


after_fork(_after_fork)
