"""Files written whole or not at all, and named where they cannot be."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from io import FileIO, StringIO
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LEFTOVERS = ".agvae-*.part"
_LEFTOVER = re.compile(r"\.agvae-[0-9a-f]{16}\.part")
ORIGIN = "user.agvae.source"
"""The extended attribute in which a file says what it was made of; it is not kept when that file is replaced."""
_COARSEST = 2 * 10**9
"""Nanoseconds to which file systems round times of files."""
_STREAMS = ("/dev/stdout", "/dev/stderr", "/dev/fd/")
"""Names of what the process was given to write to, which may be a regular file."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of writing, which do not say of which file."""


def write_whole(path: str | os.PathLike[str], data: bytes, *, replace: bool = True) -> None:
    """Write a file as `whole_file` does."""
    with whole_file(path, replace=replace) as file:
        file.write(data)


def write_in_place(path: str | os.PathLike[str], data: bytes) -> None:
    """Give a file that cannot be replaced, as it has several names or a folder that is closed, other content.

    What needs room is written behind the old content first, and the old content is put back if anything fails.  Only
    if the process is killed between, or the power fails, the file may be neither the old nor the new one.

    Raises:
        OSError: it is not there, is read-only, or cannot be written; then it is unchanged.
    """
    name, target = os.fspath(path), Path(path)
    if not target.stat().st_mode & 0o222:  # which binds root, too
        raise PermissionError(errno.EACCES, "is read-only", name)
    with target.open("r+b", buffering=0) as file:
        old = file.read()
        touched = False
        try:
            file.seek(len(old))
            _write(file, data[len(old) :])
            touched = True
            file.seek(0)
            _write(file, data[: len(old)])
            file.truncate(len(data))
            os.fsync(file.fileno())
        except BaseException as error:
            shorter = os.fstat(file.fileno()).st_size < len(old)
            end = len(old) if shorter else file.tell() * touched
            file.seek(0)
            _write(file, old[:end])
            file.truncate(len(old))
            if isinstance(error, OSError):
                raise OSError(error.errno, error.strerror, name) from error
            raise


