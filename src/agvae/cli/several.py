"""What the commands share that make a page of pictures."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from agvae.cli.bars import Bar
from agvae.cli.telling import check_free_target, say
from agvae.whole_file import is_stream

_Made = TypeVar("_Made")


def check_page(paths: Sequence[Path], page: Path, force: bool) -> None:
    """Find out before any work whether a page of pictures may be written."""
    check_free_target(page, force)
    for path in paths:
        if page.exists() and path.exists() and path.samefile(page):
            msg = f"{page}: is a file to read"
            raise ValueError(msg)
    if page.suffix.lower() not in (".html", ".htm") and not is_stream(page):
        msg = f"{page}: a page has the extension .html"
        raise ValueError(msg)


def each(
    paths: Sequence[Path], work: Callable[[Path, Callable[[str], None]], _Made], failed: list[str]
) -> Iterator[_Made]:
    """What is made of each picture; those that fail are told of, and an error if that are all.

    Args:
        work: takes a path, and what shows a word beside the progress.
    """
    from agvae.conversion.reasons import about, text_of, user_errors

    with Bar(paths, unit=" pictures") as bar:
        for path in bar:
            try:
                with about(path):
                    if path.is_dir():
                        msg = "is a folder: name its pictures, as with a pattern"
                        raise IsADirectoryError(msg)
                    made = work(path, bar.set_postfix_str)
            except user_errors() as error:
                failed.append(text_of(error))
                if len(failed) == len(paths):
                    raise
                with tqdm.external_write_mode(sys.stderr):
                    say("error", failed[-1])
                continue
            yield made
