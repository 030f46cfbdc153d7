"""What a network costs: parameters, and multiplications for each pixel."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from agvae.networks.autoencoder import GainedAutoencoder, StepParameters, follow
from agvae.networks.gain import level_weights

_SIDE = 256


class Cost(NamedTuple):
    """Parameters, and multiply-additions of convolutions and matrix products in thousands for each pixel."""

    parameters: int
    kmac_per_pixel: float


@torch.no_grad()
def complexity(network: GainedAutoencoder) -> dict[str, Cost]:
    """The cost of g_a, h_a, the entropy model (h_s and context) and g_s, each with its gains, and of all together.

    An encoder runs the first three, a decoder the last two.  Multiplications are counted on 256 x 256 pixels.
    """
    network = network.float().eval()
    weights = level_weights(torch.zeros(1), network.config.levels)
    y = z = torch.empty(0)

    def analyse() -> None:
        nonlocal y
        y = network.analyse(torch.zeros(1, 3, _SIDE, _SIDE), weights)

    def hyper_analyse() -> None:
        nonlocal z
        z = network.hyper_analyse(y, weights)

    def entropy() -> None:
        targets = iter(network.entropy.split(y))

        def visit(_: StepParameters) -> torch.Tensor:
            return next(targets)

        follow(network.entropy.walk(z, weights, *y.shape[1:3]), visit)

    def synthesise() -> None:
        network.synthesise(y, weights)

    parts = {
        "g_a": (analyse, ("analysis", "gain")),
        "h_a": (hyper_analyse, ("hyper_analysis", "hyper_gain")),
        "entropy": (entropy, ("entropy", "density")),
        "g_s": (synthesise, ("synthesis", "inverse_gain")),
    }
    costs = {}
    for name, (run, modules) in parts.items():
        with FlopCounterMode(display=False) as counter:
            run()
        trained = sum(parameters(network.get_submodule(module)) for module in modules)
        costs[name] = Cost(trained, counter.get_total_flops() / 2 / _SIDE**2 / 1000)
    costs["all"] = Cost(parameters(network), sum(cost.kmac_per_pixel for cost in costs.values()))
    return costs


def parameters(module: nn.Module) -> int:
    """Number of trained numbers."""
    return sum(parameter.numel() for parameter in module.parameters())
