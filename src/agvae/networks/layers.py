"""Layers on channels-last maps (B, H, W, C): pointwise, depthwise, residual block, rearrangements."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agvae.entropy.exact import fix
from agvae.networks import bands
from agvae.networks.gain import GainUnit
from agvae.progress import checkpoint

LEAKY_SLOPE = 0.125
_ALL = slice(None)


class Pointwise(nn.Linear):
    """1 x 1 convolution of a channels-last map, (..., C_in) -> (..., C_out)."""

    def forward(self, x: Tensor) -> Tensor:
        # On AMD processors oneDNN's float32 1 x 1 convolution is twice as fast as MKL's float32 matrix product; in
        # bfloat16 and float64 the product wins.
        if bands.wanted(x):
            out = x.new_empty(*x.shape[:3], self.out_features)

            def work(image: slice, top: int, bottom: int) -> None:
                out[image, top:bottom] = self(x[image, top:bottom])

            bands.each_band(work, *x.shape[:2])
            return out
        plain = x.dtype == torch.float32 and x.device.type == "cpu" and x.dim() == 4
        if plain and not torch.is_autocast_enabled("cpu"):
            weight, maps = self.weight[:, :, None, None], x.permute(0, 3, 1, 2)
            if bands.inside() and torch.backends.mkldnn.is_available():  # conv2d would not take oneDNN in one thread
                y = torch.mkldnn_convolution(maps, weight, self.bias, (0, 0), (1, 1), (1, 1), 1)
            else:
                y = F.conv2d(maps, weight, self.bias)
            return y.permute(0, 2, 3, 1)
        checkpoint()
        return fix(super().forward(x))


class Depthwise(nn.Module):
    """3 x 3 depthwise convolution of a channels-last map, (B, H, W, C) -> the same shape.

    Args:
        border: what lies around the map, "zeros" or the nearest values ("replicate").  Zeros tell a network where the
            border is, but nothing of that is true of a flat picture.
    """

    def __init__(self, channels: int, border: str = "zeros") -> None:
        super().__init__()
        self.border = border
        self.weight = nn.Parameter(torch.zeros(channels, 1, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels))
        if not self.weight.is_meta:  # for which PyTorch would import its compiler
            nn.init.normal_(self.weight, std=0.1)
        with torch.no_grad():
            self.weight[:, 0, 1, 1] += 1

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float64:
            return fix(self._shifted_sum(x))
        padding = 1
        if self.border == "replicate":
            x, padding = _edges_repeated(x), 0
        y = F.conv2d(x.permute(0, 3, 1, 2), self.weight, self.bias, padding=padding, groups=x.shape[-1])
        return y.permute(0, 2, 3, 1)

    def _shifted_sum(self, x: Tensor) -> Tensor:
        """The same convolution as nine multiply-adds: torch's float64 grouped convolution is ten times slower."""
        height, width = x.shape[1:3]
        padded = _edges_repeated(x) if self.border == "replicate" else F.pad(x, (0, 0, 1, 1, 1, 1))
        total = self.bias.expand_as(x).clone()
        for i in range(3):
            for j in range(3):
                total.addcmul_(padded[:, i : i + height, j : j + width], self.weight[:, 0, i, j])
        return total


def _edges_repeated(x: Tensor) -> Tensor:
    """(B, H, W, C) -> (B, H + 2, W + 2, C)."""
    x = torch.cat([x[:, :1], x, x[:, -1:]], 1)
    return torch.cat([x[:, :, :1], x, x[:, :, -1:]], 2)


class FeedForward(nn.Module):
    """Depthwise 3 x 3, then two pointwise layers around a leaky ReLU of dyadic slope."""

    def __init__(self, channels: int, border: str, expansion: int = 2) -> None:
        super().__init__()
        self.depthwise = Depthwise(channels, border)
        self.expand = Pointwise(channels, expansion * channels)
        self.project = Pointwise(expansion * channels, channels)

    def forward(self, x: Tensor, rows: slice = _ALL) -> Tensor:
        """(B, H, W, C) -> the same shape, or the rows that are asked for, which see one row around them."""
        return self.project(activate(self.expand(self.depthwise(x)[:, rows])))


class Block(nn.Module):
    """Residual block of the entropy networks: x + f(x), exact in float64."""

    def __init__(self, channels: int, border: str = "zeros") -> None:
        super().__init__()
        self.branch = FeedForward(channels, border)
        with torch.no_grad():
            self.branch.project.weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        return fix(x + self.branch(x))


class GainedBlock(nn.Module):
    """Residual block of the transforms: x + g(q) * f(x), with a gain unit g on the branch.

    The branch gain lets one transform act as strongly as each rate needs, as the gains inside the transforms
    of DCVC-RT do; it starts at 0.1 for every level.  The sum is in float32 under autocast, too: in bfloat16 each block
    would round the values that it passes on by up to 0.4 %, which is more than quantization does at high rates.
    """

    def __init__(self, channels: int, levels: int, border: str = "zeros") -> None:
        super().__init__()
        self.branch = FeedForward(channels, border)
        self.gain = GainUnit(levels, channels)
        nn.init.constant_(self.gain.log2, -3.3)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        gain = self.gain(weights)
        if not bands.wanted(x):
            return x + self.branch(x) * gain
        out = torch.empty_like(x)
        height = x.shape[1]

        def work(image: slice, top: int, bottom: int) -> None:
            first = max(top - 1, 0)
            branch = self.branch(x[image, first : min(bottom + 1, height)], slice(top - first, bottom - first))
            torch.addcmul(x[image, top:bottom], branch, gain[image], out=out[image, top:bottom])

        bands.each_band(work, *x.shape[:2])
        return out


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
