"""Layers on channels-last maps (B, H, W, C): pointwise, depthwise, residual blocks, rearrangements.

Formulas alone: which kernel computes one is the business of `agvae.networks.kernels`, what is worked on at once when
pictures are coded that of `agvae.networks.inference`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agvae.entropy.exact import fix
from agvae.networks import kernels
from agvae.networks.gain import GainUnit

LEAKY_SLOPE = 0.125
_ALL = slice(None)


class Pointwise(nn.Linear):
    """1 x 1 convolution: y = W x + b at each position, (..., C_in) -> (..., C_out).

    Args:
        trunk: it lies on the way that all of a picture goes, outside of residual branches.  Autocast leaves it in
            float32: in bfloat16 it would round what it passes on by up to 0.4 %, more than quantization at high rates.
    """

    def __init__(self, inputs: int, outputs: int, *, trunk: bool = False) -> None:
        super().__init__(inputs, outputs)
        self.trunk = trunk

    def forward(self, x: Tensor) -> Tensor:
        if self.trunk and torch.is_autocast_enabled(x.device.type):
            with torch.autocast(x.device.type, enabled=False):
                return self.forward(x.float())
        return fix(kernels.pointwise(x, self.weight, self.bias))


class Depthwise(nn.Module):
    """3 x 3 correlation of each channel, y[i, j] = b + sum w[u, v] x[i + u, j + v], u and v from -1 to 1.

    (B, H, W, C) -> the same shape.

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
        return fix(kernels.depthwise(x, self.weight, self.bias, self.border))


class FeedForward(nn.Module):
    """f(x) = project(act(expand(depthwise(x)))): 3 x 3, then two pointwise layers around a leaky ReLU.

    The order of ConvNeXt's blocks (Liu et al. 2022), without their normalization.
    """

    def __init__(self, channels: int, border: str, expansion: int = 2) -> None:
        super().__init__()
        self.depthwise = Depthwise(channels, border)
        self.expand = Pointwise(channels, expansion * channels)
        self.project = Pointwise(expansion * channels, channels)

    def forward(self, x: Tensor, rows: slice = _ALL) -> Tensor:
        """(B, H, W, C) -> the same shape, or the rows that are asked for, which see one row around them."""
        return self.project(activate(self.expand(self.depthwise(x)[:, rows])))


class Block(nn.Module):
    """Residual block of the entropy networks: x + f(x), (B, H, W, C) -> the same shape."""

    def __init__(self, channels: int, border: str = "zeros") -> None:
        super().__init__()
        self.branch = FeedForward(channels, border)
        with torch.no_grad():
            self.branch.project.weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        return fix(x + self.branch(x))


class GainedBlock(nn.Module):
    """Residual block of the transforms: x + g(q) * f(x), with a gain unit g on the branch.

    The branch gain lets one transform act as strongly as each rate needs, as the gains inside the transforms of
    DCVC-RT do (Jia et al. 2025); it starts at 0.1 for every level.  The sum is in float32 under autocast, too, as
    layers of the trunk are.
    """

    def __init__(self, channels: int, levels: int, border: str = "zeros") -> None:
        super().__init__()
        self.branch = FeedForward(channels, border)
        self.gain = GainUnit(levels, channels)
        nn.init.constant_(self.gain.log2, -3.3)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """(B, H, W, C) and (B, n) from `level_weights` -> the shape of x."""
        return x + self.branch(x) * self.gain(weights)


def activate(x: Tensor) -> Tensor:
    """Leaky ReLU: max(x, 2^-3 x), exact on dyadic values."""
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
