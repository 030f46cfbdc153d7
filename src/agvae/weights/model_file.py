"""The file of a model: one safetensors file, so that reading it runs no code.

Its metadata are texts: `format`; `config`, JSON of a configuration; `architecture` and `package`, which name
the kind of network and who has it, absent from older files; `entropy_bits` and `card`, JSON; `buffers`, JSON, unless
there are none.  Of its tensors

- those named "tables.*" are tables of the entropy coder,
- "units.LAYER.inputs" and "units.LAYER.sums" are exponents e and k of a layer of the entropy model: its inputs count
  units of 2^-e, those of its weights and biases, "entropy.LAYER.*", for such inputs 2^-k (`agvae.entropy.integers`),
- the others named "entropy.*" are integers and count units of 2^-k, k being their entry in `entropy_bits`,
- those that `buffers` names are as they are, but for those of the entropy model with an entry in `entropy_bits`,
- the others are float32, or float16 that stand for float32.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agvae.errors import WeightsError, require
from agvae.shortage import memory_errors

if TYPE_CHECKING:
    from torch import Tensor

    from agvae.networks import Config

FILE_FORMAT = "agvae-model-1"
MAX_MODEL, MAX_HEADER = 2**28, 2**20
"""Most bytes of a model file, and of the header of one."""

MALFORMED = (OSError, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What reading foreign values in JSON and tensors may raise."""

_ZIP = "it is no model file, but a zip, as checkpoints are: agvae export makes the model file of a checkpoint"

_TABLES, _ENTROPY, _UNITS = "tables.", "entropy.", "units."


@dataclass(frozen=True)
class ModelFile:
    """The content of a model file.

    Attributes:
        config: shape of the network.
        state: the entries of the network's `state_dict()` needed for coding: those of the entropy model float64 and
            exact, others float32, buffers of any type.
        tables: integer tables of the entropy coder, by name without the prefix "tables.".
        card: the model card.
        sha256: of the file, 64 hexadecimal digits; "" of what is no file yet.
        buffers: the names in `state` of what is no parameter.
        units: e of the inputs of the entropy model's layers, int8 each, by name; none if it works in float64.
    """

    config: Config
    state: dict[str, Tensor]
    tables: dict[str, Tensor]
    card: dict[str, Any]
    sha256: str = ""
    buffers: frozenset[str] = field(default_factory=frozenset)
    units: dict[str, Tensor] = field(default_factory=dict)


def read_model_file(path: str | os.PathLike[str]) -> ModelFile:
    """Read and restore an exported model.

    Memory is bounded by the size of the file, and a network of the restored configuration by that of its weights.

    Raises:
        WeightsError: the file cannot be read, or is not a model file of this format.
        MemoryError: memory is short.
    """
    from safetensors import SafetensorError

    purpose = f"to read model file {os.fspath(path)!r}"
    try:
        with memory_errors(purpose):
            data = read_bounded(Path(path), MAX_MODEL)
        return _content(data, purpose)
    except (SafetensorError, *MALFORMED) as error:
        reason = _ZIP if _is_zip(Path(path)) else str(error) or type(error).__name__
        msg = f"cannot read model file {os.fspath(path)!r}: {reason}"
        raise WeightsError(msg) from error


def _is_zip(path: Path) -> bool:
    with contextlib.suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return file.read(4) == b"PK\3\4"
    return False


