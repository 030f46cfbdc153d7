"""Gradients of what layers are given, in bands (`agvae.networks.bands`), where their weights are fixed.

PyTorch's own keep every map between two operators; what is fixed needs next to nothing of them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from agvae.networks import bands, kernels
from agvae.networks.layers import LEAKY_SLOPE, FeedForward, activate


def gained_sum(x: Tensor, gain: Tensor, f: FeedForward) -> Tensor:
    """x + gain f(x) in bands, of (B, H, W, C) and (B, 1, 1, C), and the gradient of x where that is wanted."""
    if not torch.is_grad_enabled():
        return _sum(x, gain, f)
    found: Tensor = _GainedSum.apply(x, gain, f)  # type: ignore[no-untyped-call]
    return found


def _sum(x: Tensor, gain: Tensor, f: FeedForward, negative: Tensor | None = None) -> Tensor:
    """Puts into `negative`, if it is given, where what is activated is below 0."""
    out = torch.empty_like(x)

    def work(image: slice, top: int, bottom: int) -> None:
        near, inner = bands.around(top, bottom)
        h = f.expand(f.depthwise(x[image, near])[:, inner])
        if negative is not None:
            torch.lt(h, 0, out=negative[image, top:bottom])
        torch.addcmul(x[image, top:bottom], f.project(activate(h)), gain[image], out=out[image, top:bottom])

    bands.each_band(work, *x.shape[:2])
    return out


class _GainedSum(torch.autograd.Function):
    """All it keeps is where what is activated is below 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, f: FeedForward) -> Tensor:
        ctx.gain, ctx.f = gain, f
        ctx.negative = x.new_empty(*x.shape[:3], f.expand.out_features, dtype=torch.bool)
        return _sum(x, gain, f, ctx.negative)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        f: FeedForward = ctx.f
        g = gradients[0]
        project, expand = (layer.weight.t().contiguous() for layer in (f.project, f.expand))
        of_filtered, of_x = torch.empty_like(g), torch.empty_like(g)

        def pointwise(image: slice, top: int, bottom: int) -> None:
            h = kernels.pointwise(g[image, top:bottom] * ctx.gain[image], project, None, one_thread=True)
            h.addcmul_(h, ctx.negative[image, top:bottom].float(), value=LEAKY_SLOPE - 1)
            of_filtered[image, top:bottom] = kernels.pointwise(h, expand, None, one_thread=True)

        def depthwise(image: slice, top: int, bottom: int) -> None:
            near, inner = bands.around(top, bottom)
            pull = kernels.depthwise_adjoint(of_filtered[image, near], f.depthwise.weight, f.depthwise.border)
            torch.add(g[image, top:bottom], pull[:, inner], out=of_x[image, top:bottom])

        for work in (pointwise, depthwise):
            bands.each_band(work, *g.shape[:2])
        return of_x, None, None
