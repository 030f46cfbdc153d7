"""Shortage of memory, which PyTorch and other native code report in ways of their own; here it is a MemoryError."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

_REPORTS = re.compile(
    r"allocate memory|out of memory|not enough memory"  # PyTorch, its kinds of devices, and the system
    r"|bad_alloc"  # C++ through PyTorch
    r"|could not (create|execute|initialize) a "  # oneDNN, which has no other reason with shapes that it knows
    r"|_ALLOC_FAILED"  # cuBLAS, cuDNN
)


def is_shortage(error: BaseException) -> bool:
    """Whether an error reports that memory is short."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno == errno.ENOMEM
    panic = type(error).__module__ == "pyo3_runtime" and "pointer is null" in str(error)  # safetensors, constriction
    reported = isinstance(error, RuntimeError | ImportError | OSError) and _REPORTS.search(str(error))
    return isinstance(error, MemoryError) or panic or bool(reported)


@contextmanager
def memory_errors(purpose: str) -> Iterator[None]:
    """Raise MemoryError, with what memory was for, wherever something within reports that it is short."""
    try:
        yield
    except BaseException as error:  # a panic of an extension in Rust is no Exception
        if not is_shortage(error):
            raise
        msg = f"not enough memory {purpose}"
        raise MemoryError(msg) from error
