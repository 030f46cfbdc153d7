"""Where the files of models are; what is not on this machine is downloaded on first need.

A model of a registry is looked for in

1. the folder that the package brings along,
2. the folder that `agvae.options.weights` (AGVAE_WEIGHTS_URL) names, if it names one,
3. the user's cache folder, into which it is downloaded unless `agvae.options.offline` (AGVAE_OFFLINE).

Nothing is believed because of where it lies: each look checks size and SHA-256.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from agvae.addresses import join, public
from agvae.callers import level_of_caller
from agvae.errors import WeightsError, require
from agvae.settings import options
from agvae.weights import registries
from agvae.weights.download import fetch, is_intact
from agvae.weights.registries import (
    URL_VARIABLE,
    ModelEntry,
    entry_of,
    local_folder,
    own_models,
    registry,
    trouble_with,
)

OFFLINE_VARIABLE = "AGVAE_OFFLINE"


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
    if digest is None and (sentence := taken_name(name)):
        warnings.warn(sentence, stacklevel=level_of_caller())
    return _located(entry) or _download(name, entry)


def taken_name(name: str) -> str:
    """A sentence about another model that a folder of one's own has under the name of a released one, or ""."""
    own = own_models().get(name)
    if own is None or own["sha256"] == entry_of(name)["sha256"]:
        return ""
    return (
        f"the registry in {public(options.weights)} has another model under the name {name!r}, which means the "
        "released one here: give it another name (files that were made with it can be read)"
    )


def _places(entry: ModelEntry) -> Iterator[Path]:
    """Where the file of a model may lie, best first; each place is worked out when it comes to it."""
    yield registries.BUNDLED / entry["file"]
    if (mirror := local_folder()) is not None:
        yield mirror / entry["file"]
    yield cache_folder() / entry["file"]


def _download(name: str, entry: ModelEntry) -> Path:
    """Fetch into the cache; the file appears there complete and verified, or not at all."""
    folder = cache_folder()
    base, mirror = options.weights or registry()["base_url"], local_folder()
    if mirror is not None:
        reason = trouble_with(mirror) or f"{mirror / entry['file']} is missing or is not the released file"
        raise _unavailable(name, entry, reason)
    if options.offline:
        raise _unavailable(name, entry, f"{OFFLINE_VARIABLE} or agvae.options.offline forbids downloads")
    if not base:
        raise _unavailable(name, entry, "no address to download it from is known")
    target, url = folder / entry["file"], base
    try:
        require(folder.is_absolute(), f"the user has no home, so {folder} is no place to keep it")
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
