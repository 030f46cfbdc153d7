"""Training steps that PyTorch's compiler and CUDA graphs take from Python: recorded once, then replayed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from agvae.entropy import asymmetric
from agvae.networks import GainedAutoencoder
from agvae.networks.contract import Noise
from agvae.networks.layers import Block, GainedBlock

_FIRST_STEPS = 3
"""Steps before the recording, in which kernels are compiled and optimizers make what they keep."""


def compile_parts(network: GainedAutoencoder) -> None:
    """Give the parts of a network that are many small operations to PyTorch's compiler; the others are products."""
    for module in network.modules():
        if isinstance(module, (Block, GainedBlock)):
            module.compile(dynamic=False)
    network.residual_bits = torch.compile(asymmetric.bits, dynamic=False)


class RecordedStep:
    """Forward and backward pass as one CUDA graph, the optimizers' step as another.

    The batch of the next step is drawn on a stream of its own meanwhile.

    Args:
        loss: of pictures, levels and noise.
        draw: pictures and levels of a step, by its number.
        noise: in [0, 1) like some latents, from the generator as `draw` left it.
        parameters: that have gradients, whose norm is clipped.
        clip: the limit.
        optimizers: whose learning rates are tensors on the device.
    """

    def __init__(
        self,
        loss: Callable[[Tensor, Tensor, Noise], Tensor],
        draw: Callable[[int], tuple[Tensor, Tensor]],
        noise: Noise,
        parameters: Sequence[nn.Parameter],
        clip: float,
        optimizers: Sequence[torch.optim.Optimizer],
    ) -> None:
        self._loss, self._draw, self._noise = loss, draw, noise
        self._parameters, self._clip, self._optimizers = parameters, clip, optimizers
        self._side, self._drawing = torch.cuda.Stream(), torch.cuda.Stream()
        self._ready, self._taken = torch.cuda.Event(), torch.cuda.Event()
        self._passes, self._update = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        self._count = 0
        self._inputs: list[Tensor] = []
        self._drawn: list[Tensor] = []
        self._value = self._norm = torch.empty(0)

    def gradients(self, step: int) -> tuple[Tensor, Tensor]:
        """Gradients of a step, clipped; returns the loss, detached, and the norm that they had."""
        if self._count < _FIRST_STEPS:
            return self._first(step)
        if self._count == _FIRST_STEPS:
            self._fill(step)
            self._record()
        self._ready.wait()
        torch._foreach_copy_(self._inputs, self._drawn)
        self._taken.record()
        self._passes.replay()
        self._fill(step + 1)
        return self._value.clone(), self._norm

    def step(self) -> None:
        """Let the optimizers step."""
        if self._count > _FIRST_STEPS:
            self._update.replay()
        else:
            for optimizer in self._optimizers:
                optimizer.step()
            self._count += 1

    def _first(self, step: int) -> tuple[Tensor, Tensor]:
        for parameter in self._parameters:
            parameter.grad = None
        self._side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._side):
            x, q = self._draw(step)
            kept: list[Tensor] = []

            def noise(latents: Tensor) -> Tensor:
                kept.append(self._noise(latents))
                return kept[-1]

            value = self._loss(x, q, noise)
            value.backward()
            norm = nn.utils.clip_grad_norm_(self._parameters, self._clip)
            self._drawn = [x, q, *kept]
        torch.cuda.current_stream().wait_stream(self._side)
        return value.detach(), norm

    def _fill(self, step: int) -> None:
        """Draw a step's batch and noise to where they wait until the step before it has taken its own."""
        with torch.cuda.stream(self._drawing):
            self._taken.wait()
            x, q = self._draw(step)
            torch._foreach_copy_(self._drawn[:2], [x, q])
            for kept in self._drawn[2:]:
                kept.copy_(self._noise(kept))
            self._ready.record()

    def _record(self) -> None:
        self._inputs = [values.clone() for values in self._drawn]
        x, q, *kept = self._inputs
        for parameter in self._parameters:
            parameter.grad = None
        torch.cuda.synchronize()
        with torch.cuda.graph(self._passes):
            waiting = iter(kept)
            self._value = self._loss(x, q, lambda _: next(waiting))
            self._value.backward()
            self._value = self._value.detach()
            self._norm = nn.utils.clip_grad_norm_(self._parameters, self._clip)
        with torch.cuda.graph(self._update):
            for optimizer in self._optimizers:
                optimizer.step()
        self._count += 1
