"""Context model: y is coded in four steps, each conditioned on what the steps before it decoded.

Positions fall into four classes by the parity of row and column, p = 2 (row % 2) + column % 2, and channels
into four quarters.  Step k codes quarter p XOR ORDER[k] at positions of class p: every step codes a quarter of
all symbols, spread over all positions, and every quarter sees its diagonal neighbours first.  This is the
quadtree partition of Li et al. 2023 (DCVC-DC) in place of the serial masked convolution of section 3.6, for
four network evaluations in place of one a position.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agvae.entropy.exact import fix
from agvae.networks.contract import EntropyShape
from agvae.networks.layers import Block, Pointwise

STEPS = 4
ORDER = (0, 3, 2, 1)
PARAMETERS = 3
"""mu, log2 sigma, log2 (sigma_r / sigma_l) per symbol (equation 10)."""


def of_step(quarters: Tensor, step: int) -> Tensor:
    """The values of the channel quarters that the position classes code in a step: (4 quarters, ...) -> (4, ...)."""
    return torch.stack([quarters[p ^ ORDER[step]] for p in range(4)])


def to_classes(y: Tensor) -> Tensor:
    """(B, h, w, C), h and w even -> (4, B, h/2, w/2, C): one map for each position class."""
    b, h, w, c = y.shape
    return y.reshape(b, h // 2, 2, w // 2, 2, c).permute(2, 4, 0, 1, 3, 5).reshape(4, b, h // 2, w // 2, c)


def from_classes(y: Tensor) -> Tensor:
    """Inverse of `to_classes`."""
    _, b, h, w, c = y.shape
    return y.reshape(2, 2, b, h, w, c).permute(2, 3, 0, 4, 1, 5).reshape(b, 2 * h, 2 * w, c)


def split_steps(y: Tensor) -> list[Tensor]:
    """(B, h, w, M) -> the symbols of the four steps, each (4, B, h/2, w/2, M/4)."""
    classes = to_classes(y)
    quarters = classes.unflatten(-1, (4, -1))
    return [torch.stack([quarters[p, :, :, :, p ^ ORDER[k]] for p in range(4)]) for k in range(STEPS)]


def join_steps(steps: list[Tensor]) -> Tensor:
    """Inverse of `split_steps`; steps not yet known are zero."""
    known = [*steps, *[torch.zeros_like(steps[0])] * (STEPS - len(steps))]
    classes = [torch.cat([known[ORDER.index(p ^ quarter)][p] for quarter in range(4)], -1) for p in range(4)]
    return from_classes(torch.stack(classes))


class ParameterHead(nn.Module):
    """Entropy parameters of one step's symbols: features (B, h, w, W) -> (4, B, h/2, w/2, M/4, 3)."""

    def __init__(self, width: int, latent: int) -> None:
        super().__init__()
        weight = torch.empty(4, PARAMETERS * latent // 4, width)
        if not weight.is_meta:  # for which PyTorch would import its compiler
            weight.normal_().mul_(0.1).mul_(width**-0.5)
        self.weight = nn.Parameter(weight)

    def forward(self, features: Tensor, step: int) -> Tensor:
        return fix(self.products(to_classes(features), of_step(self.weight, step))).unflatten(-1, (-1, PARAMETERS))

    def products(self, classes: Tensor, weight: Tensor) -> Tensor:
        """Of each class (4, B, h, w, W) with its matrix (4, 3 M/4, W) -> (4, B, h, w, 3 M/4)."""
        with torch.autocast(classes.device.type, enabled=False):  # as in the trunk
            out = torch.bmm(classes.flatten(1, 3).to(weight.dtype), weight.transpose(1, 2))
        return out.reshape(*classes.shape[:4], -1)


class ContextModel(nn.Module):
    """Entropy parameters of every step from hyper features and the latents decoded so far.

    step 0:  first(features)             step k:  head(block_k(adapt_k([features, y-hat of steps before, else 0])))
    """

    def __init__(self, config: EntropyShape) -> None:
        super().__init__()
        width, latent = config.entropy_width, config.latent
        self.first = ParameterHead(width, latent)
        self.adapt = nn.ModuleList(Pointwise(width + latent, width, trunk=True) for _ in range(STEPS - 1))
        self.block = Block(width, config.border)
        self.later_blocks = nn.ModuleList(Block(width, config.border) for _ in range(config.context_blocks - 1))
        self.head = ParameterHead(width, latent)

    def forward(self, features: Tensor, decoded: list[Tensor]) -> Tensor:
        """Parameters of step len(decoded): (4, B, h/2, w/2, M/4, 3), before the level's prior is added.

        Args:
            features: (B, h, w, W) from h_s.
            decoded: the steps so far, each (4, B, h/2, w/2, M/4), scaled by the context gain.
        """
        step = len(decoded)
        if step == 0:
            return self.first(features, step)
        h = torch.cat([features, join_steps(decoded).to(features.dtype)], dim=-1)
        block = self.later_blocks[step - 2] if step > 1 and self.later_blocks else self.block
        return self.head(block(self.adapt[step - 1](h)), step)
