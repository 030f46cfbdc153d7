"""Files in, files out: batches of them, planned before any work and then gone through."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import index
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from PIL import Image

from agvae.batch.cluster import on_cluster
from agvae.batch.inputs import Search
from agvae.batch.plan import Job, Refused, check_pattern, planned
from agvae.batch.processes import Death, in_processes
from agvae.batch.remote import Remote, place_of
from agvae.batch.work import FULL, Result, Work, skipped
from agvae.conversion.from_agv import Decoding, decoding
from agvae.conversion.kept import KINDS, kinds_of
from agvae.conversion.targets import format_of
from agvae.conversion.to_agv import Encoding
from agvae.images import is_image_name, register_readers, unread
from agvae.processors import processors
from agvae.settings import options
from agvae.whole_file import make_folder, remove_leftovers

if TYPE_CHECKING:
    from distributed import Client

Inputs = Iterable[str | bytes | os.PathLike[str]]
_MEMORY = 1 << 30
"""Bytes that a process is given; it needs 650 MB, and more for large pictures."""
_CONTAINER = Path("/sys/fs/cgroup/memory.max")
"""Where Linux says how many a container has."""


class Batch:
    """Files to convert; iterating does it, once, and gives a `Result` for each as it is done.

    Attributes:
        left_out: how many files of folders are none to read, by suffix or reason.
    """

    def __init__(
        self,
        sources: Inputs,
        search: Search,
        folder: Path | Remote,
        pattern: str,
        work: Work,
        jobs: int,
        scheduler: str | Client | None,
    ) -> None:
        self._jobs, self._refused = planned(search(sources), folder, pattern)
        self._total = len(self._jobs) + len(self._refused)
        self._work, self._count, self._scheduler, self._folder = work, jobs, scheduler, folder
        self.left_out: Counter[str] = search.left_out

    def __len__(self) -> int:
        """How many results there will be."""
        return self._total

    def __iter__(self) -> Iterator[Result]:
        """
        Raises:
            OSError: the disk is full.  What is done is done, and the same batch goes on from there.
            RuntimeError: worker processes cannot be started, or the cluster is gone.
        """
        yield from map(_refusal, self._refused)
        jobs, self._jobs, self._refused = self._jobs, [], []
        ready: deque[Result] = deque()
        folders = set[Path]()

        def to_do() -> Iterator[Job]:
            for job in jobs:
                if isinstance(job.target, Path) and job.target.parent not in folders:
                    folders.add(job.target.parent)
                    remove_leftovers(job.target.parent)
                done = skipped(job, force=self._work.force)
                if done is None:
                    yield job
                else:
                    ready.append(done)

        try:
            for result in self._results(to_do()):
                yield from _drained(ready)
                yield result
                if result.errno in FULL:
                    raise OSError(result.errno, f"{result.error}; the rest is not tried", str(self._folder))
            yield from _drained(ready)
        finally:
            for folder in folders:
                remove_leftovers(folder)

    def _results(self, jobs: Iterator[Job]) -> Iterator[Result]:
        """What becomes of the jobs; those that memory did not suffice for are tried again, one at a time."""
        again = list[Job]()
        for job, outcome in self._done(jobs):
            if isinstance(outcome, Death) or outcome.memory:
                again.append(job)
            else:
                yield outcome
        for job, outcome in self._done(iter(again), alone=True):
            if isinstance(outcome, Death):
                outcome = Result(job.source, job.target, "failed", error=f"{job.source}: {outcome}")
            yield outcome

    def _done(self, jobs: Iterator[Job], *, alone: bool = False) -> Iterator[tuple[Job, Result | Death]]:
        if self._scheduler is not None:
            return on_cluster(jobs, self._work, self._scheduler, alone=alone)
        return in_processes(jobs, self._work, 1 if alone else min(self._count, self._total))


def encode(
    sources: Inputs,
    folder: str | bytes | os.PathLike[str],
    quality: float | None = None,
    *,
    target_size: float | None = None,
    target_bpp: float | None = None,
    target_psnr: float | None = None,
    lossless: bool = False,
    model: str | None = None,
    thumbnail: bool | int = False,
    exact: bool = False,
    tile_size: int | None = None,
    effort: int | None = None,
    metadata: str | Sequence[str] = KINDS,
    place: bool = True,
    name: str = "{stem}.agv",
    preserve: bool = False,
    force: bool = False,
    jobs: int | None = None,
    threads: int | None = None,
    max_pixels: int | None = None,
    scheduler: str | Client | None = None,
) -> Batch:
    """Pictures to .agv files in a folder, which keeps the folders that they lie in.

    Args:
        sources: files; folders, of which all pictures are taken that are no .agv files, and those fail whose Pillow
            plugin is missing (HEIC, JPEG XL); patterns such as "photos/**/*.png"; URLs of all of these that fsspec
            knows.
        folder: for the targets, also as a URL; it is made if need be.
        quality, target_size, target_bpp, target_psnr, lossless, model, thumbnail, exact: as `agvae.encode` takes them.
        tile_size: side of the tiles in pixels, a multiple of 64 up to 1024.
        effort: 1 to 9, how long to look for fewer bits, as `agvae.encode` takes it.
        metadata: the kinds to keep, of icc, exif, xmp, comment and dpi; or one of them, "all" or "none".
        place: whether they may say where a picture was taken.
        name: of a target, with the fields {stem}, {name} and {suffix} of its source.
        preserve: give targets the times and permissions of their sources.
        force: do again what is there and newer.
        jobs: processes; by default as many as there are cores and memory for, which is too many for a GPU.
        threads: of each process; by default the cores' share, unless `agvae.options` says another number.
        max_pixels: fail for pictures of more; by default Pillow's limit holds.
        scheduler: instead of jobs, the address of a Dask scheduler whose workers see the same files, or a client of it.

    Raises:
        ValueError: an option is outside its range, or fsspec knows no such URL.
        OSError: the folder cannot be made, or the model is not to be had.
        ModuleNotFoundError: there is a URL, and no fsspec.
    """
    from agvae.encoding import check_flag, parse_rate, thumbnail_side
    from agvae.file.header import check_tile_size
    from agvae.quality import parse_effort

    given = {"quality": quality, "target_size": target_size, "target_bpp": target_bpp, "target_psnr": target_psnr}
    rate: dict[str, Any] = {option: value for option, value in given.items() if value is not None}
    if lossless:
        rate["lossless"] = True
    parse_rate(**rate)
    check_flag("exact", exact)
    thumbnail_side(thumbnail)
    if tile_size is not None:
        check_tile_size(tile_size)
    parse_effort(effort)
    if not lossless:
        _check_model(model)
    register_readers()
    conversion = Encoding(rate, model, exact, thumbnail, tile_size, kinds_of(metadata), place, max_pixels, effort)

    def wanted(path: PurePath) -> bool | str:
        if path.suffix.lower() == ".agv":
            return False
        return is_image_name(path) or unread(path.suffix)

    if Path(name).suffix.lower() != ".agv":
        msg = f"{name}: an AGV file has the extension .agv"
        raise ValueError(msg)
    return _batch(sources, folder, wanted, name, conversion, preserve, force, jobs, threads, scheduler)


def decode(
    sources: Inputs,
    folder: str | bytes | os.PathLike[str],
    format: str = "png",
    *,
    quality: float | None = None,
    box: Sequence[int] | None = None,
    frame: int | None = None,
    background: str | None = None,
    eight_bits: bool = False,
    damaged_ok: bool = False,
    metadata: str | Sequence[str] = KINDS,
    place: bool = True,
    name: str | None = None,
    preserve: bool = False,
    force: bool = False,
    jobs: int | None = None,
    threads: int | None = None,
    max_pixels: int | None = None,
    scheduler: str | Client | None = None,
) -> Batch:
    """.agv files to files of another format in a folder, which keeps the folders that they lie in.

    Args:
        sources: files; folders, of which all .agv files are taken; patterns.
        format: a suffix or a name of a format that Pillow writes.
        quality: as the writer of the format takes it, 1 to 100 for JPEG and 0 to 100 for most others.
        box: (left, top, right, bottom) in pixels as they are stored.
        frame: which one, from 0; by default all that the format has room for.
        background: the colour that transparency is put on where the format holds none; white by default.
        eight_bits: make 8 bits of 16, by their range, also where the format holds these.
        damaged_ok: leave damaged tiles grey.
        name: by default "{stem}" and the suffix of the format.

    The other arguments and the errors are those of `encode`, but that no file is replaced without `force`: one that is
    older than the .agv file may be the original.
    """
    import pillow_agvae  # noqa: F401  # so that .agv files can be written

    register_readers()
    form, suffix = format_of(format)
    conversion = decoding(
        form,
        quality=quality,
        box=box,
        background=background,
        frame=frame,
        eight_bits=eight_bits,
        damaged_ok=damaged_ok,
        metadata=kinds_of(metadata),
        place=place,
        max_pixels=max_pixels,
    )
    pattern = f"{{stem}}{suffix}" if name is None else name
    if Image.registered_extensions().get(Path(pattern).suffix.lower()) != form:
        msg = f"{pattern}: this is no name for {form}"
        raise ValueError(msg)

    def wanted(path: PurePath) -> bool:
        return path.suffix.lower() == ".agv" and not path.name.startswith(".")

    return _batch(sources, folder, wanted, pattern, conversion, preserve, force, jobs, threads, scheduler)


def _batch(
    sources: Inputs,
    folder: str | bytes | os.PathLike[str],
    wanted: Callable[[PurePath], bool | str],
    pattern: str,
    conversion: Encoding | Decoding,
    preserve: bool,
    force: bool,
    jobs: int | None,
    threads: int | None,
    scheduler: str | Client | None,
) -> Batch:
    if isinstance(sources, str | bytes | os.PathLike):
        sources = [sources]
    sources, out = list(sources), place_of(folder)
    check_pattern(pattern)
    for option, value in (("jobs", jobs), ("threads", threads), ("max_pixels", conversion.max_pixels)):
        if value is not None and index(value) < 1:
            msg = f"{option} must be a positive number, not {value}"
            raise ValueError(msg)
    if scheduler is not None and jobs is not None:
        msg = "a cluster has its own processes: give only one of jobs and scheduler"
        raise ValueError(msg)
    if preserve and any(isinstance(place_of(place), Remote) for place in (folder, *sources)):
        msg = "times and permissions can be preserved of files here alone"
        raise ValueError(msg)
    if isinstance(out, Path):
        make_folder(out)
        remove_leftovers(out)
        if not os.access(out, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "no file can be made in this folder", str(out))
    cores = processors()
    count = jobs or max(1, min(cores, _memory() // _MEMORY))
    settings: dict[str, Any] = {
        option: getattr(options, option) for option in ("device", "dtype", "weights", "offline")
    }
    wanted_threads = threads or options.threads or (None if scheduler else max(1, cores // count))
    if wanted_threads is not None:
        settings["threads"] = wanted_threads
    work = Work(conversion, settings, Image.MAX_IMAGE_PIXELS, force, preserve)
    return Batch(sources, Search(wanted, out), out, pattern, work, count, scheduler)


def _memory() -> int:
    """Bytes of memory that this process may have, as far as that is known."""
    try:
        most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return sys.maxsize
    with contextlib.suppress(OSError, ValueError):  # of a container
        most = min(most, int(_CONTAINER.read_text("ascii")))
    return most


def _check_model(model: str | None) -> None:
    """Have the weights here before processes want them, all at once."""
    from agvae.weights import find, registry

    find(model or registry()["default"])


def _refusal(refused: Refused) -> Result:
    return Result(refused.source, refused.target, "failed", error=f"{refused.source}: {refused.reason}")


def _drained(results: deque[Result]) -> Iterator[Result]:
    while results:
        yield results.popleft()
