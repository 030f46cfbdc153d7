"""The files of a batch: those that are named, those of folders and of patterns, and where each belongs."""

from __future__ import annotations

import errno
import glob
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from agvae.batch.remote import Remote, place_of
from agvae.conversion.reasons import text_of


@dataclass(frozen=True)
class Source:
    """A file to read, and the folder, below that of all targets, that its own target belongs in.

    Attributes:
        error: why there is nothing to read, if that is known.
    """

    path: Path | Remote
    folder: PurePath
    error: str | None = None


@dataclass
class Search:
    """Finds files, and counts what it leaves out of folders.

    Attributes:
        wanted: whether a file of a folder is one to read, by its name; or why it is one and cannot be read.
        apart: a folder that is not searched, though it may lie in one that is.
        left_out: how many of each kind: suffixes, hidden names, and links to folders.
    """

    wanted: Callable[[PurePath], bool | str]
    apart: Path | Remote
    left_out: Counter[str] = field(default_factory=Counter)

    def __call__(self, inputs: Iterable[str | bytes | os.PathLike[str]]) -> Iterator[Source]:
        """All files of these inputs.

        Folders are searched with all that they hold, but for hidden names and links to folders; what has not the name
        of a file to read is left out.  A name that is there is that file, one that is not may be a pattern, with `**`
        for any number of folders, links left out, and is as good as the names that it stands for: its files keep the
        folders that they lie in from the first one on that the pattern leaves open.
        """
        for given in inputs:
            place = place_of(given)
            if isinstance(place, Remote):
                yield from self._remote(place)
                continue
            text = os.fspath(place)
            if not os.path.lexists(text) and glob.has_magic(text):
                yield from self._matches(text)
            else:
                yield from self._file_or_folder(Path(text), PurePath(), PurePath())

    def _remote(self, place: Remote) -> Iterator[Source]:
        try:
            if not place.is_pattern and not place.is_folder():
                yield Source(place, PurePath())
                return
            files = list(place.files())
            for file, below in files:
                if any(part.startswith(".") for part in (*below.parts, file.name)):
                    self.left_out["hidden"] += 1
                elif place.is_pattern:
                    yield Source(file, below)
                else:
                    yield from self._of_folder(file, below)
            if place.is_pattern and not files:
                yield Source(place, PurePath(), "matches no file")
        except (OSError, ValueError) as error:
            yield Source(place, PurePath(), text_of(error).removeprefix(f"{place}: "))

    def _matches(self, pattern: str) -> Iterator[Source]:
        parts = Path(pattern).parts
        fixed = next(number for number, part in enumerate(parts) if glob.has_magic(part))
        base = Path(*parts[:fixed])
        failed = list[OSError]()
        found = sorted(self._matching(base, parts[fixed:], failed))
        yield from (Source(Path(error.filename), PurePath(), error.strerror or text_of(error)) for error in failed)
        if not found and not failed:
            yield Source(Path(pattern), PurePath(), "matches no file")
        for path in map(Path, found):
            below = path.relative_to(base)
            yield from self._file_or_folder(path, below.parent, None if "**" in parts else below)

    def _matching(self, base: Path, pattern: Sequence[str], failed: list[OSError]) -> Iterator[Path]:
        """What lies below a folder under names of a pattern, of which none are hidden, as in a shell."""
        if "**" not in pattern:
            yield from map(Path, glob.glob(str(Path(glob.escape(str(base)), *pattern))))  # noqa: PTH207
            return
        start = pattern.index("**")
        for top in self._matching(base, pattern[:start], failed) if start else [base]:
            for folder, folders, files in os.walk(top, onerror=failed.append):
                below = Path(folder).relative_to(top).parts
                shown = [name for name in folders if not name.startswith(".")]
                linked = [name for name in shown if _is_link(Path(folder, name))]
                if linked:
                    self.left_out["links to folders"] += len(linked)
                folders[:] = [name for name in shown if name not in linked and not self._is_apart(Path(folder, name))]
                for name in [*folders, *files]:
                    if not name.startswith(".") and _fits((*below, name), pattern[start:]):
                        yield Path(folder, name)

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
        todo = [(top, below)]
        while todo:
            folder, below = todo.pop()
            try:
                names = sorted(os.listdir(folder))  # noqa: PTH208
            except OSError as error:
                yield Source(folder, below, error.strerror or text_of(error))
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
                if is_folder and _is_link(path):
                    self.left_out["links to folders"] += 1
                elif is_folder:
                    if not self._is_apart(path):
                        inner.append((path, below / name))
                else:
                    yield from self._of_folder(path, below)
            todo += reversed(inner)

    def _of_folder(self, file: Path | Remote, below: PurePath) -> Iterator[Source]:
        wanted = self.wanted(PurePath(file.name))
        if wanted:
            yield Source(file, below, wanted if isinstance(wanted, str) else None)
        else:
            self.left_out[file.suffix or "without suffix"] += 1

    def _is_apart(self, path: Path) -> bool:
        try:
            return isinstance(self.apart, Path) and path.samefile(self.apart)
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


def _is_link(folder: Path) -> bool:
    """Whether a folder lies elsewhere; on Windows also by a junction."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    junction = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", None)
    return stat.S_ISLNK(status.st_mode) or (junction is not None and getattr(status, "st_reparse_tag", 0) == junction)


def _fits(names: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern or not names:
        return not names and all(part == "**" for part in pattern)
    if pattern[0] == "**":
        return _fits(names, pattern[1:]) or _fits(names[1:], pattern)
    return fnmatchcase(os.path.normcase(names[0]), os.path.normcase(pattern[0])) and _fits(names[1:], pattern[1:])
