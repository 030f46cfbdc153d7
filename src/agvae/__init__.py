"""AG-VAE image codec: `encode` and `decode` between pixels and .agv files, `read_info` and `read_metadata` about one.

`encode_batch` and `decode_batch` do the same for many images at once, which is faster for small ones, `encode_iter`
and `decode_iter` for any number of them, one after the other; `agvae.batch` does it with thousands of files.
`decode_tensor` and `decode_tensors` give tensors of PyTorch, on the device that decodes.  `compare` shows a picture by
this and other codecs; `warm_up` loads all that coding needs, for programs that fork workers.

`Metadata` is what a file can hold besides pixels, `AgvError` (an `OSError`) what is raised for a file that is
none, is damaged, or needs weights that are not here (its kinds are in `agvae.errors`), `options` are the settings of
the library.

Importing this package imports neither NumPy nor PyTorch; the first use of a function other than `read_info` and
`read_metadata` does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from agvae import runtime as runtime  # it prepares what an exit handler could not
from agvae.errors import AgvError
from agvae.settings import options
from agvae.shortage import loading

if TYPE_CHECKING:
    from agvae import batch
    from agvae.api import (
        decode,
        decode_batch,
        decode_iter,
        decode_tensor,
        decode_tensors,
        encode,
        encode_batch,
        encode_iter,
        warm_up,
    )
    from agvae.comparison import compare
    from agvae.container import Metadata
    from agvae.conversion.originals import metadata_of
    from agvae.file.info import read_info, read_metadata

    __version__: str

__all__ = [
    "AgvError",
    "Metadata",
    "batch",
    "compare",
    "decode",
    "decode_batch",
    "decode_iter",
    "decode_tensor",
    "decode_tensors",
    "encode",
    "encode_batch",
    "encode_iter",
    "metadata_of",
    "options",
    "read_info",
    "read_metadata",
    "warm_up",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("agvae")
        except PackageNotFoundError:  # a source tree that is on the path and not installed
            return "unknown"
    if name == "Metadata":
        from agvae.container import Metadata

        return Metadata
    if name in ("read_info", "read_metadata"):
        from agvae.file import info

        return getattr(info, name)
    if name == "batch":
        return importlib.import_module("agvae.batch")
    if name == "metadata_of":
        with loading():
            from agvae.conversion.originals import metadata_of

        return metadata_of
    if name == "compare":
        with loading():
            from agvae.comparison import compare

        return compare
    if name in __all__:
        with loading():
            from agvae import api

        return getattr(api, name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return [*globals(), *__all__, "__version__"]
