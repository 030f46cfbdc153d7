"""What weights are worth, of training runs or released: BD-rates against the first, also in SSIMULACRA2.

    python benchmarks/checkpoints.py FIRST OTHER... --valid DATA [--every N]

Each is a checkpoint, whose averaged weights are taken, a model file, or the name of a released model.  They code the
middle of every N-th validation image, in real numbers and with rounded latents, at all trained levels and half-way
between them.  Curves are of mean bits per pixel and mean PSNR, MS-SSIM in dB and SSIMULACRA2 (package `ssimulacra2`).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from agvae.cli.arguments import path_of_model
from agvae.comparison.perceptual import available, ssimulacra2
from agvae.evaluation.bdrate import Curve, bd_rate
from agvae.metrics import decibels, ms_ssim, psnr
from agvae.networks import GainedAutoencoder, build
from agvae.training.export import checkpoint_config, read_checkpoint
from agvae.training.start import warm_start
from agvae.training.validate import load_kinds
from agvae.weights import read_model_file

SIDE = 384
"""Pixels of the middle, at most; a multiple of 64."""
MEASURES = ("PSNR", "MS-SSIM", "SSIMULACRA2")


def middle(image: torch.Tensor) -> np.ndarray:
    """(h, w, 3) uint8 with sides that are multiples of 64."""
    height, width = (min(SIDE, side // 64 * 64) for side in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width].numpy()


@torch.no_grad()
def measured(network: GainedAutoencoder, images: list[np.ndarray]) -> list[Curve]:
    """A curve for each of `MEASURES`."""
    means = []
    for level in np.arange(0, network.config.levels - 0.9, 0.5):
        rows = []
        for image in images:
            x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
            output = network(x, torch.tensor([float(level)]))
            coded = (output.x_hat[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
            bits = float(output.y_bits + output.z_bits) / (image.shape[0] * image.shape[1])
            similarity = decibels(ms_ssim(image, coded))
            seen = ssimulacra2(Image.fromarray(image), Image.fromarray(coded))
            rows.append((bits, psnr(image, coded), similarity, seen))
        means.append(np.asarray(rows, np.float64).mean(0))
    rates, *values = np.transpose(means)
    return [Curve(rates, column) for column in values]


def loaded(name: str) -> tuple[GainedAutoencoder, Any]:
    """A network, and how many patches it was trained with."""
    if name.endswith(".pt"):
        state = read_checkpoint(Path(name))
        network = build(checkpoint_config(Path(name), state))
        network.load_state_dict(state["average"])
        return network.eval(), state.get("patches", "")
    file = read_model_file(path_of_model(name))
    network = build(file.config)
    warm_start(network, file.state, file.config.betas)
    return network.eval(), file.card.get("patches", "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--valid", action="append", required=True, help="see agvae train")
    parser.add_argument("--every", type=int, default=1)
    args = parser.parse_args()
    if not available():
        parser.error("needs the package ssimulacra2, as of agvae[eval]")
    found = [image for images in load_kinds(args.valid).values() for image in images]
    images = [middle(image) for image in found[:: args.every]]
    print(f"{len(images)} images; BD-rates against the first\n")
    print("| model | patches |", " | ".join(MEASURES), "|\n| --- | ---: | ---: | ---: | ---: |", flush=True)
    first: list[Curve] = []
    for name in args.models:
        network, patches = loaded(name)
        curves = measured(network, images)
        first = first or curves
        rates = [f"{bd_rate(*pair):+.1f} %" for pair in zip(first, curves, strict=True)]
        print(f"| {name} | {patches} |", " | ".join(rates), "|", flush=True)


if __name__ == "__main__":
    main()
