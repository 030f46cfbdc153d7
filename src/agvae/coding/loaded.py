"""The models that this process has loaded."""

from __future__ import annotations

import threading

from agvae import weights
from agvae.coding.engine import Model
from agvae.file.header import Header
from agvae.networks.bands import kernel_threads
from agvae.runtime import after_fork, at_work
from agvae.settings import options

_Key = tuple[str, bytes | None, str, str]
_models: dict[_Key, Model] = {}
"""By what was asked for; one that is asked for in several ways is the same."""
_loading = threading.Lock()
_LOADING = 10.0
"""Seconds to wait for another thread that loads a model; what interrupted it may have left the lock held."""


def is_loaded(name: str | None = None) -> bool:
    """Whether `load_model` has this model at hand."""
    return _key(name) in _models


def load_model(name: str | None = None, device: str | None = None, digest: bytes | None = None) -> Model:
    """The model of that name, or the default one, on a device or on that of `agvae.options`; loaded once per process.

    Args:
        digest: of the model's file, as files hold it: this very model, where there are several of that name.

    Raises:
        agvae.errors.WeightsError: no model of that name is known, or its weights are not to be had.
        agvae.errors.UnsupportedFileError: there is no model of that name and digest.
        MemoryError: memory is short.
        ValueError: the device cannot be used.
    """
    key = _key(name, device, digest)
    model = _models.get(key)
    if model is None:
        path = weights.find(key[0], digest)  # may download: others must not wait for that
        sha256 = weights.entry_of(key[0], digest)["sha256"]
        alone = _loading.acquire(timeout=_LOADING)
        try:
            same = (m for k, m in list(_models.items()) if (m.name, m.sha256, k[2]) == (key[0], sha256, key[2]))
            model = next(same, None)
            if model is None:
                with at_work(), kernel_threads(1):
                    model = Model(path, key[0], key[2])
            model = _models.setdefault(key, model)
        finally:
            if alone:
                _loading.release()
    return model


def model_of(header: Header) -> Model:
    """The very model that a file was made with.

    Raises:
        UnsupportedFileError: the file needs other weights than those known under their name.
        agvae.errors.WeightsError: its model is not to be had.
    """
    return load_model(header.model, digest=header.digest)


def forget_models() -> None:
    """Free all loaded models."""
    _models.clear()


def _key(name: str | None, device: str | None = None, digest: bytes | None = None) -> _Key:
    name = weights.registry()["default"] if name is None else name
    return name, digest, device or options.device, options.weights


def _after_fork() -> None:
    """A forked child has none of its parent's threads: it would wait for a lock that one of them held."""
    global _loading
    _loading = threading.Lock()


after_fork(_after_fork)
