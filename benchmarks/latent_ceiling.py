"""What a number of latent channels allows at best, as far as the transforms were linear.

    python benchmarks/latent_ceiling.py --data train.tar --valid valid.tar=photographs

Takes the coefficients of the block transform from which training starts (`agvae.networks.transforms.dct_start`: 768 for
each 16 x 16 pixels of three colours), keeps the M of largest variance over random crops of the training images, and
prints the PSNR in dB of pictures that lose nothing but the others: mean, and the worst picture.  Data are
named as for `agvae train`.
"""

from __future__ import annotations

import argparse

import torch

from agvae.networks.layers import space_to_depth
from agvae.networks.transforms import PATCH, STRIDE, _colour_dct, _haar
from agvae.training.data import load_pool
from agvae.training.validate import load_kinds

CHANNELS = (192, 256, 320, 384, 448, 512, 640)


def coefficients(x: torch.Tensor) -> torch.Tensor:
    """(B, H, W, 3) -> (B, H / 16, W / 16, 768), orthonormal."""
    return space_to_depth(space_to_depth(x, PATCH) @ _colour_dct().T, 2) @ _haar(3 * PATCH**2).T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", required=True, help="training images")
    parser.add_argument("--valid", action="append", required=True, help="pictures to measure, PATH=KIND")
    parser.add_argument("--crops", type=int, default=256, help="training crops of 256 x 256 (default 256)")
    arguments = parser.parse_args()

    generator = torch.Generator().manual_seed(0)
    pool = load_pool(arguments.data, 256, torch.device("cpu"))
    crops = pool.draw(arguments.crops, 256, generator).permute(0, 2, 3, 1) - 0.5
    order = coefficients(crops).flatten(0, 2).var(0).argsort(descending=True)
    print("| kind |", " | ".join(map(str, CHANNELS)), "|")
    for kind, pictures in load_kinds(arguments.valid).items():
        psnr = torch.stack([ceilings(picture, order) for picture in pictures])
        cells = [f"{mean:.1f} / {worst:.1f}" for mean, worst in zip(psnr.mean(0), psnr.amin(0), strict=True)]
        print(f"| {kind} |", " | ".join(cells), "|")


def ceilings(picture: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """PSNR in dB of a uint8 picture (H, W, 3) with the first of the coefficients in this order, for all `CHANNELS`."""
    height, width = (side // STRIDE * STRIDE for side in picture.shape[:2])
    energy = coefficients(picture[None, :height, :width].float() / 255 - 0.5).square().mean((0, 1, 2))
    lost = torch.stack([energy[order[count:]].sum() for count in CHANNELS]) / energy.numel()
    return -10 * lost.clamp(min=1e-10).log10()


if __name__ == "__main__":
    main()
