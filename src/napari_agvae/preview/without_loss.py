"""A slice without loss: what its file is, and that it comes back as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from agvae import decode
from agvae.boxes import Box
from agvae.coding.frames import Frames
from agvae.encoding import encode_frames


class ExactPreview:
    """In the way of `agvae.coding.preview.Preview`, but without PyTorch, and all at once.

    Args:
        codes: as `agvae.encode` takes them.
    """

    def __init__(self, codes: NDArray[Any]) -> None:
        self._frames = Frames([codes], exact=True)
        self._data = b""

    def parts(self, _: tuple[float, float] = (0, 0)) -> Iterator[tuple[Box, NDArray[Any]]]:
        """All of it, decoded from its file."""
        self._data = encode_frames(self._frames, None)
        yield Box(0, 0, *self._frames.size), decode(self._data)

    def file(self) -> bytes:
        """The bytes of the file, once the parts have been taken."""
        return self._data
