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
            alike: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = {}
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(matrix.grad)
                momentum = state["momentum_buffer"].lerp_(matrix.grad, 1 - MOMENTUM)
                pair = (matrix, matrix.grad.lerp(momentum, MOMENTUM).to(self.dtype))
                high, wide = matrix.shape
                alike.setdefault((min(high, wide), max(high, wide)), []).append(pair if high <= wide else _turned(pair))
            for (_, longest), pairs in alike.items():  # one shape together, which threads share with less waiting
                updates = orthogonalized(torch.stack([direction for _, direction in pairs]))
                for (matrix, _), update in zip(pairs, updates, strict=True):
                    matrix.sub_(
                        update.to(matrix.dtype) * (0.2 * math.sqrt(longest) * group["lr"])
                    )  # lr may be a tensor


def _turned(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return pair[0].mT, pair[1].mT


def orthogonalized(matrices: Tensor) -> Tensor:
    """About U V^T of matrices U S V^T, (B, m, n): the singular values become 0.7 to 1.2, but for those near 0.

    The work is least where m <= n.
    """
    a, b, c = _COEFFICIENTS
    x = matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(_STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x
