"""The networks of AG-VAE: gain units, transforms, hyperprior, context model."""

from agvae.networks.model import AGVAE
from agvae.networks.presets import PRESETS, ModelConfig

__all__ = ["AGVAE", "PRESETS", "ModelConfig"]
