"""Analysis transform g_a and synthesis transform g_s.

All work happens at 1/8 and 1/16 of the resolution on channels-last maps: the image is rearranged into 8 x 8
patches, mixed by residual blocks, and halved once more.  The blocks carry gain units of their own, so both
transforms know the level; the latent's gain unit and inverse gain unit are in `AGVAE`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agvae.boxes import Slices
from agvae.networks.configs import ModelConfig
from agvae.networks.layers import GainedBlock, Pointwise, depth_to_space, space_to_depth

PATCH = 8
STRIDE = 16
"""Pixels per latent position in each direction."""


class AnalysisTransform(nn.Module):
    """g_a: image (B, H, W, 3), values about [-0.5, 0.5], H and W multiples of 16 -> y (B, H/16, W/16, M).

        h8  = blocks8(embed(s2d8(x)))               (B, H/8, W/8, c8)
        h16 = blocks16(down(s2d2(h8)))              (B, H/16, W/16, c16)
        y   = head(h16)

    s2d8 and s2d2 are `space_to_depth` of 8 x 8 pixels and of 2 x 2 positions.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        c8, c16 = config.width8, config.width16
        self.embed = Pointwise(3 * PATCH * PATCH, c8, trunk=True)
        self.blocks8 = _blocks(config.analysis8, c8, config)
        self.down = Pointwise(4 * c8, c16, trunk=True)
        self.blocks16 = _blocks(config.analysis16, c16, config)
        self.head = Pointwise(c16, config.latent, trunk=True)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        h = self.embed(space_to_depth(x, PATCH))
        for block in self.blocks8:
            h = block(h, weights)
        h = self.down(space_to_depth(h, 2))
        for block in self.blocks16:
            h = block(h, weights)
        return self.head(h)

    def halo(self) -> int:
        """Pixels around a region on which its latents depend, a multiple of 16."""
        return _halo(len(self.blocks8), len(self.blocks16))


