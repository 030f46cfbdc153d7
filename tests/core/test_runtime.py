"""The process around the codec: interrupts, want of threads, its end, and what others have set PyTorch to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import agvae
from tests.support.helpers import picture

TIMEOUT = 300

HEAD = """
import atexit, hashlib, queue, random, sys, threading, time
from pathlib import Path
import numpy as np
import agvae
from agvae.weights import registries

registries.BUNDLED = Path(sys.argv[1])
pixels = np.random.default_rng(0).integers(0, 256, (140, 50, 3), dtype=np.uint8)

def work():
    data = agvae.encode(pixels)
    return hashlib.sha256(data + agvae.decode(data).tobytes()).hexdigest()
"""


def run(weights: Path, code: str, *command: str) -> str:
    """Standard output of a program that ends well and says nothing else."""
    environment = {**os.environ, "AGVAE_DEVICE": "cpu", "OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}
    environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))
    result = subprocess.run(
        [sys.executable, *(command or ("-c", HEAD + code)), weights],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=environment,
    )
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def expected(tiny_weights_folder: Path) -> str:
    return run(tiny_weights_folder, "print(work())")


def test_interrupts_at_every_line(tiny_weights_folder: Path) -> None:
    """Leave a process that goes on, in the interrupted thread and in others."""
    assert run(tiny_weights_folder, "", "-m", "tests.support.interrupts") == "done\n"


@pytest.mark.parametrize("how_many", [0, 1])
def test_threads_that_cannot_be_started(how_many: int, tiny_weights_folder: Path, expected: str) -> None:
    """Where a container limits threads; `RLIMIT_NPROC` does not hold for root, as whom tests may run."""
    code = f"""
import _thread
start, left = _thread.start_new_thread, {how_many}

def limited(*arguments):
    global left
    if not left:
        raise RuntimeError("can't start new thread")
    left -= 1
    return start(*arguments)

_thread.start_new_thread = limited
agvae.options.threads = 3
print(work())
"""
    assert run(tiny_weights_folder, code) == expected


def test_first_use_while_the_process_ends(tiny_weights_folder: Path, expected: str) -> None:
    assert run(tiny_weights_folder, "atexit.register(lambda: print(work()))") == expected


def test_first_import_while_the_process_ends(tmp_path: Path) -> None:
    """Without packages that load for other reasons what can only be loaded before."""
    code = """
import atexit, sys, threading

def width():
    sys.path.insert(0, sys.argv[1])
    import agvae
    print(agvae.read_info(sys.argv[2])["width"])

atexit.register(width)
"""
    (tmp_path / "a.agv").write_bytes(agvae.encode(picture(20, 10), 1))
    command = [sys.executable, "-I", "-S", "-c", code, Path(agvae.__file__).parents[1], tmp_path / "a.agv"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert (result.stdout, result.stderr) == ("20\n", "")


@pytest.mark.parametrize("early", [True, False])
def test_exit_handlers_that_wait_for_a_daemon_thread(early: bool, tiny_weights_folder: Path, expected: str) -> None:
    """Registered before agvae is imported, or after."""
    flush = """
import atexit, queue, threading
tasks = queue.Queue()
atexit.register(lambda: (tasks.put(1), tasks.join()))
"""
    code = """
def serve():
    while True:
        tasks.get()
        print(work(), flush=True)
        tasks.task_done()

work()
threading.Thread(target=serve, daemon=True).start()
"""
    program = flush + HEAD + code if early else HEAD + flush + code
    assert run(tiny_weights_folder, "", "-c", program) == expected


def test_threads_that_work_until_the_last_exit_handler_has_run(tiny_weights_folder: Path) -> None:
    """Are in no operator when Python ends, however long handlers take that are older than agvae."""
    handler = """
import atexit, queue, time
decoded = queue.SimpleQueue()

def flush():
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        decoded.get()

atexit.register(flush)
"""
    code = """
def serve():
    while True:
        decoded.put(agvae.decode(data))

