"""One job of a batch, as a worker process does it: read, convert, write whole, and say what became of it."""

from __future__ import annotations

import errno
import os
import stat
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from agvae.batch.origin import Status, is_current, remember
from agvae.batch.plan import Job
from agvae.batch.remote import Remote
from agvae.conversion.reasons import about, text_of
from agvae.images import check_regular, is_image_name
from agvae.settings import options
from agvae.shortage import is_shortage
from agvae.whole_file import check_target, make_folder, not_before, take_after, whole_file

if TYPE_CHECKING:
    from agvae.conversion.from_agv import Decoding
    from agvae.conversion.to_agv import Encoding

FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Result:
    """What became of a file.

    Attributes:
        source, target: the files, of which those by URL are no paths, but `str` gives it without what is secret; target
            is None where it is not known.
        status: "done"; "skipped" where the target was there and newer; "failed".
        bytes_before, bytes_after: of source and target, as far as they are known.
        bpp: bits per pixel of the .agv file.
        seconds: that it took to read, convert and write.
        error: why it failed.
        warnings: a sentence about each thing that the target does not have of the source.
        errno: of the error, where the system has a number for it.
        memory: whether it failed for want of memory.
    """

    source: Path | Remote
    target: Path | Remote | None
    status: Literal["done", "skipped", "failed"]
    bytes_before: int | None = None
    bytes_after: int | None = None
    bpp: float | None = None
    seconds: float = 0.0
    error: str | None = None
    warnings: tuple[str, ...] = ()
    errno: int | None = None
    memory: bool = False


@dataclass(frozen=True)
class Work:
    """Does jobs, in the process that it has been sent to.

    Attributes:
        conversion: to .agv files or from them.
        settings: `agvae.options` by name.
        limit: Pillow's, on the pixels of a picture.
        force: do again what is there, whatever its age.
        preserve: give targets the times and permissions of their sources.
    """

    conversion: Encoding | Decoding
    settings: dict[str, Any] = field(repr=False)
    limit: int | None
    force: bool
    preserve: bool

    def prepare(self) -> None:
        """Called once in a process of its own, before it does a job."""
        from PIL import Image

        import pillow_agvae  # noqa: F401  # so that .agv files can be read and written
        from agvae.images import register_readers

        if "threads" in self.settings:  # before torch and NumPy are there
            os.environ["OMP_NUM_THREADS"] = str(self.settings["threads"])
        for name, value in self.settings.items():
            setattr(options, name, value)
        Image.MAX_IMAGE_PIXELS = self.limit
        register_readers()

    @contextmanager
    def visiting(self, threads: int) -> Iterator[None]:
        """For jobs in a process of others, which is left as it was; `threads` unless another number was asked for."""
        from PIL import Image

        import pillow_agvae  # noqa: F401  # so that .agv files can be read and written
        from agvae.images import register_readers

        register_readers()
        limit = Image.MAX_IMAGE_PIXELS
        with options.using(**{"threads": threads, **self.settings}):
            Image.MAX_IMAGE_PIXELS = self.limit
            try:
                yield
            finally:
                Image.MAX_IMAGE_PIXELS = limit

    def __call__(self, job: Job) -> Result:
        start = time.perf_counter()
        result = Result(job.source, job.target, "failed")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            try:
                result = self._done(job)
            except Exception as error:  # whatever it is, it is this file's alone
                numbers = [getattr(cause, "errno", None) for cause in _causes(error)]
                number = next((number for number in numbers if number is not None), None)
                short = any(map(is_shortage, _causes(error)))
                text = text_of(error) if isinstance(error, OSError | ValueError | MemoryError) else repr(error)
                result = replace(result, error=text, errno=number, memory=short)
        told = dict.fromkeys(str(warning.message) for warning in caught)
        return replace(result, warnings=(*result.warnings, *told), seconds=time.perf_counter() - start)

    def _done(self, job: Job) -> Result:
        with about(job.source):
            if isinstance(job.source, Path):
                check_regular(job.source)
            before = job.source.stat()
        with about(job.target):
            there = _status(job.target)
            if not self.force and _is_done(job, there, before):
                return _skipped(job, before)
            replaced = self._may_replace(there, before)
            if isinstance(job.target, Path) and job.target.parent.exists():
                check_target(job.target)
        data, lost, bpp = self._converted(job)
        with about(job.target):
            try:
                lost += self._written(job, data, before, replaced)
            except FileExistsError:
                if _is_done(job, _status(job.target), before):  # by someone else, meanwhile
                    return _skipped(job, before)
                raise
        return Result(job.source, job.target, "done", before.st_size, len(data), bpp, warnings=tuple(lost))

    @property
    def _to_agv(self) -> bool:
        from agvae.conversion.to_agv import Encoding

        return isinstance(self.conversion, Encoding)

    def _converted(self, job: Job) -> tuple[bytes, list[str], float]:
        """The bytes of the target, what they lack, and bits per pixel of the .agv file."""
        from agvae.conversion.from_agv import decoded, taken
        from agvae.conversion.to_agv import Encoding, encoded
        from agvae.file.info import read_info

        with about(job.source):
            source = job.source.read() if isinstance(job.source, Remote) else job.source
            if isinstance(self.conversion, Encoding):
                data, lost = encoded(source, self.conversion)
                return data, lost, read_info(data)["bpp"]
            picture, bpp = taken(source, self.conversion), read_info(source)["bpp"]
        with about(job.target):
            found = decoded(picture, self.conversion)
        return found.data, found.lost, bpp

    def _written(self, job: Job, data: bytes, before: Status, replaced: bool) -> list[str]:
        """Write a target; a sentence about what happened to its source meanwhile."""
        lost = list[str]()
        if isinstance(job.target, Remote):
            job.target.write(data)
            return lost

        def finish(part: Path) -> None:
            if self.preserve and isinstance(before, os.stat_result):
                take_after(part, before)
            not_before(part, before.st_mtime_ns)
            remember(part, job.source, before)
            if isinstance(job.source, Remote) or not isinstance(before, os.stat_result):
                return
            try:
                after = job.source.stat()
            except FileNotFoundError:
                lost.append("is gone since it was read")
                return
            if _version(after) != _version(before):
                msg = f"{job.source}: changed while it was read"
                raise ValueError(msg)

        make_folder(job.target.parent)
        with whole_file(job.target, replace=replaced, private=self.preserve, finish=finish) as file:
            file.write(data)
        return lost

    def _may_replace(self, there: Status | None, source: Status) -> bool:
        """Whether what is at the target may go: an .agv file older than its source is what that was before.

        Of other formats, such a file may well be the original that the .agv file was made of.

        Raises:
            OSError: it may not.
        """
        if there is None:
            return False
        if stat.S_ISFIFO(there.st_mode):
            raise OSError(errno.EINVAL, "is a pipe")
        if self.force or self._to_agv or there.st_size == 0:
            return True
        if there.st_mtime_ns < source.st_mtime_ns:
            raise FileExistsError(errno.EEXIST, "is there, is older, and may be the original: it stays")
        raise FileExistsError(errno.EEXIST, "is there, and is not what this file gives: it stays")


