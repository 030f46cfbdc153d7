"""The networks of AG-VAE: gain units, transforms, hyperprior, context model; and the door for networks of one's own.

See docs/RESEARCH.md for the latter.
"""

from __future__ import annotations

from agvae.entropy.factorized import FactorizedDensity
from agvae.networks.architectures import architecture_of, build, config_from_dict, preset, register, register_preset
from agvae.networks.autoencoder import GainedAutoencoder
from agvae.networks.configs import ModelConfig, ReferenceConfig, Shape
from agvae.networks.contract import Config, Output, StepParameters, Walk
from agvae.networks.gain import GainUnit, level_weights
from agvae.networks.hyperprior import HyperAnalysis
from agvae.networks.model import AGVAE, EntropyModel
from agvae.networks.presets import PRESETS

__all__ = [
    "AGVAE",
    "PRESETS",
    "Config",
    "EntropyModel",
    "FactorizedDensity",
    "GainUnit",
    "GainedAutoencoder",
    "HyperAnalysis",
    "ModelConfig",
    "Output",
    "ReferenceConfig",
    "Shape",
    "StepParameters",
    "Walk",
    "architecture_of",
    "build",
    "config_from_dict",
    "level_weights",
    "preset",
    "register",
    "register_preset",
]
