"""Throughput of a batch in two processes beside that of the API in two processes, with all start-up counted.

    python benchmarks/batch.py [COUNT [TURNS]]

Makes COUNT small photographs (default 2000), encodes them TURNS times (default 3) by `agvae encode DIR --out DIR
--jobs 2` and by a loop of `Image.open`, `agvae.encode` and `Path.write_bytes` in each of two processes with one thread,
in turns, and prints files a second of each and their ratio; then seconds of the same command with nothing left to do.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

import agvae

LOOP = """
import sys
from pathlib import Path
from PIL import Image
import agvae

agvae.options.threads = 1
for path in sorted(Path(sys.argv[1]).iterdir())[int(sys.argv[3])::2]:
    Path(sys.argv[2], path.stem + ".agv").write_bytes(agvae.encode(Image.open(path)))
"""


def make(folder: Path, count: int) -> None:
    with Image.open(Path(agvae.__file__).with_name("data") / "chelsea.png") as photograph:
        width, height = photograph.size
        rng = np.random.default_rng(0)
        for number in range(count):
            left, top = int(rng.integers(width - 192)), int(rng.integers(height - 128))
            photograph.crop((left, top, left + 192, top + 128)).save(folder / f"{number}.jpg", quality=92)


def seconds(*commands: list[str]) -> float:
    start = time.perf_counter()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    children = [subprocess.Popen([sys.executable, *command], env=environment) for command in commands]
    if any([child.wait() for child in children]):  # noqa: C419  # all are waited for
        raise SystemExit(1)
    return time.perf_counter() - start


def main(count: int = 2000, turns: int = 3) -> None:
    with TemporaryDirectory() as place:
        source = Path(place, "in")
        source.mkdir()
        make(source, count)
        ours = theirs = 0.0
        for turn in range(turns):
            out, loop = Path(place, f"out{turn}"), Path(place, f"loop{turn}")
            loop.mkdir()
            batch = ["-m", "agvae", "encode", str(source), "--out", str(out), "--jobs", "2"]
            ours += seconds(batch)
            theirs += seconds(*(["-c", LOOP, str(source), str(loop), str(half)] for half in range(2)))
        print(
            f"batch {turns * count / ours:.1f} files/s, API {turns * count / theirs:.1f} files/s: {theirs / ours:.1%}"
        )
        print(f"nothing to do: {seconds(batch):.2f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
