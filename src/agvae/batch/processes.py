"""Processes that each do one job after the other, and whose death costs the job that it came in alone.

The executors of the standard library end with their first process that is killed, do not say which job it had, and
leave processes behind when they are killed themselves.  A process here has a pipe of its own: what is in it is known.
"""

from __future__ import annotations

import _thread
import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Generic, Protocol, TypeVar

from agvae.ending import ended_by_sigterm

J = TypeVar("J", contravariant=True)
R = TypeVar("R", covariant=True)


class Work(Protocol[J, R]):
    """What a process does with each job."""

    def prepare(self) -> None: ...
    def __call__(self, job: J) -> R: ...


_PATIENCE = 5.0
"""Seconds that a process has to end."""
_MOST_STARTS = 3
"""Processes that may end one after the other before they are ready."""


@dataclass(frozen=True)
class Death:
    """What became of a process that should have done a job: its exit status, None where that is not known."""

    status: int | None

    def __str__(self) -> str:
        if self.status is None:
            return "the workers that had it ended, as happens when memory is short"
        if self.status < 0:
            number = -self.status
            name = signal.Signals(number).name if number in list(signal.Signals) else f"signal {number}"
            memory = ", as happens when memory is short" if name == "SIGKILL" else ""
            return f"its process was ended by {name}{memory}"
        return f"its process ended with status {self.status}"


def in_processes(jobs: Iterable[J], work: Work[J, R], count: int) -> Iterator[tuple[J, R | Death]]:
    """Every job and what came of it, as they are done, in up to `count` processes.

    Args:
        jobs: gone through as processes become free, and no further.
        work: goes to each process once, pickled.  It must not raise.  Its method `prepare` is called there first.

    Raises:
        RuntimeError: no process can be started.
    """
    context = multiprocessing.get_context("spawn")
    workers: list[_Worker[J, R]] = []
    waiting = iter(jobs)
    job, failures, done = next(waiting, None), 0, False
    try:
        while job is not None or any(worker.job is not None for worker in workers):
            while job is not None and len(workers) < count:
                workers.append(_Worker(context, work))
            for worker in workers:
                if job is not None and worker.ready and worker.job is None:
                    worker.give(job)
                    job = next(waiting, None)
            for worker in _spoken(workers):
                was_ready, its_job = worker.ready, worker.job
                try:
                    answer: R | Death = worker.take()
                except _EndedError as end:
                    workers.remove(worker)
                    failures = 0 if was_ready else failures + 1
                    if failures == _MOST_STARTS:
                        msg = (
                            f"worker processes end before they begin, with status {end.status}: a script that calls "
                            'this needs `if __name__ == "__main__":` around its work'
                        )
                        raise RuntimeError(msg) from None
                    answer = Death(end.status)
                if its_job is not None:
                    yield its_job, answer
        done = True
    finally:
        _stop(workers, at_once=not done)


class _EndedError(Exception):
    def __init__(self, status: int | None) -> None:
        super().__init__(status)
        self.status = status


class _Worker(Generic[J, R]):
    """A process, and the job that it has."""

    def __init__(self, context: SpawnContext, work: Work[J, R]) -> None:
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, work), daemon=True)
        try:
            with ThreadPoolExecutor(1) as starter:  # no interrupt comes in the midst of it, as these come to one thread
                starter.submit(_start, self.process).result()
        except BaseException:
            self.connection.close()
            if self.process.pid is not None:
                self.process.terminate()
            raise
        finally:
            theirs.close()
        self.ready = False
        self.job: J | None = None

    def give(self, job: J) -> None:
        self.job = job
        with contextlib.suppress(OSError):  # it has ended, which shows when it is listened to
            self.connection.send(job)

    def take(self) -> R:
        """What it says, which at first is that it is ready.

        Raises:
            _EndedError: it has ended.
        """
        try:
            answer: R = self.connection.recv()
        except (EOFError, OSError):
            self.connection.close()
            self.process.join(_PATIENCE)
            if self.process.is_alive():
                self.process.kill()
                self.process.join()
            raise _EndedError(self.process.exitcode) from None
        self.ready, self.job = True, None
        return answer


def _spoken(workers: list[_Worker[J, R]]) -> list[_Worker[J, R]]:
    """Those that have said something, or ended."""
    heard = wait([item for worker in workers for item in (worker.connection, worker.process.sentinel)])
    return [worker for worker in workers if worker.connection in heard or worker.process.sentinel in heard]


def _stop(workers: list[_Worker[J, R]], *, at_once: bool) -> None:
    for worker in workers:
        worker.connection.close()  # by which an idle one ends
        if at_once:
            worker.process.terminate()
    deadline = time.monotonic() + _PATIENCE
    for worker in workers:
        worker.process.join(max(deadline - time.monotonic(), 0))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


def _start(process: SpawnProcess) -> None:
    """Start a process that never sees Ctrl-C, which a terminal sends to all: whoever started it ends it."""
    if hasattr(signal, "pthread_sigmask"):
        resource_tracker.ensure_running()  # else the first start starts it, which lets the signal through again
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # in this thread, and so in what it starts
    process.start()


def _serve(connection: Connection, work: Work[J, R]) -> None:
    """What a process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # whoever started it may ignore it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    ended_by_sigterm(partial(_answer, connection, work))


def _answer(connection: Connection, work: Work[J, R]) -> None:
    with contextlib.suppress(EOFError, OSError):  # nobody is there any more
        work.prepare()
        connection.send(None)
        while True:
            connection.send(work(connection.recv()))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
    _thread.interrupt_main(signal.SIGTERM)
    time.sleep(_PATIENCE)
    os._exit(1)
