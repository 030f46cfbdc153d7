"""How one backbone serves several rates: gain units, one scale and its reciprocal, or conditions on every layer."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from compressai.layers import AttentionBlock
from torch import Tensor, nn

from agvae.networks.configs import ReferenceConfig
from agvae.networks.gain import GainUnit
from agvae.networks.reference.backbones import STAGES, is_convolution

_TOTAL_STRIDE = 2**STAGES
_ATTENTION_REACH = 3
"""Positions that an attention module looks around itself: three residual units of 3 x 3 kernels, side by side."""


class ConditionedTransform(nn.Module):
    """g_a or g_s as a channels-last map, perhaps with conditions: x' = softplus(a_v) x + b_v after each convolution.

    The vectors a_s, b_s of level s (Choi et al. 2019) are interpolated linearly between levels.
    """

    def __init__(self, layers: nn.Sequential, config: ReferenceConfig) -> None:
        super().__init__()
        self.layers = layers
        self.scales, self.biases = nn.ParameterList(), nn.ParameterList()
        if config.rate == "conditional":
            convolutions: list[Any] = [layer for layer in layers if is_convolution(layer)]
            for channels in (layer.out_channels for layer in convolutions):
                # softplus of it is 1
                self.scales.append(nn.Parameter(torch.full((config.levels, channels), 0.5413)))
                self.biases.append(nn.Parameter(torch.zeros(config.levels, channels)))

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """(B, H, W, 3) -> (B, H/16, W/16, M), or the reverse."""
        x = x.permute(0, 3, 1, 2)
        conditions = zip(self.scales, self.biases, strict=True)
        for layer in self.layers:
            x = layer(x)
            if self.scales and is_convolution(layer):
                scale, bias = next(conditions)
                x = x * F.softplus(weights @ scale)[:, :, None, None] + (weights @ bias)[:, :, None, None]
        return x.permute(0, 2, 3, 1)

    def halo(self) -> int:
        """Pixels around a region on which its result depends, a multiple of 16."""
        stride = _TOTAL_STRIDE if any(isinstance(layer, nn.ConvTranspose2d) for layer in self.layers) else 1
        pixels = 0
        layers: Any = self.layers
        for layer in layers:
            if isinstance(layer, nn.ConvTranspose2d):
                stride //= layer.stride[0]
            if is_convolution(layer):
                pixels += layer.kernel_size[0] // 2 * stride
            elif isinstance(layer, AttentionBlock):
                pixels += _ATTENTION_REACH * stride
            if isinstance(layer, nn.Conv2d):
                stride *= layer.stride[0]
        return -(-pixels // _TOTAL_STRIDE) * _TOTAL_STRIDE


class Unit(nn.Module):
    """A gain unit that changes nothing: 1 for every level and channel."""

    def forward(self, weights: Tensor) -> Tensor:
        return weights.new_ones(1)


class Reciprocal(nn.Module):
    """The exact inverse of a gain unit, 1 / m_v (Theis et al. 2017)."""

    def __init__(self, gain: GainUnit) -> None:
        super().__init__()
        self._gain = (gain,)  # not a part of its own

    def forward(self, weights: Tensor) -> Tensor:
        gain: Tensor = self._gain[0](weights, reciprocal=True)
        return gain
