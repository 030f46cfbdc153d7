"""The asymmetric gained variational autoencoder: one model for all rates."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from agvae.entropy import asymmetric
from agvae.entropy.exact import fix
from agvae.entropy.factorized import FactorizedDensity
from agvae.networks.context import PARAMETERS, STEPS, ContextModel, join_steps, quarters_of_step, split_steps
from agvae.networks.gain import GainUnit, level_weights
from agvae.networks.hyperprior import HyperAnalysis, HyperSynthesis
from agvae.networks.presets import ModelConfig
from agvae.networks.transforms import AnalysisTransform, SynthesisTransform, dct_start


@dataclass
class StepParameters:
    """Entropy parameters of the symbols of one step, each (B, ...); sigma and asymmetry as base-2 logarithms."""

    mu: Tensor
    log2_sigma: Tensor
    asymmetry: Tensor


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


class EntropyModel(nn.Module):
    """Everything that encoder and decoder must compute alike: z' -> features -> parameters of each step.

    In float64 (after `agvae.entropy.exact.freeze`) every result is exact; in other types it trains.
    The networks see latents at the scale of the ungained y: `context_gain` brings y-hat of any level there and
    mu back, and `prior` holds each level's marginal parameters, so one network serves all levels.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        n, latent = config.levels, config.latent
        self.latent = latent
        self.inverse_hyper_gain = GainUnit(n, config.hyper_latent)
        self.hyper_synthesis = HyperSynthesis(config)
        self.context = ContextModel(config)
        self.context_gain = GainUnit(n, latent)
        self.level_bias = nn.Parameter(torch.zeros(n, config.entropy_width))
        self.prior = nn.Parameter(torch.zeros(n, latent * PARAMETERS))

    def walk(self, z_hat: Tensor, weights: Tensor, height: int, width: int) -> Walk:
        """From z-hat (B, hz, wz, c_hp) through the four steps to y-hat (B, height, width, M)."""
        features = self.features(z_hat, weights, height, width)
        decoded: list[Tensor] = []
        for _ in range(STEPS):
            p = self.parameters_of_step(features, decoded, weights)
            y_hat = yield StepParameters(*(part.transpose(0, 1) for part in p))
            decoded.append(y_hat.transpose(0, 1))
        return join_steps(decoded)

    def split(self, y: Tensor) -> list[Tensor]:
        """The symbols of each step of a walk in y (B, h, w, M), each (B, 4, h/2, w/2, M/4)."""
        return [part.transpose(0, 1) for part in split_steps(y)]

    def features(self, z_hat: Tensor, weights: Tensor, height: int, width: int) -> Tensor:
        """Inverse-gained z-hat (section 3.4) through h_s: (B, hz, wz, c_hp) -> (B, height, width, W)."""
        z = fix(z_hat * self.inverse_hyper_gain(weights))
        bias = fix(weights @ self.level_bias.to(weights.dtype))
        return self.hyper_synthesis(z, bias[:, None, None])[:, :height, :width]

    def parameters_of_step(
        self, features: Tensor, decoded: list[Tensor], weights: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """mu, log2 sigma and asymmetry of step len(decoded) given y-hat of the steps before it, in the gained domain.

        Each is (4, B, h/2, w/2, M/4).
        """
        step = len(decoded)
        gains = self._by_quarter(self.context_gain(weights)[:, 0, 0])
        scaled = [fix(y * gains[quarters_of_step(k)]) for k, y in enumerate(decoded)]
        prior = fix(weights @ self.prior.to(weights.dtype)).unflatten(-1, (self.latent, PARAMETERS))
        raw = self.context(features, scaled).to(weights.dtype) + self._by_quarter(prior)[quarters_of_step(step)]
        inverse = self._by_quarter(self.context_gain(weights, reciprocal=True)[:, 0, 0])
        mu = fix(raw[..., 0] * inverse[quarters_of_step(step)])
        return mu, raw[..., 1], raw[..., 2]

    @staticmethod
    def _by_quarter(values: Tensor) -> Tensor:
        """(B, M, ...) -> (4 quarters, B, 1, 1, M/4, ...)."""
        return values.unflatten(1, (4, -1)).transpose(0, 1)[:, :, None, None]


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


class AGVAE(nn.Module):
    """Asymmetric gained variational autoencoder (figure 1) with hyperprior gains (HCVR, section 3.4).

    One class serves training (`forward`) and coding (`analyse`, `hyper_analyse`, `entropy`, `synthesise`),
    which `agvae.codec` drives.  Levels are real numbers q = s + l counted from 0, in [0, n - 1].
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        n = config.levels
        self.config = config
        self.analysis = AnalysisTransform(config)
        self.synthesis = SynthesisTransform(config)
        self.gain = GainUnit(n, config.latent)
        self.inverse_gain = GainUnit(n, config.latent)
        self.hyper_analysis = HyperAnalysis(config)
        self.hyper_gain = GainUnit(n, config.hyper_latent)
        self.density = FactorizedDensity(config.hyper_latent)
        self.entropy = EntropyModel(config)

    def analyse(self, x: Tensor, weights: Tensor) -> Tensor:
        """g_a and the gain unit (equation 3): image (B, 3, H, W) in [0, 1] -> gained y (B, H/16, W/16, M)."""
        y = self.analysis(x.permute(0, 2, 3, 1) - 0.5, weights)
        return y.float() * self.gain(weights)

    def hyper_analyse(self, y: Tensor, weights: Tensor) -> Tensor:
        """h_a and the hyper gain unit: gained y -> gained z (B, ceil(H/64), ceil(W/64), c_hp).

        h_a sees the gained latent times the context gain, at the scale at which the entropy model works.
        """
        return self.hyper_analysis(y * self.entropy.context_gain(weights)).float() * self.hyper_gain(weights)

    def synthesise(self, y_hat: Tensor, weights: Tensor) -> Tensor:
        """The inverse gain unit (equation 5) and g_s: y-hat -> image (B, 3, H, W), not clamped."""
        x = self.synthesis(y_hat * self.inverse_gain(weights), weights)
        return x.float().permute(0, 3, 1, 2) + 0.5

    def forward(self, x: Tensor, q: Tensor) -> Output:
        """The training pass of equation 6 without the sum: rate and reconstruction at one level per image.

        The rate is that of latents with additive uniform noise (universal quantization), in evaluation mode
        that of rounded ones; decoder and context see rounded latents with a straight-through gradient.

        Args:
            x: (B, 3, H, W) float32 in [0, 1], H and W multiples of 64.
            q: (B,) float32 levels in [0, n - 1].
        """
        weights = level_weights(q, self.config.levels)
        y = self.analyse(x, weights)
        z = self.hyper_analyse(y, weights)
        z_bits = self.density.bits(self._noisy(z))
        targets = iter(self.entropy.split(y))
        y_bits = torch.zeros_like(q)

        def visit(p: StepParameters) -> Tensor:
            nonlocal y_bits
            target = next(targets)
            residual = target - p.mu
            bits = asymmetric.bits(self._noisy(residual), p.log2_sigma, p.asymmetry)
            y_bits = y_bits + bits.flatten(1).sum(1)
            return target + (residual.round() - residual).detach()

        y_hat = follow(self.entropy.walk(_straight_through_round(z), weights, *y.shape[1:3]), visit)
        x_hat = self.synthesise(y_hat, weights)
        return Output(x_hat, y_bits, z_bits.sum((1, 2, 3)))

    def _noisy(self, values: Tensor) -> Tensor:
        return values + torch.rand_like(values) - 0.5 if self.training else values.round()

    def start_from_dct(self, images: Tensor) -> None:
        """Start as a block transform codec: orthonormal transforms, uniform steps, marginal Gaussian entropy model.

        The step of level s is that of optimal high-rate quantization under beta_s: with distortion step^2 / 12
        and rate -log2(step) a coefficient, step = sqrt(18 / (ln 2 * beta_s)) / 255.

        Args:
            images: (B, 3, H, W) sample of training images, values in [0, 1].
        """
        std, scale = dct_start(self.analysis, self.synthesis, images.permute(0, 2, 3, 1) - 0.5)
        with torch.no_grad():
            betas = torch.tensor(self.config.betas)
            step = (18 / (math.log(2) * betas)).sqrt()[:, None] / 255
            self.gain.log2.copy_(-(scale * step).log2())
            self.inverse_gain.log2.copy_((scale * step).log2())
            self.entropy.context_gain.log2.copy_((scale * step).log2())
            self.hyper_analysis.down2.weight.mul_(0.2)
            self.hyper_gain.log2.copy_((betas / betas[-1]).log2()[:, None] / 4 + 2)
            self.entropy.inverse_hyper_gain.log2.copy_(-self.hyper_gain.log2)
            prior = self.entropy.prior.view(self.config.levels, -1, PARAMETERS)
            prior[..., 1] = (std / step).log2().clamp(asymmetric.LOG2_SIGMA_MIN + 1)


def _straight_through_round(values: Tensor) -> Tensor:
    return values + (values.round() - values).detach()