def skipped(job: Job, *, force: bool) -> Result | None:
    """The result of a job that need not be done; None if it must be, or if that is not known."""
    if force or isinstance(job.source, Remote) or isinstance(job.target, Remote):
        return None
    try:
        source, there = job.source.stat(), job.target.stat()
        known = stat.S_ISREG(there.st_mode) and is_current(job.target, there.st_size, job.source, source, quick=True)
        return _skipped(job, source) if known else None
    except OSError:
        return None


def _status(path: Path | Remote) -> Status | None:
    try:
        return path.stat(newest=True) if isinstance(path, Remote) else path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _is_done(job: Job, there: Status | None, source: Status) -> bool:
    """Whether a target is what its source gives: by what it says, else if it is whole and not older.

    Raises:
        FileExistsError: it was made of another file.
    """
    if there is None or not stat.S_ISREG(there.st_mode):
        return False
    current = is_current(job.target, there.st_size, job.source, source)
    if current is not None:
        return current
    return there.st_mtime_ns >= source.st_mtime_ns and _is_whole(job.target)


def _is_whole(path: Path | Remote) -> bool:
    """Whether a file has all that its header speaks of; a crash may leave an empty one, or one that is cut."""
    from PIL import Image, ImageSequence

    from agvae.container import Reader

    try:
        if isinstance(path, Remote):  # it was written whole
            return path.stat().st_size != 0
        if path.suffix.lower() == ".agv":
            with path.open("rb") as file:
                return Reader(file).end <= file.seek(0, os.SEEK_END)
        if not is_image_name(path):  # Pillow only writes it
            return path.stat().st_size > 0
        with Image.open(path) as image:
            for frame in ImageSequence.Iterator(image):
                frame.load()
    except Image.DecompressionBombError:
        return True
    except Exception:  # whatever Pillow's readers raise
        return False
    return True


def _skipped(job: Job, source: Status) -> Result:
    return Result(job.source, job.target, "skipped", source.st_size, job.target.stat().st_size)


def _version(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
