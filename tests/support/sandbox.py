"""Runs many inputs through a function in a child process that has limits on memory and on the time for each.

    python -m tests.support.sandbox MODULE:FUNCTION ...    (`run` starts it)

An input passes if the function returns; an exception, a signal, too much memory or time is a failure.
"""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

MEGABYTES = 256
SECONDS = 10


@dataclass(frozen=True)
class Failure:
    """The number of an input that did not pass (-1: the warm-up), and a traceback or the name of a signal."""

    number: int
    reason: str


def run(
    target: str, inputs: Sequence[bytes], warm_up: bytes, weights_folder: Path, *, seconds: float = SECONDS
) -> Failure | None:
    """The first failure among the inputs.

    Args:
        target: "module:function", a function of bytes.
        warm_up: an input for the function ahead of the others and without limits; imports and buffers that every
            input needs are there when the limit on memory is set, `MEGABYTES` above what is then in use.
        weights_folder: what takes the place of the bundled weights.
        seconds: for one input, after which the child is killed by SIGALRM.
    """
    with tempfile.TemporaryDirectory() as folder:
        cases, progress = Path(folder, "cases"), Path(folder, "progress")
        cases.write_bytes(pickle.dumps([warm_up, *inputs]))
        progress.write_bytes(bytes(8))
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "AGVAE_OFFLINE": "1", "AGVAE_DEVICE": "cpu"}
        environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))
        command = [sys.executable, "-m", "tests.support.sandbox", target, cases, progress, weights_folder, str(seconds)]
        child = subprocess.run(command, capture_output=True, text=True, env=environment)
        number = int.from_bytes(progress.read_bytes(), "big") - 1
    if child.returncode < 0:
        return Failure(number, signal.Signals(-child.returncode).name)
    if child.returncode > 0:
        return Failure(number, child.stderr)
    return None


def limit_memory(growth: int, hard: int | None = None) -> None:
    """Let the address space of this process grow by so many bytes and no more; for good, without `hard`."""
    import resource

    status = Path("/proc/self/status").read_text(encoding="ascii")
    (now,) = (int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmSize:"))
    resource.setrlimit(resource.RLIMIT_AS, (now + growth, now + growth if hard is None else hard))


def main(target: str, cases: str, progress: str, weights_folder: str, seconds: str) -> int:
    from PIL import Image

    from agvae.weights import registries

    registries.BUNDLED = Path(weights_folder)
    module, _, name = target.partition(":")
    function: Callable[[bytes], object] = getattr(importlib.import_module(module), name)
    inputs: list[bytes] = pickle.loads(Path(cases).read_bytes())
    function(inputs[0])
    limit_memory(MEGABYTES << 20)
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    with Path(progress).open("r+b", buffering=0) as fp:
        for number, data in enumerate(inputs[1:], 1):
            fp.seek(0)
            fp.write(number.to_bytes(8, "big"))
            signal.setitimer(signal.ITIMER_REAL, float(seconds))
            function(data)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return 0


def grab_memory(data: bytes) -> None:
    """Like the next ones, what `run` must find: does harm if the input says so."""
    if data == b"bad":
        assert bytearray(2 * MEGABYTES << 20)


def hang(data: bytes) -> None:
    if data == b"bad":
        time.sleep(60)


def die(data: bytes) -> None:
    if data == b"bad":
        os.abort()


def fail(data: bytes) -> None:
    if data == b"bad":
        msg = "planted"
        raise RuntimeError(msg)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
