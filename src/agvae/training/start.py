"""Where training starts from other models than new ones."""

from __future__ import annotations

import math
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agvae.networks import GainedAutoencoder


def warm_start(model: GainedAutoencoder, state: dict[str, Tensor], betas: Sequence[float]) -> None:
    """Start from the weights of a model file, all of it or, where this network has another number of levels or other
    ways to serve rates, what fits.

    The gain vector of a model of one rate becomes that of the level whose beta is nearest; the others keep their
    ratios to it.

    Args:
        state: the weights.
        betas: the Lagrange multipliers that they were trained for.

    Raises:
        ValueError: weights of the transforms do not fit.
    """
    own = model.config.betas
    nearest = min(range(len(own)), key=lambda s: abs(math.log(own[s] / betas[0])))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            value = state.get(name)
            if value is not None and value.shape == parameter.shape:
                parameter.copy_(value)
            elif value is not None and value.shape == (1, *parameter.shape[1:]) and name.endswith("log2"):
                parameter.add_(value - parameter[nearest])
            elif name.startswith(("analysis.", "synthesis.")) and not name.endswith("log2") and "layers" not in name:
                msg = f"{name} of the model to start from does not fit this network"
                raise ValueError(msg)
        for name, buffer in model.named_buffers():
            value = state.get(name)
            if value is not None and value.shape == buffer.shape:
                buffer.copy_(value)


def start_from_zoo(model: GainedAutoencoder, path: Path) -> list[str]:
    """Start from a checkpoint file of CompressAI's zoo; returns the names of parameters that were not taken.

    Raises:
        ValueError: it is not one of this network's backbone.
        OSError: it cannot be read.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("state_dict", state)
        load: Any = getattr(model, "load_zoo", None)
        if load is None:
            msg = f"preset {model.config.preset} has no backbone of CompressAI"
            raise ValueError(msg)
        left: list[str] = load(state)
    except (RuntimeError, pickle.UnpicklingError, AttributeError, EOFError, KeyError) as error:
        msg = f"{path} is not a checkpoint of CompressAI"
        raise ValueError(msg) from error
    return left
