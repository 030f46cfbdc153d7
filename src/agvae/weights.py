"""Where weights are and what is in them: registry, verified files, downloads, the model file format.

A model is one safetensors file (no pickle, so reading it runs no code).  `registry.json` names every released
model with the size and the SHA-256 of its file; a file that differs from its entry is never used.  `find` looks in

1. the folder that the package brings along,
2. the folder that `agvae.options.weights` (AGVAE_WEIGHTS_URL) names, if it names one,
3. the user's cache folder, into which it downloads on first need unless `agvae.options.offline` (AGVAE_OFFLINE).

Models of one's own need a folder with their files and a `registry.json` of the same form, in `agvae.options.weights`.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import urlsplit
from urllib.request import url2pathname

from agvae.addresses import join, public
from agvae.container import check_model_name
from agvae.download import fetch, is_intact
from agvae.errors import UnsupportedFileError
from agvae.errors import WeightsError as WeightsError
from agvae.settings import options
from agvae.shortage import memory_errors

if TYPE_CHECKING:
    from torch import Tensor

    from agvae.networks import AnyConfig

URL_VARIABLE = "AGVAE_WEIGHTS_URL"
OFFLINE_VARIABLE = "AGVAE_OFFLINE"
REGISTRY_FILE = "registry.json"
FILE_FORMAT = "agvae-model-1"

MAX_REGISTRY, MAX_MODEL, MAX_HEADER = 2**20, 2**28, 2**20
"""Most bytes of a registry, of a model file, and of the header of one."""

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MALFORMED = (OSError, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What reading foreign values in JSON and tensors may raise."""


def _bundled_folder() -> Path:
    """`agvae/bundled` of a wheel, or `weights` at the top of a source tree."""
    package = Path(__file__).parent
    installed = package / "bundled"
    return installed if installed.is_dir() else package.parents[1] / "weights"


BUNDLED = _bundled_folder()


class ModelEntry(TypedDict):
    """What the registry says of one model.

    Attributes:
        preset: the architecture, a name in `agvae.networks.PRESETS`.
        file: name of the model file, 1 to 128 of the characters A-Z a-z 0-9 . _ -
        size: of the file, in bytes, 1 to 2^28.
        sha256: of the file, 64 hexadecimal digits.
        quality_range: lowest and highest quality that it was trained for.
        metric: the distortion that it was trained for, "mse" or "ms-ssim".
    """

    preset: str
    file: str
    size: int
    sha256: str
    quality_range: list[float]
    metric: str


class Registry(TypedDict):
    """The released models: where to get them (an address without the file's name, or ""), and each one's entry."""

    base_url: str
    default: str
    models: dict[str, ModelEntry]


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


def registry() -> Registry:
    """The models known here: the released ones, and those that a folder in AGVAE_WEIGHTS_URL registers itself.

    Raises:
        WeightsError: a `registry.json` is not one.
    """
    found = _read_registry(BUNDLED)
    if found["default"] not in found["models"]:
        msg = f"{BUNDLED / REGISTRY_FILE}: the default model {found['default']!r} is not among the models"
        raise WeightsError(msg)
    found["models"] = {**_own_models(), **found["models"]}
    return found


def _own_models() -> dict[str, ModelEntry]:
    """What a folder in AGVAE_WEIGHTS_URL registers itself."""
    try:
        mirror = _local_mirror()
    except WeightsError:  # raised again where the folder is needed
        mirror = None
    # os.path: False if it cannot be searched
    there = mirror is not None and os.path.isfile(mirror / REGISTRY_FILE)  # noqa: PTH113
    return _read_registry(mirror)["models"] if mirror is not None and there else {}


def _read_registry(folder: Path) -> Registry:
    """The checked content of a folder's registry; the address and the default are "" where it has none."""
    try:
        content = json.loads(_read(folder / REGISTRY_FILE, MAX_REGISTRY))
        models = {name: _checked_entry(name, entry) for name, entry in content["models"].items()}
        base_url, default = content.get("base_url", ""), content.get("default", "")
        _require(isinstance(base_url, str) and isinstance(default, str), "base_url and default must be strings")
    except _MALFORMED as error:
        msg = f"cannot read {folder / REGISTRY_FILE}: {error!r}"
        raise WeightsError(msg) from error
    return {"base_url": base_url, "default": default, "models": models}


