"""The networks of the paper, on CompressAI's layers: figure 6, and gain units on earlier backbones (figure 10).

`agvae2021` is section 3.6: GDN, attention modules, 3 x 3 kernels, a context model, asymmetric Gaussian.  That section
speaks of "parallel context models [23]" without more; the serial 5 x 5 mask is this project's reading.
`minnen2018` and `balle2018` are CompressAI's models with gain units plugged in.  Hyper synthesis transform, context
model and parameter network run in exact arithmetic, like those of the default networks (`agvae.entropy.exact`);
they give sigma itself, whose logarithm is looked up (`exact_log2`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from compressai.entropy_models import EntropyBottleneck
from compressai.layers import GDN, AttentionBlock, MaskedConv2d
from compressai.models import JointAutoregressiveHierarchicalPriors, ScaleHyperprior
from compressai.models.utils import conv, deconv, remap_old_keys
from compressai.ops.bound_ops import LowerBoundFunction
from compressai.zoo.pretrained import load_pretrained
from torch import Tensor, nn

from agvae.entropy import asymmetric
from agvae.entropy.asymmetric import LOG2_SIGMA_MIN, PROBABILITY_FLOOR
from agvae.entropy.exact import WEIGHT_BITS, exact_log2, fix
from agvae.networks.autoencoder import GainedAutoencoder, Noise, Output, StepParameters, Walk
from agvae.networks.gain import GainUnit, level_weights
from agvae.networks.presets import ReferenceConfig

CONTEXT_SIZE = 5
_REACH = CONTEXT_SIZE // 2
_ATTENTION_REACH = 3
"""Positions that an attention module looks around itself: three residual units of 3 x 3 kernels, side by side."""
_STAGES = 4
_TOTAL_STRIDE = 2**_STAGES
_CLOSED = -4.0
"""Where the gates of attention modules start; sigmoid of it is 0.02."""


def backbone(config: ReferenceConfig) -> Any:
    """g_a, g_s, h_a, h_s and, but for `balle2018`, context_prediction and entropy_parameters.

    Those of CompressAI have its names and shapes, so that checkpoints of its zoo fit (`strict=False`).
    """
    n, m = config.width, config.latent
    parts: Any
    if config.backbone == "balle2018":
        parts = ScaleHyperprior(n, m)
        if config.asymmetric:
            parts.h_s[-2] = conv(n, 3 * m, stride=1, kernel_size=3)
            parts.h_s[-1] = nn.Identity()
        return parts
    if config.backbone == "minnen2018":
        parts = JointAutoregressiveHierarchicalPriors(n, m)
    else:
        parts = nn.Module()
        parts.g_a = nn.Sequential(
            *(conv(3, n, 3), GDN(n), conv(n, n, 3), GDN(n), AttentionBlock(n)),
            *(conv(n, n, 3), GDN(n), conv(n, m, 3), AttentionBlock(m)),
        )
        parts.g_s = nn.Sequential(
            *(AttentionBlock(m), deconv(m, n, 3), GDN(n, inverse=True), deconv(n, n, 3), GDN(n, inverse=True)),
            *(AttentionBlock(n), deconv(n, n, 3), GDN(n, inverse=True), deconv(n, 3, 3)),
        )
        parts.h_a = nn.Sequential(
            *(conv(m, n, 3, 1), nn.LeakyReLU(inplace=True), conv(n, n, 3), nn.LeakyReLU(inplace=True), conv(n, n, 3)),
        )
        parts.h_s = nn.Sequential(
            *(deconv(n, m, 3), nn.LeakyReLU(inplace=True), deconv(m, m * 3 // 2, 3), nn.LeakyReLU(inplace=True)),
            conv(m * 3 // 2, m * 2, 3, 1),
        )
        parts.context_prediction = MaskedConv2d(m, 2 * m, kernel_size=CONTEXT_SIZE, padding=_REACH, stride=1)
    if config.asymmetric or config.backbone == "agvae2021":
        widths = (4 * m, m * 10 // 3, m * 8 // 3, m * (3 if config.asymmetric else 2))
        layers: list[nn.Module] = []
        for k in range(3):
            layers += [nn.Conv2d(widths[k], widths[k + 1], 1), nn.LeakyReLU(inplace=True)]
        parts.entropy_parameters = nn.Sequential(*layers[:-1])
    return parts


class Transform(nn.Module):
    """g_a or g_s as a channels-last map, perhaps with a scale and a bias for each rate after each convolution."""

    def __init__(self, layers: nn.Sequential, config: ReferenceConfig) -> None:
        super().__init__()
        self.layers = layers
        self.scales, self.biases = nn.ParameterList(), nn.ParameterList()
        if config.rate == "conditional":
            convolutions: list[Any] = [layer for layer in layers if _is_convolution(layer)]
            for channels in (layer.out_channels for layer in convolutions):
                # softplus of it is 1
                self.scales.append(nn.Parameter(torch.full((config.levels, channels), 0.5413)))
                self.biases.append(nn.Parameter(torch.zeros(config.levels, channels)))

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        x = x.permute(0, 3, 1, 2)
        conditions = zip(self.scales, self.biases, strict=True)
        for layer in self.layers:
            x = layer(x)
            if self.scales and _is_convolution(layer):
                scale, bias = next(conditions)
                x = x * F.softplus(weights @ scale)[:, :, None, None] + (weights @ bias)[:, :, None, None]
        return x.permute(0, 2, 3, 1)

    def halo(self) -> int:
        """Pixels around a region on which its result depends, a multiple of 16."""
        stride = _TOTAL_STRIDE if any(isinstance(layer, nn.ConvTranspose2d) for layer in self.layers) else 1
        pixels = 0
        layers: Any = self.layers
        for layer in layers:
            if isinstance(layer, nn.ConvTranspose2d):
                stride //= layer.stride[0]
            if _is_convolution(layer):
                pixels += layer.kernel_size[0] // 2 * stride
            elif isinstance(layer, AttentionBlock):
                pixels += _ATTENTION_REACH * stride
            if isinstance(layer, nn.Conv2d):
                stride *= layer.stride[0]
        return -(-pixels // _TOTAL_STRIDE) * _TOTAL_STRIDE


def _is_convolution(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)


class HyperAnalysis(nn.Module):
    """h_a as a channels-last map; of |y| for `balle2018`, as published."""

    def __init__(self, layers: nn.Sequential, *, magnitude: bool) -> None:
        super().__init__()
        self.layers, self.magnitude = layers, magnitude

    def forward(self, y: Tensor) -> Tensor:
        y = y.abs() if self.magnitude else y
        z: Tensor = self.layers(y.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return z


class Density(nn.Module):
    """CompressAI's factorized density of z, as `agvae.entropy.factorized.FactorizedDensity` is called."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bottleneck = EntropyBottleneck(channels)
        self.bottleneck.quantiles.requires_grad_(False)  # only CompressAI's own tables come from them

    def probability(self, z: Tensor) -> Tensor:
        """Mass in [z - 1/2, z + 1/2] for z of shape (c, N)."""
        found = self.bottleneck._likelihood(z[:, None].float())
        return (found[0] if isinstance(found, tuple) else found)[:, 0]

    def bits(self, z: Tensor) -> Tensor:
        """Code length in bits of z (B, h, w, c), same shape."""
        probability = self.probability(z.flatten(0, 2).T)
        return -torch.log2(probability.clamp(min=PROBABILITY_FLOOR)).T.reshape(z.shape)


