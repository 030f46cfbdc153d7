"""What `agvae encode` and `agvae decode` share: one file to another, or many to a folder, and how that is told."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from agvae.addresses import is_url
from agvae.cli.arguments import STANDARD, file_or_standard, folder_or_url, positive
from agvae.cli.bars import Bar
from agvae.cli.telling import check_paths, report, say, standard_input, standard_output, tell
from agvae.settings import options
from agvae.whole_file import append_whole, is_stream, take_after, whole_file

if TYPE_CHECKING:
    from agvae.batch import Batch, Result

_KINDS = ("icc", "exif", "xmp", "comment", "dpi")
"""Those of `agvae.conversion.kept`, without importing what it needs."""


def add_paths(
    parser: argparse.ArgumentParser, command: str, read: str, written: str, pattern: str, examples: Sequence[str]
) -> None:
    """The arguments that name files and say how they are gone through."""
    parser.usage = f"agvae {command} [options] IN OUT\n       agvae {command} [options] IN... --out DIR"
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n".join(["examples:", *(f"  agvae {command} {example}" for example in examples)])
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="IN OUT",
        help=f"{read}, and {written}; - is standard input or output. With --out any number of IN: files, folders with "
        f"all that they hold, patterns such as '{pattern}', and URLs of these",
    )
    many = parser.add_argument_group("many files")
    many.add_argument(
        "-o",
        "--out",
        type=folder_or_url,
        metavar="DIR",
        help="folder or URL for what is made of each IN, which keeps the folders below IN; it is made if need be",
    )
    many.add_argument(
        "--name",
        metavar="PATTERN",
        help="names of the files in DIR, with {stem}, {name} and {suffix} of what is read; "
        "default {stem} and the suffix of the format",
    )
    many.add_argument(
        "-j",
        "--jobs",
        type=positive,
        metavar="N",
        help="processes that work at once; default as many as cores and memory allow (for a GPU take 1 or 2)",
    )
    many.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="work on this Dask cluster, whose workers see the same files, such as tcp://host:8786; default: here",
    )
    many.add_argument(
        "--log",
        type=file_or_standard,
        metavar="FILE",
        help="add a line of JSON to FILE for each file that is read; - is standard output; default none",
    )
    parser.add_argument(
        "-f",
        "--force",
        action="store_true",
        help="replace what is there already, and with --out do again what is done; default no",
    )
    parser.add_argument(
        "--preserve",
        action="store_true",
        help="give files the times and permissions of what they are made of; default no",
    )
    parser.add_argument("--quiet", action="store_true", help="say nothing but warnings and errors; default no")
    parser.set_defaults(usage_error=parser.error)


def add_limits(parser: argparse.ArgumentParser) -> None:
    """The arguments that say what of a file is kept and what it may cost."""
    parser.add_argument(
        "--metadata",
        type=kinds,
        default=_KINDS,
        metavar="KINDS",
        help=f"what to keep beside the pixels: all (the default), none, or some of {','.join(_KINDS)}",
    )
    parser.add_argument("--strip-gps", action="store_true", help="leave out where a picture was taken; default no")
    parser.add_argument(
        "--max-pixels",
        type=positive,
        metavar="N",
        help="refuse pictures of more than N pixels; default what Pillow refuses, about 179 million",
    )
    parser.add_argument(
        "--threads", type=positive, metavar="N", help="threads of each process; default its share of the cores"
    )
    parser.add_argument(
        "--device",
        metavar="NAME",
        help="what to compute on: auto (the default, a GPU if there is one), cpu, cuda, cuda:N or mps",
    )


def kinds(text: str) -> tuple[str, ...]:
    names = {"all": _KINDS, "none": ()}.get(text, tuple(text.split(",")))
    if not set(names) <= set(_KINDS):
        msg = f"{text!r} is not all, none, or some of {','.join(_KINDS)}"
        raise argparse.ArgumentTypeError(msg)
    return names


def check_usage(args: argparse.Namespace) -> None:
    """See whether the names of files and the options go together."""
    if args.out is not None:
        if "-" in args.paths:
            args.usage_error("what comes from standard input has no name in DIR: give one IN and one OUT")
        return
    for option in ("name", "jobs", "scheduler", "log"):
        if getattr(args, option) is not None:
            args.usage_error(f"--{option} is for many files, which need --out DIR")
    if len(args.paths) == 1:
        args.usage_error("the following arguments are required: OUT, or --out DIR")
    if len(args.paths) > 2:
        args.usage_error(f"one IN and one OUT are needed, not {len(args.paths)} files; many files need --out DIR")
    if any(map(is_url, args.paths)):
        args.usage_error("URLs need --out DIR, which may be a folder here or a URL")
    if Path(args.paths[0]).is_dir():
        args.usage_error(f"{args.paths[0]} is a folder, whose files need --out DIR")
    try:
        args.input, args.output = map(file_or_standard, args.paths)
    except argparse.ArgumentTypeError as error:
        args.usage_error(str(error))


@contextlib.contextmanager
def chosen(args: argparse.Namespace) -> Iterator[None]:
    """The device and threads that were asked for, within the block."""
    with options.using(device=args.device, threads=args.threads):
        yield


def read_one(args: argparse.Namespace) -> Path | bytes:
    """What one file is read from; raises if nothing may be written where the other is."""
    if args.output != STANDARD:
        check_paths(args.input, args.output, args.force)
    elif standard_output().isatty():
        msg = "standard output is a terminal, which shows no pictures: send it to a file"
        raise ValueError(msg)
    return standard_input().read() if args.input == STANDARD else args.input


def write_one(args: argparse.Namespace, data: bytes, text: str) -> None:
    """Write a file and say so."""
    if args.output == STANDARD:
        out = standard_output()
        out.write(data)
        out.flush()
    else:
        source = args.input.stat() if args.preserve and args.input != STANDARD else None
        like = None if source is None else partial(take_after, other=source)
        with whole_file(args.output, replace=args.force, private=source is not None, finish=like) as file:
            file.write(data)
    if not args.quiet:
        report(args.output, text, streamed=args.output == STANDARD)


def run_batch(args: argparse.Namespace, batch: Batch, done: str) -> int:
    """Go through a batch and tell of it; the exit status."""
    log = _log(args.log)
    tally = _Tally(done)
    try:
        with Bar(total=len(batch), unit=" files", shown=not args.quiet) as bar:
            for result in batch:
                log(result)
                tally.add(result)
                if result.status == "skipped":
                    bar.total -= 1
                    continue
                bar.update()
                if result.error or result.warnings:
                    with tqdm.external_write_mode(sys.stderr):
                        _tell(result)
    finally:
        if not args.quiet:
            tally.left = len(batch) - tally.seen
            told = "\n".join([str(tally), *_left_out(batch)])
            if args.log == STANDARD:
                tell(told)
            else:
                print(told, flush=True)
    return int(tally.count["failed"] > 0)


def _tell(result: Result) -> None:
    for sentence in result.warnings:
        say("warning", f"{result.source}: {sentence}")
    if result.error is not None:
        say("error", result.error)


def _left_out(batch: Batch) -> list[str]:
    if not batch.left_out:
        return []
    kinds = ", ".join(f"{count} {kind}" for kind, count in batch.left_out.most_common(5))
    more = ", ..." if len(batch.left_out) > 5 else ""
    return [f"left out of folders: {kinds}{more}"]


class _Tally:
    """What became of a batch, in a sentence."""

    def __init__(self, done: str) -> None:
        self._done, self._start = done, time.monotonic()
        self.count: Counter[str] = Counter()
        self.before = self.after = self.warned = self.left = 0

    @property
    def seen(self) -> int:
        return self.count.total()

    def add(self, result: Result) -> None:
        self.count[result.status] += 1
        self.warned += bool(result.warnings)
        if result.status == "done":
            self.before += result.bytes_before or 0
            self.after += result.bytes_after or 0

    def __str__(self) -> str:
        seconds, done = time.monotonic() - self._start, self.count["done"]
        parts = [f"{done} {self._done}"]
        if done:
            parts[0] += f" ({_bytes(self.before)} to {_bytes(self.after)}, {done / seconds:.3g} files/s)"
        if self.count["skipped"]:
            parts.append(f"{self.count['skipped']} skipped, which are there already")
        if self.count["failed"]:
            parts.append(f"{self.count['failed']} failed")
        if self.warned:
            parts.append(f"{self.warned} with warnings")
        if self.left:
            parts.append(f"{self.left} not tried")
        return f"{', '.join(parts)}, in {_time(seconds)}"


def _bytes(count: int) -> str:
    power = min((len(str(count)) - 1) // 3, 4)
    return f"{count / 1000**power:.3g} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _log(path: Path | None) -> Callable[[Result], None]:
    """What writes a line of JSON for a result.

    Raises:
        OSError: nothing can be written there.
        ValueError: what is there is no log.
    """
    if path is None:
        return lambda _: None
    if path == STANDARD or is_stream(path):
        file = standard_output() if path == STANDARD else path.open("wb", buffering=0)

        def write(result: Result) -> None:
            file.write(_line(result))
            file.flush()

        return write
    torn = b""
    if path.exists() and path.stat().st_size:
        with path.open("rb") as old:
            if old.read(1) != b"{":
                msg = f"{path}: is there and is no log"
                raise ValueError(msg)
            old.seek(-1, os.SEEK_END)
            torn = b"" if old.read(1) == b"\n" else b"\n"
    append_whole(path, torn)
    return lambda result: append_whole(path, _line(result))


def _line(result: Result) -> bytes:
    told: dict[str, Any] = {
        "source": str(result.source),
        "target": None if result.target is None else str(result.target),
        "status": result.status,
        "bytes_before": result.bytes_before,
        "bytes_after": result.bytes_after,
        "bpp": result.bpp,
        "seconds": round(result.seconds, 4),
        "error": result.error,
        "warnings": result.warnings,
    }
    return json.dumps(told).encode() + b"\n"
