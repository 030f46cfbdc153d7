"""PyTorch and models, which can take half a minute to load, without having to wait for it."""

from __future__ import annotations

import threading
from functools import partial
from importlib import import_module

from agvae.progress import Apart, apart
from agvae.runtime import after_fork

_lock = threading.Lock()
_import: Apart | None = None


def is_imported() -> bool:
    """Whether `import_codec` has nothing to do."""
    return _import is not None and _import.successful


def import_codec() -> None:
    """Import `agvae.coding`, and PyTorch with it, in a thread of its own, while this one passes checkpoints.

    Whoever is stopped at a checkpoint leaves the import to go on; the next one waits for what is left of it.

    Raises:
        ImportError: PyTorch cannot be imported.
    """
    global _import
    with _lock:
        if _import is None or not (_import.is_alive() or _import.successful):
            _import = Apart(partial(import_module, "agvae.coding.loaded"))
            _import.start()
        current = _import
    current.wait()


def load_codec(model: str | None) -> None:
    """Import the codec and load a model, if its weights are here, in the same way.

    Raises:
        agvae.weights.WeightsError: no such model.
    """
    from agvae import weights

    import_codec()
    from agvae.coding.loaded import is_loaded, load_model

    if not is_loaded(model) and weights.locate(model or weights.registry()["default"]) is not None:
        apart(partial(load_model, model))


def _after_fork() -> None:
    """A thread that imports, or holds the lock, is not there in a forked child."""
    global _import, _lock
    _import, _lock = None, threading.Lock()


after_fork(_after_fork)
