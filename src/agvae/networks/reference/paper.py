"""The network of the paper, and those that it compares with, as whole codecs."""

from __future__ import annotations

import math
from typing import Any

import torch
from compressai.models.utils import remap_old_keys
from compressai.zoo.pretrained import load_pretrained
from torch import Tensor, nn

from agvae.entropy import asymmetric
from agvae.networks.autoencoder import GainedAutoencoder
from agvae.networks.configs import ReferenceConfig
from agvae.networks.contract import Noise, Output
from agvae.networks.gain import GainUnit, level_weights
from agvae.networks.reference.backbones import (
    STAGES,
    HyperAnalysis,
    backbone,
    is_convolution,
    principal_components_start,
)
from agvae.networks.reference.fronts import Bottleneck, EntropyModel
from agvae.networks.reference.rates import ConditionedTransform, Reciprocal, Unit


class ReferenceAGVAE(GainedAutoencoder):
    """The paper's network, or a backbone of CompressAI with gain units, or with another way to serve several rates."""

    centre = 0.0

    config: ReferenceConfig
    analysis: ConditionedTransform
    synthesis: ConditionedTransform
    gain: GainUnit | Unit
    inverse_gain: GainUnit | Unit | Reciprocal
    hyper_analysis: HyperAnalysis
    hyper_gain: GainUnit | Unit
    density: Bottleneck
    entropy: EntropyModel

    def __init__(self, config: ReferenceConfig) -> None:
        super().__init__()
        parts = backbone(config)
        n, gained = config.levels, config.rate != "conditional"
        self.config = config
        self.analysis = ConditionedTransform(parts.g_a, config)
        self.synthesis = ConditionedTransform(parts.g_s, config)
        self.gain = GainUnit(n, config.latent) if gained else Unit()
        self.inverse_gain = GainUnit(n, config.latent) if gained else Unit()
        if config.rate == "bottleneck" and isinstance(self.gain, GainUnit):
            self.inverse_gain = Reciprocal(self.gain)
        self.hyper_analysis = HyperAnalysis(parts.h_a, magnitude=config.backbone == "balle2018")
        self.hyper_gain = GainUnit(n, config.hyper_latent) if config.rate == "hcvr" else Unit()
        self.density = Bottleneck(config.hyper_latent)
        self.entropy = EntropyModel(parts, config)

    def forward(self, x: Tensor, q: Tensor, noise: Noise = torch.rand_like) -> Output:
        """As `GainedAutoencoder.forward`, but in training everything sees latents with additive uniform noise.

        Section 3.6 only names universal quantization: noise in training and rounding in inference is this project's
        reading of it.  Noise lets a serial context model see all symbols at once.
        """
        if not self.training:
            return super().forward(x, q, noise)
        weights = level_weights(q, self.config.levels)
        y = self.analyse(x, weights)
        z = self._noisy(self.hyper_analyse(y, weights), noise)
        y_hat = self._noisy(y, noise)
        p = self.entropy.at_once(z, weights, y_hat)
        y_bits = asymmetric.bits(y_hat - p.mu, p.log2_sigma, p.asymmetry)
        return Output(self.synthesise(y_hat, weights), y_bits.sum((1, 2, 3)), self.density.bits(z).sum((1, 2, 3)))

    def start(self, images: Tensor) -> None:
        """Start as a block transform codec: a cascade of principal components, uniform steps, marginal scales.

        The steps are those of optimal high-rate quantization under beta_s, as in `agvae.networks.model.AGVAE.start`;
        y is 2^-4 of what orthonormal transforms would give.

        Args:
            images: (B, 3, H, W) sample of training images, values in [0, 1].
        """
        betas = torch.tensor(self.config.betas)
        middle = len(betas) // 2
        weights = level_weights(torch.full((len(images),), float(middle)), len(betas))
        with torch.no_grad():
            principal_components_start(self.analysis.layers, self.synthesis.layers, images)
            steps = (18 / (math.log(2) * betas)).sqrt()[:, None] / 255
            gains = -(steps * 2.0**-STAGES).log2()
            _set_gains(self.gain, gains)
            _set_gains(self.inverse_gain, -gains)
            if self.config.rate == "conditional":
                self._condition_on(gains, middle)
            y = self.analyse(images, weights)
            scale = self.hyper_analyse(y, weights).std()
            for parameter in self.hyper_analysis.layers[-1].parameters():
                parameter.div_(scale)
            slope = (betas / betas[middle]).log2()[:, None] / 4
            _set_gains(self.hyper_gain, slope)
            _set_gains(self.entropy.inverse_hyper_gain, -slope)
            self.entropy.start(y.std((0, 1, 2)).clamp(min=0.25))

    def _condition_on(self, gains: Tensor, middle: int) -> None:
        """Let the last convolution of g_a and the first of g_s do what gain units of these logarithms (n, 1) would."""
        last: Any = [layer for layer in self.analysis.layers if is_convolution(layer)]
        first: Any = [layer for layer in self.synthesis.layers if is_convolution(layer)]
        gain = gains[middle].exp2()
        last[-1].weight.mul_(gain)
        last[-1].bias.mul_(gain)
        first[0].weight.div_(gain)
        self.synthesis.biases[0].copy_(first[0].bias.expand_as(self.synthesis.biases[0]))
        first[0].bias.zero_()
        for scale, value in ((self.analysis.scales[-1], gains), (self.synthesis.scales[0], -gains)):
            wanted = (value - value[middle]).exp2()
            scale.copy_(wanted.expm1().log().expand_as(scale))  # softplus of it is what is wanted

    def load_zoo(self, state: dict[str, Tensor]) -> list[str]:
        """Take what fits from the state of a CompressAI model of the same backbone, width and latent, of any release.

        What the middle level does to latents besides becomes nothing: its gains become 1.

        Returns:
            The names of the parameters of that state that were not taken: those of the last layer before sigma, if
            this network has sigma_l and sigma_r.

        Raises:
            ValueError: it is not the state of such a model; the network is unchanged.
        """
        places = {
            "g_a": self.analysis.layers,
            "g_s": self.synthesis.layers,
            "h_a": self.hyper_analysis.layers,
            "h_s": self.entropy.hyper_synthesis,
            "context_prediction": self.entropy.context,
            "entropy_parameters": self.entropy.parameters_network,
            "entropy_bottleneck": self.density.bottleneck,
        }
        state = remap_old_keys("entropy_bottleneck", load_pretrained(state))
        own = {
            f"{part}.{name}": parameter
            for part, place in places.items()
            if place is not None
            for name, parameter in place.named_parameters()
        }
        left = [name for name, parameter in own.items() if name in state and state[name].shape != parameter.shape]
        may_differ = {id(parameter) for parameter in self.entropy.last_layer().parameters()}
        if not (self.config.asymmetric or self.config.backbone == "agvae2021"):
            may_differ = set()
        if not own.keys() <= state.keys() or any(id(own[name]) not in may_differ for name in left):
            c = self.config
            msg = f"not the state of a CompressAI model of backbone {c.backbone}, width {c.width} and latent {c.latent}"
            raise ValueError(msg)
        with torch.no_grad():
            for gain in (self.gain, self.inverse_gain):
                if isinstance(gain, GainUnit):
                    gain.log2.sub_(gain.log2[self.config.levels // 2].clone())
            for bias in self.synthesis.biases:
                bias.zero_()
            for name in own.keys() - set(left):
                own[name].copy_(state[name])
        return left


def _set_gains(gain: nn.Module | None, log2: Tensor) -> None:
    """Give a gain unit these logarithms (n, 1) for all channels; what is none stays as it is."""
    if isinstance(gain, GainUnit):
        gain.log2.copy_(log2.expand_as(gain.log2))