def _write(file: FileIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def append_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Append to a file, which is made if there is none.

    Raises:
        OSError: it cannot be written; it is as it was.
    """
    place = Path(path)
    new = not place.exists()
    with _naming(path), place.open("ab", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        try:
            _write(file, data)
        except BaseException:
            file.truncate(size)
            if new:
                place.unlink()
            raise


def csv_line(values: Iterable[object]) -> bytes:
    """A line of a table."""
    import csv  # here as others below: whoever opens a file pays for what is imported above

    text = StringIO(newline="")
    csv.writer(text).writerow(values)
    return text.getvalue().encode()


@contextlib.contextmanager
def whole_file(
    path: str | os.PathLike[str],
    *,
    replace: bool = True,
    private: bool = False,
    finish: Callable[[Path], None] | None = None,
) -> Iterator[BinaryIO]:
    """A binary file to write, which gets its name when the block ends without an error.

    A file that was there keeps its permissions, owner and extended attributes, and symbolic links to it lead to the
    new one.  The data are on the disk before the name is theirs, and the name is there when this returns: after a power
    cut it is that of the old file or of the whole new one.  What a killed process leaves beside it is named as
    `LEFTOVERS` says, and nobody may read it who could not read the file.  Streams (`is_stream`) are written through.

    Args:
        replace: whether a file that is there is replaced; one that comes while the block runs counts, too.
        private: let nobody else read a new file, which is for `finish` to change.
        finish: called with the complete file under the name that it has until then, to give it times and permissions,
            or to raise what keeps it from its own name.

    Raises:
        OSError: it cannot be written (see `check_target`); a file that was there is unchanged.
    """
    if is_stream(path):
        with _naming(path), Path(path).open("wb") as file:
            yield file
        return
    old = check_target(path, replace=replace)
    target = Path(os.path.realpath(path))
    part = target.with_name(LEFTOVERS.replace("*", os.urandom(8).hex()))
    held = contextlib.ExitStack()
    try:
        with open(part, "xb", opener=_private if old or private else None) as file:
            held.enter_context(_locked(file))
            yield file
            file.flush()
            if old:
                _take_over(old, target, part)
            if finish:
                finish(part)
            os.fsync(file.fileno())
        if replace:
            os.replace(part, target)  # noqa: PTH105
        else:
            _name(part, target)
        _sync_folder(target.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        with _naming(path, part, target):
            raise
    finally:
        held.close()


def take_after(path: Path, other: os.stat_result) -> None:
    """Give a file times and permissions of another; a time is never before the other's, where it is rounded."""
    path.chmod(stat.S_IMODE(other.st_mode) & 0o777)
    os.utime(path, ns=(other.st_atime_ns, other.st_mtime_ns))
    not_before(path, other.st_mtime_ns)


def not_before(path: Path, time: int) -> None:
    """Give a file a time in nanoseconds if its own is before that, as when it lies in the future."""
    for rounded in (0, _COARSEST):
        status = path.stat()
        if status.st_mtime_ns < time:
            os.utime(path, ns=(status.st_atime_ns, time + rounded))


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove what processes that were killed left beside the files of a folder; what others write at is locked."""
    with contextlib.suppress(OSError):
        for name in filter(_LEFTOVER.fullmatch, os.listdir(folder)):  # noqa: PTH208
            part = Path(folder, name)
            with contextlib.suppress(OSError), part.open("r+b") as file:
                if fcntl is None:
                    file.close()  # where nothing that is open can be removed
                else:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                part.unlink()


@contextlib.contextmanager
def _locked(file: BinaryIO) -> Iterator[None]:
    """Hold a lock that ends with this process at the latest, where there are such; the file may be closed before."""
    if fcntl is None:
        yield
        return
    descriptor = os.dup(file.fileno())
    try:
        with contextlib.suppress(OSError):  # some file systems have none
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def check_target(path: str | os.PathLike[str], *, replace: bool = True) -> os.stat_result | None:
    """Find out before long work whether `whole_file` would write a file.

    Returns:
        The status of the file that will be replaced; None if there is none, or if the path is a stream.

    Raises:
        OSError: it is there and must not be replaced, is a folder, is read-only, or has other hard links, which would
            keep the old data; it is a link to a name of another kind; or its folder is missing or cannot be written to.
    """
    if is_stream(path):
        return None
    name, target = os.fspath(path), Path(os.path.realpath(path))
    if not os.path.basename(name):  # noqa: PTH119  # a Path would forget the slash
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    if _kind(target) != _kind(Path(name)):
        raise OSError(errno.EINVAL, f"is a link to {target}, a name for files of another kind", name)
    try:
        folder, old = target.parent.stat(), None
        with contextlib.suppress(FileNotFoundError):
            old = target.stat()
    except OSError as error:
        raise OSError(error.errno, error.strerror, name) from error
    if old is not None and stat.S_ISDIR(old.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    if old is not None and not replace:
        raise FileExistsError(errno.EEXIST, "exists already", name)
    if old is not None and not (old.st_mode & 0o222 and os.access(target, os.W_OK)):
        raise PermissionError(errno.EACCES, "is read-only", name)
    if old is not None and old.st_nlink > 1:
        raise OSError(errno.EMLINK, "has other hard links, which would keep the old data; remove it first", name)
    if not stat.S_ISDIR(folder.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name)
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "no file can be made in its folder", name)
    return old


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make a folder, and those that it is in, unless it is there.

    Raises:
        OSError: it cannot be made, or is there and is no folder.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, "is there, but is no folder", error.filename) from error


def is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a pipe, a device, or what the process was given to write to, and so is never replaced."""
    place = Path(path)
    return str(place).startswith(_STREAMS) or (place.exists() and not place.is_file() and not place.is_dir())


def _kind(path: Path) -> str:
    """What a name says of the file: .jpg and .jpeg are one kind."""
    import mimetypes

    return mimetypes.guess_type(path.name)[0] or path.suffix.lower()


@contextlib.contextmanager
def _naming(path: str | os.PathLike[str], *others: Path) -> Iterator[None]:
    """Have errors of a full disk, and those about other names of a file, say which file they are about."""
    try:
        yield
    except OSError as error:
        unnamed = error.errno in _FULL and error.filename is None
        if unnamed or error.filename in map(str, others):
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        raise


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _take_over(old: os.stat_result, target: Path, part: Path) -> None:
    """Give a new file owner, permissions and extended attributes of the one that it replaces."""
    import shutil

    new = part.stat()
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        try:
            os.chown(part, old.st_uid, old.st_gid)
        except OSError as error:
            raise PermissionError(errno.EPERM, "belongs to someone else, who would lose it", str(target)) from error
    shutil.copystat(target, part)
    os.utime(part)
    with contextlib.suppress(AttributeError, OSError):  # where there are none, or this is none of them
        os.removexattr(part, ORIGIN)


def _sync_folder(folder: Path) -> None:
    """Make the name of a file last; systems that cannot open folders need no such thing."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _name(part: Path, target: Path) -> None:
    """Give a file its name unless another has it."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise FileExistsError(errno.EEXIST, "exists already", str(target)) from None
    except OSError:  # a file system without hard links
        target.open("xb").close()
        try:
            os.replace(part, target)  # noqa: PTH105
        except OSError:
            target.unlink()
            raise
    else:
        part.unlink()
