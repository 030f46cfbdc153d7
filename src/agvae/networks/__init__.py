"""The networks of AG-VAE: gain units, transforms, hyperprior, context model."""

from __future__ import annotations

import torch

from agvae.networks.autoencoder import GainedAutoencoder
from agvae.networks.model import AGVAE
from agvae.networks.presets import PRESETS, AnyConfig, ModelConfig, ReferenceConfig, config_from_dict

__all__ = [
    "AGVAE",
    "PRESETS",
    "AnyConfig",
    "GainedAutoencoder",
    "ModelConfig",
    "ReferenceConfig",
    "build",
    "config_from_dict",
]


def build(config: AnyConfig, device: str = "cpu") -> GainedAutoencoder:
    """The network of a configuration; on the device "meta" without values.

    Raises:
        ModuleNotFoundError: it is one of the paper's networks, and CompressAI is not installed (`agvae[train]`).
    """
    with torch.device(device):
        if isinstance(config, ModelConfig):
            return AGVAE(config).float()
        from agvae.networks.reference import ReferenceAGVAE

        return ReferenceAGVAE(config).float()
