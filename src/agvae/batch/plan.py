"""Which target each file of a batch has; two of one target, and targets that are read, are found before any work."""

from __future__ import annotations

import os
import re
import secrets
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from agvae.batch.inputs import Source
from agvae.batch.remote import Remote

_FIELD = re.compile(r"\{(\w*)\}")
_FIELDS = ("stem", "name", "suffix")
_HINT = "name targets with {name}, which keeps the suffix, or give the folder that the files lie in"


@dataclass(frozen=True)
class Job:
    """A file to read and one to write."""

    source: Path | Remote
    target: Path | Remote


@dataclass(frozen=True)
class Refused:
    """A file that nothing is made of, and why."""

    source: Path | Remote
    target: Path | Remote | None
    reason: str


def check_pattern(pattern: str) -> str:
    """The pattern itself, if it is one of names.

    Raises:
        ValueError: it is not.
    """
    unknown = [name for name in _FIELD.findall(pattern) if name not in _FIELDS]
    rest = _FIELD.sub("", pattern)
    if unknown or "{" in rest or "}" in rest:
        msg = f"a pattern of names has the fields {{stem}}, {{name}} and {{suffix}} alone, not {pattern!r}"
        raise ValueError(msg)
    if not pattern or pattern.startswith(".") or any(sign in pattern for sign in ("/", os.sep, os.altsep or "/", "\0")):
        msg = f"{pattern!r} is no pattern of names of files"
        raise ValueError(msg)
    return pattern


def planned(sources: Iterable[Source], out: Path | Remote, pattern: str) -> tuple[list[Job], list[Refused]]:
    """What is to be done, in the order of the sources, and what cannot be.

    Args:
        out: the folder of all targets, which is there.
    """
    refused = list[Refused]()
    jobs = dict[tuple[str, str], Job]()
    real = cache(os.path.realpath)
    same_name = _folded if isinstance(out, Path) and _ignores_case(out) else str

    def place(file: Path | Remote) -> str:
        if isinstance(file, Remote):
            return file.url
        found = os.path.join(real(file.parent), file.name)  # noqa: PTH118
        return os.path.realpath(found) if os.path.islink(found) else found  # noqa: PTH114

    by_target = defaultdict[str, set[str]](set)
    for source in sources:
        if source.error is not None:
            refused.append(Refused(source.path, None, source.error))
            continue
        if not source.path.name:
            refused.append(Refused(source.path, None, "names no file"))
            continue
        target = out / source.folder / _named(pattern, source.path)
        key = same_name(place(source.path)), same_name(place(target))
        jobs.setdefault(key, Job(source.path, target))
        by_target[key[1]].add(key[0])
    all_read = {read for read, _ in jobs}
    good = []
    for (read, written), job in jobs.items():
        if written == read:
            refused.append(Refused(job.source, job.target, "is itself the file to write"))
        elif written in all_read:
            refused.append(Refused(job.source, job.target, f"{job.target}, its target, is another file to read"))
        elif len(by_target[written]) > 1:
            others = len(by_target[written]) - 1
            more = f"{others} other files" if others > 1 else "another file"
            refused.append(Refused(job.source, job.target, f"has the same target as {more}, {job.target}: {_HINT}"))
        else:
            good.append(job)
    return good, refused


def _named(pattern: str, source: Path | Remote) -> str:
    values = {"stem": source.stem, "name": source.name, "suffix": source.suffix}
    return _FIELD.sub(lambda found: values[found[1]], pattern)


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def _ignores_case(folder: Path) -> bool:
    """Whether names that differ in case alone are the same in a folder, which may not be writable."""
    probe = folder / f".agvae-{secrets.token_hex(8)}.part"
    try:
        probe.touch()
        try:
            return probe.with_name(probe.name.upper()).exists()
        finally:
            probe.unlink()
    except OSError:
        return False
