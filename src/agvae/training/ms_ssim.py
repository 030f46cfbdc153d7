"""MS-SSIM with gradients, by nothing that CUDA graphs could not record."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from agvae.metrics import K1, K2, SCALE_WEIGHTS, WINDOW_SIGMA, WINDOW_SIZE

_LEAST = 1e-4
"""Of a scale's mean; below, the power has no gradient."""


def ms_ssim(x_hat: Tensor, x: Tensor) -> Tensor:
    """MS-SSIM as `agvae.metrics.ms_ssim` has it, of each pair of images: (B, C, H, W) -> (B,), the mean over channels.

    Args:
        x_hat, x: float32, of samples in [0, 1] or about; more than 160 pixels a side, multiples of 16.
    """
    ramp = torch.arange(WINDOW_SIZE, device=x.device) - (WINDOW_SIZE - 1) / 2
    window = torch.exp(-ramp.square() / (2 * WINDOW_SIGMA**2))
    window = window / window.sum()
    value = x.new_ones(x.shape[:2])
    for scale, weight in enumerate(SCALE_WEIGHTS):
        if scale:
            x_hat, x = F.avg_pool2d(x_hat, 2), F.avg_pool2d(x, 2)
        luminance, structure = _similarities(x_hat, x, window)
        last = scale == len(SCALE_WEIGHTS) - 1
        mean = (luminance * structure if last else structure).mean((2, 3))
        value = value * mean.clamp(min=_LEAST) ** weight
    return value.mean(1)


def _similarities(x_hat: Tensor, x: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
    """Of luminance, and of contrast and structure, wherever the window fits."""
    maps = torch.cat((x_hat, x, x_hat.square(), x.square(), x_hat * x), 1)
    mean_hat, mean, square_hat, square, product = _blurred(maps, window).chunk(5, 1)
    variances = square_hat - mean_hat.square() + square - mean.square()
    structure = (2 * (product - mean_hat * mean) + K2**2) / (variances + K2**2)
    luminance = (2 * mean_hat * mean + K1**2) / (mean_hat.square() + mean.square() + K1**2)
    return luminance, structure


def _blurred(maps: Tensor, window: Tensor) -> Tensor:
    """Of each channel by itself, for which PyTorch has no kernel of less than float32, as cuDNN has for others."""
    channels = maps.shape[1]
    windows = window.expand(channels, 1, -1)
    columns = F.conv2d(maps, windows[..., None], groups=channels)
    return F.conv2d(columns, windows[:, :, None], groups=channels)