def model_file_bytes(model: ModelFile) -> bytes:
    """The file of a model; what `read_model_file` makes of it is the model, as far as float16 holds its transforms.

    Args:
        model: its entropy model must be frozen (`agvae.entropy.exact.freeze`).

    Raises:
        ValueError: no architecture is registered for the configuration, or such a file would not be read.
    """
    import torch
    from safetensors.torch import save

    from agvae.entropy.exact import grid_bits
    from agvae.networks.architectures import architecture_of, signature

    architecture_of(model.config)
    tensors = {_TABLES + name: table for name, table in model.tables.items()}
    bits: dict[str, int] = {}
    for layer, inputs in model.units.items():
        tensors |= _layer_in_integers(layer, inputs, model.state)
    for name, value in model.state.items():
        if name in tensors:
            continue
        if name.startswith(_ENTROPY) and value.is_floating_point():
            bits[name] = grid_bits(value)
            tensors[name] = (value * 2.0 ** bits[name]).round().to(torch.int16)
        elif name in model.buffers:
            tensors[name] = value
        else:
            tensors[name] = value.to(torch.float32 if value.dim() == 1 or "gain" in name else torch.float16)
    metadata = {
        "format": FILE_FORMAT,
        "config": json.dumps(model.config.to_dict()),
        "entropy_bits": json.dumps(bits, sort_keys=True),
        "card": json.dumps(model.card),
        **signature(model.config),
    }
    if model.buffers:
        metadata["buffers"] = json.dumps(sorted(model.buffers))
    data = save(
        {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()},
        metadata,
    )
    data = _in_order(data)
    require(len(data) <= MAX_MODEL, f"it would have {len(data)} bytes, more than {MAX_MODEL}")
    _content(data, "to check a model file")
    return data


def _in_order(data: bytes) -> bytes:
    """The same file with a sorted header: safetensors puts its metadata in any order, and the SHA-256 would differ."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8:end]), sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[end:]


def _content(data: bytes, purpose: str) -> ModelFile:
    import safetensors.torch
    import torch

    from agvae.networks import config_from_dict

    header_size = int.from_bytes(data[:8], "little")
    require(8 < 8 + header_size <= min(len(data), 8 + MAX_HEADER), "it is no model file")
    metadata = json.loads(data[8 : 8 + header_size]).get("__metadata__", {})
    require("format" in metadata, "it is no model file of agvae")
    file_format = metadata["format"]
    require(file_format == FILE_FORMAT, f"format {file_format!r}; this version of agvae reads {FILE_FORMAT!r}")
    architecture, package = metadata.get("architecture", ""), metadata.get("package", "")
    config = config_from_dict(json.loads(metadata["config"]), architecture, package)
    card, bits = json.loads(metadata["card"]), json.loads(metadata["entropy_bits"])
    buffers = json.loads(metadata.get("buffers", "[]"))
    require(isinstance(card, dict) and isinstance(bits, dict), "card and entropy_bits must be objects")
    named = isinstance(buffers, list) and all(isinstance(name, str) for name in buffers)
    require(named, "buffers must be a list of names")
    state: dict[str, Tensor] = {}
    tables: dict[str, Tensor] = {}
    with memory_errors(purpose), torch.device("cpu"):
        tensors = safetensors.torch.load(data)
        units = _units(tensors)
        for layer, inputs in units.items():
            state |= _layer_from_integers(layer, inputs, tensors)
        for name, tensor in tensors.items():
            if name in state or name.startswith(_UNITS):
                continue
            if name.startswith(_TABLES):
                tables[name.removeprefix(_TABLES)] = tensor
            elif name.startswith(_ENTROPY) and (name in bits or name not in buffers):
                state[name] = _from_integers(name, tensor, bits[name])
            else:
                state[name] = _checked(name, tensor, plain=name in buffers)
    _check_tables(tables, config)
    weights, least = sum(tensor.numel() for tensor in state.values()), config.least_weights()
    require(least <= weights, f"its network would have {least} weights or more, but the file has {weights} in all")
    held = frozenset(buffers) & state.keys()
    return ModelFile(config, state, tables, card, hashlib.sha256(data).hexdigest(), held, units)


def _layer_in_integers(layer: str, inputs: Tensor, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a layer that works in integers.

    Raises:
        ValueError: its sums would not be exact.
    """
    import torch

    from agvae.entropy.integers import power_of_two, row_units, to_units

    weight, bias = (state.get(f"{_ENTROPY}{layer}.{part}") for part in ("weight", "bias"))
    require(weight is not None, f"there is no layer {layer!r}")
    assert weight is not None
    sums = row_units(weight, bias, inputs)
    scale = power_of_two(sums)
    found = {
        f"{_UNITS}{layer}.inputs": inputs,
        f"{_UNITS}{layer}.sums": sums.to(torch.int8),
        f"{_ENTROPY}{layer}.weight": (to_units(weight, inputs) * _along_rows(scale, weight)).to(torch.int16),
    }
    if bias is not None:
        found[f"{_ENTROPY}{layer}.bias"] = (bias * scale).to(torch.int32)
    return found


