"""How many pixels are in work at once, over all threads."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import agvae
from agvae.coding import turns
from agvae.coding.turns import turn
from agvae.networks.autoencoder import GainedAutoencoder
from agvae.progress import Stopped, watched
from tests.support.helpers import picture

PATIENCE = 60


@pytest.fixture(autouse=True)
def limit() -> Iterator[None]:
    """100 pixels."""
    agvae.options.pixels_at_once = 100
    yield
    agvae.options.pixels_at_once = None
    assert not turns._shares


class Caller(threading.Thread):
    """A call of so many pixels, which works until it is told to end."""

    def __init__(self, pixels: int, limit: int | None = None) -> None:
        super().__init__(daemon=True)
        self._pixels, self._limit = pixels, limit
        self.begun, self.end = threading.Event(), threading.Event()
        before = len(turns._shares)
        self.start()
        while len(turns._shares) == before:  # so that callers come in order
            os.sched_yield() if hasattr(os, "sched_yield") else None

    def run(self) -> None:
        with agvae.options.using(pixels_at_once=self._limit), turn(self._pixels):
            self.begun.set()
            self.end.wait(PATIENCE)

    def begins(self) -> bool:
        return self.begun.wait(PATIENCE)

    def waits(self) -> bool:
        return not self.begun.wait(3 * turns._INTERVAL)

    def ends(self) -> None:
        self.end.set()
        self.join(PATIENCE)


def test_calls_wait_until_they_fit_in() -> None:
    first, second, third = Caller(60), Caller(40), Caller(1)
    assert first.begins()
    assert second.begins()
    assert third.waits()
    second.ends()
    assert third.begins()
    first.ends()
    third.ends()


def test_who_comes_first_goes_first() -> None:
    """Or a large picture would wait for as long as small ones come."""
    first, large, small = Caller(60), Caller(100), Caller(1)
    assert first.begins()
    assert large.waits()
    assert small.waits()
    first.ends()
    assert large.begins()
    assert small.waits()
    large.ends()
    assert small.begins()
    small.ends()


def test_more_than_the_limit_works_alone() -> None:
    first, larger, after = Caller(1), Caller(1000), Caller(1)
    assert first.begins()
    assert larger.waits()
    first.ends()
    assert larger.begins()
    assert after.waits()
    larger.ends()
    assert after.begins()
    after.ends()


def test_calls_without_a_limit_count_and_do_not_wait() -> None:
    first, free = Caller(90), Caller(90, limit=10**9)
    assert first.begins()
    assert free.begins()
    first.ends()
    small = Caller(20)
    assert small.waits()
    free.ends()
    assert small.begins()
    small.ends()


def test_a_call_within_a_call_does_not_wait_for_it() -> None:
    with turn(100), turn(100), turn(1000):
        assert len(turns._shares) == 1


def test_waiting_can_be_stopped() -> None:
    first = Caller(100)
    assert first.begins()

    def stop(_: int) -> None:
        raise Stopped

    with pytest.raises(Stopped), watched(stop), turn(1):
        pytest.fail("did not wait")
    first.ends()


def test_a_share_that_an_interrupt_left_is_free() -> None:
    lost = turns._Share(100)
    lost.begun = True
    turns._shares.append(turns.weakref.ref(lost))
    del lost
    with turn(100):
        pass
    turns._shares.clear()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_does_not_wait_for_threads_of_its_parent() -> None:
    first = Caller(100)
    assert first.begins()
    child = os.fork()
    if not child:
        signal.alarm(PATIENCE)
        with turn(100):
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    first.ends()
    with turn(100):  # and one that is forked within, leaves it
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0
    if not child:
        os._exit(0)


def test_all_ways_of_coding_take_turns(tiny_weights: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in batches, of which the limit makes smaller ones, boxes, frames and one after the other."""
    most = 0
    running: list[int] = []

    def noting(work: Callable[..., object]) -> Callable[..., object]:
        def noted(self: object, x: object, *rest: object) -> object:
            nonlocal most
            running.append(1)
            most = max(most, len(running))
            try:
                return work(self, x, *rest)
            finally:
                running.pop()

        return noted

    pictures = [picture(64, 64, seed) for seed in range(4)]
    agvae.options.pixels_at_once = None
    expected = [agvae.encode(pixels) for pixels in pictures]
    frames = agvae.encode(pictures)
    for name in ("analyse", "synthesise"):
        monkeypatch.setattr(GainedAutoencoder, name, noting(getattr(GainedAutoencoder, name)))
    agvae.options.pixels_at_once = 64 * 64
    calls: list[Callable[[], object]] = [
        lambda: [agvae.encode(pixels) for pixels in pictures],
        lambda: agvae.encode_batch(pictures),
        lambda: [agvae.encode(agvae.decode(data, box=(0, 0, 8, 8))) for data in expected],
        lambda: agvae.decode_batch(expected),
        lambda: [agvae.decode(frames, frame=frame) for frame in range(4)],
        lambda: agvae.encode(pictures, target_psnr=30),
    ]
    with ThreadPoolExecutor(len(calls)) as pool:
        found = list(pool.map(lambda call: call(), calls))
    assert most == 1
    assert found[0] == found[1] == expected
    np.testing.assert_array_equal(found[3], found[4])
