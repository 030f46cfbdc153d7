"""The file of a model: one safetensors file, so that reading it runs no code."""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agvae.errors import WeightsError
from agvae.shortage import memory_errors

if TYPE_CHECKING:
    from torch import Tensor

    from agvae.networks import AnyConfig

FILE_FORMAT = "agvae-model-1"
MAX_MODEL, MAX_HEADER = 2**28, 2**20
"""Most bytes of a model file, and of the header of one."""

MALFORMED = (OSError, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What reading foreign values in JSON and tensors may raise."""


@dataclass(frozen=True)
class ModelFile:
    """The content of a model file.

    Attributes:
        config: shape of the network.
        state: the entries of `AGVAE.state_dict()` needed for coding: those of the entropy model float64 on a
            dyadic grid, others float32.
        tables: integer tables of the entropy coder, by name without the prefix "tables.".
        card: the model card.
        sha256: of the file, 64 hexadecimal digits.
    """

    config: AnyConfig
    state: dict[str, Tensor]
    tables: dict[str, Tensor]
    card: dict[str, Any]
    sha256: str


def read_model_file(path: str | os.PathLike[str]) -> ModelFile:
    """Read and restore an exported model.

    In the file, metadata are the strings `format`, `config` (JSON of `ModelConfig` or `ReferenceConfig`),
    `entropy_bits` and `card` (JSON), float16 tensors stand for float32, tensors named "entropy.*" count units of
    2^-k, k their entry in `entropy_bits`, and tensors named "tables.*" are coder tables.

    Memory is bounded by the size of the file, and a network of the restored configuration by that of its weights.

    Raises:
        WeightsError: the file cannot be read, or is not a model file of this format.
        MemoryError: memory is short.
    """
    import safetensors.torch
    import torch
    from safetensors import SafetensorError

    from agvae.networks import config_from_dict

    purpose = f"to read model file {os.fspath(path)!r}"
    try:
        with memory_errors(purpose):
            data = read_bounded(Path(path), MAX_MODEL)
        header_size = int.from_bytes(data[:8], "little")
        require(header_size <= MAX_HEADER, f"its header has {header_size} bytes, more than {MAX_HEADER}")
        metadata = json.loads(data[8 : 8 + header_size])["__metadata__"]
        file_format = metadata["format"]
        require(file_format == FILE_FORMAT, f"format {file_format!r}; this version of agvae reads {FILE_FORMAT!r}")
        config = config_from_dict(json.loads(metadata["config"]))
        card, bits = json.loads(metadata["card"]), json.loads(metadata["entropy_bits"])
        require(isinstance(card, dict) and isinstance(bits, dict), "card and entropy_bits must be objects")
        with memory_errors(purpose), torch.device("cpu"):
            tensors = safetensors.torch.load(data)
            state = {name: _restore(name, tensor, bits) for name, tensor in tensors.items() if name[:7] != "tables."}
        tables = {name[7:]: tensor for name, tensor in tensors.items() if name[:7] == "tables."}
        _check_tables(tables, config)
        check_config(config, sum(tensor.numel() for tensor in state.values()))
    except (SafetensorError, *MALFORMED) as error:
        msg = f"cannot read model file {os.fspath(path)!r}: {error or type(error).__name__}"
        raise WeightsError(msg) from error
    return ModelFile(config, state, tables, card, hashlib.sha256(data).hexdigest())


def _restore(name: str, tensor: Tensor, entropy_bits: dict[str, Any]) -> Tensor:
    import torch

    from agvae.entropy.exact import WEIGHT_BITS

    if name.startswith("entropy."):
        bits = entropy_bits[name]
        require(type(bits) is int and abs(bits) <= WEIGHT_BITS, f"entropy_bits of {name!r} exceed {WEIGHT_BITS}")
        require(tensor.dtype in (torch.int16, torch.int32), f"tensor {name!r} must be int16 or int32")
        unit: float = 2.0**-bits
        return tensor.double() * unit
    require(tensor.dtype in (torch.float16, torch.float32), f"tensor {name!r} must be float16 or float32")
    require(tensor.isfinite().all(), f"tensor {name!r} must be finite")
    return tensor.float()


def _check_tables(tables: dict[str, Tensor], config: AnyConfig) -> None:
    """What `agvae.entropy.tables.Tables` relies on."""
    import torch

    plain = all(table.dtype == torch.int16 and table.dim() == 1 for table in tables.values())
    require(plain, "tables must be int16 and have one dimension")
    require(len(tables["z_lengths"]) == config.hyper_latent, "z must have a table for each of its channels")


def check_config(config: AnyConfig, weights: int) -> None:
    """Bound the network of a configuration by the number of weights that came with it."""
    from agvae.networks import ModelConfig, ReferenceConfig
    from agvae.networks.presets import BACKBONES, BORDERS, RATES

    c = config
    numbers = all(type(beta) in (int, float) and math.isfinite(beta) for beta in c.betas)
    require(numbers and 1 <= c.levels <= 64, "betas must be 1 to 64 numbers")
    require(isinstance(c.latent, int) and c.latent % 4 == 0, "the channels of y must be a multiple of 4")
    if isinstance(c, ReferenceConfig):
        sizes: tuple[int, ...] = (c.width, c.latent)
        known = c.backbone in BACKBONES and c.rate in RATES and isinstance(c.asymmetric, bool)
        require(known, "unknown backbone, rate or entropy model")
    else:
        sizes = (c.width8, c.width16, c.latent, c.hyper_latent, c.entropy_width)
        depths = (c.analysis8, c.analysis16, c.synthesis16, c.synthesis8)
        require(all(type(depth) is int and 0 <= depth <= 64 for depth in depths), "numbers of blocks must be 0 to 64")
        require(c.border in BORDERS, "unknown border")
    require(all(type(size) is int and 1 <= size <= 1024 for size in sizes), "numbers of channels must be 1 to 1024")
    if isinstance(c, ModelConfig):
        transforms = (c.analysis8 + c.synthesis8) * c.width8**2 + (c.analysis16 + c.synthesis16) * c.width16**2
        blocks = 4 * (transforms + 3 * c.entropy_width**2)
    else:
        blocks = 9 * c.width * (4 * c.width + 4 * c.latent)
    require(blocks <= weights, f"its blocks would have {blocks} weights, but the file has {weights} in all")


def read_bounded(path: Path, limit: int) -> bytes:
    """The content of a file of at most `limit` bytes."""
    status = path.stat()
    require(stat.S_ISREG(status.st_mode), "not a regular file")
    require(status.st_size <= limit, f"it has {status.st_size} bytes, more than {limit}")
    with path.open("rb") as file:
        return file.read(status.st_size)


def require(condition: object, text: str) -> None:
    """Raises ValueError with the text unless the condition holds."""
    if not condition:
        raise ValueError(text)