data = agvae.encode(np.zeros((128, 128, 3), np.uint8))
for _ in range(3):
    threading.Thread(target=serve, daemon=True).start()
"""
    assert run(tiny_weights_folder, "", "-c", handler + HEAD + code) == ""


def test_the_end_does_not_wait_for_a_long_decode(tiny_weights_folder: Path) -> None:
    code = """
started = threading.Event()
data = agvae.encode(np.zeros((64, 64, 3), np.uint8))

def decode():
    with agvae.progress.watched(lambda _: started.set()):
        agvae.decode_batch(data for _ in range(1_000_000))
    print("decoded")

import agvae.progress
threading.Thread(target=decode, daemon=True).start()
started.wait()
print("done")
"""
    assert run(tiny_weights_folder, code) == "done\n"


def test_a_helper_does_not_stay_while_a_thread_waits_for_it(tiny_weights_folder: Path) -> None:
    code = f"""
import torch
from agvae import progress, runtime
from agvae.networks import bands

inside = threading.Barrier(3)

def work(*band):
    inside.wait()
    while not runtime._ending:
        time.sleep(0.001)
    progress.checkpoint()

def call():
    torch.set_num_threads(2)
    with runtime.at_work():
        bands.each_band(work, 1, 2 * bands.ROWS)
        progress.checkpoint()
    print("went on")

runtime.PATIENCE = {10 * TIMEOUT}
threading.Thread(target=call, daemon=True).start()
inside.wait()
"""
    assert run(tiny_weights_folder, code) == ""


def test_a_helper_frees_what_it_worked_on_while_it_is_waited_for(tiny_weights_folder: Path) -> None:
    code = """
import torch
from agvae import runtime
from agvae.networks import bands

both, caller_ended, freed = threading.Barrier(2), threading.Event(), queue.SimpleQueue()

class Work:
    def __call__(self, *band):
        both.wait()
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        caller_ended.wait()

    def __del__(self):
        freed.put(threading.get_ident() in runtime._helping)

torch.set_num_threads(2)
try:
    bands.each_band(Work(), 1, 2 * bands.ROWS)
except KeyboardInterrupt:
    pass
caller_ended.set()
print(freed.get())
"""
    assert run(tiny_weights_folder, code) == "True\n"


SETTINGS = {
    "default types": "torch.set_default_dtype(torch.float64); use(); torch.set_default_dtype(torch.float16); use()",
    "the device meta": "with torch.device('meta'): use()",
    "a default device": "torch.set_default_device('meta'); use()",
    "autocast": "with torch.autocast('cpu', torch.bfloat16): use()",
    "inference": "with torch.inference_mode(): use()",
    "deterministic": "torch.use_deterministic_algorithms(True); use()",
    "another thread that changes the type": """
done = threading.Event()
def change():
    while not done.is_set():
        for dtype in (torch.float64, torch.float16, torch.float32):
            torch.set_default_dtype(dtype)
            time.sleep(0.0001)
thread = threading.Thread(target=change)
thread.start()
try:
    [use() for _ in range(5)]
finally:
    done.set()
    thread.join()
""",
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_nothing_depends_on_what_pytorch_is_set_to(setting: str, tiny_weights_folder: Path, expected: str) -> None:
    """Neither at first use nor later."""
    code = f"""
import torch

def use():
    from agvae.coding.loaded import forget_models
    forget_models()
    found.add(work())

found = set()
{SETTINGS[setting]}
torch.set_default_dtype(torch.float32)
torch.set_default_device("cpu")
found.add(work())
print(*found)
"""
    assert run(tiny_weights_folder, code) == expected


def test_first_use_moves_no_random_state(tiny_weights_folder: Path) -> None:
    code = """
import torch
state = lambda: (torch.get_rng_state().tolist(), str(np.random.get_state()), random.getstate())
before = state()
work()
print(state() == before)
"""
    assert run(tiny_weights_folder, code) == "True\n"
