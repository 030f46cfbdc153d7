"""The entropy model of the paper's networks: the density of z, and y coded in fronts of a serial context model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from compressai.entropy_models import EntropyBottleneck
from compressai.ops.bound_ops import LowerBoundFunction
from torch import Tensor, nn

from agvae.entropy.asymmetric import LOG2_SIGMA_MIN, PROBABILITY_FLOOR
from agvae.entropy.exact import WEIGHT_BITS, exact_log2, fix
from agvae.networks.configs import ReferenceConfig
from agvae.networks.contract import StepParameters, Walk
from agvae.networks.gain import GainUnit
from agvae.networks.reference.backbones import CONTEXT_SIZE, REACH, is_convolution


class Bottleneck(nn.Module):
    """CompressAI's factorized density of z (Ballé et al. 2018)."""

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

    With a context model (Minnen et al. 2018), symbols are coded in fronts: the positions (row, column) of equal
    column + 3 row, which the 5 x 5 mask makes independent of each other; as many symbols at once as there are such
    positions.
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
        kernel = (self.context.weight * self.context.mask)[:, :, : REACH + 1]
        rows_above, columns_beside = self._neighbours()
        matrix = kernel[:, :, rows_above, columns_beside + REACH].permute(2, 1, 0).flatten(0, 1)
        known = features.new_zeros(features.shape[0], height + REACH, width + 2 * REACH, self.latent)
        for rows, columns in fronts(height, width):
            around = known[:, rows[:, None] + rows_above, columns[:, None] + columns_beside + REACH]
            context = fix(around.flatten(2) @ matrix + self.context.bias)
            raw = torch.cat((features[:, rows, columns], context), dim=-1)
            for layer in self.parameters_network:
                raw = _exactly(layer, raw)
            y_hat = yield self._split(raw)
            known = known.clone() if torch.is_grad_enabled() else known
            known[:, rows + REACH, columns + REACH] = y_hat
        return known[:, REACH:, REACH:-REACH]

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
        return [layer for layer in layers if is_convolution(layer)][-1]

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
        places = [(r, c - REACH) for r in range(REACH) for c in range(CONTEXT_SIZE)]
        places += [(REACH, c - REACH) for c in range(REACH)]
        rows, columns = zip(*places, strict=True)
        return torch.tensor(rows, device="cpu"), torch.tensor(columns, device="cpu")


def fronts(height: int, width: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows and columns of the positions of each front, the top row first."""
    reach = REACH + 1
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
