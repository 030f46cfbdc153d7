"""Trained weights: which models there are, where their files are, and what is in such a file.

A model is one safetensors file; `registry.json` names every released one with the size and the SHA-256 of its file.
Models of one's own need a folder with their files and a `registry.json` of the same form, in `agvae.options.weights`.
"""

from agvae.errors import WeightsError
from agvae.weights.model_file import FILE_FORMAT, ModelFile, model_file_bytes, read_model_file
from agvae.weights.places import OFFLINE_VARIABLE, cache_folder, find, locate
from agvae.weights.registration import register, registered
from agvae.weights.registries import (
    BUNDLED,
    REGISTRY_FILE,
    URL_VARIABLE,
    ModelEntry,
    Registry,
    entry_of,
    registry,
)

__all__ = [
    "BUNDLED",
    "FILE_FORMAT",
    "OFFLINE_VARIABLE",
    "REGISTRY_FILE",
    "URL_VARIABLE",
    "ModelEntry",
    "ModelFile",
    "Registry",
    "WeightsError",
    "cache_folder",
    "entry_of",
    "find",
    "locate",
    "model_file_bytes",
    "read_model_file",
    "register",
    "registered",
    "registry",
]
