"""The rate-distortion loss over random levels."""

from __future__ import annotations

import torch
from torch import Tensor

from agvae.networks.autoencoder import Output


def random_levels(count: int, levels: int, generator: torch.Generator) -> Tensor:
    """Levels q = s + l for a batch: half of them trained vectors (l = 0), half anywhere between."""
    device = generator.device
    anywhere = torch.rand(count, generator=generator, device=device) * (levels - 1)
    vectors = torch.randint(levels, (count,), generator=generator, device=device).float()
    return torch.where(torch.rand(count, generator=generator, device=device) < 0.5, anywhere, vectors)


def interpolated_betas(q: Tensor, betas: tuple[float, ...]) -> Tensor:
    """beta of real-valued levels: log-linear between the trained beta_s, (B,) -> (B,)."""
    logs = torch.tensor(betas, device=q.device).log()
    low = q.floor().long()
    return torch.exp(torch.lerp(logs[low], logs[(low + 1).clamp(max=len(betas) - 1)], q - low))


def rate_distortion(output: Output, x: Tensor, q: Tensor, betas: tuple[float, ...], beta_exponent: float) -> Tensor:
    """Mean over the batch of (R + beta * 255^2 * MSE) / beta^beta_exponent (equations 1 and 6).

    R in bits per pixel, MSE over images in [0, 1].
    """
    pixels = x.shape[2] * x.shape[3]
    rate = (output.y_bits + output.z_bits) / pixels
    distortion = (output.x_hat - x).square().mean((1, 2, 3)) * 255**2
    beta = interpolated_betas(q, betas)
    return ((rate + beta * distortion) * beta**-beta_exponent).mean()
