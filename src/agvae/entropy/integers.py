"""Sums of products with one result on every machine, in float32: sums of integers of at most 2^24.

A layer y = W x + b rounds each channel c of x to an integer of magnitude at most 2^10, times 2^-e_c.  In these units of
x, each row of W and its bias are integers w and b times 2^-k, with k the finest for which

    2^10 sum |w| + |b| <= 2^24.

Every partial sum is then an integer that float32 holds, so nothing is rounded, and no order of summation, fused
multiply-add, blocking or wider type can change the result.  What comes before and after is single operations on two
numbers, which IEEE 754 defines to the bit.

Jacob et al. 2018 train networks in integers; here units are found for a network as it is.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from torch import Tensor

INPUT_LIMIT = 2**10
SUM_LIMIT = 2**24
WEIGHT_LIMIT = 2**15 - 1
UNIT_LIMIT = 32
"""Units are 2^-32 to 2^32."""
SPREAD = 8
"""Units of a layer's inputs are at most 2^8 apart where they are made: a channel small in a sample may be larger."""


def rounded(x: Tensor, scale: Tensor) -> Tensor:
    """Integers in float32 for x (..., C), in units of 1 / scale (C,); gradients pass as if they were not rounded."""
    if torch.is_grad_enabled() and x.requires_grad:
        found: Tensor = _StraightThrough.apply(x, scale)  # type: ignore[no-untyped-call]
        return found
    return x.mul(scale).round_().clamp_(-INPUT_LIMIT, INPUT_LIMIT)


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(scale)
        return rounded(x.detach(), scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (scale,) = ctx.saved_tensors
        return gradient * scale, None


def input_units(largest: Tensor) -> Tensor:
    """e (C,) int8: the finest units 2^-e in which magnitudes (C,) are within the limit."""
    wide = largest.double().clamp(min=float(largest.max()) * 2.0**-SPREAD)
    return (-torch.frexp(wide / INPUT_LIMIT).exponent).clamp(-UNIT_LIMIT, UNIT_LIMIT).to(torch.int8)


def to_units(weight: Tensor, units: Tensor) -> Tensor:
    """Weights for inputs that count units of 2^-e: w 2^-e, exact.

    Args:
        weight: (..., C) of matrices, or (C, 1, 3, 3) of a filter for each channel.
        units: e (C,).

    Raises:
        ValueError: there are more or fewer units than inputs.
    """
    return weight * _along_inputs(power_of_two(-units.int()), weight)


def from_units(weight: Tensor, units: Tensor) -> Tensor:
    """Inverse of `to_units`."""
    return weight * _along_inputs(power_of_two(units), weight)


def _along_inputs(scale: Tensor, weight: Tensor) -> Tensor:
    if scale.shape != (weight.shape[:1] if weight.dim() == 4 else weight.shape[-1:]):
        msg = "units do not fit the inputs of a layer"
        raise ValueError(msg)
    return scale[:, None, None, None] if weight.dim() == 4 else scale


def power_of_two(exponents: Tensor) -> Tensor:
    """2^k in float64 for integers k on the CPU; PyTorch's own powers may be off by a last bit."""
    return torch.from_numpy(np.ldexp(1.0, exponents.numpy()))


def nearest(weight: Tensor, bias: Tensor | None, units: Tensor) -> tuple[Tensor, Tensor | None]:
    """The nearest weights, as in `to_units`, and biases for which sums are exact, in float64.

    Raises:
        ValueError: they are not finite, or too large for any unit.
    """
    matrix, offset = _rows(weight, bias, units)
    bound = INPUT_LIMIT * matrix.abs().sum(1) + offset.abs()
    if not bound.isfinite().all():
        msg = "weights are not finite"
        raise ValueError(msg)
    k = (25 - torch.frexp(bound).exponent).clamp(max=UNIT_LIMIT)  # or one less
    while True:
        scale = power_of_two(k)
        integers = matrix.mul(scale[:, None]).round_(), offset.mul(scale).round_()
        exact = _exact(*integers)
        if exact.all():
            break
        k -= (~exact).int()
    if k.min() < -UNIT_LIMIT:
        msg = "weights are too large for exact arithmetic"
        raise ValueError(msg)
    matrix = from_units((integers[0] / scale[:, None]).reshape(weight.shape), units)
    return matrix, None if bias is None else integers[1] / scale


def row_units(weight: Tensor, bias: Tensor | None, units: Tensor) -> Tensor:
    """k (rows,) int32: the coarsest units 2^-k in which weights, as in `to_units`, and biases of rows are integers.

    Raises:
        ValueError: sums of products with integers of up to 2^10 are not exact in any.
    """
    values = torch.column_stack(_rows(weight, bias, units))
    mantissa, exponent = torch.frexp(values)
    digits = mantissa.mul(2.0**53).long()
    zeros = torch.frexp((digits & -digits).double()).exponent - 1
    k = torch.where(digits == 0, -UNIT_LIMIT, 53 - exponent - zeros).amax(1)
    integers = values * power_of_two(k)[:, None]
    if not values.isfinite().all() or k.max() > UNIT_LIMIT or not _exact(integers[:, :-1], integers[:, -1]).all():
        msg = "weights whose sums are not exact"
        raise ValueError(msg)
    return k


def _rows(weight: Tensor, bias: Tensor | None, units: Tensor) -> tuple[Tensor, Tensor]:
    """Weights for inputs in units (rows, inputs of a row), and biases (rows,), both float64."""
    weight = to_units(weight.double(), units)
    matrix = weight.flatten(1) if weight.dim() == 4 else weight.flatten(0, -2)
    return matrix, matrix.new_zeros(len(matrix)) if bias is None else bias.double()


def _exact(matrix: Tensor, offset: Tensor) -> Tensor:
    """Whether sums are, for each row of integers and its offset."""
    bound = INPUT_LIMIT * matrix.abs().sum(1) + offset.abs()
    return (bound <= SUM_LIMIT) & (matrix.abs().amax(1) <= WEIGHT_LIMIT)


def float32_is_exact(device: torch.device) -> bool:
    """Whether float32 is multiplied as such by oneDNN's convolutions on a CPU, or cuBLAS, whatever others have set."""
    if device.type == "cpu":
        module = getattr(torch.backends.mkldnn, "conv", None)
        exact = getattr(module, "fp32_precision", "ieee") in _FLOAT32
        return exact and all(os.environ.get(name, "").lower() in ("", "strict") for name in _FAST_MATH)
    if device.type != "cuda" or any(os.environ.get(name, "0") != "0" for name in _TF32):
        return False
    precision = getattr(torch.backends.cuda.matmul, "fp32_precision", None)  # PyTorch 2.9 and later
    return not torch.backends.cuda.matmul.allow_tf32 if precision is None else precision in _FLOAT32


_FLOAT32 = ("none", "ieee")
_FAST_MATH = ("ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE")
_TF32 = ("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE")
