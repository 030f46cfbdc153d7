"""The tests of the paper's networks are skipped where CompressAI is missing, unless somebody asks for this folder."""

from __future__ import annotations

import pytest


def pytest_sessionstart() -> None:
    """Called only if this folder was named on the command line; pytest finds it later otherwise."""
    try:
        import compressai  # noqa: F401
    except ImportError as error:
        msg = f"tests/reference needs CompressAI: {error}"
        raise pytest.UsageError(msg) from error
