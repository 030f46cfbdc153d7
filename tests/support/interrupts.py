"""Run in a process of its own: interrupts work at every line of this library that it comes to.

python -m tests.support.interrupts WEIGHTS
"""

from __future__ import annotations

import faulthandler
import gc
import io
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

import numpy as np
import torch

import agvae
from agvae import progress, runtime
from agvae.coding import engine, loaded, memory, tiles, turns
from agvae.networks import bands
from agvae.weights import registries
from tests.support.helpers import picture

Place = tuple[CodeType, int]


def lines_of(work: Callable[[], object], files: set[str]) -> dict[Place, int]:
    """Every line of these files that this thread comes to, and how often."""
    seen: dict[Place, int] = {}

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        if event == "line":
            place = (frame.f_code, frame.f_lineno)
            seen[place] = seen.get(place, 0) + 1
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return seen


def interrupted(work: Callable[[], object], place: Place, count: int) -> bool:
    """Whether the work ended by an interrupt, the count-th time that it came to a line."""
    left = count

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code is not place[0]:
            return trace if left else None
        if event == "line" and frame.f_lineno == place[1]:
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False


def each_line(
    work: Callable[[], object], check: Callable[[], None], modules: Iterable[ModuleType], anew: Callable[[], object]
) -> int:
    """Interrupt at each line that is come to, a new one each time; the number of interrupts."""
    anew()
    places = lines_of(work, {str(module.__file__) for module in modules})
    done = 0
    for place, count in places.items():
        anew()
        done += interrupted(work, place, (count + 1) // 2)
        check()
    return done


def new_helpers() -> None:
    bands._after_fork()
    bands._forked = False
    torch.set_num_threads(2)


def elsewhere(work: Callable[[], None]) -> None:
    """Do it in another thread, too, which may hang where a lock is held."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


def interrupt_bands() -> int:
    def count_visits() -> None:
        visits = np.zeros(200)  # a helper may still be at a band of the call before

        def work(_: slice, top: int, bottom: int) -> None:
            visits[top:bottom] += 1

        bands.each_band(work, 1, 200)
        assert (visits == 1).all()

    def check() -> None:
        count_visits()
        elsewhere(count_visits)

    return each_line(count_visits, check, [bands], new_helpers)


def interrupt_codec() -> int:
    pixels = picture(20, 140)  # two bands
    expected = agvae.encode(pixels)
    decoded = agvae.decode(expected)

    def work() -> None:
        agvae.decode(io.BytesIO(agvae.encode(pixels)))

    def check() -> None:
        if (torch.get_num_threads(), turns._alive()) != (2, []):
            gc.collect()  # what was interrupted may wait for that, where its traceback is part of a circle
        assert (torch.get_num_threads(), turns._alive()) == (2, [])
        np.testing.assert_array_equal(agvae.decode(expected), decoded)
        elsewhere(lambda: np.testing.assert_array_equal(agvae.decode(expected), decoded))

    new_helpers()
    return each_line(work, check, [engine, loaded, memory, tiles, turns, progress, runtime], loaded.forget_models)


if __name__ == "__main__":
    faulthandler.dump_traceback_later(500, exit=True)
    registries.BUNDLED = Path(sys.argv[1])
    loaded._LOADING = 0.05
    torch.set_num_threads(2)
    assert interrupt_bands() > 20
    assert interrupt_codec() > 50
    faulthandler.cancel_dump_traceback_later()
    print("done")
