"""A network made ready to code: types and devices of its parts, and layers that work in bands.

Layers define what is computed; here is what is computed at once.  On a CPU, in float32, pointwise layers and gained
blocks work band by band (`agvae.networks.bands`), which gives the same numbers with any number of threads.
"""

from __future__ import annotations

import torch
from torch import Tensor

from agvae.networks import bands, kernels
from agvae.networks.autoencoder import GainedAutoencoder
from agvae.networks.layers import GainedBlock, Pointwise, Trunk
from agvae.progress import checkpoint


def prepare(network: GainedAutoencoder, device: torch.device, exact_device: torch.device) -> None:
    """Have a network, in its place, code pictures and no longer learn.

    Args:
        device: of g_a and g_s and their gain units, in float32.
        exact_device: of all else; the entropy model in float64.
    """
    network.get_submodule("entropy").to(torch.float64)
    network.requires_grad_(False).eval().to(exact_device)
    for name in ("analysis", "gain", "inverse_gain", "synthesis"):
        network.get_submodule(name).to(device)
    for layer in network.modules():
        layer.__class__ = _IN_BANDS.get(type(layer), type(layer))
        if not any(layer.children()):
            layer.register_forward_pre_hook(lambda *_: checkpoint())  # a transform is too long for who wants to stop it


class _PointwiseInBands(Pointwise):
    def forward(self, x: Tensor) -> Tensor:
        if bands.inside():
            return kernels.pointwise(x, self.weight, self.bias, one_thread=True)
        if not _wanted(x):
            return super().forward(x)
        out = x.new_empty(*x.shape[:3], self.out_features)

        def work(image: slice, top: int, bottom: int) -> None:
            out[image, top:bottom] = self(x[image, top:bottom])

        bands.each_band(work, *x.shape[:2])
        return out


class _GainedBlockInBands(GainedBlock):
    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        if not _wanted(x):
            return super().forward(x, weights)
        gain = self.gain(weights)
        out = torch.empty_like(x)
        height = x.shape[1]

        def work(image: slice, top: int, bottom: int) -> None:
            first = max(top - 1, 0)
            branch = self.branch(x[image, first : min(bottom + 1, height)], slice(top - first, bottom - first))
            torch.addcmul(x[image, top:bottom], branch, gain[image], out=out[image, top:bottom])

        bands.each_band(work, *x.shape[:2])
        return out


_IN_BANDS: dict[type, type] = {Pointwise: _PointwiseInBands, Trunk: _PointwiseInBands, GainedBlock: _GainedBlockInBands}


def _wanted(x: Tensor) -> bool:
    """Whether layers should work on a map (B, H, W, C) in bands: float32 on the CPU, without autocast or gradients."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.dim() == 4
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not bands.inside()
    )
