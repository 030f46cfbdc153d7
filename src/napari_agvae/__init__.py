"""The napari plugin of the .agv format.

`read_agv` and `write_agv` work without napari and Qt.  Importing this package imports neither, nor NumPy and PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_agvae.io.reader import read_agv
    from napari_agvae.io.writer import write_agv

_EXPORTS = {"read_agv": "io.reader", "write_agv": "io.writer"}

__all__ = ["read_agv", "write_agv"]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(import_module(f"{__name__}.{_EXPORTS[name]}"), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