def _checked_entry(name: str, entry: Any) -> ModelEntry:
    check_model_name(name)
    keys = ModelEntry.__annotations__.keys()
    _require(isinstance(entry, dict) and keys <= entry.keys(), f"model {name!r} needs {', '.join(keys)}")
    strings = all(isinstance(entry[key], str) for key in ("preset", "file", "sha256", "metric"))
    _require(strings, f"preset, file, sha256 and metric of model {name!r} must be strings")
    _require(_FILE_NAME.fullmatch(entry["file"]), f"file of model {name!r} must be a plain file name")
    _require(_SHA256.fullmatch(entry["sha256"]), f"sha256 of model {name!r} must be 64 hexadecimal digits")
    size_ok = type(entry["size"]) is int and 0 < entry["size"] <= MAX_MODEL
    _require(size_ok, f"size of model {name!r} must be an integer from 1 to {MAX_MODEL}")
    low, high = entry["quality_range"]
    numbers = all(type(value) in (int, float) and math.isfinite(value) for value in (low, high))
    _require(numbers and low <= high, f"quality_range of model {name!r} must be two numbers in order")
    return {key: entry[key] for key in keys}  # type: ignore[return-value]


def _read(path: Path, limit: int) -> bytes:
    """The content of a file of at most `limit` bytes."""
    status = path.stat()
    _require(stat.S_ISREG(status.st_mode), "not a regular file")
    _require(status.st_size <= limit, f"it has {status.st_size} bytes, more than {limit}")
    with path.open("rb") as file:
        return file.read(status.st_size)


def _require(condition: object, text: str) -> None:
    if not condition:
        raise ValueError(text)


def cache_folder() -> Path:
    """The folder for downloaded weights; it need not exist."""
    import appdirs

    return Path(appdirs.user_cache_dir("agvae", appauthor=False)) / "weights"


def locate(name: str, digest: bytes | None = None) -> Path | None:
    """The verified file of a model on this machine, or None; never downloads.

    Args:
        digest: the first bytes of the file's SHA-256, as .agv files hold them: where a folder of one's own has another
            model under a released name, it says which one.  Without it, that is the released one.

    Raises:
        WeightsError: no such model in the registry, or it is not bundled and `agvae.options.weights` is neither an
            address nor a folder.
        UnsupportedFileError: no model of this name has the digest.
    """
    return _located(entry_of(name, digest))


def _located(entry: ModelEntry) -> Path | None:
    return next((path for path in _places(entry) if is_intact(path, entry["size"], entry["sha256"])), None)


def find(name: str, digest: bytes | None = None) -> Path:
    """The verified file of a model, see `locate`, downloaded on first need.

    Warns where a folder of one's own has another model under the name, and no digest is given.

    Safe to call from several processes and threads at once: one downloads while the others wait for it.  What a
    broken download brought is kept beside it, and the next call goes on from there.

    Raises:
        WeightsError: no such model in the registry, or its file is not here and cannot be had.
        UnsupportedFileError: no model of this name has the digest.
    """
    entry = entry_of(name, digest)
    if digest is None and _own_models().get(name, entry)["sha256"] != entry["sha256"]:
        msg = (
            f"the registry in {public(options.weights)} has another model under the name {name!r}, which means the "
            "released one here: give it another name (files that were made with it can be read)"
        )
        warnings.warn(msg, stacklevel=2)
    return _located(entry) or _download(name, entry)


