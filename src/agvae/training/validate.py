"""Validation with the training graph: estimated rate and PSNR at every trained level."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from agvae.networks import GainedAutoencoder


@dataclass(frozen=True)
class LevelResult:
    """Means over the validation images at level s: bpp, PSNR in dB, and loss = bpp + beta * 255^2 * MSE."""

    s: int
    bpp: float
    psnr: float
    loss: float


@torch.no_grad()
def validate(model: GainedAutoencoder, images: list[Tensor], precision: str = "fp32") -> list[LevelResult]:
    """Rate and quality of uint8 images (H, W, 3) at each trained level, with rounded latents."""
    model.eval()
    device = next(model.parameters()).device
    results = []
    for s, beta in enumerate(model.config.betas):
        bpp, psnr, loss = [], [], []
        for image in images:
            x = image.to(device).permute(2, 0, 1)[None].float() / 255
            height, width = x.shape[2:]
            padded = F.pad(x, (0, -width % 64, 0, -height % 64), mode="replicate")
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                output = model(padded, torch.tensor([float(s)], device=device))
            x_hat = (output.x_hat[:, :, :height, :width].clamp(0, 1) * 255).round() / 255
            mse = float((x_hat - x).square().mean())
            bpp.append(float(output.y_bits + output.z_bits) / (height * width))
            psnr.append(-10 * torch.log10(torch.tensor(mse + 1e-12)).item())
            loss.append(bpp[-1] + beta * 255**2 * mse)
        results.append(LevelResult(s, *[sum(values) / len(values) for values in (bpp, psnr, loss)]))
    return results
