"""Layers on channels-last maps (B, H, W, C): pointwise, depthwise, residual block, rearrangements."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agvae.entropy.exact import fix
from agvae.networks.gain import GainUnit

LEAKY_SLOPE = 0.125


class Pointwise(nn.Linear):
    """1 x 1 convolution of a channels-last map, (..., C_in) -> (..., C_out)."""

    def forward(self, x: Tensor) -> Tensor:
        # On AMD processors oneDNN's float32 1 x 1 convolution is twice as fast as MKL's float32 matrix product; in
        # bfloat16 and float64 the product wins.
        plain = x.dtype == torch.float32 and x.device.type == "cpu" and x.dim() == 4
        if plain and not torch.is_autocast_enabled("cpu"):
            return F.conv2d(x.permute(0, 3, 1, 2), self.weight[:, :, None, None], self.bias).permute(0, 2, 3, 1)
        return fix(super().forward(x))


class Depthwise(nn.Module):
    """3 x 3 depthwise convolution of a channels-last map, zero padding, (B, H, W, C) -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels, 1, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels))
        nn.init.normal_(self.weight, std=0.1)
        with torch.no_grad():
            self.weight[:, 0, 1, 1] += 1

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float64:
            return fix(self._shifted_sum(x))
        y = F.conv2d(x.permute(0, 3, 1, 2), self.weight, self.bias, padding=1, groups=x.shape[-1])
        return y.permute(0, 2, 3, 1)

    def _shifted_sum(self, x: Tensor) -> Tensor:
        """The same convolution as nine multiply-adds: torch's float64 grouped convolution is ten times slower."""
        height, width = x.shape[1:3]
        padded = F.pad(x, (0, 0, 1, 1, 1, 1))
        total = self.bias.expand_as(x).clone()
        for i in range(3):
            for j in range(3):
                total.addcmul_(padded[:, i : i + height, j : j + width], self.weight[:, 0, i, j])
        return total


class FeedForward(nn.Module):
    """Depthwise 3 x 3, then two pointwise layers around a leaky ReLU of dyadic slope."""

    def __init__(self, channels: int, expansion: int = 2) -> None:
        super().__init__()
        self.depthwise = Depthwise(channels)
        self.expand = Pointwise(channels, expansion * channels)
        self.project = Pointwise(expansion * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(activate(self.expand(self.depthwise(x))))


class Block(nn.Module):
    """Residual block of the entropy networks: x + f(x), exact in float64."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = FeedForward(channels)
        with torch.no_grad():
            self.branch.project.weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        return fix(x + self.branch(x))


class GainedBlock(nn.Module):
    """Residual block of the transforms: x + g(q) * f(x), with a gain unit g on the branch.

    The branch gain lets one transform act as strongly as each rate needs, as the gains inside the transforms
    of DCVC-RT do; it starts at 0.1 for every level.
    """

    def __init__(self, channels: int, levels: int) -> None:
        super().__init__()
        self.branch = FeedForward(channels)
        self.gain = GainUnit(levels, channels)
        nn.init.constant_(self.gain.log2, -3.3)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        branch = self.branch(x)
        return x + branch * self.gain(weights).to(branch.dtype)


def activate(x: Tensor) -> Tensor:
    """Leaky ReLU with slope 2^-3, exact on dyadic values."""
    return fix(F.leaky_relu(x, LEAKY_SLOPE))


def space_to_depth(x: Tensor, size: int) -> Tensor:
    """(B, H, W, C) -> (B, H / size, W / size, size * size * C), channel order (row, column, c)."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // size, size, w // size, size, c).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(b, h // size, w // size, size * size * c)


def depth_to_space(x: Tensor, size: int) -> Tensor:
    """Inverse of `space_to_depth`."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, size, size, c // (size * size)).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(b, h * size, w * size, c // (size * size))
