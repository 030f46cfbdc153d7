"""What a model was trained to keep small, of one picture and with gradients: beta D in bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from agvae.coding.engine import Model
from agvae.metrics import SCALE_WEIGHTS, WINDOW_SIGMA, WINDOW_SIZE, ssim_terms

Distortion = Callable[[Tensor, slice], Tensor]
"""Of a reconstruction (1, 3, h, W) in [0, 1] of some rows of the picture; bits, a number."""


def distortion_of(model: Model, x: Tensor, seen: NDArray[np.bool_] | None, level: int) -> Distortion:
    """As the model was trained (equation 1): D is 255^2 MSE a pixel, or 1000 (1 - MS-SSIM) and a share of the former.

    Args:
        x: (1, 3, H, W) float32 in [0, 1].
        seen: (H, W), which pixels count; None for all.
    """
    beta = model.multiplier(level)
    counts = None if seen is None else torch.from_numpy(seen).to(x.device)

    def distortion(x_hat: Tensor, rows: slice) -> Tensor:
        target = x[:, :, rows]
        if counts is not None:
            x_hat = torch.where(counts[rows], x_hat, target)
        squared = (x_hat - target).square().sum() * (beta * 255**2 / x.shape[1])
        if model.metric == "mse":
            return squared
        pixels = target.shape[2] * target.shape[3]
        return (1 - similarity(x_hat, target)) * (beta * 1000 * pixels) + model.mse_weight * squared

    return distortion


def similarity(x_hat: Tensor, x: Tensor) -> Tensor:
    """MS-SSIM, `agvae.metrics.ms_ssim`, of images (1, C, H, W) in [0, 1]; with fewer scales where they are small."""
    scales = len(SCALE_WEIGHTS)
    while scales > 1 and min(x.shape[2:]) < 2 ** (scales - 1) * (WINDOW_SIZE - 1) + 1:
        scales -= 1
    if min(x.shape[2:]) < WINDOW_SIZE:
        rows, columns = (max(WINDOW_SIZE - side, 0) for side in x.shape[2:])
        x, x_hat = (F.pad(image, (0, columns, 0, rows), mode="replicate") for image in (x, x_hat))
    total = sum(SCALE_WEIGHTS[:scales]) / sum(SCALE_WEIGHTS)
    values = []
    for scale in range(scales):
        luminance, contrast_structure = ssim_terms(x, x_hat, _blurred, 1.0)
        term = luminance * contrast_structure if scale == scales - 1 else contrast_structure
        values.append(term.mean((0, 2, 3)).clamp(min=1e-6) ** (SCALE_WEIGHTS[scale] / total))
        x_hat, x = _halved(x_hat), _halved(x)
    return torch.stack(values).prod(0).mean()


def _blurred(image: Tensor) -> Tensor:
    offsets = torch.arange(WINDOW_SIZE, device=image.device, dtype=image.dtype) - WINDOW_SIZE // 2
    window = torch.exp(-(offsets**2) / (2 * WINDOW_SIGMA**2))
    window = (window / window.sum()).expand(image.shape[1], 1, 1, -1)
    across = F.conv2d(image, window, groups=image.shape[1])
    return F.conv2d(across, window.transpose(2, 3), groups=image.shape[1])


def _halved(image: Tensor) -> Tensor:
    height, width = image.shape[2:]
    return F.avg_pool2d(F.pad(image, (0, width % 2, 0, height % 2), mode="replicate"), 2)
