"""A network made ready to code: types and devices of its parts, and layers that work in bands.

Layers define what is computed; here is what is computed at once.  On a CPU, in float32, pointwise layers and gained
blocks work band by band (`agvae.networks.bands`), which gives the same numbers with any number of threads.  So do their
gradients of what they are given, for which they keep next to nothing, since weights are fixed.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from agvae.errors import require
from agvae.networks import bands, kernels
from agvae.networks.autoencoder import GainedAutoencoder
from agvae.networks.gradients import gained_sum
from agvae.networks.integer_layers import fit_for_integers, use_integers
from agvae.networks.layers import Block, GainedBlock, Pointwise
from agvae.progress import checkpoint


def prepare(
    network: GainedAutoencoder, device: torch.device, exact_device: torch.device, units: Mapping[str, Tensor]
) -> None:
    """Have a network, in its place, code pictures and no longer learn.

    Args:
        device: of g_a and g_s and their gain units, in float32.
        exact_device: of all else.
        units: of the inputs of the entropy model's layers, which then work in integers; without any it is in float64.

    Raises:
        ValueError: units do not fit the entropy model, or its sums would not be exact.
    """
    entropy = network.get_submodule("entropy")
    if units:
        require(fit_for_integers(entropy), "the entropy model is not fit for integers")
        use_integers(entropy, units)
    else:
        entropy.to(torch.float64)
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
        if not bands.wanted(x, gradients=True):
            return super().forward(x)
        return bands.mapped(lambda rows, _: self(rows), x, self.out_features, lambda: self.weight)


class _BlockInBands(Block):
    def forward(self, x: Tensor) -> Tensor:
        if not bands.wanted(x):
            return super().forward(x)
        out = torch.empty_like(x)

        def work(image: slice, top: int, bottom: int) -> None:
            near, inner = bands.around(top, bottom)
            torch.add(x[image, top:bottom], self.branch(x[image, near], inner), out=out[image, top:bottom])

        bands.each_band(work, *x.shape[:2])
        return out


class _GainedBlockInBands(GainedBlock):
    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        if not bands.wanted(x, gradients=True):
            return super().forward(x, weights)
        return gained_sum(x, self.gain(weights), self.branch)


_IN_BANDS: dict[type, type] = {
    Pointwise: _PointwiseInBands,
    Block: _BlockInBands,
    GainedBlock: _GainedBlockInBands,
}
