"""Which parameters learn, by which rule and how fast."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from agvae.networks import GainedAutoencoder
from agvae.training.muon import Muon
from agvae.training.options import TrainingOptions


def trained_parameters(model: GainedAutoencoder, trained: str) -> list[tuple[str, nn.Parameter]]:
    """The parameters that `TrainingOptions.trained` names."""
    starts = {"all": ("",), "entropy": ("entropy.", "hyper_", "density."), "gains": ()}[trained]
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    return [(n, p) for n, p in named if n.startswith(starts) or _of_rate(n)]


def _of_rate(name: str) -> bool:
    """Whether a parameter is there to serve several rates: gain vectors, or scales and biases of a rate."""
    conditions = tuple(f"{net}.{kind}." for net in ("analysis", "synthesis") for kind in ("scales", "biases"))
    return name.endswith("log2") or name.startswith(conditions)


def make_optimizers(model: GainedAutoencoder, options: TrainingOptions) -> list[torch.optim.Optimizer]:
    """Muon for the hidden matrices of the default networks, AdamW for everything else.

    Gains, scales and biases of a rate, priors and the density of z learn five times faster than other parameters,
    since they are few and scalar in effect.
    """
    ends = {f"{net}.{layer}.weight" for net in ("analysis", "synthesis") for layer in ("embed", "head", "down", "up")}
    muon, fast, rest = [], [], []
    trained = trained_parameters(model, options.trained)
    model.requires_grad_(False)
    for name, parameter in trained:
        parameter.requires_grad_(True)
        if _of_rate(name) or name.startswith(("density", "entropy.prior")):
            fast.append(parameter)
        elif parameter.dim() == 2 and name.endswith("weight") and name not in ends:
            muon.append(parameter)
        else:
            rest.append(parameter)
    groups: list[dict[str, Any]] = [{"params": rest}, {"params": fast, "lr": 5 * options.adam_lr}]
    adam = torch.optim.AdamW(
        groups,
        lr=options.adam_lr,
        betas=(0.9, 0.98),
        weight_decay=0.0,
    )
    if not muon:
        return [adam]
    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
    return [adam, Muon(muon, options.muon_lr, dtype)]
