"""Bands of a map, worked on side by side, each by one thread.

A float32 kernel that divides its work among threads divides its sums with it, so that last bits depend on the number
of threads, and with them an encoder's bytes.  Here a map is cut into bands of a few rows of one image, whatever the
number of threads, and each band goes through its layers in one thread.  Bands also fit in a core's cache.
"""

from __future__ import annotations

import _thread
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import Any, TypeAlias

import torch
from torch import Tensor

from agvae.networks import kernels
from agvae.progress import checkpoint
from agvae.runtime import after_fork, helping

ROWS = 16

_Work: TypeAlias = Callable[[slice, int, int], None]
_AtEachPosition: TypeAlias = Callable[[Tensor, int], Tensor]
"""Of some rows (1, h, W, C) of a map, and the number of the image."""

_inside = threading.local()


def inside() -> bool:
    """Whether this thread works on a band."""
    return getattr(_inside, "band", False)


def leave() -> None:
    """For this thread, at the begin of a call: what interrupted the one before may have left it inside of a band."""
    _inside.band = False


def each_band(work: _Work, batch: int, height: int) -> None:
    """Call work(image, top, bottom) for bands of rows of each image: the image as a slice of one, bottom excluded.

    Whatever ends it early, in any thread and at any place, leaves the next call to work as ever.
    """
    checkpoint()
    layer = _Layer(work, batch, height)
    if _team() is None or torch.get_num_threads() != 1:
        with team(threads()):
            _work_on(layer)
    else:
        _work_on(layer)


def _work_on(layer: _Layer) -> None:
    left = len(layer.left)
    _invite(layer, min(threads(), left) - 1)
    try:
        left -= layer.work_on_all()
        for _ in range(left):
            layer.wait_for_one()
    finally:
        layer.left.clear()  # what helpers are at they finish, which nobody waits for but the end of the process


def wanted(x: Tensor, *, gradients: bool = False) -> bool:
    """Whether layers should work on a map (B, H, W, C) in bands: float32 on the CPU, without autocast or gradients.

    Args:
        gradients: the layer works out that of x in bands, too, and has no others.
    """
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.dim() == 4
        and (not torch.is_grad_enabled() or (gradients and x.requires_grad))
        and not torch.is_autocast_enabled("cpu")
        and not inside()
    )


def mapped(work: _AtEachPosition, x: Tensor, channels: int, jacobian: Callable[[], Tensor] | None = None) -> Tensor:
    """A layer that sees each position alone, in bands: work(rows of x, number of the image), with so many channels.

    Args:
        jacobian: for the gradient of x, that of a position, (channels, C), or one for each image, (B, channels, C).
    """
    if torch.is_grad_enabled() and x.requires_grad:
        found: Tensor = _Mapped.apply(x, work, channels, jacobian)  # type: ignore[no-untyped-call]
        return found
    out = x.new_empty(*x.shape[:3], channels)

    def band(image: slice, top: int, bottom: int) -> None:
        out[image, top:bottom] = work(x[image, top:bottom], image.start)

    each_band(band, *x.shape[:2])
    return out


class _Mapped(torch.autograd.Function):
    """`mapped`, which keeps nothing."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, work: _AtEachPosition, channels: int, jacobian: Callable[[], Tensor]) -> Tensor:
        ctx.jacobian = jacobian
        return mapped(work, x, channels)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        back = ctx.jacobian().transpose(-2, -1).contiguous()

        def work(g: Tensor, image: int) -> Tensor:
            return kernels.pointwise(g, back if back.dim() == 2 else back[image], None, one_thread=True)

        return mapped(work, gradients[0], back.shape[-2]), None, None, None


def around(top: int, bottom: int) -> tuple[slice, slice]:
    """A band's rows with those next to them, and where in these it is itself."""
    first = max(top - 1, 0)
    return slice(first, bottom + 1), slice(top - first, bottom - first)


