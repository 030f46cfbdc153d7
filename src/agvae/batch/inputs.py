"""The files of a batch: those that are named, those of folders and of patterns, and where each belongs."""

from __future__ import annotations

import errno
import glob
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from agvae.conversion.reasons import text_of


@dataclass(frozen=True)
class Source:
    """A file to read, and the folder, below that of all targets, that its own target belongs in.

    Attributes:
        error: why there is nothing to read, if that is known.
    """

    path: Path
    folder: PurePath
    error: str | None = None


@dataclass
class Search:
    """Finds files, and counts what it leaves out of folders.

    Attributes:
        wanted: whether a file of a folder is one to read, by its name.
        apart: a folder that is not searched, though it may lie in one that is.
        left_out: how many of each kind: suffixes, hidden names, and links to folders that they lie in.
    """

    wanted: Callable[[PurePath], bool]
    apart: Path
    left_out: Counter[str] = field(default_factory=Counter)

    def __call__(self, inputs: Iterable[str | os.PathLike[str]]) -> Iterator[Source]:
        """All files of these inputs.

        Folders are searched with all that they hold, also behind links, but for hidden names; what has not the name of
        a file to read is left out.  A name that is there is that file, one that is not may be a pattern, with `**` for
        any number of folders, and is as good as the names that it stands for: its files keep the folders that they lie
        in from the first one on that the pattern leaves open.
        """
        for given in inputs:
            text = os.fspath(given)
            if not os.path.lexists(text) and glob.has_magic(text):
                yield from self._matches(text)
            else:
                yield from self._file_or_folder(Path(text), PurePath(), PurePath())

    def _matches(self, pattern: str) -> Iterator[Source]:
        parts = Path(pattern).parts
        fixed = next(number for number, part in enumerate(parts) if glob.has_magic(part))
        base = Path(*parts[:fixed])
        found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207  # hidden names are none, as in a shell
        if not found:
            yield Source(Path(pattern), PurePath(), "matches no file")
        for path in map(Path, found):
            below = path.relative_to(base)
            yield from self._file_or_folder(path, below.parent, None if "**" in parts else below)

    def _file_or_folder(self, path: Path, of_file: PurePath, of_folder: PurePath | None) -> Iterator[Source]:
        """What a name stands for, below these folders; nothing for a folder that has none, as its files have names."""
        try:
            is_folder = _is_folder(path)
        except OSError as error:
            yield Source(path, of_file, error.strerror or text_of(error))
            return
        if not is_folder:
            yield Source(path, of_file)
        elif of_folder is not None:
            yield from self._folder(path, of_folder)

    def _folder(self, top: Path, below: PurePath) -> Iterator[Source]:
        todo: list[tuple[Path, PurePath, frozenset[tuple[int, int]]]] = [(top, below, frozenset())]
        while todo:
            folder, below, around = todo.pop()
            try:
                here = _identity(folder)
                names = sorted(os.listdir(folder))  # noqa: PTH208
            except OSError as error:
                yield Source(folder, below, error.strerror or text_of(error))
                continue
            if here in around:
                self.left_out["links to folders that they lie in"] += 1
                continue
            inner = []
            for name in names:
                path = folder / name
                if name.startswith("."):
                    self.left_out["hidden"] += 1
                    continue
                try:
                    is_folder = _is_folder(path)
                except OSError as error:
                    yield Source(path, below, error.strerror or text_of(error))
                    continue
                if is_folder:
                    if not self._is_apart(path):
                        inner.append((path, below / name, around | {here}))
                elif self.wanted(path):
                    yield Source(path, below)
                else:
                    self.left_out[path.suffix or "without suffix"] += 1
            todo += reversed(inner)

    def _is_apart(self, path: Path) -> bool:
        try:
            return path.samefile(self.apart)
        except OSError:
            return False


def _is_folder(path: Path) -> bool:
    """Whether a name is that of a folder; no, if there is nothing.

    Raises:
        OSError: that is not to be known.
    """
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except ValueError:  # no name can be so
        return False
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return False
        raise


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
