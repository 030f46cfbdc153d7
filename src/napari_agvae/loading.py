"""Importing PyTorch, which can take half a minute, without having to wait for it."""

from __future__ import annotations

import threading
from importlib import import_module

from agvae.progress import checkpoint

_INTERVAL = 0.05
"""Seconds between two checkpoints."""


class _Import(threading.Thread):
    """Imports the codec; a daemon, since nobody waits for what is not wanted any more."""

    def __init__(self) -> None:
        super().__init__(name="agvae import", daemon=True)
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            import_module("agvae.codec")
        except BaseException as error:
            self.error = error


_lock = threading.Lock()
_import: _Import | None = None


def is_imported() -> bool:
    """Whether `import_codec` has nothing to do."""
    current = _import
    return current is not None and not current.is_alive() and current.error is None


def import_codec() -> None:
    """Import `agvae.codec`, and PyTorch with it, in a thread of its own, while this one passes checkpoints.

    Whoever is stopped at a checkpoint leaves the import to go on; the next one waits for what is left of it.

    Raises:
        ImportError: PyTorch cannot be imported.
    """
    global _import
    with _lock:
        if _import is None:
            _import = _Import()
            _import.start()
        current = _import
    while current.is_alive():
        checkpoint()
        current.join(_INTERVAL)
    if current.error is not None:
        with _lock:
            _import = None
        raise current.error
