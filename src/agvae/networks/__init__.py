"""The networks of AG-VAE: gain units, transforms, hyperprior, context model; and the door for networks of one's own.

See docs/RESEARCH.md for the latter.
"""

from __future__ import annotations

from agvae.networks.architectures import architecture_of, build, config_from_dict, preset, register
from agvae.networks.autoencoder import GainedAutoencoder
from agvae.networks.configs import ModelConfig, ReferenceConfig, Shape
from agvae.networks.contract import Config
from agvae.networks.model import AGVAE
from agvae.networks.presets import PRESETS

__all__ = [
    "AGVAE",
    "PRESETS",
    "Config",
    "GainedAutoencoder",
    "ModelConfig",
    "ReferenceConfig",
    "Shape",
    "architecture_of",
    "build",
    "config_from_dict",
    "preset",
    "register",
]
