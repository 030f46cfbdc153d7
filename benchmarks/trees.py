"""What a change of the code can spoil unnoticed, in one source tree or in several beside each other.

    python benchmarks/trees.py [NAME=FOLDER ...] [--rounds 9] [--only TEXT] [--model NAME] [--json]

    git worktree add --detach ../before COMMIT && python benchmarks/trees.py before=../before now=.

Every figure is the median of so many processes.  A round asks all trees for it one after the other, each time beginning
with another, so that a machine that becomes busy does so for all of them; what stands behind the figures of all trees
but the first is the median of quotients by the first one's of the same round.  The picture is made here and has size,
noise and edges of a photograph of the Kodak set; each tree decodes its own file of it.  All but what says so is of one
thread, and in time of the processor where it can be, which other programs lengthen little.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ONE_THREAD = {"AGVAE_THREADS": "1", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
PICTURE = """
import sys
import numpy as np

MODEL = sys.argv[2] or None

def picture(width=768, height=512):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width].astype(float)
    phase = rng.uniform(0, 6.3, (3, 1, 1))
    image = 128 + 60 * np.sin(x / 23 + phase) + 40 * np.cos(y / 17 - phase)
    image += 50 * ((x - 0.6 * y) % 64 < 20)
    image += rng.normal(0, 6, (3, height, width))
    return np.ascontiguousarray(np.clip(image, 0, 255).astype(np.uint8).transpose(1, 2, 0))
"""
MILLISECONDS = """
import sys, time
start = time.process_time()
{}
print(1000 * (time.process_time() - start))
"""
WARM = """
import statistics, time
import agvae

pixels = picture()
data = agvae.encode(pixels, model=MODEL)
work = {}
work()
times = []
for _ in range(5):
    start = time.{}()
    work()
    times.append(1000 * (time.{}() - start))
print(statistics.median(times))
"""
PEAK = """
import resource
{}
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
READ = "import agvae; agvae.read_info(sys.argv[1])"
OPEN = "from PIL import Image; import pillow_agvae; Image.open(sys.argv[1]).size"
CODE = "import agvae; agvae.decode(agvae.encode(picture(), model=MODEL))"
IMPORTS = [f"import {name}" for name in ("agvae", "pillow_agvae", "napari_agvae")]
PROGRAMS = {
    **{f"{line}, ms of CPU": MILLISECONDS.format(line) for line in IMPORTS},
    "agvae.read_info and all imports, ms of CPU": MILLISECONDS.format(READ),
    "Image.open and all imports, ms of CPU": MILLISECONDS.format(OPEN),
    "agvae.decode and all imports, ms of CPU": MILLISECONDS.format("import agvae; agvae.decode(sys.argv[1])"),
    **{
        f"{name}, {unit}": PICTURE + WARM.format(f"lambda: {call}", clock, clock)
        for unit, clock in (("ms of CPU", "process_time"), ("ms with all threads", "perf_counter"))
        for name, call in (("encode", "agvae.encode(pixels, model=MODEL)"), ("decode", "agvae.decode(data)"))
    },
    "peak memory of opening, MiB": PEAK.format(f"import sys; {OPEN}"),
    "peak memory of coding, MiB": PICTURE + PEAK.format(CODE),
    "size, bytes": f"{PICTURE}import agvae; print(len(agvae.encode(picture(), model=MODEL)))",
}
"""Each prints its figure."""
COMMANDS = {"agvae --help, ms": ["--help"], "agvae info FILE, ms": ["info"]}
"""These are timed from start to end."""
WRITE = (
    f"{PICTURE}import pathlib, sys, agvae; pathlib.Path(sys.argv[1]).write_bytes(agvae.encode(picture(), model=MODEL))"
)
NAMES = [*PROGRAMS, *COMMANDS]


def run(tree: Path, *arguments: str | Path, threads: dict[str, str] = ONE_THREAD) -> str:
    environment = {**os.environ, **threads, "PYTHONPATH": str(tree.resolve() / "src")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # sources would be compiled at every import
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def measure(tree: Path, name: str, file: Path, model: str) -> float:
    if name in PROGRAMS:
        return float(run(tree, "-c", PROGRAMS[name], file, model, threads={} if "all threads" in name else ONE_THREAD))
    start = time.perf_counter()
    run(tree, "-m", "agvae", *COMMANDS[name], *([file] if "FILE" in name else []))
    return 1000 * (time.perf_counter() - start)


def compare(trees: dict[str, Path], figures: list[str], rounds: int, model: str) -> dict[str, dict[str, list[float]]]:
    """The figures of every round, by figure and tree."""
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder, f"{number}.agv") for number, name in enumerate(trees)}
        for name, tree in trees.items():
            assert str(tree.resolve()) in run(tree, "-c", "import agvae; print(agvae.__file__)"), tree
            run(tree, "-c", WRITE, files[name], model)
        found: dict[str, dict[str, list[float]]] = {figure: {name: [] for name in trees} for figure in figures}
        for number in range(-1, rounds):  # the first leaves its bytecode, and counts for nothing
            order = list(trees)[number % len(trees) :] + list(trees)[: number % len(trees)]
            for figure in figures:
                for name in order:
                    value = measure(trees[name], figure, files[name], model)
                    if number >= 0:
                        found[figure][name].append(value)
    return found


def table(found: dict[str, dict[str, list[float]]]) -> str:
    first, *others = next(iter(found.values()))
    lines = [f"| | {' | '.join([first, *others])} |", "| --- |" + " --- |" * (1 + len(others))]
    for figure, values in found.items():
        cells = [f"{statistics.median(values[first]):.4g}"]
        for name in others:
            quotients = [value / base for value, base in zip(values[name], values[first], strict=True)]
            cells.append(f"{statistics.median(values[name]):.4g} ({statistics.median(quotients):.2f})")
        lines.append(f"| {figure} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trees", nargs="*", default=["now=."], metavar="NAME=FOLDER")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", metavar="TEXT", help="figures with this in their names")
    parser.add_argument("--model", default="", help="one that all trees have; each its own default if not given")
    parser.add_argument("--json", action="store_true", help="print the figures of every round in place of the table")
    options = parser.parse_args()
    trees = {name: Path(folder) for name, _, folder in (tree.partition("=") for tree in options.trees)}
    found = compare(trees, [name for name in NAMES if options.only in name], options.rounds, options.model)
    print(json.dumps(found, indent=1) if options.json else table(found))


if __name__ == "__main__":
    main()
