"""Where the time of an encode and of a decode goes, stage by stage.

    python benchmarks/stages.py IMAGE [--threads 1] [--model NAME]

Milliseconds of each stage less those within it, medians of seven calls after the first, and their share.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import agvae
from agvae.coding import assemble, choice
from agvae.coding.engine import Model
from agvae.entropy.coder import TableCoder
from agvae.networks.model import AGVAE

STAGES: list[tuple[Any, str, str]] = [
    (Model, "analyse", "g_a"),
    (Model, "synthesise", "g_s"),
    (AGVAE, "hyper_analyse", "h_a"),
    (Model, "_walk", "exact network (h_s, context)"),
    (TableCoder, "encode", "coder"),
    (TableCoder, "decode", "coder"),
    (TableCoder, "bits", "bits, for the choice"),
    (choice, "look_at", "looking for graphics"),
    (assemble, "write_container", "container"),
]
REST = "all else"


class Clock:
    """Exclusive seconds of stages within each other."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._within: list[str] = []
        self._since = 0.0

    def measured(self, stage: str, work: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(work)
        def call(*args: Any, **kwargs: Any) -> Any:
            self._switch()
            self._within.append(stage)
            try:
                return work(*args, **kwargs)
            finally:
                self._switch()
                self._within.pop()

        return call

    def _switch(self) -> None:
        now = time.perf_counter()
        if self._within:
            stage = self._within[-1]
            self.seconds[stage] = self.seconds.get(stage, 0) + now - self._since
        self._since = now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model")
    args = parser.parse_args()
    agvae.options.threads = args.threads
    with Image.open(args.image) as image:
        pixels = np.asarray(image.convert("RGB"))
    data = agvae.encode(pixels, model=args.model)
    clock = Clock()
    for place, name, stage in STAGES:
        setattr(place, name, clock.measured(stage, getattr(place, name)))
    print(f"{pixels.shape[1]} x {pixels.shape[0]}, threads {args.threads}")
    for what, work in (
        ("encode", lambda: agvae.encode(pixels, model=args.model)),
        ("decode", lambda: agvae.decode(data)),
    ):
        found: list[dict[str, float]] = []
        for _ in range(8):
            clock.seconds = {}
            clock.measured(REST, work)()
            found.append(clock.seconds)
        medians = {stage: statistics.median(one.get(stage, 0) for one in found[1:]) for stage in found[-1]}
        total = sum(medians.values())
        print(f"{what}: {1000 * total:.0f} ms")
        for stage, seconds in sorted(medians.items(), key=lambda pair: -pair[1]):
            print(f"    {stage:30} {1000 * seconds:6.1f} ms {100 * seconds / total:5.1f} %")


if __name__ == "__main__":
    main()