def entry_of(name: str, digest: bytes | None = None) -> ModelEntry:
    """What the registry says of a model; raises as `locate` does."""
    models = registry()["models"]
    if name not in models:
        names = ", ".join(sorted(models)) or "none"
        trouble = _trouble(mirror) if (mirror := _local_mirror()) is not None else ""
        absent = f"{trouble}, and " if trouble else ""
        msg = f"{absent}unknown model {name!r} (this version of agvae knows: {names}); a newer agvae may know it"
        raise WeightsError(msg)
    if digest is None:
        return models[name]
    known = [entry for entry in (models[name], _own_models().get(name)) if entry is not None]
    for entry in known:
        if bytes.fromhex(entry["sha256"]).startswith(digest):
            return entry
    msg = (
        f"this file needs the weights {name!r} with SHA-256 {digest.hex()}..., "
        f"but {known[0]['sha256'][:16]}... are installed under that name; install the version of agvae that wrote it"
    )
    raise UnsupportedFileError(msg)


def _local_mirror() -> Path | None:
    """The folder that `agvae.options.weights` names, as a path or a file: address."""
    source = options.weights
    reason = "neither a folder nor an http:, https: or file: address"
    try:
        address = urlsplit(source)
        if not source or address.scheme in ("http", "https"):
            return None
        if address.scheme == "file":
            return Path(url2pathname(address.path))
        if len(address.scheme) < 2:  # C: is a drive
            return Path(source).expanduser()
    except RuntimeError as error:  # no such home
        reason = str(error)
    except ValueError:  # which quotes what may be a password
        pass
    msg = f"{URL_VARIABLE} or agvae.options.weights, {public(source)!r}: {reason}"
    raise WeightsError(msg)


def _trouble(folder: Path) -> str:
    """What is wrong with a folder; "" if nothing is."""
    try:
        return "" if stat.S_ISDIR(folder.stat().st_mode) else f"{public(str(folder))} is no folder"
    except FileNotFoundError:
        return f"there is no folder {public(str(folder))}"
    except (OSError, ValueError) as error:
        return f"the folder {public(str(folder))} cannot be used ({getattr(error, 'strerror', error)})"


def _places(entry: ModelEntry) -> Iterator[Path]:
    """Where the file of a model may lie, best first; each place is worked out when it comes to it."""
    yield BUNDLED / entry["file"]
    if (mirror := _local_mirror()) is not None:
        yield mirror / entry["file"]
    yield cache_folder() / entry["file"]


def _download(name: str, entry: ModelEntry) -> Path:
    """Fetch into the cache; the file appears there complete and verified, or not at all."""
    folder = cache_folder()
    base, mirror = options.weights or registry()["base_url"], _local_mirror()
    if mirror is not None:
        reason = _trouble(mirror) or f"{mirror / entry['file']} is missing or is not the released file"
        raise _unavailable(name, entry, reason)
    if options.offline:
        raise _unavailable(name, entry, f"{OFFLINE_VARIABLE} or agvae.options.offline forbids downloads")
    if not base:
        raise _unavailable(name, entry, "no address to download it from is known")
    target, url = folder / entry["file"], base
    try:
        _require(folder.is_absolute(), f"the user has no home, so {folder} is no place to keep it")
        url = join(base, entry["file"])
        fetch(url, target, entry["size"], entry["sha256"])
    except (OSError, ValueError, NotImplementedError) as error:  # the last of them: a disk without locks
        raise _unavailable(name, entry, f"the download of {public(url)} failed: {error}") from error
    return target


