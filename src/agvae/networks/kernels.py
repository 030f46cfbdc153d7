"""The fastest kernels for two layers, each by type, device and number of threads; all compute the layer's formula."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from agvae.entropy.integers import float32_is_exact


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
    kernel = weight[:, :, None, None]
    if one_thread and torch.backends.mkldnn.is_available():
        return _onednn(x, kernel, bias)
    return F.conv2d(x.permute(0, 3, 1, 2), kernel, bias).permute(0, 2, 3, 1)


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


def depthwise_adjoint(g: Tensor, weight: Tensor, border: str) -> Tensor:
    """The gradient of x where that of `depthwise(x, weight, bias, border)` is g: (B, H, W, C) -> the same shape."""
    margin = 2 if border == "replicate" else 1
    maps = F.conv2d(g.permute(0, 3, 1, 2), weight.flip(2, 3), padding=margin, groups=g.shape[-1])
    x = maps.permute(0, 2, 3, 1)
    if border == "replicate":
        x[:, 1] += x[:, 0]
        x[:, -2] += x[:, -1]
        x[:, :, 1] += x[:, :, 0]
        x[:, :, -2] += x[:, :, -1]
        x = x[:, 1:-1, 1:-1]
    return x


def exact_pointwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`pointwise` in float32 of integers and weights as in `agvae.entropy.integers`, with one result everywhere.

    Where float32 would not be multiplied as such, be it that others want TF32, the same sums are made in float64.
    """
    if not float32_is_exact(x.device):
        bias = None if bias is None else bias.double()
        return F.linear(x.double(), weight.double(), bias).float()
    if x.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return F.linear(x, weight, bias)
    return _onednn(x, weight[:, :, None, None], bias)


def exact_depthwise(x: Tensor, weight: Tensor, bias: Tensor, border: str) -> Tensor:
    """`depthwise` in float32, exact as `exact_pointwise`; never by Winograd's or Fourier's sums, which round."""
    if x.device.type != "cpu" or not torch.backends.mkldnn.is_available() or not float32_is_exact(x.device):
        return _shifted_sum(x, weight, bias, border)
    padding = 1
    if border == "replicate":
        x, padding = _edges_repeated(x), 0
    return _onednn(x, weight, bias, padding, x.shape[-1])


def _onednn(x: Tensor, kernel: Tensor, bias: Tensor | None, padding: int = 0, groups: int = 1) -> Tensor:
    """A direct convolution of channels-last maps, without PyTorch's choice among other kernels."""
    maps = x.permute(0, 3, 1, 2)
    y = torch.mkldnn_convolution(maps, kernel, bias, (padding, padding), (1, 1), (1, 1), groups)
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
