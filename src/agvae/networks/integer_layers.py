"""Layers of frozen entropy networks whose sums are exact in float32, see `agvae.entropy.integers`.

Each is the layer of its base class with inputs rounded to units; in a module whose sums of products are all in such
layers they take the place of these.  On a CPU they work in bands (`agvae.networks.bands`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from agvae.entropy.integers import power_of_two, rounded, row_units, to_units
from agvae.networks import bands, kernels
from agvae.networks.context import ParameterHead
from agvae.networks.gain import GainUnit
from agvae.networks.layers import Depthwise, Pointwise


class IntegerPointwise(Pointwise):
    scale: Tensor

    def forward(self, x: Tensor) -> Tensor:
        def work(x: Tensor, _: int) -> Tensor:
            return kernels.exact_pointwise(rounded(x, self.scale), self.weight, self.bias)

        if not bands.wanted(x, gradients=True):
            return work(x, 0)
        return bands.mapped(work, x, self.out_features, lambda: self.weight * self.scale)


class IntegerDepthwise(Depthwise):
    scale: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return kernels.exact_depthwise(rounded(x, self.scale), self.weight, self.bias, self.border)


class IntegerHead(ParameterHead):
    scale: Tensor

    def products(self, classes: Tensor, weight: Tensor) -> Tensor:
        batch = classes.shape[1]

        def work(x: Tensor, image: int) -> Tensor:
            return kernels.exact_pointwise(rounded(x, self.scale), weight[image // batch], None)

        def jacobian() -> Tensor:
            return (weight * self.scale).repeat_interleave(batch, 0)

        maps = classes.flatten(0, 1)
        if bands.wanted(maps, gradients=True):
            return bands.mapped(work, maps, weight.shape[1], jacobian).unflatten(0, (4, batch))
        return torch.stack([work(part, k * batch) for k, part in enumerate(classes)])


IN_INTEGERS: dict[type, type] = {
    Pointwise: IntegerPointwise,
    Depthwise: IntegerDepthwise,
    ParameterHead: IntegerHead,
}


def fit_for_integers(module: nn.Module) -> bool:
    """Whether all sums of products of an entropy model, but those over levels, are in layers with a form in integers.

    Its class says so, and not for classes that inherit it; and nothing but such layers and gain units has parameters in
    it.  All else in it must be single operations on two numbers, fit for float32.
    """
    known = (*IN_INTEGERS, GainUnit)
    parts = (part for part in module.modules() if part is not module and type(part) not in known)
    return bool(vars(type(module)).get("in_integers")) and not any(p for part in parts for p in part._parameters)


def layers(module: nn.Module) -> dict[str, nn.Module]:
    """Those of a module that have a form in integers, by name."""
    return {name: layer for name, layer in module.named_modules() if type(layer) in IN_INTEGERS}


def use_integers(module: nn.Module, units: Mapping[str, Tensor]) -> None:
    """Have the layers of a frozen module, in their place, work in integers, and the module in float32.

    Args:
        units: of the inputs of every layer that has a form in integers, by its name, see `agvae.entropy.integers`.

    Raises:
        ValueError: a layer has no units or those of another shape, there are more, or a layer's sums are not exact.
    """
    found = layers(module)
    if found.keys() != units.keys():
        msg = "the entropy model has other layers than units"
        raise ValueError(msg)
    layer: Any
    for name, layer in found.items():
        row_units(layer.weight, getattr(layer, "bias", None), units[name])
        layer.weight = nn.Parameter(to_units(layer.weight, units[name]))
        layer.register_buffer("scale", power_of_two(units[name]).float(), persistent=False)
        layer.__class__ = IN_INTEGERS[type(layer)]
    module.float()
