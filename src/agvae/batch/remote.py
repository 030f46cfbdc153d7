"""Files and folders that fsspec reaches by URL: on servers, in object stores, in archives."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from agvae.addresses import is_url, public
from agvae.conversion.reasons import text_of

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_SECRET = re.compile(r"(\w+://)[^/\s]*@|[?#][^\s'\"]*")
"""What messages of others may have of a URL: a user's name and password, or all from the query on."""
_LOCAL = ("file://", "local://")
_WEB = ("http", "https")


@dataclass(frozen=True)
class RemoteStatus:
    """Size, time in nanoseconds and kind of a file, named as in `os.stat_result`."""

    st_size: int
    st_mtime_ns: int
    st_mode: int = stat.S_IFREG


@dataclass(frozen=True, order=True)
class Remote:
    """A file or folder by its URL, which may be a chain such as `zip://*.png::s3://bucket/photos.zip`.

    As text it has no password and no query, which messages and logs would show.
    """

    url: str

    def __str__(self) -> str:
        return "::".join(map(public, self.url.split("::")))

    @property
    def name(self) -> str:
        first = self.url.partition("::")[0]
        path = unquote(urlsplit(first).path) if self._of_web else first
        return re.split(r"[/\\]", path.rstrip("/"))[-1]

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix

    def __truediv__(self, below: str | PurePath) -> Remote:
        """What lies below a folder."""
        first, mark, rest = self.url.partition("::")
        path = below.as_posix() if isinstance(below, PurePath) else below
        folder = first if first.endswith("://") else f"{first.rstrip('/')}/"
        return self if path == "." else Remote(f"{folder}{path}{mark}{rest}")

    def check(self) -> None:
        """
        Raises:
            ModuleNotFoundError: fsspec is missing.
            ValueError: there is no such kind of URL, or what fsspec needs for it is missing.
        """
        import fsspec  # noqa: F401

        try:
            self._place()
        except (ImportError, ValueError) as error:
            msg = f"{self}: {error}"
            raise ValueError(msg) from error

    def stat(self, *, newest: bool = False) -> RemoteStatus:
        """What the server says of a file; a time that it does not say is the oldest, or the newest.

        Raises:
            FileNotFoundError: there is none.
            OSError: it cannot be looked at; as all messages of this class, its own has nothing secret of the URL.
        """
        with self._telling():
            fs, path = self._place()
            size = fs.info(path)["size"]
            try:
                time = int(fs.modified(path).timestamp() * 1e9)
            except (NotImplementedError, KeyError):
                time = 1 << 63 if newest else 0
        return RemoteStatus(-1 if size is None else size, time)

    def read(self) -> bytes:
        with self._telling():
            fs, path = self._place()
            return bytes(fs.cat_file(path))

    def write(self, data: bytes) -> None:
        """Write a file whole or not at all."""
        with self._telling():
            fs, path = self._place()
            try:
                _write(fs, path, data)
            except FileNotFoundError:  # a folder that must be made, which is not so everywhere
                fs.makedirs(fs._parent(path), exist_ok=True)
                _write(fs, path, data)

    def is_folder(self) -> bool:
        if self._of_web:
            return self.url.partition("::")[0].endswith("/")
        with self._telling():
            fs, path = self._place()
            return bool(fs.info(path)["type"] == "directory")

    @property
    def is_pattern(self) -> bool:
        first = self.url.partition("::")[0]
        return "*" in first or (not self._of_web and bool(re.search(r"[?[]", first)))

    def files(self) -> Iterator[tuple[Remote, PurePosixPath]]:
        """All files of a folder, or of those that a pattern stands for, and the folders that they lie in below it.

        Raises:
            ValueError: the server names something outside.
            OSError: it cannot be looked at.
        """
        with self._telling():
            yield from self._matching() if self.is_pattern else self._below(None)

    def _matching(self) -> Iterator[tuple[Remote, PurePosixPath]]:
        first, mark, rest = self.url.partition("::")
        fixed = re.split(r"/[^/]*[*?[]", first, maxsplit=1)[0]
        base = Remote(f"{fixed}{'/' * fixed.endswith(':/')}{mark}{rest}")
        fs, pattern = self._place()
        found = fs.glob(pattern, detail=True)
        files = [path for path, info in found.items() if info["type"] != "directory"]
        if "**" not in first:
            files += [file for path, info in found.items() if info["type"] == "directory" for file in fs.find(path)]
        yield from base._below(files)

    def _below(self, paths: list[str] | None) -> Iterator[tuple[Remote, PurePosixPath]]:
        fs, top = self._place()
        top = top.rstrip("/") + "/" if top.rstrip("/") else top
        for path in sorted(fs.find(top) if paths is None else paths):
            below = path.removeprefix(top).lstrip("/")
            parts = [unquote(part) if self._of_web else part for part in below.split("/")]
            if any(part in ("", ".", "..") or re.search(rf"[/\0{re.escape(os.sep)}]", part) for part in parts):
                msg = f"{self}: names {below}, which may lie outside"
                raise ValueError(msg)
            yield self / below, PurePosixPath(*parts[:-1])

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Have errors say what they are about, and nothing that is secret."""
        try:
            yield
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, "is not there", str(self)) from None
        except ValueError:
            raise
        except Exception as error:  # whatever file systems of fsspec raise
            text = _SECRET.sub(r"\1", text_of(error)) or type(error).__name__
            raise OSError(getattr(error, "errno", None) or errno.EIO, text, str(self)) from None

    @property
    def _of_web(self) -> bool:
        return self.url.partition("://")[0].lower() in _WEB

    def _place(self) -> tuple[AbstractFileSystem, str]:
        from fsspec.core import url_to_fs

        found: tuple[Any, str] = url_to_fs(self.url)
        return found


def place_of(text: str | bytes | os.PathLike[str] | Remote) -> Path | Remote:
    """A path, or what a URL stands for unless a file has that name.

    Raises:
        ModuleNotFoundError, ValueError: as `Remote.check`.
    """
    if isinstance(text, Remote):
        return text
    name = os.fsdecode(text)
    if isinstance(text, os.PathLike) or not is_url(name):
        return Path(name)
    if name.lower().startswith(_LOCAL) and "::" not in name:
        from fsspec.implementations.local import LocalFileSystem

        return Path(LocalFileSystem._strip_protocol(name))
    place = Remote(name)
    place.check()
    return place


def _write(fs: AbstractFileSystem, path: str, data: bytes) -> None:
    from fsspec import AbstractFileSystem

    if type(fs).open is AbstractFileSystem.open:  # which heeds transactions
        with fs.transaction, fs.open(path, "wb") as file:
            file.write(data)
        return
    part = f"{fs._parent(path)}/.agvae-{secrets.token_hex(8)}.part"
    try:
        fs.pipe_file(part, data)
        fs.mv(part, path)
    except BaseException:
        if fs.exists(part):
            fs.rm_file(part)
        raise
