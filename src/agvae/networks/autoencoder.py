"""What all gained variational autoencoders share: figure 1 of the paper around any transforms and entropy model."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from agvae.boxes import Slices
from agvae.entropy import asymmetric
from agvae.entropy.factorized import Density
from agvae.networks.contract import (
    Config,
    EntropyWalk,
    Gains,
    HyperTransform,
    Noise,
    Transform,
    Walk,
)
from agvae.networks.contract import Output as Output
from agvae.networks.contract import StepParameters as StepParameters
from agvae.networks.gain import level_weights


def follow(walk: Walk, visit: Callable[[StepParameters], Tensor]) -> Tensor:
    """Go all steps of a walk: `visit` gives the y-hat of each step.  Returns the whole y-hat (B, h, w, M)."""
    try:
        parameters = next(walk)
        while True:
            parameters = walk.send(visit(parameters))
    except StopIteration as end:
        y_hat: Tensor = end.value
        return y_hat


class GainedAutoencoder(nn.Module):
    """A variational autoencoder with gain units; one class serves training (`forward`) and coding (`agvae.coding`).

        y = g_a(x) m_v                   z = h_a(y) m^h_v             (equation 3, section 3.4)
        z-hat = round(z)                 p(y-hat | z-hat): mu, sigma_l, sigma_r of each symbol (equation 10)
        y-hat = mu + round(y - mu)       x-hat = g_s(y-hat m'_v)      (equation 5)

    The vectors m_v of a level v are its gains (equation 8); h_s undoes m^h with a gain unit of its own.

    Levels are real numbers q = s + l counted from 0, in [0, n - 1].  Maps are channels-last.

    Attributes that a subclass sets, see `agvae.networks.contract`:
        config: what decides its shape.
        analysis, synthesis: g_a and g_s.
        gain, inverse_gain, hyper_gain: gain units of y, of y-hat and of z.
        hyper_analysis: h_a.
        density: p(z), see `agvae.entropy.factorized.Density`.
        entropy: from z-hat to the parameters of y; whatever coding must compute exactly is in there.
    """

    residual_bits = staticmethod(asymmetric.bits)
    """Code lengths of the residuals y - mu in training."""

    centre = 0.5
    """What is subtracted from pixels before g_a and added after g_s."""

    config: Config
    analysis: Transform
    synthesis: Transform
    gain: Gains
    inverse_gain: Gains
    hyper_analysis: HyperTransform
    hyper_gain: Gains
    density: Density
    entropy: EntropyWalk

    def analyse(self, x: Tensor, weights: Tensor) -> Tensor:
        """g_a and the gain unit (equation 3): image (B, 3, H, W) in [0, 1] -> gained y (B, H/16, W/16, M)."""
        y = self.analysis(x.permute(0, 2, 3, 1) - self.centre, weights)
        return y.float() * self.gain(weights)

    def hyper_analyse(self, y: Tensor, weights: Tensor) -> Tensor:
        """h_a and the hyper gain unit (section 3.4): gained y -> gained z (B, ceil(H/64), ceil(W/64), c_hp)."""
        return self.hyper_analysis(y).float() * self.hyper_gain(weights)

    def synthesise(self, y_hat: Tensor, weights: Tensor, inner: Slices | None = None) -> Tensor:
        """The inverse gain unit (equation 5) and g_s: y-hat -> image (B, 3, H, W), not clamped.

        Args:
            inner: the rows and columns that are wanted of it; None for all.
        """
        x = self.synthesised(y_hat * self.inverse_gain(weights), weights, inner)
        return x.float().permute(0, 3, 1, 2) + self.centre

    def synthesised(self, y: Tensor, weights: Tensor, inner: Slices | None) -> Tensor:
        """What is wanted of g_s' result, (B, H, W, 3)."""
        x = self.synthesis(y, weights)
        return x if inner is None else x[(slice(None), *inner)]

    def forward(self, x: Tensor, q: Tensor, noise: Noise = torch.rand_like) -> Output:
        """The training pass of equation 6 without the sum: rate and reconstruction at one level per image.

        The rate is R = -sum log2 p(z~) - sum log2 p(y~) of latents with additive uniform noise (universal
        quantization, Agustsson and Theis 2020), in evaluation mode that of rounded ones; decoder and context see
        rounded latents with a straight-through gradient (Bengio et al. 2013).

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
            bits = self.residual_bits(self._noisy(residual, noise), p.log2_sigma, p.asymmetry)
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
    held = model.state_dict()  # without buffers that are no persistent ones: each network makes its own
    buffers = {name: value for name, value in model.named_buffers() if name in held}
    model.load_state_dict({**buffers, **state}, assign=True)


def straight_through_round(values: Tensor) -> Tensor:
    return values + (values.round() - values).detach()
