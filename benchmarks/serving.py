"""What the codec costs a program that serves others: memory of calls at once, and first answers of forked workers.

    python benchmarks/serving.py IMAGE [--effort N [--calls N]]

Prints, for the default model, each in a process of its own: the peak of memory of one call and of 16 at once in
threads, each of which encodes and decodes IMAGE, and of one and of 6 with about 6 megapixels made of it, without and
with `agvae.options.pixels_at_once`, and the seconds that all took; then of two workers that a process forks, which had
or had not called `agvae.warm_up`: seconds of their first and second decode, and memory, of which shared pages count by
their share (PSS).  Of Linux.  With --effort only one call and --calls at once, 8 by default, with IMAGE as it is.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

import agvae

AT_ONCE = """
import re, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
from PIL import Image
import agvae

with Image.open(sys.argv[1]) as image:
    pixels = np.asarray(image.convert("RGB"))
times, calls, limit, effort = map(int, sys.argv[2:6])
pixels = np.tile(pixels, (times, times, 1))
agvae.options.pixels_at_once = limit or None
agvae.warm_up()

def call(_):
    return agvae.decode(agvae.encode(pixels, effort=effort)).size

start = time.perf_counter()
with ThreadPoolExecutor(calls) as pool:
    list(pool.map(call, range(calls)))
seconds = time.perf_counter() - start
peak = int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
text = f"{calls} at once of {pixels.shape[0] * pixels.shape[1] / 1e6:.1f} megapixels, effort {effort}, "
print(f"{text}limit {limit / 1e6 if limit else None}: peak {peak:.0f} MiB, {seconds:.2f} s")
"""

WORKERS = """
import os, re, sys, time
from pathlib import Path
import agvae, pillow_agvae
from PIL import Image

if sys.argv[2] == "warm":
    agvae.warm_up()
pipes = []
for _ in range(2):
    reading, writing = os.pipe()
    if os.fork() == 0:
        start = time.perf_counter()
        Image.open(sys.argv[1]).load()
        first = time.perf_counter() - start
        start = time.perf_counter()
        Image.open(sys.argv[1]).load()
        second = time.perf_counter() - start
        time.sleep(1)  # until both have theirs
        memory = int(re.search(r"Pss:\\s*(\\d+)", Path("/proc/self/smaps_rollup").read_text())[1]) / 1024
        os.write(writing, f"{first:.2f} s, then {second:.2f} s, {memory:.0f} MiB".encode())
        time.sleep(1)
        os._exit(0)
    os.close(writing)
    pipes.append(reading)
print(f"workers of a {sys.argv[2]} process:", "; ".join(os.read(pipe, 1000).decode() for pipe in pipes))
"""


def run(code: str, *arguments: object) -> None:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    print(subprocess.check_output(command, text=True).strip(), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("--effort", type=int)
    parser.add_argument("--calls", type=int, default=8)
    args = parser.parse_args()
    image = args.image
    print(f"{os.cpu_count()} cores", flush=True)
    if args.effort is not None:
        for calls, limit in ((1, 0), (args.calls, 0), (args.calls, 1_000_000)):
            run(AT_ONCE, image, 1, calls, limit, args.effort)
        return
    for times, calls, limits in ((1, 1, [0]), (1, 16, [0, 1_000_000]), (4, 1, [0]), (4, 6, [0, 7_000_000])):
        for limit in limits:
            run(AT_ONCE, image, times, calls, limit, 1)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "a.agv")
        with Image.open(image) as picture:
            file.write_bytes(agvae.encode(picture.convert("RGB")))
        for kind in ("cold", "warm"):
            run(WORKERS, file, kind)


if __name__ == "__main__":
    main()
