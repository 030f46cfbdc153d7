"""The fastest kernels for two layers, each by type, device and number of threads; all compute the layer's formula."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None, *, one_thread: bool = False) -> Tensor:
    """x W^T + b over channels: (..., C_in) times (C_out, C_in) -> (..., C_out).

    On AMD processors oneDNN's float32 1 x 1 convolution is twice as fast as MKL's float32 matrix product; in bfloat16
    and float64 the product wins.

    Args:
        one_thread: this thread is not to divide its work, for which `conv2d` would not take oneDNN.
    """
    plain = x.dtype == torch.float32 and x.device.type == "cpu" and x.dim() == 4
    if not plain or torch.is_autocast_enabled("cpu"):
        return F.linear(x, weight, bias)
    maps, kernel = x.permute(0, 3, 1, 2), weight[:, :, None, None]
    if one_thread and torch.backends.mkldnn.is_available():
        y = torch.mkldnn_convolution(maps, kernel, bias, (0, 0), (1, 1), (1, 1), 1)
    else:
        y = F.conv2d(maps, kernel, bias)
    return y.permute(0, 2, 3, 1)


def depthwise(x: Tensor, weight: Tensor, bias: Tensor, border: str) -> Tensor:
    """3 x 3 correlation of each channel: (B, H, W, C) with (C, 1, 3, 3) -> (B, H, W, C).

    In float64 nine multiply-adds take the place of torch's grouped convolution, which is ten times slower, and in
    compiled training, where they become one kernel.

    Args:
        border: what lies around the map, "zeros" or the nearest values, "replicate".
    """
    if x.dtype == torch.float64 or torch.compiler.is_compiling():
        return _shifted_sum(x, weight, bias, border)
    padding = 1
    if border == "replicate":
        x, padding = _edges_repeated(x), 0
    y = F.conv2d(x.permute(0, 3, 1, 2), weight, bias, padding=padding, groups=x.shape[-1])
    return y.permute(0, 2, 3, 1)


def _shifted_sum(x: Tensor, weight: Tensor, bias: Tensor, border: str) -> Tensor:
    height, width = x.shape[1:3]
    padded = _edges_repeated(x) if border == "replicate" else F.pad(x, (0, 0, 1, 1, 1, 1))
    total = bias.expand_as(x).clone()
    for i in range(3):
        for j in range(3):
            total.addcmul_(padded[:, i : i + height, j : j + width], weight[:, 0, i, j])
    return total


def _edges_repeated(x: Tensor) -> Tensor:
    """(B, H, W, C) -> (B, H + 2, W + 2, C)."""
    x = torch.cat([x[:, :1], x, x[:, -1:]], 1)
    return torch.cat([x[:, :, :1], x, x[:, :, -1:]], 2)
