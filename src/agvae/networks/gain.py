"""Gain units: one vector of channel gains per level, interpolated between levels.

Cui et al. 2021, sections 3.1 to 3.3.  A gain unit holds a matrix M of n gain vectors m_s; level s
multiplies channel i by m_{s,i} (equations 2 and 3).  Between two levels the vectors are interpolated
exponentially (equation 8), m_v = m_{s+1}^l * m_s^(1-l).  The matrix is stored as base-2 logarithms: gains
stay positive and equation 8 becomes linear, log m_v = l * log m_{s+1} + (1 - l) * log m_s.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agvae.entropy.exact import exact_exp2


def level_weights(q: Tensor, levels: int) -> Tensor:
    """Interpolation weights of real-valued levels.

    Args:
        q: float tensor of shape (B,), level s + l counted from 0, in [0, levels - 1].
        levels: n, the number of gain vectors.

    Returns:
        (B, levels): row b holds 1 - l at column s and l at column s + 1, zero elsewhere.  In float64 and
        for q a multiple of 2^-12 the weights are exact.
    """
    positions = torch.arange(levels, dtype=q.dtype, device=q.device)
    return (1 - (q[:, None] - positions).abs()).clamp(min=0)


def interpolated(weights: Tensor, vectors: Tensor) -> Tensor:
    """What levels between vectors get of them, (B, n) times (n, c) -> (B, c); not in bfloat16 under autocast."""
    with torch.autocast(weights.device.type, enabled=False):
        return weights @ vectors.to(weights.dtype)


class GainUnit(nn.Module):
    """A gain matrix M in R^{n x c} as log2 gains (equations 2, 3 and 8)."""

    def __init__(self, levels: int, channels: int) -> None:
        super().__init__()
        self.log2 = nn.Parameter(torch.zeros(levels, channels))

    def forward(self, weights: Tensor, *, reciprocal: bool = False) -> Tensor:
        """The gain vectors m_v of a batch, or their reciprocals.

        Args:
            weights: (B, n) from `level_weights`.

        Returns:
            (B, 1, 1, c), to multiply channels-last maps with.  On the exact path (float64) 2^x comes from an
            integer table, not from the platform's exp2.
        """
        log_gain = interpolated(weights, self.log2)[:, None, None, :]
        log_gain = -log_gain if reciprocal else log_gain
        return exact_exp2(log_gain) if log_gain.dtype == torch.float64 else torch.exp2(log_gain)