class EntropyModel(nn.Module):
    """Everything that encoder and decoder must compute alike; exact in float64, as `agvae.networks.model.EntropyModel`.

    With a context model, symbols are coded in fronts: the positions (row, column) of equal column + 3 row, which the
    5 x 5 mask makes independent of each other; as many symbols at once as there are such positions.
    """

    def __init__(self, parts: Any, config: ReferenceConfig) -> None:
        super().__init__()
        self.latent, self.asymmetric = config.latent, config.asymmetric
        self.inverse_hyper_gain = GainUnit(config.levels, config.hyper_latent) if config.rate == "hcvr" else None
        self.hyper_synthesis = parts.h_s
        self.context = getattr(parts, "context_prediction", None)
        self.parameters_network = getattr(parts, "entropy_parameters", None)

    def walk(self, z_hat: Tensor, weights: Tensor, height: int, width: int) -> Walk:
        """From z-hat (B, hz, wz, c_hp) through all fronts to y-hat (B, height, width, M)."""
        features = self.features(z_hat, weights, height, width)
        if self.context is None or self.parameters_network is None:
            y_hat = yield self._split(features)
            return y_hat
        kernel = (self.context.weight * self.context.mask)[:, :, : _REACH + 1]
        rows_above, columns_beside = self._neighbours()
        matrix = kernel[:, :, rows_above, columns_beside + _REACH].permute(2, 1, 0).flatten(0, 1)
        known = features.new_zeros(features.shape[0], height + _REACH, width + 2 * _REACH, self.latent)
        for rows, columns in fronts(height, width):
            around = known[:, rows[:, None] + rows_above, columns[:, None] + columns_beside + _REACH]
            context = fix(around.flatten(2) @ matrix + self.context.bias)
            raw = torch.cat((features[:, rows, columns], context), dim=-1)
            for layer in self.parameters_network:
                raw = _exactly(layer, raw)
            y_hat = yield self._split(raw)
            known = known.clone() if torch.is_grad_enabled() else known
            known[:, rows + _REACH, columns + _REACH] = y_hat
        return known[:, _REACH:, _REACH:-_REACH]

    def split(self, y: Tensor) -> list[Tensor]:
        """The symbols of each step of a walk in y (B, h, w, M): (B, positions, M) of each front, or y itself."""
        if self.context is None:
            return [y]
        return [y[:, rows, columns] for rows, columns in fronts(*y.shape[1:3])]

    def at_once(self, z_hat: Tensor, weights: Tensor, y_hat: Tensor) -> StepParameters:
        """Parameters of all symbols from an approximate y-hat (B, h, w, M), for training; each (B, h, w, M)."""
        features = self.features(z_hat, weights, *y_hat.shape[1:3])
        if self.context is None or self.parameters_network is None:
            return self._split(features)
        context = self.context(y_hat.permute(0, 3, 1, 2))
        raw = self.parameters_network(torch.cat((features.permute(0, 3, 1, 2), context), dim=1))
        return self._split(raw.permute(0, 2, 3, 1))

    def features(self, z_hat: Tensor, weights: Tensor, height: int, width: int) -> Tensor:
        """Inverse-gained z-hat through h_s: (B, hz, wz, c_hp) -> (B, height, width, ...)."""
        if self.inverse_hyper_gain is not None:
            z_hat = fix(z_hat * self.inverse_hyper_gain(weights))
        h = z_hat.permute(0, 3, 1, 2)
        for layer in self.hyper_synthesis:
            h = _exactly(layer, h)
        return h.permute(0, 2, 3, 1)[:, :height, :width]

    def start(self, sigma: Tensor) -> None:
        """Begin all but marginal: mu near 0, and sigma, or sigma_l and sigma_r, near these values (M,)."""
        last = self.last_layer()
        last.weight.mul_(0.01)
        last.bias.zero_()
        for part in last.bias.chunk(len(last.bias) // self.latent)[::2]:
            part.copy_(sigma)

    def last_layer(self) -> Any:
        """The convolution that gives sigma and mu."""
        layers: Any = self.hyper_synthesis if self.parameters_network is None else self.parameters_network
        return [layer for layer in layers if _is_convolution(layer)][-1]

    def _split(self, raw: Tensor) -> StepParameters:
        """From the network's numbers: sigma; sigma and mu, as in CompressAI; or sigma_l, mu and sigma_r."""
        raw = raw if raw.dtype == torch.float64 else raw.float()
        count = raw.shape[-1] // self.latent
        parts = raw.chunk(count, dim=-1)
        sigma = _log2(parts[0])
        mu = parts[1] if count > 1 else torch.zeros_like(sigma)
        if not self.asymmetric:
            return StepParameters(mu, sigma, torch.zeros_like(sigma))
        right = _log2(parts[2])
        return StepParameters(mu, (sigma + right) / 2, right - sigma)

    @staticmethod
    def _neighbours() -> tuple[Tensor, Tensor]:
        """Rows above the padded position's topmost one, and columns beside it, of the causal neighbours."""
        places = [(r, c - _REACH) for r in range(_REACH) for c in range(CONTEXT_SIZE)]
        places += [(_REACH, c - _REACH) for c in range(_REACH)]
        rows, columns = zip(*places, strict=True)
        return torch.tensor(rows, device="cpu"), torch.tensor(columns, device="cpu")


def fronts(height: int, width: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows and columns of the positions of each front, the top row first."""
    reach = _REACH + 1
    for front in range(width + reach * (height - 1)):
        rows = torch.arange(max(0, -(-(front - width + 1) // reach)), min(height - 1, front // reach) + 1, device="cpu")
        yield rows, front - reach * rows


def _exactly(layer: nn.Module, x: Tensor) -> Tensor:
    """A layer of the entropy model, on the grid in float64; 1 x 1 convolutions also take channels-last vectors."""
    if isinstance(layer, nn.LeakyReLU):
        slope = round(layer.negative_slope * 2**WEIGHT_BITS) / 2**WEIGHT_BITS
        return fix(torch.where(x < 0, x * slope, x))
    if isinstance(layer, nn.Conv2d) and x.dim() == 3:
        return fix(F.linear(x, layer.weight[:, :, 0, 0], layer.bias))
    y: Tensor = layer(x)
    return fix(y)


def _log2(sigma: Tensor) -> Tensor:
    if sigma.dtype == torch.float64:
        return exact_log2(sigma)
    bounded: Tensor = LowerBoundFunction.apply(sigma, sigma.new_tensor(2.0**LOG2_SIGMA_MIN))
    return torch.log2(bounded)


def principal_components_start(analysis: Any, synthesis: Any, images: Tensor) -> None:
    """Make each strided convolution give the principal components of 2 x 2 blocks of its input on a sample of images
    (B, 3, H, W), halved, and each transposed one of g_s the inverse of the convolution at its resolution.

    Attention modules start all but closed.  Outputs beyond the number of components keep a tenth of their weights.
    """
    down = [layer for layer in analysis if isinstance(layer, nn.Conv2d)]
    up: list[Any] = [layer for layer in synthesis if isinstance(layer, nn.ConvTranspose2d)]
    inverses = dict(zip(down, reversed(up), strict=True))
    for layer in (*analysis, *synthesis):
        if isinstance(layer, AttentionBlock):
            gate: Any = layer.conv_b[-1]
            gate.weight.mul_(0.1)
            gate.bias.fill_(_CLOSED)
    x = images
    for layer in analysis:
        if layer in inverses:
            inverse = inverses[layer]
            mean = x.mean((0, 2, 3))
            blocks = F.pixel_unshuffle(x - mean[:, None, None], 2).transpose(0, 1).flatten(1)
            _, vectors = torch.linalg.eigh(blocks @ blocks.T / blocks.shape[1])
            basis = vectors.T.flip(0)[: layer.out_channels].unflatten(1, (-1, 2, 2))
            centre = slice(layer.kernel_size[0] // 2, layer.kernel_size[0] // 2 + 2)
            for weight, scale in ((layer.weight, 0.5), (inverse.weight, 2.0)):
                weight.mul_(0.1)
                weight[: len(basis)] = 0
                weight[: len(basis), :, centre, centre] = scale * basis
            layer.bias.zero_()
            layer.bias[: len(basis)] = -0.5 * basis.sum((2, 3)) @ mean
            inverse.bias.copy_(mean)
        x = layer(x)


class Unit(nn.Module):
    """A gain unit that changes nothing."""

    def forward(self, weights: Tensor) -> Tensor:
        return weights.new_ones(1)


class Reciprocal(nn.Module):
    """The exact inverse of a gain unit (Theis et al. 2017)."""

    def __init__(self, gain: GainUnit) -> None:
        super().__init__()
        self._gain = (gain,)  # not a part of its own

    def forward(self, weights: Tensor) -> Tensor:
        gain: Tensor = self._gain[0](weights, reciprocal=True)
        return gain


class ReferenceAGVAE(GainedAutoencoder):
    """The paper's network, or a backbone of CompressAI with gain units, or with another way to serve several rates."""

    centre = 0.0

    def __init__(self, config: ReferenceConfig) -> None:
        super().__init__()
        parts = backbone(config)
        n, gained = config.levels, config.rate != "conditional"
        self.config = config
        self.analysis = Transform(parts.g_a, config)
        self.synthesis = Transform(parts.g_s, config)
        self.gain = GainUnit(n, config.latent) if gained else Unit()
        self.inverse_gain = GainUnit(n, config.latent) if gained else Unit()
        if config.rate == "bottleneck":
            self.inverse_gain = Reciprocal(self.gain)
        self.hyper_analysis = HyperAnalysis(parts.h_a, magnitude=config.backbone == "balle2018")
        self.hyper_gain = GainUnit(n, config.hyper_latent) if config.rate == "hcvr" else Unit()
        self.density = Density(config.hyper_latent)
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
            gains = -(steps * 2.0**-_STAGES).log2()
            for gain, value in ((self.gain, gains), (self.inverse_gain, -gains)):
                if isinstance(gain, GainUnit):
                    gain.log2.copy_(value.expand_as(gain.log2))
            if self.config.rate == "conditional":
                self._condition_on(gains, middle)
            y = self.analyse(images, weights)
            scale = self.hyper_analyse(y, weights).std()
            for parameter in self.hyper_analysis.layers[-1].parameters():
                parameter /= scale
            slope = (betas / betas[middle]).log2()[:, None] / 4
            for gain, value in ((self.hyper_gain, slope), (self.entropy.inverse_hyper_gain, -slope)):
                if isinstance(gain, GainUnit):
                    gain.log2.copy_(value.expand_as(gain.log2))
            self.entropy.start(y.std((0, 1, 2)).clamp(min=0.25))

    def _condition_on(self, gains: Tensor, middle: int) -> None:
        """Let the last convolution of g_a and the first of g_s do what gain units of these logarithms (n, 1) would."""
        last, first = ([layer for layer in t.layers if _is_convolution(layer)] for t in (self.analysis, self.synthesis))
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
