"""What exact decoding costs in rate: real files against the same latents under real-valued parameters.

    python benchmarks/exactness_cost.py FOLDER

For every image and whole quality: the bits of the tiles as written (weights and activations on dyadic grids, 975
integer tables, skipped symbols, the range coder), against the bits of the same quantized latents under the float32
entropy model and the density itself.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from agvae import weights
from agvae.boxes import grid
from agvae.coding.choice import encode_images
from agvae.coding.engine import Latents, Model, channel_index
from agvae.coding.windows import latent_shape
from agvae.container import TILE_SIZE
from agvae.entropy import asymmetric
from agvae.networks.autoencoder import StepParameters, follow
from agvae.networks.gain import level_weights
from agvae.quality import LEVEL_STEPS
from agvae.training.data import load_images


@torch.inference_mode()
def real_valued_bits(model: Model, latents: Latents, q: float) -> float:
    """Bits of y under float32 parameters that no grid and no table has touched."""
    entropy = model.network.entropy
    interpolation = level_weights(torch.tensor([q]), model.network.config.levels)
    y_hat = latents.y_hat[None]
    _, height, width, _ = y_hat.shape
    z = torch.from_numpy(latents.z)[None].float()
    targets = iter(entropy.split(y_hat))
    bits = 0.0

    def visit(p: StepParameters) -> torch.Tensor:
        nonlocal bits
        target = next(targets)
        bits += float(asymmetric.bits(target - p.mu, p.log2_sigma, p.asymmetry).sum())
        return target

    follow(entropy.walk(z, interpolation, height, width), visit)
    return bits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    images = load_images(parser.parse_args().folder)
    name = weights.registry()["default"]
    exact, real = (Model(weights.find(name), name, "cpu") for _ in range(2))
    real.network.entropy.float()
    print(f"weights {name}, SHA-256 {exact.sha256}")
    for s in range(6):
        written = estimated = 0.0
        for image in images:
            height, width, _ = image.shape
            level = s * LEVEL_STEPS
            payloads = next(encode_images([image.numpy()], level)).payloads
            for payload, box in zip(payloads, grid(width, height, TILE_SIZE), strict=True):
                (latents,) = exact.unpack([payload], [level], *latent_shape(box))
                assert isinstance(latents, Latents)
                z_bits = exact.z_coder.bits(latents.z.ravel(), channel_index(latents.z.shape))
                written += 8 * len(payload)
                estimated += z_bits + real_valued_bits(real, latents, float(s))
        print(f"quality {s + 1}: {100 * (written / estimated - 1):+.3f} %")


if __name__ == "__main__":
    main()