def _units(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    import torch

    from agvae.entropy.integers import UNIT_LIMIT

    found = {name: tensor for name, tensor in tensors.items() if name.startswith(_UNITS)}
    for name, tensor in found.items():
        good = tensor.dtype == torch.int8 and tensor.dim() == 1 and name.endswith((".inputs", ".sums"))
        require(good and tensor.int().abs().amax() <= UNIT_LIMIT, f"{name!r} are no units")
    return {name[len(_UNITS) : -len(".inputs")]: units for name, units in found.items() if name.endswith(".inputs")}


def _layer_from_integers(layer: str, inputs: Tensor, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The parameters of a layer, float64, exactly."""
    import torch

    from agvae.entropy.integers import from_units, power_of_two

    names = {part: f"{_ENTROPY}{layer}.{part}" for part in ("weight", "bias")}
    scale = power_of_two(-tensors[f"{_UNITS}{layer}.sums"].int())
    weight = tensors[names["weight"]]
    require(weight.dtype == torch.int16, f"tensor {names['weight']!r} must be int16")
    found = {names["weight"]: from_units(weight * _along_rows(scale, weight), inputs)}
    if (bias := tensors.get(names["bias"])) is not None:
        require(bias.dtype == torch.int32, f"tensor {names['bias']!r} must be int32")
        found[names["bias"]] = bias * scale
    return found


def _along_rows(scale: Tensor, weight: Tensor) -> Tensor:
    """In the shape of `agvae.entropy.integers.to_units`."""
    return scale.view(*weight.shape[: 1 if weight.dim() == 4 else -1], *[1] * (3 if weight.dim() == 4 else 1))


def _from_integers(name: str, tensor: Tensor, bits: object) -> Tensor:
    import torch

    from agvae.entropy.exact import WEIGHT_BITS

    require(type(bits) is int and abs(bits) <= WEIGHT_BITS, f"entropy_bits of {name!r} exceed {WEIGHT_BITS}")
    require(tensor.dtype in (torch.int16, torch.int32), f"tensor {name!r} must be int16 or int32")
    unit: float = 2.0 ** -int(bits)  # type: ignore[call-overload]
    return tensor.double() * unit


def _checked(name: str, tensor: Tensor, *, plain: bool) -> Tensor:
    import torch

    floating = tensor.dtype in (torch.float16, torch.float32) or (plain and tensor.dtype == torch.float64)
    if plain and not tensor.is_floating_point() and not tensor.is_complex():
        return tensor
    require(floating, f"tensor {name!r} must be float16 or float32")
    require(tensor.isfinite().all(), f"tensor {name!r} must be finite")
    return tensor if plain else tensor.float()


def _check_tables(tables: dict[str, Tensor], config: Config) -> None:
    """What `agvae.entropy.tables.Tables` relies on."""
    import torch

    plain = all(table.dtype == torch.int16 and table.dim() == 1 for table in tables.values())
    require(plain, "tables must be int16 and have one dimension")
    require(len(tables["z_lengths"]) == config.hyper_latent, "z must have a table for each of its channels")


def read_bounded(path: Path, limit: int) -> bytes:
    """The content of a file of at most `limit` bytes."""
    status = path.stat()
    require(stat.S_ISREG(status.st_mode), "not a regular file")
    require(status.st_size <= limit, f"it has {status.st_size} bytes, more than {limit}")
    with path.open("rb") as file:
        return file.read(status.st_size)
