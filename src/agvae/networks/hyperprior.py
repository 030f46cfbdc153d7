"""Hyper analysis h_a and hyper synthesis h_s (Ballé et al. 2018; Cui et al. 2021, section 3.4)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from agvae.networks.contract import EntropyShape
from agvae.networks.layers import Block, Pointwise, activate, depth_to_space, space_to_depth

STRIDE = 4
"""Latent positions per hyper-latent position in each direction."""


class HyperAnalysis(nn.Module):
    """h_a: y (B, h, w, M) -> z (B, ceil(h/4), ceil(w/4), c_hp).  Runs in the encoder only; not exact.

        z = down2(s2d(act(down1(s2d(act(embed(y)))))))

    Rows and columns are filled up with zeros to multiples of 4; s2d is `space_to_depth` of 2 x 2 positions.
    """

    def __init__(self, config: EntropyShape) -> None:
        super().__init__()
        width = config.entropy_width
        self.embed = Pointwise(config.latent, width)
        self.down1 = Pointwise(4 * width, width)
        self.down2 = Pointwise(4 * width, config.hyper_latent)

    def forward(self, y: Tensor) -> Tensor:
        y = F.pad(y, (0, 0, 0, -y.shape[2] % STRIDE, 0, -y.shape[1] % STRIDE))
        h = activate(self.embed(y))
        h = activate(self.down1(space_to_depth(h, 2)))
        return self.down2(space_to_depth(h, 2))


class HyperSynthesis(nn.Module):
    """h_s: inverse-gained z (B, hz, wz, c_hp) -> features (B, 4 hz, 4 wz, entropy_width).

        features = block2(act(d2s(up2(block1(act(d2s(up1(z)))))) + level_bias))

    d2s is `depth_to_space` to 2 x 2 positions.
    """

    def __init__(self, config: EntropyShape) -> None:
        super().__init__()
        width = config.entropy_width
        self.up1 = Pointwise(config.hyper_latent, 4 * width, trunk=True)
        self.block1 = Block(width, config.border)
        self.up2 = Pointwise(width, 4 * width, trunk=True)
        self.block2 = Block(width, config.border)

    def forward(self, z: Tensor, level_bias: Tensor) -> Tensor:
        """`level_bias` (B, 1, 1, entropy_width) tells the network the level."""
        h = activate(depth_to_space(self.up1(z), 2))
        h = self.block1(h)
        h = depth_to_space(self.up2(h), 2)
        return self.block2(activate(h + level_bias.to(h.dtype)))