class _Layer:
    """The bands of one layer: what is left to do, and how those ended that were done."""

    def __init__(self, work: _Work, batch: int, height: int) -> None:
        self._work = work
        self.left = deque(
            (slice(b, b + 1), top, min(top + ROWS, height)) for b in range(batch) for top in range(0, height, ROWS)
        )
        self._ended: SimpleQueue[BaseException | None] = SimpleQueue()

    def work_on(self, band: tuple[slice, int, int]) -> None:
        _inside.band = True
        try:
            with torch.inference_mode():
                self._work(*band)
        finally:
            _inside.band = False

    def work_on_all(self) -> int:
        """Work on bands until none is left; the number of those done here."""
        done = 0
        while self.left:
            checkpoint()
            try:
                band = self.left.popleft()
            except IndexError:  # a helper was faster
                break
            self.work_on(band)
            done += 1
        return done

    def help(self) -> None:
        """`work_on` bands for a thread that waits for each."""
        while True:
            try:
                band = self.left.popleft()
            except IndexError:
                return
            try:
                self.work_on(band)
                self._ended.put(None)
            except BaseException as error:  # the caller's, who raises it
                self._ended.put(error)

    def wait_for_one(self) -> None:
        """Wait for the end of a band of a helper, and raise what it raised."""
        error = self._ended.get()
        if error is not None:
            raise error


@contextmanager
def team(count: int) -> Iterator[None]:
    """Bands of this thread's calls are worked on by so many threads, this one among them; its operators use one.

    Operators divide their work among threads that wait for each other by spinning, which on a busy machine takes most
    of the time; those that work on bands sleep while there is nothing to do.
    """
    before = _team()
    try:
        _own.team = count
        with kernel_threads(1):
            yield
    finally:
        _own.team = before


def threads() -> int:
    """How many work for this thread."""
    return _team() or torch.get_num_threads()


def _team() -> int | None:
    found: int | None = getattr(_own, "team", None)
    return found


@contextmanager
def kernel_threads(count: int) -> Iterator[None]:
    """Operators that this thread calls use so many threads; in a forked child, whose parent has them, no more."""
    with _settled():
        before = torch.get_num_threads()  # in a thread that never asked, the number that was set last anywhere
        outer = _elsewhere()
        if _forked:
            count = min(count, before)
    try:
        if count != before:
            _own.elsewhere = outer
            with _settled():
                _set_kernel_threads(count, outer)
        yield
    finally:
        if count != before:
            with _settled():
                _set_kernel_threads(before, outer)
            _own.elsewhere = None if outer == before else outer


_own = threading.local()
"""In a thread whose number of threads is changed: the number that others are to have."""
_settling = threading.Lock()
_SETTLING = 0.05
"""Seconds to wait for another thread that changes its number; what interrupted it may have left the lock held."""


def _elsewhere() -> int:
    return getattr(_own, "elsewhere", None) or torch.get_num_threads()


@contextmanager
def _settled() -> Iterator[None]:
    """No other thread is changing its number meanwhile, which a new thread would take for its own."""
    lock = _settling
    alone = lock.acquire(timeout=_SETTLING)
    try:
        yield
    finally:
        if alone:
            lock.release()


def _set_kernel_threads(count: int, elsewhere: int) -> None:
    """For this thread alone, while PyTorch sets the number for it and for all threads that have not called it yet."""
    if count == elsewhere:
        torch.set_num_threads(count)
        return
    settled = _thread.allocate_lock()
    settled.acquire()

    def set_elsewhere() -> None:
        torch.set_num_threads(elsewhere)
        settled.release()

    torch.set_num_threads(count)
    with suppress(RuntimeError):  # no thread can be started
        _thread.start_new_thread(set_elsewhere, ())
        settled.acquire(timeout=_SETTLING)


_invitations: SimpleQueue[_Layer] = SimpleQueue()
_helpers = 0
_forked = False


def _invite(layer: _Layer, count: int) -> None:
    """Ask so many helpers to work on a layer, or as many as can be started.

    They are daemons, not an executor, which stops at exit before other threads have ended, and started by the one call
    that is done or not done whatever interrupts it.
    """
    global _helpers
    with suppress(RuntimeError, MemoryError):  # no more threads can be started
        while _helpers < count:
            settled = _thread.allocate_lock()
            settled.acquire()
            _thread.start_new_thread(_serve, (_invitations, _elsewhere(), settled))
            _helpers += 1
            settled.acquire(timeout=_SETTLING)
    for _ in range(min(count, _helpers)):
        _invitations.put(layer)


def _serve(invitations: SimpleQueue[_Layer], elsewhere: int, settled: _thread.LockType) -> None:
    torch.get_num_threads()  # the first call in a thread takes over the number that was set last
    with _settled():
        _set_kernel_threads(1, elsewhere)
    settled.release()
    while True:
        layer = invitations.get()
        with helping():
            layer.help()
            del layer  # whose last owner this may be, and tensors are freed by native code


def _after_fork() -> None:
    global _forked, _helpers, _invitations, _settling
    _forked, _helpers, _invitations, _settling = True, 0, SimpleQueue(), threading.Lock()
    torch.set_num_threads(1)


after_fork(_after_fork)
