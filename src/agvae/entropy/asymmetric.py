"""The asymmetric Gaussian entropy model (Cui et al. 2021, section 3.5, equation 10).

N(mu, sigma_l^2, sigma_r^2) is the two-piece normal of density
2 / (sqrt(2 pi) (sigma_l + sigma_r)) exp(-(y - mu)^2 / (2 sigma^2)), sigma = sigma_l left of mu and sigma_r
right of it.  Symbols are the residuals r = round(y - mu), so mu is subtracted before coding.
"""

from __future__ import annotations

import torch
from torch import Tensor

PROBABILITY_FLOOR = 1e-9
LOG2_SIGMA_MIN, LOG2_SIGMA_MAX = -3.25, 6.0
SIGMA_STEPS = 8
"""Table levels per octave of sigma."""
ASYMMETRY_MAX = 2.0
ASYMMETRY_STEPS = 3
"""Table levels per octave of sigma_r / sigma_l, which lies within 2^-2 .. 2^2."""


def clamp_parameters(log2_sigma: Tensor, asymmetry: Tensor) -> tuple[Tensor, Tensor]:
    """Clamp to the range of the tables."""
    log2_sigma = log2_sigma.clamp(LOG2_SIGMA_MIN, LOG2_SIGMA_MAX)
    return log2_sigma, asymmetry.clamp(-ASYMMETRY_MAX, ASYMMETRY_MAX)


def interval_probability(r: Tensor, log2_sigma: Tensor, asymmetry: Tensor) -> Tensor:
    """Mass of the two-piece normal of mode 0 in [r - 1/2, r + 1/2].

    Args:
        r: y - mu, any real values.
        log2_sigma: log2 of the geometric mean of sigma_l and sigma_r.
        asymmetry: log2 (sigma_r / sigma_l).

    Returns:
        Probabilities, differentiable, computed from upper tails only so that small ones keep their precision.
    """
    sign = torch.where(r < 0, -0.5, 0.5).to(r.dtype)
    near = torch.exp2(log2_sigma + sign * asymmetry)
    far = torch.exp2(log2_sigma - sign * asymmetry)
    norm = 2 / (near + far)
    size = r.abs()
    outer = near * norm * _tail((size + 0.5) / near)
    inner_near = near * norm * _tail((size - 0.5).clamp(min=0) / near)
    inner_far = far * norm * _tail((0.5 - size).clamp(min=0) / far)
    inner = torch.where(size >= 0.5, inner_near, 1 - inner_far)
    return inner - outer


def _tail(x: Tensor) -> Tensor:
    """Upper tail of the standard normal."""
    return 0.5 * torch.erfc(x * 0.5**0.5)


def bits(r: Tensor, log2_sigma: Tensor, asymmetry: Tensor) -> Tensor:
    """Code length of residuals in bits, same shape as r."""
    probability = interval_probability(r, *clamp_parameters(log2_sigma, asymmetry))
    return -torch.log2(probability.clamp(min=PROBABILITY_FLOOR))
