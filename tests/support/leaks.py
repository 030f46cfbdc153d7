"""Growth of memory and descriptors over many repetitions, in a process of its own.

    python -m tests.support.leaks WEIGHTS_FOLDER FOLDER    (`tests.core.test_leaks` starts it)

prints for each action below, as JSON, how much the resident memory grew (bytes) and how many descriptors stayed open
over a block of repetitions, whichever of the last two of three blocks grew less: a leak shows in all of them.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import itertools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

import agvae
import pillow_agvae  # noqa: F401
from agvae.weights import registries
from tests.support.helpers import picture

REPETITIONS = 100
BLOCKS = 3
SIZE = (96, 64)

kept: list[Any] = []


def actions(folder: Path) -> dict[str, Callable[[], object]]:
    array = picture(*SIZE)
    photo = Image.fromarray(array)
    path, frames, broken, headless = (folder / f"{name}.agv" for name in ("photo", "frames", "broken", "headless"))
    photo.save(path, icc_profile=bytes(1000))
    frames.write_bytes(agvae.encode([array, array[::-1]]))
    data = path.read_bytes()
    broken.write_bytes(data[:-20] + bytes(20))
    headless.write_bytes(data[:30])

    def load() -> None:
        Image.open(path).load()  # after which Pillow closes it

    def seek() -> None:
        with Image.open(frames) as im:
            for frame in (1, 0):
                im.seek(frame)
                im.load()

    def verify() -> None:
        Image.open(path).verify()

    def fail_to_open() -> None:
        with contextlib.suppress(OSError):
            Image.open(headless)

    def fail_to_load() -> None:
        with contextlib.suppress(OSError), Image.open(broken) as im:
            im.load()

    def save() -> None:
        photo.save(folder / "saved.agv")

    def fail_to_save() -> None:
        with contextlib.suppress(OSError):
            photo.save("/dev/full", "AGV")

    def leak_an_image() -> None:
        kept.append(photo.copy())

    def leak_a_descriptor() -> None:
        kept.append(os.dup(0))

    found: list[Callable[[], object]] = [load, seek, verify, fail_to_open, fail_to_load, save, fail_to_save]
    found += [leak_an_image, leak_a_descriptor]
    return {action.__name__: action for action in found}


def growth(action: Callable[[], object]) -> tuple[int, int]:
    states = []
    for _ in range(BLOCKS):
        for _ in range(REPETITIONS):
            action()
        states.append(_state())
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in itertools.pairwise(states)]
    memory, descriptors = zip(*steps, strict=True)
    return min(memory), min(descriptors)


def _state() -> tuple[int, int]:
    """Resident bytes and open descriptors, after giving back what is free."""
    gc.collect()
    with contextlib.suppress(AttributeError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), len(list(Path("/proc/self/fd").iterdir()))


def main(weights_folder: str, folder: str) -> None:
    registries.BUNDLED = Path(weights_folder)
    print(json.dumps({name: growth(action) for name, action in actions(Path(folder)).items()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
