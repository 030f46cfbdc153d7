"""The models that are known: the released ones, and those that a folder of one's own registers.

`registry.json` names every model with the size and the SHA-256 of its file; a file that differs from its entry is
never used.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import urlsplit
from urllib.request import url2pathname

from agvae.addresses import public
from agvae.errors import UnsupportedFileError, WeightsError, require
from agvae.file.header import check_model_name
from agvae.settings import options
from agvae.weights.model_file import MALFORMED, MAX_MODEL, read_bounded

URL_VARIABLE = "AGVAE_WEIGHTS_URL"
REGISTRY_FILE = "registry.json"

MAX_REGISTRY = 2**20
"""Most bytes of a registry."""

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def _bundled_folder() -> Path:
    """`agvae/bundled` of a wheel, or `weights` at the top of a source tree."""
    package = Path(__file__).parents[1]
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


def registry() -> Registry:
    """The models known here: the released ones, and those that a folder in AGVAE_WEIGHTS_URL registers itself.

    Raises:
        WeightsError: a `registry.json` is not one.
    """
    found = _read_registry(BUNDLED)
    if found["default"] not in found["models"]:
        msg = f"{BUNDLED / REGISTRY_FILE}: the default model {found['default']!r} is not among the models"
        raise WeightsError(msg)
    found["models"] = {**own_models(), **found["models"]}
    return found


def own_models() -> dict[str, ModelEntry]:
    """What a folder in AGVAE_WEIGHTS_URL registers itself."""
    try:
        mirror = local_folder()
    except WeightsError:  # raised again where the folder is needed
        mirror = None
    # os.path: False if it cannot be searched
    there = mirror is not None and os.path.isfile(mirror / REGISTRY_FILE)  # noqa: PTH113
    return _read_registry(mirror)["models"] if mirror is not None and there else {}


def _read_registry(folder: Path) -> Registry:
    """The checked content of a folder's registry; the address and the default are "" where it has none."""
    try:
        content = json.loads(read_bounded(folder / REGISTRY_FILE, MAX_REGISTRY))
        models = {name: _checked_entry(name, entry) for name, entry in content["models"].items()}
        base_url, default = content.get("base_url", ""), content.get("default", "")
        require(isinstance(base_url, str) and isinstance(default, str), "base_url and default must be strings")
    except MALFORMED as error:
        msg = f"cannot read {folder / REGISTRY_FILE}: {error!r}"
        if folder == BUNDLED and not Path(__file__).exists():  # imported from a zip
            place = Path(__file__).parents[2]
            msg = f"agvae runs from {place}, where no model can be read: install it as files, with pip"
        raise WeightsError(msg) from error
    return {"base_url": base_url, "default": default, "models": models}


def _checked_entry(name: str, entry: Any) -> ModelEntry:
    check_model_name(name)
    keys = ModelEntry.__annotations__.keys()
    require(isinstance(entry, dict) and keys <= entry.keys(), f"model {name!r} needs {', '.join(keys)}")
    strings = all(isinstance(entry[key], str) for key in ("preset", "file", "sha256", "metric"))
    require(strings, f"preset, file, sha256 and metric of model {name!r} must be strings")
    require(_FILE_NAME.fullmatch(entry["file"]), f"file of model {name!r} must be a plain file name")
    require(_SHA256.fullmatch(entry["sha256"]), f"sha256 of model {name!r} must be 64 hexadecimal digits")
    size_ok = type(entry["size"]) is int and 0 < entry["size"] <= MAX_MODEL
    require(size_ok, f"size of model {name!r} must be an integer from 1 to {MAX_MODEL}")
    low, high = entry["quality_range"]
    numbers = all(type(value) in (int, float) and math.isfinite(value) for value in (low, high))
    require(numbers and low <= high, f"quality_range of model {name!r} must be two numbers in order")
    return {key: entry[key] for key in keys}  # type: ignore[return-value]


def entry_of(name: str, digest: bytes | None = None) -> ModelEntry:
    """What the registry says of a model; raises as `locate` does."""
    models = registry()["models"]
    if name not in models:
        names = ", ".join(sorted(models)) or "none"
        trouble = trouble_with(mirror) if (mirror := local_folder()) is not None else ""
        absent = f"{trouble}, and " if trouble else ""
        msg = f"{absent}unknown model {name!r} (this version of agvae knows: {names}); a newer agvae may know it"
        raise WeightsError(msg)
    if digest is None:
        return models[name]
    known = [entry for entry in (models[name], own_models().get(name)) if entry is not None]
    for entry in known:
        if bytes.fromhex(entry["sha256"]).startswith(digest):
            return entry
    msg = (
        f"this file needs the weights {name!r} with SHA-256 {digest.hex()}..., "
        f"but {known[0]['sha256'][:16]}... are installed under that name; install the version of agvae that wrote it"
    )
    raise UnsupportedFileError(msg)


def local_folder() -> Path | None:
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


def trouble_with(folder: Path) -> str:
    """What is wrong with a folder; "" if nothing is."""
    try:
        return "" if stat.S_ISDIR(folder.stat().st_mode) else f"{public(str(folder))} is no folder"
    except FileNotFoundError:
        return f"there is no folder {public(str(folder))}"
    except (OSError, ValueError) as error:
        return f"the folder {public(str(folder))} cannot be used ({getattr(error, 'strerror', error)})"
