"""What opening and loading may take of time and memory: a busy machine may leave these out."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.support.plugin import opened

pytestmark = [pytest.mark.usefixtures("tiny_weights"), pytest.mark.timing]


def seconds_of(call: Callable[[], object], repetitions: int = 10) -> float:
    """The least of several."""
    seconds = []
    for _ in range(repetitions):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def test_open_takes_no_time(tmp_path: Path) -> None:
    path = tmp_path / "large.agv"
    Image.new("RGB", (2048, 2048)).save(path)
    assert seconds_of(lambda: Image.open(path).close()) < 0.02 * seconds_of(lambda: Image.open(path).load(), 1)


def test_bombs_are_refused_at_once(bomb: bytes) -> None:
    def refuse() -> None:
        with pytest.raises(Image.DecompressionBombError):
            opened(bomb)

    refuse()  # imports what is needed
    assert seconds_of(refuse) < 0.05


def test_second_load_is_free(data: bytes) -> None:
    im = opened(data)
    im.load()
    assert seconds_of(im.load) < 0.001
