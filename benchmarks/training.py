"""Throughput of the trainer, and where its time goes.

    python benchmarks/training.py --presets light base --precisions fp32 bf16

Trains each preset in each precision on crops of the bundled photograph, in this process alone. Prints training patches
per second, and the shares of the time that go into drawing crops, the forward pass with the loss, the backward
pass, and the update (clipping, optimizers, averaged weights). The first step does not count.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.resources import as_file, files

import torch

from agvae.networks import PRESETS
from agvae.training.options import PRECISIONS, TrainingOptions
from agvae.training.trainer import Trainer

PARTS = ("crops", "forward", "backward", "update")


def timed_step(trainer: Trainer) -> Iterator[float]:
    """Seconds of the `PARTS` of a step, which are those of `Trainer.train_step`."""

    start = time.perf_counter()

    def lap() -> float:
        nonlocal start
        if trainer.device.type == "cuda":
            torch.cuda.synchronize()
        before, start = start, time.perf_counter()
        return start - before

    x, q = trainer.draw()
    yield lap()
    loss = trainer.loss(x, q)
    yield lap()
    loss.backward()
    yield lap()
    trainer.learn()
    yield lap()


def measure(trainer: Trainer, seconds: float) -> str:
    trainer.train_step()
    steps = [list(timed_step(trainer))]
    while sum(map(sum, steps)) < seconds:
        steps.append(list(timed_step(trainer)))
    totals = [sum(part) for part in zip(*steps, strict=True)]
    rate = trainer.options.batch * len(steps) / sum(totals)
    shares = [f"{name} {100 * part / sum(totals):.1f} %" for name, part in zip(PARTS, totals, strict=True)]
    return f"{rate:.2f} patches/s in {len(steps)} steps: {', '.join(shares)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=["light"])
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=["fp32"])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seconds", type=float, default=10, help="least time to measure for each line")
    args = parser.parse_args()
    cores, threads = os.cpu_count(), torch.get_num_threads()
    print(f"{shlex.join(['python', *sys.argv])}: torch {torch.__version__}, {cores} cores, {threads} threads")
    with tempfile.TemporaryDirectory() as output, as_file(files("agvae") / "data") as data:
        common = {"data": str(data), "output": output, "batch": args.batch, "crop": args.crop, "device": args.device}
        for preset in args.presets:
            for precision in args.precisions:
                trainer = Trainer(TrainingOptions(preset=preset, precision=precision, **common))
                device = torch.cuda.get_device_name() if trainer.device.type == "cuda" else platform.machine()
                print(f"{preset}, {precision}, {device}: {measure(trainer, args.seconds)}", flush=True)


if __name__ == "__main__":
    main()
