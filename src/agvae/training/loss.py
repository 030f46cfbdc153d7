"""The rate-distortion loss over random levels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from agvae.networks.contract import Output
from agvae.networks.gain import level_weights
from agvae.training.ms_ssim import ms_ssim


class Loss(Protocol):
    """What training makes small; one's own is an argument of `agvae.training.trainer.Trainer`."""

    def __call__(self, output: Output, x: Tensor, q: Tensor) -> Tensor:
        """A number with gradients, the mean over the pictures x (b, 3, H, W) in [0, 1] of this process, at levels q.

        Args:
            output: of the network for x and q, in training; its `x_hat` may be in bfloat16, and beyond [0, 1].
            q: (b,) real numbers from 0 to n - 1.
        """


@dataclass(frozen=True)
class RateDistortion:
    """The default loss; see `rate_distortion`."""

    betas: tuple[float, ...]
    beta_exponent: float = 0.4
    metric: str = "mse"
    mse_weight: float = 0.0

    def __call__(self, output: Output, x: Tensor, q: Tensor) -> Tensor:
        return rate_distortion(output, x, q, self.betas, self.beta_exponent, self.metric, self.mse_weight)


def random_levels(count: int, levels: int, generator: torch.Generator, between: float = 0.5) -> Tensor:
    """Levels q = s + l for a batch: a share `between` of them anywhere, the others at trained vectors (l = 0)."""
    device = generator.device
    anywhere = torch.rand(count, generator=generator, device=device) * (levels - 1)
    vectors = torch.randint(levels, (count,), generator=generator, device=device).float()
    return torch.where(torch.rand(count, generator=generator, device=device) < between, anywhere, vectors)


def interpolated_betas(q: Tensor, betas: tuple[float, ...]) -> Tensor:
    """beta of real-valued levels: log-linear between the trained beta_s, (B,) -> (B,)."""
    weights = level_weights(q, len(betas)).unbind(1)
    logs = torch.zeros_like(q)
    for weight, beta in zip(weights, betas, strict=True):  # no tensor of betas, which a CUDA graph could not copy
        logs = logs + weight * math.log(beta)
    return logs.exp()


def rate_distortion(
    output: Output,
    x: Tensor,
    q: Tensor,
    betas: tuple[float, ...],
    beta_exponent: float,
    metric: str = "mse",
    mse_weight: float = 0.0,
) -> Tensor:
    """Mean over the batch of (R + beta D) / beta^beta_exponent (equations 1 and 6), R in bits per pixel.

    D is 255^2 MSE over images in [0, 1] for the metric "mse", 1000 (1 - MS-SSIM) for "ms-ssim": the paper gives no
    unit, and its beta of 0.0006 to 0.07 reach its rates with such a factor. To the latter comes 255^2 MSE times
    `mse_weight`, for what MS-SSIM does not see.
    """
    pixels = x.shape[2] * x.shape[3]
    rate = (output.y_bits + output.z_bits) / pixels
    distortion = (output.x_hat - x).square().mean((1, 2, 3)) * 255**2
    if metric == "ms-ssim":
        distortion = 1000 * (1 - ms_ssim(output.x_hat.float(), x)) + mse_weight * distortion
    beta = interpolated_betas(q, betas)
    return ((rate + beta * distortion) * beta**-beta_exponent).mean()
