"""What all gained variational autoencoders share: figure 1 of the paper around any transforms and entropy model."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from agvae.entropy import asymmetric
from agvae.networks.gain import level_weights


@dataclass
class StepParameters:
    """Entropy parameters of the symbols of one step, each (B, ...); sigma and asymmetry as base-2 logarithms."""

    mu: Tensor
    log2_sigma: Tensor
    asymmetry: Tensor


Noise = Callable[[Tensor], Tensor]
"""Draws uniform noise in [0, 1) of the shape and type of a tensor."""

Walk = Generator[StepParameters, Tensor, Tensor]
"""Gives the parameters of each step, takes the y-hat of its symbols in the same shape, returns the whole y-hat."""


def follow(walk: Walk, visit: Callable[[StepParameters], Tensor]) -> Tensor:
    """Go all steps of a walk: `visit` gives the y-hat of each step.  Returns the whole y-hat (B, h, w, M)."""
    try:
        parameters = next(walk)
        while True:
            parameters = walk.send(visit(parameters))
    except StopIteration as end:
        y_hat: Tensor = end.value
        return y_hat


@dataclass
class Output:
    """What a training pass gives.

    Attributes:
        x_hat: (B, 3, H, W) reconstruction, not clamped.
        y_bits, z_bits: (B,) estimated code length of y and z in bits.
    """

    x_hat: Tensor
    y_bits: Tensor
    z_bits: Tensor


class GainedAutoencoder(nn.Module):
    """A variational autoencoder with gain units; one class serves training (`forward`) and coding (`agvae.coding`).

    Levels are real numbers q = s + l counted from 0, in [0, n - 1].  Maps are channels-last.

    Attributes that a subclass sets:
        config: with `latent` (M), `hyper_latent` (c_hp), `levels` (n) and `betas`.
        analysis, synthesis: g_a and g_s, called with (map, weights); `halo()` is the width of their receptive
            fields in pixels, a multiple of 16.
        gain, inverse_gain, hyper_gain: gain units, called with weights from `level_weights`.
        hyper_analysis: h_a, y (B, h, w, M) -> z (B, ceil(h/4), ceil(w/4), c_hp).
        density: of z; `bits` and `probability` as in `FactorizedDensity`.
        entropy: what must be exact; `walk` and `split` as in `agvae.networks.model.EntropyModel`.
    """

    centre = 0.5
    """What is subtracted from pixels before g_a and added after g_s."""

    config: Any
    analysis: Any
    synthesis: Any
    gain: Any
    inverse_gain: Any
    hyper_analysis: Any
    hyper_gain: Any
    density: Any
    entropy: Any

    def analyse(self, x: Tensor, weights: Tensor) -> Tensor:
        """g_a and the gain unit (equation 3): image (B, 3, H, W) in [0, 1] -> gained y (B, H/16, W/16, M)."""
        y = self.analysis(x.permute(0, 2, 3, 1) - self.centre, weights)
        return y.float() * self.gain(weights)

    def hyper_analyse(self, y: Tensor, weights: Tensor) -> Tensor:
        """h_a and the hyper gain unit (section 3.4): gained y -> gained z (B, ceil(H/64), ceil(W/64), c_hp)."""
        return self.hyper_analysis(y).float() * self.hyper_gain(weights)

    def synthesise(self, y_hat: Tensor, weights: Tensor) -> Tensor:
        """The inverse gain unit (equation 5) and g_s: y-hat -> image (B, 3, H, W), not clamped."""
        x = self.synthesis(y_hat * self.inverse_gain(weights), weights)
        return x.float().permute(0, 3, 1, 2) + self.centre

    def forward(self, x: Tensor, q: Tensor, noise: Noise = torch.rand_like) -> Output:
        """The training pass of equation 6 without the sum: rate and reconstruction at one level per image.

        The rate is that of latents with additive uniform noise (universal quantization), in evaluation mode
        that of rounded ones; decoder and context see rounded latents with a straight-through gradient.

        Args:
            x: (B, 3, H, W) float32 in [0, 1], H and W multiples of 64.
            q: (B,) float32 levels in [0, n - 1].
            noise: of the quantization in training; called with latents whose first dimension is B.
        """
        weights = level_weights(q, self.config.levels)
        y = self.analyse(x, weights)
        z = self.hyper_analyse(y, weights)
        z_bits = self.density.bits(self._noisy(z, noise))
        targets = iter(self.entropy.split(y))
        y_bits = torch.zeros_like(q)

        def visit(p: StepParameters) -> Tensor:
            nonlocal y_bits
            target = next(targets)
            residual = target - p.mu
            bits = asymmetric.bits(self._noisy(residual, noise), p.log2_sigma, p.asymmetry)
            y_bits = y_bits + bits.flatten(1).sum(1)
            return target + (residual.round() - residual).detach()

        y_hat = follow(self.entropy.walk(straight_through_round(z), weights, *y.shape[1:3]), visit)
        x_hat = self.synthesise(y_hat, weights)
        return Output(x_hat, y_bits, z_bits.sum((1, 2, 3)))

    def _noisy(self, values: Tensor, noise: Noise) -> Tensor:
        return values + noise(values) - 0.5 if self.training else values.round()

    def start(self, images: Tensor) -> None:
        """Set weights to where training starts well; `images` (B, 3, H, W) in [0, 1] are a sample of the data."""


def load_parameters(model: nn.Module, state: dict[str, Tensor]) -> None:
    """Make tensors of a model file, which holds no buffers, the parameters, whatever those were before.

    Raises:
        RuntimeError: parameters are missing, unknown or of another shape.
    """
    model.load_state_dict({**dict(model.named_buffers()), **state}, assign=True)


def straight_through_round(values: Tensor) -> Tensor:
    return values + (values.round() - values).detach()
