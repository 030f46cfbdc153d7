"""The jobs of a batch on a Dask cluster, whose machines see the same files: chunks of them as tasks."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agvae.batch.plan import Job
from agvae.batch.processes import Death
from agvae.batch.remote import Remote
from agvae.batch.work import Result, Work

if TYPE_CHECKING:
    from distributed import Client

CHUNK = 16
"""Jobs of a task: enough to make up for what a task costs."""
_AHEAD = 2
"""Tasks for each worker that it has or will have next."""
_ALONE = threading.Lock()
"""One job a time in a process: each uses all of its threads, and what it sets while it works is for all of them."""


def on_cluster(
    jobs: Iterable[Job], work: Work, scheduler: str | Client, *, alone: bool = False
) -> Iterator[tuple[Job, Result | Death]]:
    """Every job and what came of it, as tasks are done; what dies with a worker is done by another,
    until several have died of it.

    Args:
        jobs: gone through as workers become free, and no further.
        scheduler: its address, or a client of it.
        alone: one job at a time, so that a death tells which was to blame.

    Raises:
        ModuleNotFoundError: Dask is missing.
        OSError: there is no scheduler.
        ValueError: that is no address.
        RuntimeError: it is gone, or its workers cannot do such work.
    """
    from distributed import Client
    from distributed.comm import resolve_address

    if isinstance(scheduler, str):
        resolve_address(scheduler)  # a client that fails at it leaves a thread that keeps the process from ending
    own = isinstance(scheduler, str)
    client = Client(scheduler, set_as_default=False) if isinstance(scheduler, str) else scheduler
    with closing(client) if own else nullcontext():
        yield from _streamed(client, iter(jobs), work, alone)


def _streamed(client: Client, jobs: Iterator[Job], work: Work, alone: bool) -> Iterator[tuple[Job, Result | Death]]:
    from distributed import as_completed
    from distributed.scheduler import KilledWorker

    sent: dict[Any, list[Job]] = {}
    with client.as_current():  # else it asks for a client of the whole process
        done = as_completed()

    def send_more() -> None:
        wanted = 1 if alone else _AHEAD * max(len(client.nthreads()), 1)
        while len(sent) < wanted and (some := list(islice(jobs, 1 if alone else CHUNK))):
            future = client.submit(_done, work, list(map(_absolute, some)), pure=False)
            sent[future] = some
            done.add(future)

    try:
        send_more()
        while sent:
            future = next(done)
            some = sent.pop(future)
            try:
                results: Sequence[Result] = future.result()
            except KilledWorker:
                yield from ((job, Death(None)) for job in some)
            except Exception as error:
                msg = f"the cluster failed: {str(error) or type(error).__name__}"
                raise RuntimeError(msg) from error
            else:
                for job, result in zip(some, results, strict=True):
                    yield job, replace(result, source=job.source, target=job.target)
            send_more()
    finally:
        client.cancel(list(sent))


def _absolute(job: Job) -> Job:
    """A job whose files are found in any folder that a worker runs in."""
    return Job(_fixed(job.source), _fixed(job.target))


def _fixed(place: Path | Remote) -> Path | Remote:
    return place if isinstance(place, Remote) else Path(os.path.abspath(place))  # noqa: PTH100  # links stay


def _done(work: Work, jobs: Sequence[Job]) -> list[Result]:
    """What a task does."""
    from distributed import get_worker

    with _ALONE, work.visiting(get_worker().state.nthreads):
        return [work(job) for job in jobs]
