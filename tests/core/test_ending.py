"""SIGTERM ends work without a trace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import agvae
from agvae.ending import ended_by_sigterm

pytestmark = pytest.mark.skipif(os.name != "posix", reason="of POSIX")
SCRIPT = """
import atexit, contextlib, os, signal, sys
from agvae.ending import ended_by_sigterm

def told():
    os.kill(os.getpid(), signal.SIGTERM)

class Finalized:
    def __del__(self):
        told()

def generator():
    try:
        yield
    finally:
        told()  # a second one, as a whole group of processes is sent one
        print("closed", flush=True)

def work():
    with contextlib.suppress(Exception):
        for _ in generator():
            Finalized() if sys.argv[1] == "finalizer" else told()
            while sys.argv[1] == "finalizer":
                pass

atexit.register(print, "exit handlers")
ended_by_sigterm(work)
print("goes on")
"""


def ended(*arguments: str) -> tuple[int, str, str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(agvae.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_work_is_undone_and_nothing_else_is_run() -> None:
    assert ended(SCRIPT, "at once") == (-signal.SIGTERM, "closed\n", "")


def test_where_nothing_can_be_raised_it_ends_later() -> None:
    script = SCRIPT.replace(
        "ended_by_sigterm(work)", "import agvae.ending; agvae.ending._PATIENCE = 0.1; \\\nended_by_sigterm(work)"
    )
    assert ended(script, "finalizer") == (1, "", "")


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda *_: None])
def test_handlers_of_others_stay(handler: signal.Handlers) -> None:
    before = signal.signal(signal.SIGTERM, handler)
    try:
        assert ended_by_sigterm(lambda: signal.getsignal(signal.SIGTERM)) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_handler_is_that_of_the_work_alone() -> None:
    assert ended_by_sigterm(lambda: signal.getsignal(signal.SIGTERM)) != signal.SIG_DFL
    with pytest.raises(ZeroDivisionError):
        ended_by_sigterm(lambda: 1 / 0)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_other_threads_change_no_handler() -> None:
    found = []
    thread = threading.Thread(target=ended_by_sigterm, args=(lambda: found.append(signal.getsignal(signal.SIGTERM)),))
    thread.start()
    thread.join()
    assert found == [signal.SIG_DFL]
