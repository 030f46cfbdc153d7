"""Bars of progress on standard error, where that is a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tqdm import tqdm

from agvae.progress import watched

_COLUMNS = 80
"""Of a terminal that does not know how many it has."""
_PATIENCE = 1.0
"""Seconds before there is a bar for one picture."""


def is_shown() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


class Bar(tqdm):  # type: ignore[misc]
    """A bar of things of a kind, such as " files"."""

    def __init__(self, *args: Any, unit: str, shown: bool = True, **options: Any) -> None:
        columns = 0
        with suppress(AttributeError, OSError, ValueError):
            columns = os.get_terminal_size(sys.stderr.fileno()).columns
        width = {"dynamic_ncols": True} if columns else {"ncols": _COLUMNS}
        super().__init__(*args, unit=unit, disable=not (shown and is_shown()), **width, **options)

    @staticmethod
    def format_meter(*args: Any, **options: Any) -> str:
        unit = str(options["unit"])
        return str(tqdm.format_meter(*args, **options)).replace(f"s/{unit}", f" s/{unit.strip().removesuffix('s')}")


@contextmanager
def coding(pixels: Callable[[], int | None], *, shown: bool) -> Iterator[None]:
    """A bar of the pixels that the codec does within the block.

    Args:
        pixels: how many there will be, None if that is not known.
    """
    if not (shown and is_shown()):
        yield
        return
    total = pixels()
    with Bar(total=total, unit=" pixels", unit_scale=True, delay=_PATIENCE, leave=False) as bar:

        def watch(amount: int) -> None:
            bar.update(amount if total is None else min(amount, total - bar.n))  # a thumbnail's count, too

        with watched(watch):
            yield
