"""The latents of one picture as an entropy model sees them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agvae.coding.engine import Model
from agvae.entropy import asymmetric
from agvae.entropy.coder import SYMBOL_LIMIT
from agvae.entropy.tables import table_index
from agvae.images import read_rgb
from agvae.networks.autoencoder import StepParameters, follow

MULTIPLE, LARGEST = 64, 1024
"""Of the sides of pictures."""


def read_centre(path: Path) -> NDArray[np.uint8]:
    """The middle of a picture, (H, W, 3) uint8, sides multiples of 64 of at most 1024.

    Raises:
        ValueError: it is smaller than 64 x 64.
        OSError: it cannot be read.
    """
    image = read_rgb(path, str(path))
    width, height = (min(side // MULTIPLE * MULTIPLE, LARGEST) for side in image.size)
    if not width or not height:
        msg = f"{path}: the image must have at least {MULTIPLE} x {MULTIPLE} pixels"
        raise ValueError(msg)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return np.asarray(image.crop((left, top, left + width, top + height)))


@dataclass(frozen=True)
class Coded:
    """The latents of a picture as the entropy model sees them; float64 (h, w, M).

    Attributes:
        residual: y - mu, rounded: the symbols; zero where the file does without them, as they are so improbable.
        y_hat: residual + mu.
        log2_sigma, asymmetry: see `agvae.entropy.asymmetric`.
    """

    residual: Tensor
    y_hat: Tensor
    log2_sigma: Tensor
    asymmetry: Tensor


def code(model: Model, pixels: NDArray[np.uint8], level: int) -> Coded:
    """Latents and entropy parameters of a picture, (H, W, 3) uint8, H and W multiples of 64, at a level."""
    x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    y = model.analyse(x, [level]).to(model.exact_device)
    z = model.hyper_analyse(y, level).round().clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT).to(model.exact_type)
    z[..., torch.from_numpy(model.z_coder.skipped)] = 0
    entropy = model.network.entropy
    targets = entropy.split(y.to(model.exact_type))
    places = entropy.split(torch.arange(y.numel(), device=y.device).reshape(y.shape))
    steps = zip(targets, places, strict=True)
    found = torch.empty(3, y.numel(), dtype=torch.float64, device=y.device)

    def visit(p: StepParameters) -> Tensor:
        target, place = next(steps)
        residual = (target - p.mu).round().clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT)
        residual[torch.from_numpy(model.y_coder.skipped[table_index(p.log2_sigma, p.asymmetry).cpu().numpy()])] = 0
        for row, values in zip(found, (residual, p.log2_sigma, p.asymmetry), strict=True):
            row[place.flatten()] = values.double().flatten()
        return residual + p.mu

    with torch.inference_mode():
        y_hat = follow(entropy.walk(z, model.weights([level]), *y.shape[1:3]), visit).double()
    residual, log2_sigma, asymmetry = (part.reshape(y.shape[1:]).cpu() for part in found)
    return Coded(residual, y_hat[0].cpu(), *asymmetric.clamp_parameters(log2_sigma, asymmetry))
