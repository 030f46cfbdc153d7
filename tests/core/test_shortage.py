"""Memory and file descriptors that run short: an error that says so, and no sound file is called damaged."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import agvae
from agvae import shortage, weights
from agvae.coding.loaded import load_model
from agvae.shortage import is_shortage, memory_errors
from agvae.weights import download

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on memory, and /proc")
NO_TRACES = {"RUST_BACKTRACE": "0"}
"""Of panics, for which Rust takes memory while it holds a lock; it waits for the lock forever where there is none."""
UNDER_LIMITS = """
import resource
import agvae
from agvae import weights
from agvae.coding.loaded import load_model
from tests.support.helpers import picture
from tests.support.sandbox import limit_memory

path, pixels = weights.find("base-1"), picture(600, 500)
_, hard = resource.getrlimit(resource.RLIMIT_AS)
messages = set()

def run(work, *megabytes):
    for growth in megabytes:
        limit_memory(growth << 20, hard)
        try:
            work()
        except MemoryError as error:
            messages.add(str(error))
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (hard, hard))

run(lambda: weights.read_model_file(path), 2, 30, 60, 120)
run(load_model, *range(30, 200, 8))
data = agvae.encode(pixels[:64, :64], 1)
run(lambda: agvae.encode(pixels, 1), 5, 10, 20, 40, 60)
print("|".join(sorted(messages)))
"""


def ended(code: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A process of its own, in one thread, that ran code which may use the helpers of the tests."""
    root = Path(agvae.__file__).parents[2]
    path = {"PYTHONPATH": os.pathsep.join((str(root / "src"), str(root)))}
    environment = {**os.environ, **NO_TRACES, "OMP_NUM_THREADS": "1", **path}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)


@LINUX
def test_short_memory_is_a_memory_error() -> None:
    """Whatever runs out first, in whichever library."""
    done = ended(UNDER_LIMITS)
    assert done.returncode == 0, done.stderr
    messages = done.stdout.strip().split("|")
    for purpose in ("for this image", "to read model file"):
        assert any(message.startswith(f"not enough memory {purpose}") for message in messages)
    # Whether there is a limit with which the file can be read and the model not be made is a matter of luck.
    known = re.compile("not enough memory (for this image|for model 'base-1'|to read model file)")
    assert all(map(known.match, messages))


REFINED_UNDER_LIMITS = """
import resource
import warnings
import agvae
from tests.support.helpers import picture
from tests.support.sandbox import limit_memory

pixels = picture(600, 500)
_, hard = resource.getrlimit(resource.RLIMIT_AS)
files = {effort: agvae.encode(pixels, 1, effort=effort) for effort in (1, 2)}
short = 0
for growth in (60, 40, 30, 20, 15, 10, 5, 2):
    limit_memory(growth << 20, hard)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = agvae.encode(pixels, 1, effort=2)
        except MemoryError:  # it is too little for the plain file, too
            continue
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    told = [str(warning.message) for warning in caught]
    assert (found, told) in [(files[2], []), (files[1], ["not enough memory for effort: coded without"])], told
    short += found == files[1]
assert short
assert agvae.encode(pixels, 1, effort=2) == files[2]
"""


@LINUX
def test_short_memory_for_effort_leaves_the_plain_file() -> None:
    done = ended(REFINED_UNDER_LIMITS)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("could not create a primitive"),
        RuntimeError("could not create a primitive descriptor for a convolution forward propagation primitive"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:80] data. DefaultCPUAllocator: not enough memory: you tried to"),
        RuntimeError("unable to mmap 12 bytes from file </m.safetensors>: Cannot allocate memory (12)"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object: Cannot allocate memory"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        OSError(12, "Cannot allocate memory"),
        MemoryError(),
    ],
)
def test_reports_of_shortage_are_known(error: Exception) -> None:
    with pytest.raises(MemoryError, match="not enough memory for this") as caught, memory_errors("for this"):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        ValueError("format 'out of memory'; this version reads another"),
        OSError(28, "No space left on device"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object: Operation not permitted"),
        KeyboardInterrupt("out of memory"),
    ],
)
def test_other_errors_are_none(error: BaseException) -> None:
    assert not is_shortage(error)
    with pytest.raises(type(error)) as caught, memory_errors("for this"):
        raise error
    assert caught.value is error


LOADED_UNDER_LIMITS = """
import resource, sys
import numpy, PIL.Image
import agvae
from tests.support.sandbox import limit_memory

_, hard = resource.getrlimit(resource.RLIMIT_AS)
for growth in (40, 80):
    limit_memory(growth << 20, hard)
    try:
        agvae.decode(sys.argv[1])
    except MemoryError as error:
        print(error)
"""


@LINUX
def test_short_memory_while_pytorch_is_loaded_is_a_memory_error() -> None:
    done = ended(LOADED_UNDER_LIMITS, Path(__file__).parents[1] / "data" / "rgb-q1.agv")
    assert (done.stdout, done.stderr) == (2 * "not enough memory to load the codec\n", "")


def test_what_follows_a_shortage_while_loading_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Extensions lose the report of it, and later find what was loaded in part."""
    monkeypatch.setattr(shortage, "_short_once", False)
    later = AttributeError("partially initialized module 'torch' has no attribute 'nn'")
    with pytest.raises(AttributeError), shortage.loading():
        raise later
    for error in (SystemError("error return without exception set"), later):
        with pytest.raises(MemoryError, match="to load the codec"), shortage.loading():
            raise error


@LINUX
def test_short_descriptors_are_not_damage(tiny_weights: Path) -> None:
    import resource

    path = tiny_weights / "tiny.safetensors"
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        with pytest.raises(OSError, match="Too many open files"):
            download.is_intact(path, path.stat().st_size, "0" * 64)
        with pytest.raises(OSError, match="Too many open files"):
            load_model()
        with pytest.raises(OSError, match="Too many open files"):
            weights.read_model_file(path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert load_model().name == "tiny"
