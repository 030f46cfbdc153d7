"""Several processes, forked or started anew, and the ends of processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import agvae
import pillow_agvae  # noqa: F401
from tests.support.helpers import picture

TIMEOUT = 300

HEAD = """
import hashlib, io, multiprocessing, os, sys, threading, time
from pathlib import Path
from PIL import Image
import pillow_agvae
from agvae.weights import registries

registries.BUNDLED = Path(sys.argv[1])
FOLDER = Path(sys.argv[2])

def digest(path):
    with Image.open(path) as im:
        return hashlib.sha256(im.tobytes()).hexdigest()[:16]

def saved(im):
    fp = io.BytesIO()
    im.save(fp, "AGV")
    return hashlib.sha256(fp.getvalue()).hexdigest()[:16]

def both(path):
    with Image.open(path) as im:
        return digest(path), saved(im)

def start_child(work):
    "Starts work() in a forked child; gives a function that waits for what it returns."
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, repr(work()).encode())
        except BaseException as error:
            os.write(writing, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writing)

    def result():
        with open(reading, "rb") as fp:
            text = fp.read().decode()
        os.waitpid(child, 0)
        return text
    return result

def in_child(work):
    return start_child(work)()
"""


@pytest.fixture
def folder(tiny_weights: Path, tmp_path: Path) -> Path:
    for number in range(4):
        Image.fromarray(picture(96 + number, 64, number)).save(tmp_path / f"{number}.agv")
    (tmp_path / "tiles.agv").write_bytes(agvae.encode([picture(1030, 40), picture(1030, 40, 1)]))  # two in each frame
    noise = np.random.default_rng(0).integers(0, 256, (200, 400, 3), dtype=np.uint8)
    (tmp_path / "large.agv").write_bytes(agvae.encode(noise, 6))
    assert (tmp_path / "large.agv").stat().st_size > 8192  # the buffer of a file
    return tmp_path


def run(code: str, weights: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    program = folder / "program.py"
    program.write_text(HEAD + code, encoding="utf-8")
    environment = {**os.environ, "AGVAE_DEVICE": "cpu", "OMP_NUM_THREADS": "2"}
    environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))
    command = [sys.executable, *options, program, weights, folder]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, env=environment)


def check(code: str, weights: Path, folder: Path, *options: str) -> None:
    result = run(code, weights, folder, *options)
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")


def test_pools(tiny_weights: Path, folder: Path) -> None:
    """Of every start method, when the codec was in use before: images read and written in children."""
    code = """
if __name__ == "__main__":
    paths = [FOLDER / f"{number}.agv" for number in range(4)] * 2
    expected = [both(path) for path in paths]
    for method in ("fork", "forkserver", "spawn"):
        with multiprocessing.get_context(method).Pool(2, activate, (sys.argv[1],)) as pool:
            assert pool.map(both, paths, chunksize=1) == expected, method
    print("done")
"""
    check("def activate(folder): registries.BUNDLED = Path(folder)\n" + code, tiny_weights, folder)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork(tiny_weights: Path, folder: Path) -> None:
    """Before the codec was used, after that, from a thread, and by a child."""
    code = """
import agvae
from agvae.networks import bands
path = FOLDER / "0.agv"
before = in_child(lambda: both(path))
expected = repr(both(path))
assert before == expected, before
assert in_child(lambda: both(path)) == expected
assert in_child(lambda: in_child(lambda: both(path))) == repr(expected)

def with_a_helper():
    with agvae.options.using(threads=2):
        return both(FOLDER / "large.agv"), bands._helpers

assert in_child(with_a_helper) == repr((both(FOLDER / "large.agv"), 1))

busy = threading.Thread(target=lambda: [both(path) for _ in range(50)])
busy.start()
for _ in range(10):
    assert in_child(lambda: both(path)) == expected
busy.join()
print("done")
"""
    check(code, tiny_weights, folder, "-W", "ignore::DeprecationWarning")  # of Python 3.12: forked beside threads


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("name", ["0", "tiles", "large"])
def test_open_then_fork_then_load_in_both(name: str, tiny_weights: Path, folder: Path) -> None:
    """At the same time, and one after the other."""
    code = f"""