def _unavailable(name: str, entry: ModelEntry, reason: str) -> WeightsError:
    damaged = [str(path) for path in _places(entry) if os.path.isfile(path)]  # noqa: PTH113
    if damaged:
        reason = f"{', '.join(damaged)} is damaged (its size or SHA-256 is not the registered one), and {reason}"
    return WeightsError(
        f"the weights of model {name!r} are not on this machine: {reason}. Either set {URL_VARIABLE} to an address "
        f"or a folder that has {entry['file']}, or copy that file into {cache_folder()}"
    )


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
            data = _read(Path(path), MAX_MODEL)
        header_size = int.from_bytes(data[:8], "little")
        _require(header_size <= MAX_HEADER, f"its header has {header_size} bytes, more than {MAX_HEADER}")
        metadata = json.loads(data[8 : 8 + header_size])["__metadata__"]
        file_format = metadata["format"]
        _require(file_format == FILE_FORMAT, f"format {file_format!r}; this version of agvae reads {FILE_FORMAT!r}")
        config = config_from_dict(json.loads(metadata["config"]))
        card, bits = json.loads(metadata["card"]), json.loads(metadata["entropy_bits"])
        _require(isinstance(card, dict) and isinstance(bits, dict), "card and entropy_bits must be objects")
        with memory_errors(purpose), torch.device("cpu"):
            tensors = safetensors.torch.load(data)
            state = {name: _restore(name, tensor, bits) for name, tensor in tensors.items() if name[:7] != "tables."}
        tables = {name[7:]: tensor for name, tensor in tensors.items() if name[:7] == "tables."}
        _check_tables(tables, config)
        _check_config(config, sum(tensor.numel() for tensor in state.values()))
    except (SafetensorError, *_MALFORMED) as error:
        msg = f"cannot read model file {os.fspath(path)!r}: {error or type(error).__name__}"
        raise WeightsError(msg) from error
    return ModelFile(config, state, tables, card, hashlib.sha256(data).hexdigest())


def _restore(name: str, tensor: Tensor, entropy_bits: dict[str, Any]) -> Tensor:
    import torch

    from agvae.entropy.exact import WEIGHT_BITS

    if name.startswith("entropy."):
        bits = entropy_bits[name]
        _require(type(bits) is int and abs(bits) <= WEIGHT_BITS, f"entropy_bits of {name!r} exceed {WEIGHT_BITS}")
        _require(tensor.dtype in (torch.int16, torch.int32), f"tensor {name!r} must be int16 or int32")
        unit: float = 2.0**-bits
        return tensor.double() * unit
    _require(tensor.dtype in (torch.float16, torch.float32), f"tensor {name!r} must be float16 or float32")
    _require(tensor.isfinite().all(), f"tensor {name!r} must be finite")
    return tensor.float()


def _check_tables(tables: dict[str, Tensor], config: AnyConfig) -> None:
    """What `agvae.entropy.tables.Tables` relies on."""
    import torch

    plain = all(table.dtype == torch.int16 and table.dim() == 1 for table in tables.values())
    _require(plain, "tables must be int16 and have one dimension")
    _require(len(tables["z_lengths"]) == config.hyper_latent, "z must have a table for each of its channels")


def _check_config(config: AnyConfig, weights: int) -> None:
    """Bound the network of a configuration by the number of weights that came with it."""
    from agvae.networks import ModelConfig, ReferenceConfig
    from agvae.networks.presets import BACKBONES, BORDERS, RATES

    c = config
    numbers = all(type(beta) in (int, float) and math.isfinite(beta) for beta in c.betas)
    _require(numbers and 1 <= c.levels <= 64, "betas must be 1 to 64 numbers")
    _require(isinstance(c.latent, int) and c.latent % 4 == 0, "the channels of y must be a multiple of 4")
    if isinstance(c, ReferenceConfig):
        sizes: tuple[int, ...] = (c.width, c.latent)
        known = c.backbone in BACKBONES and c.rate in RATES and isinstance(c.asymmetric, bool)
        _require(known, "unknown backbone, rate or entropy model")
    else:
        sizes = (c.width8, c.width16, c.latent, c.hyper_latent, c.entropy_width)
        depths = (c.analysis8, c.analysis16, c.synthesis16, c.synthesis8)
        _require(all(type(depth) is int and 0 <= depth <= 64 for depth in depths), "numbers of blocks must be 0 to 64")
        _require(c.border in BORDERS, "unknown border")
    _require(all(type(size) is int and 1 <= size <= 1024 for size in sizes), "numbers of channels must be 1 to 1024")
    if isinstance(c, ModelConfig):
        transforms = (c.analysis8 + c.synthesis8) * c.width8**2 + (c.analysis16 + c.synthesis16) * c.width16**2
        blocks = 4 * (transforms + 3 * c.entropy_width**2)
    else:
        blocks = 9 * c.width * (4 * c.width + 4 * c.latent)
    _require(blocks <= weights, f"its blocks would have {blocks} weights, but the file has {weights} in all")
