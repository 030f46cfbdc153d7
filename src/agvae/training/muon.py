"""The optimizer of the hidden matrices."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
_STEPS = 5
_COEFFICIENTS = (3.4445, -4.775, 2.0315)
"""Of the quintic Newton-Schulz iteration; chosen by Jordan et al. to raise small singular values fastest."""


class Muon(torch.optim.Optimizer):
    """Nesterov momentum made orthogonal (Jordan et al. 2024, "Muon"), of matrices only.

    Updates have the size of AdamW's (Liu et al. 2025, "Muon is scalable for LLM training"). This is
    `torch.optim.Muon(adjust_lr_fn="match_rms_adamw", weight_decay=0)`, whose state it loads, but for the type that it
    works in: bfloat16, the only one there, costs CPUs without such units ten times the rest of a training step.

    Args:
        matrices: parameters of two dimensions.
        lr: learning rate.
        dtype: floating-point type of the iteration.
    """

    def __init__(self, matrices: Iterable[nn.Parameter], lr: float, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(matrices, {"lr": lr})
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step of all matrices that have gradients; takes no closure."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(matrix.grad)
                momentum = state["momentum_buffer"].lerp_(matrix.grad, 1 - MOMENTUM)
                update = orthogonalized(matrix.grad.lerp(momentum, MOMENTUM).to(self.dtype))
                matrix.add_(update, alpha=-0.2 * math.sqrt(max(matrix.shape)) * group["lr"])


def orthogonalized(matrix: Tensor) -> Tensor:
    """About U V^T of a matrix U S V^T: the singular values become 0.7 to 1.2, but for those near 0."""
    a, b, c = _COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.mT if tall else matrix
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(_STEPS):
        gram = x @ x.mT
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
