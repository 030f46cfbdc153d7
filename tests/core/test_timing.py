"""Time and speed, which want a machine with nothing else to do: imports, the GIL, and places to stop at."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

import agvae
from agvae.progress import watched
from tests.support.helpers import picture

pytestmark = pytest.mark.timing


@pytest.mark.parametrize(("module", "limit"), [("pillow_agvae", 0.1), ("napari_agvae", 0.3)])
def test_plugins_cost_little_over_pillow(module: str, limit: float) -> None:
    """In CPU time, which other programs on the machine do not lengthen."""
    code = f"import time; import PIL.Image; t = time.process_time(); import {module}; print(time.process_time() - t)"
    seconds = [float(subprocess.check_output([sys.executable, "-c", code], timeout=120)) for _ in range(5)]
    assert min(seconds) < limit


def longest_gap(work: Callable[[], object]) -> float:
    """Share of the CPU time of this work in which it cannot be stopped, at one place."""
    times = [time.process_time()]
    with watched(lambda _: times.append(time.process_time())):
        work()
    gaps = np.diff(times)
    return float(gaps.max() / gaps.sum())


def test_checkpoints_are_close() -> None:
    """A tile of a megapixel is stopped long before it is done, once the model is loaded."""
    image = picture(1024, 1024)
    agvae.encode(image, 6)
    assert min(longest_gap(lambda: agvae.decode(agvae.encode(image, 6))) for _ in range(3)) < 1 / 8


def ticks_during(work: Callable[[], object]) -> float:
    """How often in a second another thread gets to run while this one works."""
    done, started = threading.Event(), threading.Event()
    count = 0

    def tick() -> None:
        nonlocal count
        started.set()
        while not done.is_set():
            time.sleep(0.001)
            count += 1

    thread = threading.Thread(target=tick)
    thread.start()
    started.wait()
    before, start = count, time.perf_counter()
    try:
        work()
        return (count - before) / (time.perf_counter() - start)
    finally:
        done.set()
        thread.join()


def hash_for(seconds: float) -> None:
    """Work without the GIL."""
    block, end = bytes(2**20), time.perf_counter() + seconds
    while time.perf_counter() < end:
        hashlib.sha256(block)


def test_ticks_tell_who_holds_the_interpreter() -> None:
    """What the test below rests on."""

    def count_for_half_a_second() -> None:
        end = time.perf_counter() + 0.5
        while time.perf_counter() < end:
            sum(range(10_000_000))

    assert max(ticks_during(lambda: hash_for(0.3)) for _ in range(3)) > 2 * ticks_during(count_for_half_a_second)


@pytest.mark.parametrize("direction", ["encode", "decode"])
def test_other_threads_go_on(direction: str) -> None:
    """Compared with work that needs no GIL at all, since other programs slow down either."""
    array = picture(1500, 1000)
    data = agvae.encode(array)
    work: Callable[[], object] = {"encode": lambda: agvae.encode(array), "decode": lambda: agvae.decode(data)}[
        direction
    ]
    shares = []
    for _ in range(5):
        free = ticks_during(lambda: hash_for(0.5))
        shares.append(ticks_during(work) / free)
        if shares[-1] > 0.5:
            return
    pytest.fail(f"share of the ticks without the codec: {shares}")
