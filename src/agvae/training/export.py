"""From a training checkpoint to the weights file that codecs load."""

from __future__ import annotations

import errno
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agvae.entropy.exact import freeze
from agvae.entropy.tables import asymmetric_tables, factorized_tables
from agvae.networks import Config, GainedAutoencoder, build, config_from_dict
from agvae.networks.checks import check_network
from agvae.networks.integer_layers import fit_for_integers
from agvae.training.calibrate import CROP, calibrated_units, sample, squared_error_betas
from agvae.training.checkpoint import CHECKPOINT
from agvae.weights.model_file import ModelFile, model_file_bytes
from agvae.whole_file import check_target, write_whole

_CHECKPOINT_KEYS = {"options", "config", "average", "step", "elapsed", "device"}


def model_file_of(model: GainedAutoencoder, card: dict[str, Any], pictures: Tensor | None = None) -> ModelFile:
    """What a model file holds of a network, whose entropy model is frozen for it (`agvae.entropy.exact.freeze`).

    The density of z, of which coding needs the tables alone, comes along so that training can go on from the file.

    Args:
        pictures: to find the units of integers with, see `agvae.training.calibrate`; without them, and if it is not
            fit for integers, the entropy model works in float64.
    """
    units = (
        {}
        if pictures is None or not fit_for_integers(model.get_submodule("entropy"))
        else calibrated_units(model, pictures)
    )
    freeze(model.get_submodule("entropy"), units)
    model.get_submodule("density").float()
    tables = asymmetric_tables().to_tensors("y")
    tables |= factorized_tables(model.density, model.config.hyper_latent).to_tensors("z")
    state = {name: value.detach() for name, value in model.state_dict().items()}
    buffers = frozenset(name for name, _ in model.named_buffers()) & state.keys()
    return ModelFile(model.config, state, tables, card, buffers=buffers, units=units)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `agvae.training.trainer.Trainer` wrote, in the memory of the CPU.

    Raises:
        ValueError: the file is no checkpoint.
        OSError: it cannot be read.
    """
    if path.is_dir():
        msg = f"is a folder: name a checkpoint in it, such as {path / CHECKPOINT}"
        raise IsADirectoryError(errno.EISDIR, msg, str(path))
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, pickle.UnpicklingError, KeyError, ValueError, EOFError):
        state = {}
    if not isinstance(state, dict) or _CHECKPOINT_KEYS - state.keys():
        msg = f"{path} is not a checkpoint of agvae train"
        raise ValueError(msg)
    return state


def checkpoint_config(path: Path, state: dict[str, Any]) -> Config:
    """The network's configuration in what `read_checkpoint` gave.

    Raises:
        ValueError: there is none.
    """
    try:
        return config_from_dict(state["config"], state.get("architecture", ""), state.get("package", ""))
    except ValueError as error:
        msg = f"{path} gives no model that can be loaded: {error}"
        raise ValueError(msg) from error
    except (TypeError, KeyError, AttributeError) as error:
        msg = f"{path} is a checkpoint of another network or version"
        raise ValueError(msg) from error


def check_model_path(path: Path) -> None:
    """Raises ValueError unless a path is one for a model file."""
    if path.suffix.lower() != ".safetensors":
        msg = f"{path}: a model file has the extension .safetensors"
        raise ValueError(msg)


def export_checkpoint(
    checkpoint: Path,
    output: Path,
    name: str,
    card: dict[str, Any] | None = None,
    *,
    replace: bool = False,
    calibrate: Sequence[str] | Tensor | None = None,
) -> None:
    """Write the averaged weights of a checkpoint as a safetensors model file with tables and model card.

    Args:
        checkpoint: written by `agvae.training.trainer.Trainer`.
        output: the file to write, whole and only if `read_model_file` takes it.
        name: the model's name in the registry.
        card: entries to add to the model card.
        replace: whether a file that is there may be replaced; files coded with it can then be decoded no more.
        calibrate: what to find the units of the entropy model's integers with, and what a squared error costs where
            the network was trained for another distortion: pictures (N, 3, H, W) in [0, 1] with
            sides that are multiples of 64, or data as for training; by default the data that the network was trained
            with. If these have no name, its entropy model works in float64, which takes five times as long.

    Raises:
        ValueError: the output has another extension than .safetensors, the file is no checkpoint, its network is
            none that a model file may hold, or there is no picture in the data to calibrate with.
        OSError: it cannot be read, or the output cannot be written, or is there and must not be replaced; or data
            cannot be read.
    """
    check_model_path(output)
    check_target(output, replace=replace)
    state = read_checkpoint(checkpoint)
    model = build(checkpoint_config(checkpoint, state))
    model.load_state_dict(state["average"])
    card = {
        "name": name,
        "options": state["options"],
        "patches": state.get("patches", state["step"] * state["options"]["batch"]),
        "minutes": round(state["elapsed"] / 60, 1),
        "device": state["device"],
        **(card or {}),
    }
    integers = fit_for_integers(model.get_submodule("entropy"))
    for_eyes = state["options"].get("metric", "mse") != "mse"
    pictures = _pictures(calibrate, state["options"]) if integers or for_eyes else None
    if for_eyes and pictures is not None:
        card["squared_error_betas"] = squared_error_betas(model, pictures)
    card["options"] = {k: v for k, v in card["options"].items() if k not in ("data", "valid", "output")}
    try:
        check_network(model)
        data = model_file_bytes(model_file_of(model, card, pictures))
    except ValueError as error:
        msg = f"{checkpoint} gives no model that can be loaded: {error}"
        raise ValueError(msg) from error
    write_whole(output, data, replace=replace)


def _pictures(calibrate: Sequence[str] | Tensor | None, options: dict[str, Any]) -> Tensor | None:
    if isinstance(calibrate, Tensor):
        return calibrate
    data = options.get("data") if calibrate is None else calibrate
    if not data:
        return None
    try:
        return sample([data] if isinstance(data, str) else data, options.get("crop", CROP))
    except (OSError, ValueError) as error:
        if calibrate is not None:
            raise
        msg = f"data that the network was trained with cannot be read ({error}): name others to calibrate with"
        raise ValueError(msg) from error