class SynthesisTransform(nn.Module):
    """g_s: y' (B, h, w, M) -> image (B, 16 h, 16 w, 3), values about [-0.5, 0.5].

    The layers of g_a in reverse, with weights of their own: x = d2s8(head(blocks8(d2s2(up(blocks16(embed(y')))))))
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        c8, c16 = config.width8, config.width16
        self.embed = Pointwise(config.latent, c16, trunk=True)
        self.blocks16 = _blocks(config.synthesis16, c16, config)
        self.up = Pointwise(c16, 4 * c8, trunk=True)
        self.blocks8 = _blocks(config.synthesis8, c8, config)
        self.head = Pointwise(c8, 3 * PATCH * PATCH, trunk=True)

    def forward(self, y: Tensor, weights: Tensor, inner: Slices | None = None) -> Tensor:
        """All pixels, or those of the rows and columns `inner`, for which each layer does no more than it must."""
        h = self.embed(y)
        reach = _reach(len(self.blocks8), len(self.blocks16))
        for block in self.blocks16:
            h, inner = _near(h, inner, STRIDE, reach)
            h = block(h, weights)
            reach -= STRIDE
        h = depth_to_space(self.up(h), 2)
        for block in self.blocks8:
            h, inner = _near(h, inner, PATCH, reach)
            h = block(h, weights)
            reach -= PATCH
        h, inner = _near(h, inner, PATCH, 0)
        x = depth_to_space(self.head(h), PATCH)
        return x if inner is None else x[(slice(None), *inner)]

    def halo(self) -> int:
        """Pixels around a region on which its reconstruction depends, a multiple of 16."""
        return _halo(len(self.blocks8), len(self.blocks16))


def _blocks(count: int, channels: int, config: ModelConfig) -> nn.ModuleList:
    return nn.ModuleList(GainedBlock(channels, config.levels, config.border) for _ in range(count))


def _halo(blocks8: int, blocks16: int) -> int:
    return -(-_reach(blocks8, blocks16) // STRIDE) * STRIDE


def _reach(blocks8: int, blocks16: int) -> int:
    """How many pixels away a result depends on: every block looks one position further at its resolution."""
    return PATCH * blocks8 + STRIDE * blocks16


def _near(h: Tensor, inner: Slices | None, stride: int, reach: int) -> tuple[Tensor, Slices | None]:
    """Of a map whose positions stand for so many pixels a side, what lies within `reach` of the pixels `inner`.

    And where they are then.
    """
    if inner is None:
        return h, None
    kept, moved = [], []
    for pixels in inner:
        first = max(pixels.start - reach, 0) // stride
        kept.append(slice(first, -(-(pixels.stop + reach) // stride)))
        moved.append(slice(pixels.start - first * stride, pixels.stop - first * stride))
    return h[(slice(None), *kept)], (moved[0], moved[1])


def dct_start(analysis: AnalysisTransform, synthesis: SynthesisTransform, images: Tensor) -> tuple[Tensor, Tensor]:
    """Make g_a and g_s a 16 x 16 block transform and its inverse: where training starts.

    Stage one is an orthonormal 8 x 8 DCT of a decorrelated colour space, stage two a 2 x 2 Haar step; of the
    768 coefficients the M of largest variance are kept.  Every channel of the two residual streams is scaled by
    1 / sqrt(its standard deviation), which brings the channels to comparable sizes.

    Args:
        images: (B, H, W, 3) sample of the training data, values in [-0.5, 0.5].

    Returns:
        (std, scale), both (M,): the standard deviation of every kept coefficient before scaling, and its scale.
    """
    c8, c16 = analysis.embed.out_features, analysis.down.out_features
    latent = analysis.head.out_features
    with torch.no_grad():
        basis = _colour_dct()
        patches = space_to_depth(images, PATCH) @ basis.T
        order8 = patches.flatten(0, 2).var(0).argsort(descending=True)[:c8]
        basis, patches = basis[order8], patches[..., order8]
        scale8 = patches.flatten(0, 2).std(0).clamp(min=1e-3).rsqrt()
        kept8 = len(order8)
        haar = _haar(kept8)
        coefficients = space_to_depth(patches, 2) @ haar.T
        order16 = coefficients.flatten(0, 2).var(0).argsort(descending=True)[:c16]
        haar, coefficients = haar[order16], coefficients[..., order16]
        std = coefficients.flatten(0, 2).std(0).clamp(min=1e-3)
        scale16 = std.rsqrt()

        for layer in (analysis.embed, analysis.down, analysis.head, synthesis.embed, synthesis.up, synthesis.head):
            layer.weight.mul_(0.05)
            layer.bias.zero_()
        down = scale16[:, None] * haar / scale8.repeat(4)
        up = haar.T * scale8.repeat(4)[:, None] / scale16
        analysis.embed.weight[:kept8] = scale8[:, None] * basis
        synthesis.head.weight[:, :kept8] = (basis / scale8[:, None]).T
        _stride_blocks(analysis.down.weight, kept8, c8)[: len(order16)] = down.reshape(-1, 4, kept8)
        synthesis.up.weight.reshape(4, c8, c16)[:, :kept8, : len(order16)] = up.reshape(4, kept8, -1)
        # latent channel k takes coefficient order[k]: rank r goes to quarter r % 4 of the channels, so that
        # each quarter, which the context model codes together, holds its share of large coefficients
        rank = torch.arange(latent).reshape(latent // 4, 4).T.flatten()
        analysis.head.weight[:] = torch.eye(c16)[rank]
        synthesis.embed.weight[:] = torch.eye(c16)[rank].T
    return std[rank], scale16[rank]


def _stride_blocks(weight: Tensor, kept: int, width: int) -> Tensor:
    return weight.reshape(weight.shape[0], 4, width)[:, :, :kept]


def _colour_dct() -> Tensor:
    """Orthonormal (192, 192) basis: luma and two colour differences times the 8 x 8 DCT, for (i, j, rgb) patches."""
    colour = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 2.0, -1.0]])
    colour = colour / colour.norm(dim=1, keepdim=True)
    position = torch.arange(PATCH) + 0.5
    dct = torch.cos(torch.pi / PATCH * torch.arange(PATCH)[:, None] * position)
    dct = dct / dct.norm(dim=1, keepdim=True)
    basis = torch.einsum("ui,vj,ac->auvijc", dct, dct, colour)
    return basis.reshape(3 * PATCH * PATCH, PATCH * PATCH * 3)


def _haar(channels: int) -> Tensor:
    """Orthonormal (4 c, 4 c) two-dimensional Haar step over `space_to_depth(., 2)` of c channels."""
    step = torch.tensor([[1.0, 1.0], [1.0, -1.0]]) / 2**0.5
    haar = torch.einsum("ai,bj->abij", step, step).reshape(4, 4)
    return torch.kron(haar, torch.eye(channels))
