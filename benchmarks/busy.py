"""What the codec takes of a machine that has other work: seconds, and seconds of processors, of one encode and decode.

    python benchmarks/busy.py IMAGE [--megapixels 6] [--settings default AGVAE_THREADS=1 OMP_WAIT_POLICY=passive]

The default model in processes that are warm, alone, beside as many busy loops as there are processors, and as two
processes at once (of which the slower counts).  Settings, each the environment of processes of its own, take turns in
every round, so that what else the machine does falls on all of them alike; medians of the rounds, and their smallest.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import TextIOWrapper
from pathlib import Path

WORKER = """
import sys, time
import numpy as np
from PIL import Image
import agvae

with Image.open(sys.argv[1]) as image:
    pixels = np.asarray(image.convert("RGB"))
if megapixels := float(sys.argv[2]):
    times = max(1, round((megapixels * 1e6 / pixels[..., 0].size) ** 0.5))
    pixels = np.tile(pixels, (times, times, 1))
data = agvae.encode(pixels)
work = {"encode": lambda: agvae.encode(pixels), "decode": lambda: agvae.decode(data)}
agvae.decode(data)
print(*pixels.shape[1::-1], flush=True)
for line in sys.stdin:
    wall, spent = time.perf_counter(), time.process_time()
    work[line.strip()]()
    print(time.perf_counter() - wall, time.process_time() - spent, flush=True)
"""

LOOP = """
import os
parent = os.getppid()
while os.getppid() == parent:
    pass
"""

Worker = subprocess.Popen


@contextmanager
def ended(process: Worker[str]) -> Iterator[Worker[str]]:
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def started(code: str, *arguments: object, **environment: str) -> Worker[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env={**os.environ, **environment})


def answer(worker: Worker[str]) -> list[float]:
    assert worker.stdout is not None
    return [float(number) for number in worker.stdout.readline().split()]


def measured(workers: list[Worker[str]], what: str) -> tuple[float, float]:
    """Seconds of the slowest, and of processors of one."""
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(what + "\n")
        worker.stdin.flush()
    walls, spent = zip(*map(answer, workers), strict=True)
    return max(walls), statistics.mean(spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("--megapixels", type=float, default=0, help="repeat the image to about so many")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--settings", nargs="*", default=["default", "AGVAE_THREADS=1", "OMP_WAIT_POLICY=passive"])
    options = parser.parse_args()
    count = os.cpu_count() or 1
    with ExitStack() as stack:
        pairs = {}
        for setting in options.settings:
            environment = dict(part.split("=") for part in setting.split(",") if "=" in part)
            pairs[setting] = [
                stack.enter_context(ended(started(WORKER, options.image, options.megapixels, **environment)))
                for _ in range(2)
            ]
        (size,) = {tuple(answer(worker)) for pair in pairs.values() for worker in pair}
        print("{:.0f} x {:.0f} pixels, {} processors, {} rounds".format(*size, count, options.rounds))
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)
        print("| | setting | encode: s, of processors, least | decode: s, of processors, least |")
        print("| --- | --- | --- | --- |")
        for situation, loops, workers in (("alone", 0, 1), (f"beside {count} loops", count, 1), ("two at once", 0, 2)):
            times: dict[tuple[str, str], list[tuple[float, float]]] = {}
            with ExitStack() as beside:
                for _ in range(loops):
                    beside.enter_context(ended(started(LOOP)))
                for _ in range(options.rounds):
                    for setting, pair in pairs.items():
                        for what in ("encode", "decode"):
                            times.setdefault((setting, what), []).append(measured(pair[:workers], what))
            for setting in pairs:
                cells = []
                for what in ("encode", "decode"):
                    walls, spent = zip(*times[setting, what], strict=True)
                    cells.append(f"{statistics.median(walls):.3f}, {statistics.median(spent):.3f}, {min(walls):.3f}")
                print(f"| {situation} | {setting} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
