"""The lock of each .agv image, held by whoever changes its current frame."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any
from weakref import WeakValueDictionary

from PIL import Image

from agvae.runtime import after_fork

_LOCK = "_agv_lock"
_images: WeakValueDictionary[int, Image.Image] = WeakValueDictionary()
"""Those with a lock, by their identity."""


def give_lock(image: Image.Image) -> None:
    """Give an image a lock of its own."""
    setattr(image, _LOCK, threading.RLock())
    _images[id(image)] = image


@contextmanager
def locked(images: Iterable[Image.Image]) -> Iterator[None]:
    """Hold the locks of all .agv images among these, taken in one order by all threads."""
    locks: set[AbstractContextManager[Any]] = {vars(image)[_LOCK] for image in images if _LOCK in vars(image)}
    with ExitStack() as stack:
        for lock in sorted(locks, key=id):
            stack.enter_context(lock)
        yield


def _after_fork() -> None:
    """A thread that held an image's lock is not there in a forked child, which would wait for it for ever."""
    for image in list(_images.values()):
        give_lock(image)


after_fork(_after_fork)
