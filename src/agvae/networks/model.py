"""The asymmetric gained variational autoencoder of the default presets: one model for all rates."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from agvae.boxes import Slices
from agvae.entropy import asymmetric
from agvae.entropy.exact import fix
from agvae.entropy.factorized import FactorizedDensity
from agvae.networks.autoencoder import GainedAutoencoder
from agvae.networks.configs import ModelConfig
from agvae.networks.context import PARAMETERS, STEPS, ContextModel, join_steps, of_step, split_steps
from agvae.networks.contract import EntropyShape, StepParameters, Walk
from agvae.networks.gain import GainUnit, interpolated
from agvae.networks.hyperprior import HyperAnalysis, HyperSynthesis
from agvae.networks.transforms import AnalysisTransform, SynthesisTransform, dct_start


class OfLevels(NamedTuple):
    """The context gain of each image, its reciprocal, and the prior: (4 quarters, B, 1, 1, M/4) and (..., 3)."""

    gain: Tensor
    inverse_gain: Tensor
    prior: Tensor


class EntropyModel(nn.Module):
    """Everything that encoder and decoder must compute alike: z' -> features -> parameters of each step.

    Exact in integers (`agvae.networks.integer_layers`) or in float64, after `agvae.entropy.exact.freeze`; before, it
    trains.
    The networks see latents at the scale of the ungained y: `context_gain` brings y-hat of any level there and
    mu back, and `prior` holds each level's marginal parameters, so one network serves all levels.

    Attributes:
        in_integers: it may work in float32, see `agvae.networks.integer_layers.fit_for_integers`.
    """

    in_integers = True

    def __init__(self, config: EntropyShape) -> None:
        super().__init__()
        n, latent = config.levels, config.latent
        self.latent, self.asymmetric = latent, config.asymmetric
        self.inverse_hyper_gain = GainUnit(n, config.hyper_latent)
        self.hyper_synthesis = HyperSynthesis(config)
        self.context = ContextModel(config)
        self.context_gain = GainUnit(n, latent)
        self.level_bias = nn.Parameter(torch.zeros(n, config.entropy_width))
        self.prior = nn.Parameter(torch.zeros(n, latent * PARAMETERS))

    def walk(self, z_hat: Tensor, weights: Tensor, height: int, width: int) -> Walk:
        """From z-hat (B, hz, wz, c_hp) through the four steps to y-hat (B, height, width, M)."""
        features, levels = self.features(z_hat, weights, height, width), self.of_levels(weights)
        decoded: list[Tensor] = []
        scaled: list[Tensor] = []
        for step in range(STEPS):
            p = self.parameters_of_step(features, scaled, levels)
            y_hat = yield StepParameters(*(part.transpose(0, 1) for part in p))
            decoded.append(y_hat.transpose(0, 1))
            scaled.append(fix(decoded[step] * of_step(levels.gain, step)))
        return join_steps(decoded)

    def split(self, y: Tensor) -> list[Tensor]:
        """The symbols of each step of a walk in y (B, h, w, M), each (B, 4, h/2, w/2, M/4)."""
        return [part.transpose(0, 1) for part in split_steps(y)]

    def features(self, z_hat: Tensor, weights: Tensor, height: int, width: int) -> Tensor:
        """Inverse-gained z-hat (section 3.4) through h_s: (B, hz, wz, c_hp) -> (B, height, width, W)."""
        z = fix(z_hat * self.inverse_hyper_gain(weights).to(z_hat.dtype))
        bias = fix(interpolated(weights, self.level_bias))
        return self.hyper_synthesis(z, bias[:, None, None])[:, :height, :width]

    def of_levels(self, weights: Tensor) -> OfLevels:
        """What depends on the levels of a batch alone."""
        prior = fix(interpolated(weights, self.prior)).unflatten(-1, (self.latent, PARAMETERS))
        gain, inverse = (self.context_gain(weights, reciprocal=inverse)[:, 0, 0] for inverse in (False, True))
        return OfLevels(*(self._by_quarter(part.to(self.prior.dtype)) for part in (gain, inverse, prior)))

    def parameters_of_step(
        self, features: Tensor, scaled: list[Tensor], levels: OfLevels
    ) -> tuple[Tensor, Tensor, Tensor]:
        """mu, log2 sigma and asymmetry of step len(scaled), in the gained domain, each (4, B, h/2, w/2, M/4).

        Args:
            scaled: y-hat of the steps before it, times the context gain.
        """
        step = len(scaled)
        raw = self.context(features, scaled).to(levels.prior.dtype) + of_step(levels.prior, step)
        mu = fix(raw[..., 0] * of_step(levels.inverse_gain, step))
        return mu, raw[..., 1], raw[..., 2] if self.asymmetric else torch.zeros_like(mu)

    def start(self, log2_gain: Tensor, log2_sigma: Tensor) -> None:
        """Begin with these context gains and marginal scales of y, each (n, M) and as base-2 logarithms."""
        self.context_gain.log2.copy_(log2_gain)
        self.prior.unflatten(1, (self.latent, PARAMETERS))[..., 1] = log2_sigma

    @staticmethod
    def _by_quarter(values: Tensor) -> Tensor:
        """(B, M, ...) -> (4 quarters, B, 1, 1, M/4, ...)."""
        return values.unflatten(1, (4, -1)).transpose(0, 1)[:, :, None, None]


class AGVAE(GainedAutoencoder):
    """The default networks, `light` and `base`: everything at 1/8 and 1/16 of the resolution."""

    config: ModelConfig
    analysis: AnalysisTransform
    synthesis: SynthesisTransform
    gain: GainUnit
    inverse_gain: GainUnit
    hyper_analysis: HyperAnalysis
    hyper_gain: GainUnit
    density: FactorizedDensity
    entropy: EntropyModel

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

    def hyper_analyse(self, y: Tensor, weights: Tensor) -> Tensor:
        """h_a and the hyper gain unit: gained y -> gained z (B, ceil(H/64), ceil(W/64), c_hp).

        h_a sees the gained latent times the context gain, at the scale at which the entropy model works.
        """
        return self.hyper_analysis(y * self.entropy.context_gain(weights)).float() * self.hyper_gain(weights)

    def synthesised(self, y: Tensor, weights: Tensor, inner: Slices | None) -> Tensor:
        """What is wanted of g_s' result; if g_s is that of a package of its own, cut out of all of it."""
        if type(self.synthesis) is not SynthesisTransform:
            return super().synthesised(y, weights, inner)
        return self.synthesis(y, weights, inner)

    def start(self, images: Tensor) -> None:
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
            self.hyper_analysis.down2.weight.mul_(0.2)
            self.hyper_gain.log2.copy_((betas / betas[-1]).log2()[:, None] / 4 + 2)
            self.entropy.inverse_hyper_gain.log2.copy_(-self.hyper_gain.log2)
            self.entropy.start((scale * step).log2(), (std / step).log2().clamp(asymmetric.LOG2_SIGMA_MIN + 1))
