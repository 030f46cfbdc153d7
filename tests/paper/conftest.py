"""The tests of the paper's networks are skipped where CompressAI is missing, unless somebody asks for this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


def pytest_sessionstart() -> None:
    """Called only if this folder was named on the command line; pytest finds it later otherwise."""
    try:
        import compressai  # noqa: F401
    except ImportError as error:
        msg = f"tests/paper needs CompressAI: {error}"
        raise pytest.UsageError(msg) from error


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks as small as these gain nothing from more, and lose much where other programs use the cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
