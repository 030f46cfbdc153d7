"""The files of a batch: those that are named, those of folders and of patterns, and where each belongs."""

from __future__ import annotations

import glob
import os
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
            elif Path(text).is_dir():
                yield from self._folder(Path(text), PurePath())
            else:
                yield Source(Path(text), PurePath())

    def _matches(self, pattern: str) -> Iterator[Source]:
        parts = Path(pattern).parts
        fixed = next(number for number, part in enumerate(parts) if glob.has_magic(part))
        base = Path(*parts[:fixed])
        found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207  # hidden names are none, as in a shell
        if not found:
            yield Source(Path(pattern), PurePath(), "matches no file")
        for path in map(Path, found):
            below = path.relative_to(base)
            if not path.is_dir():
                yield Source(path, below.parent)
            elif "**" not in parts:  # which has the files of folders, too
                yield from self._folder(path, below)

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
                elif path.is_dir():
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


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
