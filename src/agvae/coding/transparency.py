"""The alpha of an image's tiles: by itself, or beside the colour of tiles without loss where that takes fewer bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agvae.boxes import Box
from agvae.coding.lossless import encode_with_alpha
from agvae.file.alpha import CONSTANT, WITH_COLOUR, encode_alpha
from agvae.file.payload import WITHOUT_LOSS, TileData
from agvae.progress import checkpoint


class Alpha:
    """That of an image.

    Args:
        plane: (H, W).
        exact: colour of the image, (H, W, 3), as tiles without loss have it.
        boxes: of the tiles.
    """

    def __init__(self, plane: NDArray[np.uint8], exact: NDArray[Any], boxes: Sequence[Box]) -> None:
        self._plane, self._exact, self._boxes = plane, exact, boxes
        self._by_itself, self._together = dict[int, bytes](), dict[int, bytes]()

    def tile(self, number: int, kind: bytes, payload: bytes) -> TileData:
        """A tile whose colour is coded so, with its alpha."""
        alpha = self._plane[self._boxes[number].slices]
        if number not in self._by_itself:
            checkpoint()
            self._by_itself[number] = encode_alpha(alpha)
        coded = self._by_itself[number]
        if kind == WITHOUT_LOSS and coded[0] != CONSTANT:
            if number not in self._together:
                self._together[number] = encode_with_alpha(self._exact[self._boxes[number].slices], alpha)
            together = self._together[number]
            if len(together) + len(WITH_COLOUR) < len(payload) + len(coded):
                return TileData(together, WITH_COLOUR, kind=kind)
        return TileData(payload, coded, kind=kind)


def with_alpha(coded: Iterable[tuple[bytes, bytes]], alpha: Alpha | None) -> Iterator[TileData]:
    """The tiles of an image, by the kinds and payloads of their colour."""
    for number, (kind, payload) in enumerate(coded):
        yield TileData(payload, kind=kind) if alpha is None else alpha.tile(number, kind, payload)
