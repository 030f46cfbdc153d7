"""Where the tiles of one frame come together again: first their latents, then the pixels."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agvae.boxes import Box, around
from agvae.coding.engine import Model
from agvae.coding.windows import STRIDE, Window, padded
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

    Latents are kept in strips, as high as the squares of tiles that are synthesised at once; of large pictures those
    that are no longer needed are forgotten, which may be most of what decoding holds.

    Attributes:
        outer: what g_s has to see for it.
        pixels: (H, W, 3) uint8, in mode I;16 float32 in [0, 1]; neutral grey where they are not known.  An array, or a
            tensor if the request says so.
    """

    def __init__(self, model: Model, request: DecodeRequest) -> None:
        area = request.area
        self.request = request
        self.outer = synthesis_window(model, request.header, area).outer
        self._halo = model.network.synthesis.halo()
        self._channels, self._device = model.network.config.latent, model.device
        self._side = MAX_TILE_SIZE // request.header.tile_size * request.header.tile_size
        self._strips: dict[int, Tensor] = {}
        self._known: dict[tuple[int, int], list[Box]] = {}
        self._done: set[tuple[int, int]] = set()
        dtype, grey = (np.float32, 0.5) if request.header.mode == "I;16" else (np.uint8, 128)
        self.pixels: Any
        if request.on_device:
            assert dtype == np.uint8
            with torch.inference_mode(False):
                self.pixels = torch.full((area.height, area.width, 3), 128, dtype=torch.uint8, device=model.device)
        else:
            self.pixels = np.full((area.height, area.width, 3), grey, dtype)

    def coded(self, pixels: int) -> list[list[tuple[Box, bytes]]]:
        """The tiles to decode, from top to bottom, in runs of whole strips with so many pixels or more."""
        pairs = [(tile_box(self.request.header, k), data) for k, data in sorted(self.request.tiles.items())]
        strips = itertools.groupby(
            (pair for pair in pairs if pair[0].overlap(self.outer)), lambda pair: self._block(pair[0])[1]
        )
        runs: list[list[tuple[Box, bytes]]] = []
        for _, strip in strips:
            if not runs or sum(box.area for box, _ in runs[-1]) >= pixels:
                runs.append([])
            runs[-1] += strip
        return runs

    def put_latents(self, box: Box, y_hat: Tensor) -> None:
        """Keep what is wanted of a tile's latents (h, w, M)."""
        block = self._block(box)
        self._known.setdefault(block, []).append(box)
        shared = padded(box).overlap(self.outer)
        if shared:
            row, strip = block[1], self._strip(block[1])
            if row not in self._strips:
                with torch.inference_mode(False):  # the caller's mode may be another one when more latents come
                    self._strips[row] = self._zeros(strip)
            self._strips[row][shared.within(strip, STRIDE)] = y_hat[shared.within(box, STRIDE)].to(self._device)

    def latents(self, window: Window) -> Tensor:
        """Those of a window, (h, w, M) float32, zero where they are not known."""
        parts = []
        for row in range(window.outer.top // self._side, -(-window.outer.bottom // self._side)):
            strip = self._strip(row)
            shared = window.outer.overlap(strip)
            assert shared
            known = self._strips.get(row)
            parts.append(self._zeros(shared) if known is None else known[shared.within(strip, STRIDE)])
        return torch.cat(parts)

    def wanted(self, bottom: int | None) -> list[Box]:
        """What is to be seen of known tiles, for the first time, if it depends on nothing that is still to come.

        It is that of neighbours together where they are small, for the sake of the halo.  Latents on which nothing
        depends any more are forgotten.

        Args:
            bottom: the first row of which latents are still to come; None if there is none.
        """
        waiting = [block for block in self._known if block not in self._done]
        top = min((row * self._side for _, row in waiting), default=bottom or 0)
        for row in [row for row in self._strips if (row + 1) * self._side <= top - self._halo]:
            del self._strips[row]
        boxes = []
        for block in waiting:
            if bottom is not None and (block[1] + 1) * self._side + self._halo > bottom:
                continue
            self._done.add(block)
            seen = [shared for box in self._known[block] if (shared := box.overlap(self.request.area))]
            if seen:
                boxes.append(around(seen))
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
        return box.left // self._side, box.top // self._side

    def _strip(self, row: int) -> Box:
        """What such a row has of `outer`."""
        left, top, right, bottom = self.outer
        return Box(left, max(top, row * self._side), right, min(bottom, (row + 1) * self._side))

    def _zeros(self, box: Box) -> Tensor:
        """Latents of a box; on a CPU they take memory where something is written to them, so for lost tiles none."""
        shape = (box.height // STRIDE, box.width // STRIDE, self._channels)
        if self._device.type == "cpu":
            return torch.from_numpy(np.zeros(shape, np.float32))
        return torch.zeros(shape, dtype=torch.float32, device=self._device)


def synthesis_window(model: Model, header: Header, box: Box) -> Window:
    """What g_s has to see for a box of a frame."""
    return Window(box, (header.width, header.height), model.network.synthesis.halo())
