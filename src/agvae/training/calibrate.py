"""What a model file says of a trained network besides its weights, found by coding pictures.

Units for the entropy model: how large the inputs of its layers are.  And where a network was trained for another
distortion: what a squared error costs in bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agvae.entropy.integers import input_units
from agvae.networks import GainedAutoencoder, StepParameters, level_weights
from agvae.networks.autoencoder import follow
from agvae.networks.integer_layers import layers
from agvae.training.data import load_pool
from agvae.training.drawn import with_drawn
from agvae.training.stream import CropStream

COUNT, CROP = 40, 256
_DRAWN = 0.25
_BATCH = 8


def sample(data: Sequence[str], crop: int) -> Tensor:
    """Crops to calibrate with, the same for the same data: (N, 3, crop, crop) in [0, 1], a quarter of them drawn ones.

    Args:
        data: see `agvae.training.options.TrainingOptions`; images of which no crop is taken are not decoded, unless
            they are in a compressed archive.

    Raises:
        ValueError: there is no image.
        OSError: a source cannot be read.
    """
    generator = torch.Generator().manual_seed(0)
    stream = CropStream(data, crop, torch.device("cpu"), memory=0)
    source = load_pool(data, crop, torch.device("cpu")) if stream.sealed else stream
    crops = source.draw(COUNT, crop, generator, slice(None))
    return with_drawn(crops, COUNT, _DRAWN, generator, slice(None))


@torch.no_grad()
def calibrated_units(network: GainedAutoencoder, pictures: Tensor) -> dict[str, Tensor]:
    """Units of the inputs of each of the entropy model's layers that has a form in integers, by name.

    Args:
        network: in float32 on the CPU.
        pictures: (N, 3, H, W) in [0, 1], sides multiples of 64; coded at each of the trained levels, as `extremes` are.
    """
    network.eval()
    largest: dict[str, Tensor] = {}
    with _watched(layers(network.get_submodule("entropy")), largest):
        for level in range(network.config.levels):
            for crops in (*pictures.split(_BATCH), *extremes().split(_BATCH)):
                _walk(network, crops, level_weights(torch.full((len(crops),), float(level)), network.config.levels))
    return {name: input_units(values) for name, values in largest.items()}


@torch.no_grad()
def squared_error_betas(network: GainedAutoencoder, pictures: Tensor) -> list[float]:
    """For each of the trained levels the bits that a squared error of 8 bits is worth, as its rates and errors show.

    Between two levels it is -dR/dD, which for a network that was trained for MSE is near its beta (equation 1).  None
    if there is but one level, or another level is no better or no larger.

    Args:
        network, pictures: as for `calibrated_units`.
    """
    network.eval()
    rates, errors = [], []
    for level in range(network.config.levels):
        found = [network(x, torch.full((len(x),), float(level))) for x in pictures.split(_BATCH)]
        bits = sum(float((output.y_bits + output.z_bits).sum()) for output in found)
        x_hat = torch.cat([output.x_hat for output in found]).clamp(0, 1)
        rates.append(bits / pictures[:, 0].numel())
        errors.append(255**2 * float((x_hat - pictures).square().mean()))
    slopes = -np.diff(rates) / np.diff(errors)
    if not len(slopes) or not ((np.diff(rates) > 0) & (slopes > 0)).all():
        return []
    between = np.log(slopes)
    rise = np.diff(between) if len(between) > 1 else np.zeros(1)
    around = np.array([between[0] - rise[0], *between, between[-1] + rise[-1]])
    betas: list[float] = np.exp((around[1:] + around[:-1]) / 2).tolist()
    return betas


def extremes() -> Tensor:
    """What no photograph is: flat colours, edges between them, noise, one-pixel patterns; (N, 3, 64, 64) in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    colours = torch.cartesian_prod(*[torch.tensor([0, 0.5, 1])] * 3)[:, :, None, None].expand(-1, -1, 64, 64)
    place = torch.arange(64)
    edges = torch.where(place < 32, colours[torch.randperm(len(colours), generator=generator)], colours)
    noise = torch.rand(8, 3, 64, 64, generator=generator)
    checks = (place[:, None] + place) % 2 * torch.rand(8, 3, 1, 1, generator=generator).round()
    return torch.cat([colours, edges, noise, noise.round(), checks])


def _walk(network: GainedAutoencoder, x: Tensor, weights: Tensor) -> None:
    y = network.analyse(x, weights)
    targets = iter(network.entropy.split(y))

    def visit(p: StepParameters) -> Tensor:
        return p.mu + (next(targets) - p.mu).round()

    follow(network.entropy.walk(network.hyper_analyse(y, weights).round(), weights, *y.shape[1:3]), visit)


@contextmanager
def _watched(found: dict[str, nn.Module], largest: dict[str, Tensor]) -> Iterator[None]:
    """Note the largest magnitude of each channel of the inputs of layers."""

    def note(name: str, _: nn.Module, inputs: tuple[Any, ...]) -> None:
        values = inputs[0].abs().flatten(0, -2).amax(0)
        largest[name] = torch.maximum(values, largest.get(name, values))

    hooks = [layer.register_forward_pre_hook(partial(note, name)) for name, layer in found.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
