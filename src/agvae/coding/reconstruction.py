"""Where the tiles of one frame come together again: first their latents, then the pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agvae.boxes import Box
from agvae.coding.engine import Model
from agvae.coding.windows import STRIDE, Window, latent_shape, padded
from agvae.file.header import MAX_TILE_SIZE, Header, tile_box


@dataclass(frozen=True)
class DecodeRequest:
    """One frame to decode, or a box of it.

    Attributes:
        header: of the file.
        tiles: payloads by the tile's number within the frame; all that are there, or those of `tiles_needed`.
        box: within the frame; None for all of it.
        filename: of the file, for errors.
        on_device: keep the pixels, of 8 bits, on the device of the model.
    """

    header: Header
    tiles: Mapping[int, bytes]
    box: Box | None = None
    filename: str | None = None
    on_device: bool = False

    @property
    def area(self) -> Box:
        return self.box or self.header.box


class Reconstruction:
    """What is known of a request so far.

    Attributes:
        outer: what g_s has to see for it.
        y_hat: the latents of that, (h, w, M) float32, zero where they are not known.
        pixels: (H, W, 3) uint8, in mode I;16 float32 in [0, 1]; neutral grey where they are not known.  An array, or a
            tensor if the request says so.
    """

    def __init__(self, model: Model, request: DecodeRequest) -> None:
        area = request.area
        self.request = request
        self.outer = synthesis_window(model, request.header, area).outer
        shape = (*latent_shape(self.outer), model.network.config.latent)
        with torch.inference_mode(False):  # the caller's mode may be another one when latents come
            self.y_hat = _zeros(shape, model.device)
        self._known: dict[tuple[int, int], list[Box]] = {}
        dtype, grey = (np.float32, 0.5) if request.header.mode == "I;16" else (np.uint8, 128)
        self.pixels: Any
        if request.on_device:
            assert dtype == np.uint8
            with torch.inference_mode(False):
                self.pixels = torch.full((area.height, area.width, 3), 128, dtype=torch.uint8, device=model.device)
        else:
            self.pixels = np.full((area.height, area.width, 3), grey, dtype)

    def coded(self) -> list[tuple[Box, bytes]]:
        """The tiles to decode."""
        pairs = [(tile_box(self.request.header, k), data) for k, data in self.request.tiles.items()]
        return [(box, data) for box, data in pairs if box.overlap(self.outer)]

    def put_latents(self, box: Box, y_hat: Tensor) -> None:
        """Keep what is wanted of a tile's latents (h, w, M)."""
        self._known.setdefault(self._block(box), []).append(box)
        shared = padded(box).overlap(self.outer)
        if shared:
            self.y_hat[shared.within(self.outer, STRIDE)] = y_hat[shared.within(box, STRIDE)].to(self.y_hat.device)

    def latents(self, window: Window) -> Tensor:
        """Those of a window, (h, w, M)."""
        return self.y_hat[window.outer.within(self.outer, STRIDE)]

    def wanted(self) -> list[Box]:
        """What is to be seen of known tiles: of neighbours together where they are small, for the sake of the halo."""
        boxes = []
        for tiles in self._known.values():
            seen = [shared for box in tiles if (shared := box.overlap(self.request.area))]
            if seen:
                lefts, tops, rights, bottoms = zip(*seen, strict=True)
                boxes.append(Box(min(lefts), min(tops), max(rights), max(bottoms)))
        return boxes

    def put_pixels(self, box: Box, x: Tensor) -> None:
        """Take the reconstruction (h, w, 3) of a box, in [0, 1], where it is one of known tiles."""
        if self.request.header.mode != "I;16":
            x = x.mul(255).round().to(torch.uint8)
        pixels: Any = x if self.request.on_device else x.cpu().numpy()
        for tile in self._known[self._block(box)]:
            if shared := tile.overlap(box):
                self.pixels[shared.within(self.request.area)] = pixels[shared.within(box)]

    def _block(self, box: Box) -> tuple[int, int]:
        """Column and row of what a box lies in: squares of whole tiles, as large as the largest tile."""
        side = self.request.header.tile_size
        side *= MAX_TILE_SIZE // side
        return box.left // side, box.top // side


def synthesis_window(model: Model, header: Header, box: Box) -> Window:
    """What g_s has to see for a box of a frame."""
    return Window(box, (header.width, header.height), model.network.synthesis.halo())


def _zeros(shape: Sequence[int], device: torch.device) -> Tensor:
    """Float32 zeros; on a CPU they take memory where something is written to them, so for lost tiles none."""
    if device.type == "cpu":
        return torch.from_numpy(np.zeros(shape, np.float32))
    return torch.zeros(shape, dtype=torch.float32, device=device)
