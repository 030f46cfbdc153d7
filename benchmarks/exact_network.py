"""Time and memory of the exact entropy networks, in integers against float64.

    python benchmarks/exact_network.py [PRESET] [--size WIDTHxHEIGHT]

For one picture of the size, by default of 768 x 512 pixels, on one thread and on two: the walk from z to y-hat without
the coder, the best of 7 in turn; and, on Linux, the memory that a process needs more for it.  The network is not
trained, which changes neither.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, cast

import torch

from agvae.entropy.exact import freeze
from agvae.networks import EntropyModel, build, level_weights, preset
from agvae.networks.autoencoder import follow
from agvae.networks.inference import prepare
from agvae.networks.integer_layers import layers

CPU = torch.device("cpu")


def frozen(name: str, *, integers: bool) -> EntropyModel:
    """The entropy model of a preset with new weights, ready to code."""
    torch.manual_seed(0)
    network = build(preset(name))
    entropy = network.get_submodule("entropy")
    units = {}
    if integers:
        units = {
            name: torch.full((layer.weight.shape[0 if layer.weight.dim() == 4 else -1],), 6, dtype=torch.int8)
            for name, layer in cast("dict[str, Any]", layers(entropy)).items()
        }
    freeze(entropy, units)
    prepare(network, CPU, CPU, units)
    assert isinstance(entropy, EntropyModel)
    return entropy


@torch.inference_mode()
def walk(entropy: EntropyModel, width: int, height: int, dtype: torch.dtype) -> float:
    """Seconds."""
    rows, columns = -(-height // 32) * 2, -(-width // 32) * 2
    levels = len(entropy.level_bias)
    weights = level_weights(torch.tensor([2.5], dtype=torch.float64), levels)
    channels = entropy.inverse_hyper_gain.log2.shape[1]
    z = torch.randint(-2, 3, (1, -(-rows // 4), -(-columns // 4), channels)).to(dtype)
    start = time.perf_counter()
    follow(entropy.walk(z, weights, rows, columns), lambda p: p.mu + 1)
    return time.perf_counter() - start


def peak() -> float:
    """MiB, the most since `Path("/proc/self/clear_refs").write_text("5")`; of Linux."""
    found = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset", nargs="?", default="base")
    parser.add_argument("--size", default="768x512")
    parser.add_argument("--memory", choices=("float64", "integers"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    types = {"float64": torch.float64, "integers": torch.float32}
    if args.memory:
        torch.set_num_threads(1)
        entropy = frozen(args.preset, integers=args.memory == "integers")
        walk(entropy, 32, 32, types[args.memory])
        Path("/proc/self/clear_refs").write_text("5")
        before = peak()
        walk(entropy, width, height, types[args.memory])
        print(f"{peak() - before:.0f}")
        return
    models = {kind: frozen(args.preset, integers=kind == "integers") for kind in types}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        times: dict[str, list[float]] = {kind: [] for kind in types}
        for _ in range(7):
            for kind, dtype in types.items():
                times[kind].append(walk(models[kind], width, height, dtype))
        best = {kind: min(found) for kind, found in times.items()}
        ratio = best["float64"] / best["integers"]
        text = ", ".join(f"{kind} {1000 * seconds:.0f} ms" for kind, seconds in best.items())
        print(f"{args.preset}, {args.size}, threads {threads}: {text}, ratio {ratio:.1f}", flush=True)
    for kind in types:
        command = [sys.executable, __file__, args.preset, "--size", args.size, "--memory", kind]
        print(f"{kind}: {subprocess.check_output(command, text=True).strip()} MiB more", flush=True)


if __name__ == "__main__":
    main()
