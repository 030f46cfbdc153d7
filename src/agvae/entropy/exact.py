"""Arithmetic with one result on every machine: dyadic rationals in float64, for networks of any kind of layers.

The entropy decoder needs the very numbers that the encoder used, on another device, with other kernels and
other summation orders.  Here weights are multiples of 2^-16 and activations multiples of 2^-10 with
magnitude at most 2^12.  A product is then a multiple of 2^-26, and while sum |w| < 2^15 for every output
(checked when weights are frozen) each partial sum is below 2^27: at most 53 bits, which float64 holds exactly.
No rounding happens, so no order of summation, fused multiply-add or blocking can change the result.

Ballé et al. 2019 came to the same end with integer networks that are trained as such; here any network is frozen.

Networks whose sums are all in layers with a form in integers need float32 only, see `agvae.entropy.integers`.

The rule throughout the package: a network evaluated in float64 is on the exact path and rounds its
activations with `fix`; in any other type the same code trains.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agvae.entropy.integers import nearest

WEIGHT_BITS = 16
ACTIVATION_BITS = 10
ACTIVATION_LIMIT = 2.0**12
WEIGHT_SUM_LIMIT = 2.0**15

_PRODUCT_SCALE = 2.0 ** (WEIGHT_BITS + ACTIVATION_BITS)
_EXP2_BITS = 10


def fix(x: Tensor) -> Tensor:
    """Round float64 activations to the grid of 2^-10 and clamp them; other types pass unchanged.

    Values are first rounded to the grid of exact products (2^-26), so that a kernel whose intermediate
    results are not exact (a Winograd or FFT convolution) still lands on the same activation.
    """
    if x.dtype != torch.float64:
        return x
    if torch.is_grad_enabled() and x.requires_grad:
        found: Tensor = _StraightThrough.apply(x)  # type: ignore[no-untyped-call]
        return found
    x = x.mul(_PRODUCT_SCALE).round_().mul_(2.0**-WEIGHT_BITS).round_()
    return x.mul_(2.0**-ACTIVATION_BITS).clamp_(-ACTIVATION_LIMIT, ACTIVATION_LIMIT)


class _StraightThrough(torch.autograd.Function):
    """Gradients pass as if nothing were rounded."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return fix(x.detach())

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return gradient


def _exp2_table() -> list[float]:
    """2^(i / 1024) for i in 0..1023 as multiples of 2^-16, by integer square roots alone."""
    from math import isqrt

    guard = 200
    one = 1 << guard
    step = 2 << guard
    for _ in range(_EXP2_BITS):
        step = isqrt(step << guard)
    table, value = [], one
    half = 1 << (guard - WEIGHT_BITS - 1)
    for _ in range(1 << _EXP2_BITS):
        table.append(((value + half) >> (guard - WEIGHT_BITS)) * 2.0**-WEIGHT_BITS)
        value = (value * step) >> guard
    return table


# Arrays, as a tensor made while a module is imported keeps what PyTorch was set to then.
_FRACTION = np.array(_exp2_table())
_POWERS = np.array([2.0**k for k in range(-16, 17)])


def exact_exp2(x: Tensor) -> Tensor:
    """2^x for float64 x, x rounded to multiples of 2^-10 and clamped to [-16, 16], from integer tables."""
    scaled = x.mul(2.0**_EXP2_BITS).round_().clamp_(-16 * 2.0**_EXP2_BITS, 16 * 2.0**_EXP2_BITS)
    index = scaled.to(torch.int64)
    whole = torch.div(index, 1 << _EXP2_BITS, rounding_mode="floor")
    fraction = index - (whole << _EXP2_BITS)
    return _on(x.device, _FRACTION)[fraction] * _on(x.device, _POWERS)[whole + 16]


def _on(device: torch.device, table: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(table).to(device)


LOG2_STEPS = 64
"""Results of `exact_log2` are multiples of 1 / LOG2_STEPS."""
LOG2_RANGE = (-4, 7)

_LOG2_POSITIONS = np.arange(LOG2_RANGE[0] * LOG2_STEPS + 1, LOG2_RANGE[1] * LOG2_STEPS + 1, dtype=np.float64)
_LOG2_THRESHOLDS = exact_exp2(torch.from_numpy((_LOG2_POSITIONS - 0.5) / LOG2_STEPS)).numpy()


def exact_log2(x: Tensor) -> Tensor:
    """log2 of float64 x to the nearest 1/64, limited to [-4, 7], by comparison with a table; also for x <= 0."""
    steps = torch.bucketize(x.contiguous(), _on(x.device, _LOG2_THRESHOLDS), right=True)
    return steps.to(x.dtype) / LOG2_STEPS + LOG2_RANGE[0]


def grid_bits(values: Tensor) -> int:
    """k, such that multiples of 2^-k of these values' size fit 16-bit integers; at most WEIGHT_BITS."""
    largest = float(values.detach().abs().max()) if values.numel() else 0.0
    return next((k for k in range(WEIGHT_BITS, -WEIGHT_BITS, -1) if round(largest * 2.0**k) < 2**15), -WEIGHT_BITS)


def freeze(module: torch.nn.Module, units: Mapping[str, Tensor] = MappingProxyType({})) -> None:
    """Put every parameter and buffer of an entropy network on a grid of 2^-16 or coarser, and the module into float64.

    The grid of each is the finest on which its values are 16-bit integers (`grid_bits`).  Integers stay as they are.

    Args:
        units: of the inputs of layers, by name, whose sums are to be exact in float32 (`agvae.entropy.integers`).

    Raises:
        ValueError: the weights of an output sum to 2^15 or more, so that exactness could not be promised.
    """
    module.to(torch.float64)
    with torch.no_grad():
        for name, inputs in units.items():
            layer: Any = module.get_submodule(name)
            bias = getattr(layer, "bias", None)
            weight, offset = nearest(layer.weight, bias, inputs)
            layer.weight.copy_(weight)
            if bias is not None:
                bias.copy_(offset)
        for name, values in (*module.named_parameters(), *module.named_buffers()):
            if not values.is_floating_point() or name.rpartition(".")[0] in units:
                continue
            unit = 2.0 ** -grid_bits(values)
            values.copy_((values / unit).round() * unit)
            if values.dim() > 1 and values.numel() and values.flatten(1).abs().sum(1).max() >= WEIGHT_SUM_LIMIT:
                msg = f"weights of {name} are too large for exact arithmetic"
                raise ValueError(msg)
