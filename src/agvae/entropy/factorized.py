"""Non-parametric, fully factorized density of z (Ballé et al. 2018, appendix 6.1)."""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agvae.entropy.asymmetric import PROBABILITY_FLOOR


class Density(Protocol):
    """p(z), one density for each channel."""

    def probability(self, z: Tensor) -> Tensor:
        """Mass in [z - 1/2, z + 1/2] for z of shape (c, N)."""

    def bits(self, z: Tensor) -> Tensor:
        """Code length in bits of z (B, h, w, c), same shape."""


class FactorizedDensity(nn.Module):
    """One learned density per channel of z, as the derivative of a monotone network c(x).

        c = sigmoid . f_K . ... . f_1,   f_k(x) = g_k(softplus(H_k) x + b_k),   g_k(x) = x + tanh(a_k) tanh(x)

    with g_K(x) = x; the mass of an integer is P(z) = c(z + 1/2) - c(z - 1/2).
    """

    def __init__(self, channels: int, widths: tuple[int, ...] = (3, 3, 3), spread: float = 3.0) -> None:
        super().__init__()
        sizes = (1, *widths, 1)
        scale = spread ** (1 / (len(widths) + 1))
        self.matrices, self.biases, self.factors = (nn.ParameterList() for _ in range(3))
        for fan_in, fan_out in pairwise(sizes):
            # in place, since arithmetic on the device "meta" would have PyTorch import its compiler
            self.matrices.append(nn.Parameter(torch.empty(channels, fan_out, fan_in).fill_(_start(scale * fan_out))))
            self.biases.append(nn.Parameter(torch.empty(channels, fan_out, 1).uniform_(-0.5, 0.5)))
            if fan_out > 1:
                self.factors.append(nn.Parameter(torch.zeros(channels, fan_out, 1)))

    def logits(self, z: Tensor) -> Tensor:
        """Logit of the cumulative distribution, (c, 1, N) -> (c, 1, N)."""
        for matrix, bias, factor in zip(self.matrices, self.biases, self.factors, strict=False):
            z = F.softplus(matrix) @ z + bias
            z = z + torch.tanh(factor) * torch.tanh(z)
        return F.softplus(self.matrices[-1]) @ z + self.biases[-1]

    def probability(self, z: Tensor) -> Tensor:
        """Mass in [z - 1/2, z + 1/2] for z of shape (c, N)."""
        z = z[:, None].float()
        low, high = self.logits(z - 0.5), self.logits(z + 0.5)
        sign = -torch.sign(low + high).detach()
        return (torch.sigmoid(sign * high) - torch.sigmoid(sign * low)).abs()[:, 0]

    def bits(self, z: Tensor) -> Tensor:
        """Code length in bits of z (B, h, w, c), same shape."""
        flat = z.flatten(0, 2).T
        length = -torch.log2(self.probability(flat).clamp(min=PROBABILITY_FLOOR))
        return length.T.reshape(z.shape)


def _start(scale: float) -> float:
    """What softplus makes 1 / scale of."""
    return float(torch.log(torch.expm1(torch.tensor(1 / scale, dtype=torch.float32, device="cpu"))))
