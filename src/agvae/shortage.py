"""Shortage of memory, which PyTorch and other native code report in ways of their own; here it is a MemoryError."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

_REPORTS = re.compile(
    r"allocate memory|out of memory|not enough memory"  # PyTorch, its kinds of devices, and the system
    r"|failed to map segment from shared object$"  # the system's loader, with no reason where that is memory
    r"|bad_alloc"  # C++ through PyTorch
    r"|could not (create|execute|initialize) a "  # oneDNN, which has no other reason with shapes that it knows
    r"|_ALLOC_FAILED",  # cuBLAS, cuDNN
    re.MULTILINE,
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


_short_once = False
"""Loading has failed for want of memory; what is loaded in part then raises all kinds of errors."""


@contextmanager
def loading() -> Iterator[None]:
    """For the imports of NumPy and of the codec: `memory_errors`, also where the report is lost on its way."""
    global _short_once
    try:
        yield
    except Exception as error:
        reports: list[BaseException] = [error]
        while cause := reports[-1].__cause__ or reports[-1].__context__:
            reports.append(cause)
        if not _short_once and not any(is_shortage(report) or isinstance(report, SystemError) for report in reports):
            raise
        _short_once = True
        msg = "not enough memory to load the codec"
        raise MemoryError(msg) from error