path = FOLDER / "{name}.agv"
expected = digest(path)

def load_in_both(source, wait):
    with Image.open(source) as im:
        def load():
            return hashlib.sha256(im.tobytes()).hexdigest()[:16]
        result = start_child(load)
        there = result() if wait else None
        here = repr(load())
        there = there or result()
    assert (here, there) == (repr(expected),) * 2, (here, there)

for wait in [True] * 2 + [False] * 8:
    load_in_both(path, wait)
    load_in_both(io.BytesIO(path.read_bytes()), wait)
print("done")
"""
    check(code, tiny_weights, folder)


def test_images_travel_between_processes(tiny_weights: Path, folder: Path) -> None:
    """A lazy image, pickled for a worker that has not imported the plugin, and one that comes back."""
    code = """
def turned(im):
    return im.transpose(Image.Transpose.ROTATE_90)

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool, Image.open(FOLDER / "0.agv") as im:
        result = pool.apply(turned, (im,))
        assert result.tobytes() == turned(im).tobytes()
    print("done")
"""
    check(code, tiny_weights, folder)


@pytest.mark.parametrize("how", ["return", "sys.exit", "exception"])
def test_exit_during_decode(how: str, tiny_weights: Path, folder: Path) -> None:
    """Daemon threads that decode and encode when the program comes to its end neither stop it nor crash it."""
    ends = {"return": "", "sys.exit": "sys.exit(3)", "exception": "raise ValueError('planned')"}
    code = """
def work():
    while True:
        both(FOLDER / "tiles.agv")
        busy.set()

busy = threading.Event()
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
busy.wait()
print("done", flush=True)
"""
    result = run(code + ends[how], tiny_weights, folder)
    assert result.returncode == {"return": 0, "sys.exit": 3, "exception": 1}[how], result.stderr
    assert result.stdout == "done\n"
    assert (result.stderr == "") == (how != "exception")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_does_not_wait_for_a_thread_that_stayed_behind(tiny_weights: Path, folder: Path) -> None:
    """Fork while another thread is decoding: here it holds the image's lock for as long as it takes."""
    held, done = threading.Event(), threading.Event()
    with Image.open(folder / "0.agv") as im:

        def hold() -> None:
            with im._agv_lock:  # type: ignore[attr-defined]
                held.set()
                done.wait(60)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(60)
        child = os.fork()
        if not child:
            signal.alarm(30)
            im.load()
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        done.set()
        thread.join()
    assert status == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_children_of_a_parent_that_is_warm(tiny_weights: Path, folder: Path) -> None:
    """Load nothing, and the parent has no thread that a fork would lose."""
    code = """
import agvae
import numpy  # whose threads know of forks

def threads():
    return sorted(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else None

before = threads()
agvae.warm_up()
assert threads() == before, threads()
modules = set(sys.modules)

def work():
    from agvae.coding import loaded
    loaded.Model = None
    return both(FOLDER / "large.agv"), [name for name in set(sys.modules) - modules if "torch" in name]

here = in_child(work)
assert here == repr((both(FOLDER / "large.agv"), [])), here
print("done")
"""
    check(code, tiny_weights, folder, "-W", "ignore::DeprecationWarning")  # of Python 3.12: forked beside threads


def test_warm_up_says_what_is_wrong(tiny_weights: Path) -> None:
    with pytest.raises(agvae.AgvError, match="nowhere"):
        agvae.warm_up("nowhere")
    with pytest.raises(ValueError, match="device"):
        agvae.warm_up(device="abacus")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_no_worker_sees_ctrl_c_while_it_starts() -> None:
    """Nor the first, with which Python starts a process of its own."""
    script = """
import multiprocessing, pathlib, re, signal, threading, time
from agvae.batch.processes import _start

def blocked(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"SigBlk:\\s*(\\w+)", status)[1], 16) >> signal.SIGINT - 1 & 1

def start():
    for _ in range(2):
        process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(0,))
        _start(process)
        found.append(blocked(process.pid))
        process.join()

if __name__ == "__main__":
    found = []
    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    print(found)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[1, 1]", "")
