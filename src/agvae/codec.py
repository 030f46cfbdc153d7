"""The way of images: pixels -> latents -> symbols -> bytes, and back.

An image is cut into independent tiles.  g_a and g_s see a tile with a halo as wide as their receptive field, so the
result is that of the whole image; the entropy coder sees one tile's latents alone.  Tiles of equal shape, of one
image or of several, go through the networks as one batch.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import threading
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agvae import weights as model_files
from agvae.boxes import Box
from agvae.engine import Model, Packed
from agvae.errors import DamagedFileError, about
from agvae.file.header import MAX_TILE_SIZE, TILE_SIZE, Header, tile_box, tile_boxes
from agvae.networks.bands import kernel_threads
from agvae.networks.transforms import STRIDE
from agvae.progress import checkpoint
from agvae.runtime import at_work
from agvae.settings import options
from agvae.shortage import is_shortage
from agvae.windows import Window, latent_shape, padded

_BATCH = {"cpu": 2**18, "cuda": 2**24, "mps": 2**22}
"""Pixels of a batch by type of device: enough to keep it busy."""
_SMALLER_SIDES = (512, 256)
"""Largest sides of what g_a and g_s work on at once when memory is short, in pixels."""

T = TypeVar("T")
Picture = NDArray[Any]
"""(H, W, 3), uint8, or float32 in [0, 1]."""


@dataclass(frozen=True)
class EncodedImage:
    """Tile payloads of an image, the model that made them, and the entropy model's estimate of their size."""

    tiles: list[bytes]
    model: str
    digest: bytes
    estimated_bits: float


@dataclass(frozen=True)
class DecodeRequest:
    """One frame to decode, or a box of it.

    Attributes:
        header: of the file.
        tiles: payloads by the tile's number within the frame; all that are there, or those of `tiles_needed`.
        box: (left, top, right, bottom) within the frame; None for all of it.
        filename: of the file, for errors.
    """

    header: Header
    tiles: Mapping[int, bytes]
    box: Box | None = None
    filename: str | None = None

    @property
    def area(self) -> Box:
        return self.box or self.header.box


def encode_images(
    images: Iterable[Picture], level: int, tile_size: int = TILE_SIZE, model: str | None = None
) -> Iterator[EncodedImage]:
    """Code images, each (H, W, 3) uint8 or float32 in [0, 1], at a level (see `agvae.quality`), as they are asked for.

    Raises:
        agvae.weights.WeightsError: the model is not to be had.
        MemoryError: an image does not fit in memory.
    """
    loaded = load_model(model)
    for chunk in _chunks(images, lambda image: padded(_frame_box(image)).area, loaded):
        yield from within_memory(loaded, partial(_encode, images=chunk, level=level, tile_size=tile_size))


def decode_images(requests: Iterable[DecodeRequest], *, damaged_ok: bool = False) -> Iterator[Picture]:
    """Decode frames or boxes, as they are asked for: (h, w, 3) uint8, for mode "I;16" float32 in [0, 1].

    Tiles without a payload, and with `damaged_ok` damaged ones, are neutral grey.

    Raises:
        DamagedFileError: a tile does not decode.
        UnsupportedFileError: a file needs other weights than those known under their name.
        agvae.weights.WeightsError: a file needs a model that is not to be had.
        MemoryError: an image does not fit in memory.
    """
    for _, same_model in itertools.groupby(requests, lambda request: (request.header.model, request.header.digest)):
        first = next(same_model)
        with about(first.filename):
            loaded = model_of(first.header)
        for chunk in _chunks(itertools.chain([first], same_model), lambda request: padded(request.area).area, loaded):
            yield from within_memory(loaded, partial(_decode, requests=chunk, damaged_ok=damaged_ok))


def tiles_needed(header: Header, box: Box) -> list[int]:
    """Indices of the tiles of a frame that decoding a box needs: those that it or its halo touches.

    Raises as `decode_images` does, since the halo is the model's.
    """
    outer = synthesis_window(model_of(header), header, box).outer.overlap(header.box)
    assert outer is not None
    left, top, right, bottom = outer.aligned(header.tile_size)
    side, columns = header.tile_size, -(-header.width // header.tile_size)
    return [y // side * columns + x // side for y in range(top, bottom, side) for x in range(left, right, side)]


def latents_sha256(header: Header, tiles: Iterable[bytes]) -> str:
    """SHA-256 over the latents of tiles: int32 little-endian z, then y step by step, tile by tile.

    Args:
        tiles: payloads in the order of the file, of one frame or more.

    Raises:
        DamagedFileError: a tile does not decode; others as `decode_images`.
    """
    model = model_of(header)
    digest = hashlib.sha256()
    for payload, box in zip(tiles, itertools.cycle(tile_boxes(header)), strict=False):
        (latents,) = model.unpack([payload], [header.level], *latent_shape(box))
        if isinstance(latents, DamagedFileError):
            raise latents
        digest.update(latents.tobytes())
    return digest.hexdigest()


class Limits(NamedTuple):
    """Pixels of a batch, and the largest side in pixels of what g_a and g_s work on at once."""

    batch: int
    side: int


class _Work(Protocol[T]):
    def __call__(self, model: Model, limits: Limits) -> list[T]: ...


def _encode(
    model: Model, limits: Limits, *, images: Sequence[Picture], level: int, tile_size: int
) -> list[EncodedImage]:
    boxes = [_frame_box(image).split(tile_size) for image in images]
    tiles = [(image, box) for image, of_image in zip(images, boxes, strict=True) for box in of_image]
    coded: list[tuple[bytes, float]] = [(b"", 0.0)] * len(tiles)
    for k, packed in encode_tiles(model, limits, tiles=tiles, level=level):
        coded[k] = packed.payload, packed.estimated_bits
    results, rest = [], iter(coded)
    for of_image in boxes:
        payloads, bits = zip(*itertools.islice(rest, len(of_image)), strict=True)
        results.append(EncodedImage(list(payloads), model.name, model.digest, sum(bits)))
    return results


def encode_tiles(
    model: Model, limits: Limits, *, tiles: Sequence[tuple[Picture, Box]], level: int
) -> Iterator[tuple[int, Packed]]:
    """Code boxes of images, each as a tile; gives their positions in the sequence in any order."""
    shapes = [(_analysis_window(model, *tile).shape, tile[0].dtype) for tile in tiles]
    for batch in _batches(shapes, [padded(box).area for _, box in tiles], limits.batch):
        y = _analyse(model, [tiles[k] for k in batch], level, limits.side)
        yield from zip(batch, model.pack(y, [level] * len(batch)), strict=True)
        checkpoint(sum(tiles[k][1].area for k in batch))


def _analyse(model: Model, tiles: Sequence[tuple[Picture, Box]], level: int, side: int) -> Tensor:
    """Gained y (B, h, w, M) of tiles that can share a batch, made of parts of at most `side` pixels a side."""
    first = tiles[0][1]
    shape = (len(tiles), *latent_shape(first), model.network.config.latent)
    y = torch.empty(shape, dtype=torch.float32, device=model.device)
    for parts in zip(*(box.split(side) for _, box in tiles), strict=True):
        checkpoint()
        windows = [_analysis_window(model, image, part) for (image, _), part in zip(tiles, parts, strict=True)]
        pixels = np.stack([_pixels(image, window) for (image, _), window in zip(tiles, windows, strict=True)])
        x = torch.from_numpy(pixels).to(model.device).permute(0, 3, 1, 2).float()
        found = model.analyse(x / 255 if pixels.dtype == np.uint8 else x, [level] * len(tiles))
        y[(slice(None), *padded(parts[0]).within(first, STRIDE))] = found[(slice(None), *windows[0].inner_latents)]
    return y


def _pixels(image: Picture, window: Window) -> Picture:
    """The pixels of a window; beyond the image, those of its edge."""
    left, top, right, bottom = window.outer
    rows = np.minimum(np.arange(top, bottom), image.shape[0] - 1)
    columns = np.minimum(np.arange(left, right), image.shape[1] - 1)
    pixels: Picture = image[rows][:, columns]
    return pixels


class Canvas:
    """Where the parts of one request come together: its latents and its pixels."""

    def __init__(self, model: Model, request: DecodeRequest) -> None:
        area = request.area
        self.request = request
        self.outer = synthesis_window(model, request.header, area).outer
        shape = (*latent_shape(self.outer), model.network.config.latent)
        with torch.inference_mode(False):  # the caller's mode may be another one when latents come
            self.y_hat = torch.zeros(shape, dtype=torch.float32, device=model.device)
        self._known: dict[tuple[int, int], list[Box]] = {}
        dtype, grey = (np.float32, 0.5) if request.header.mode == "I;16" else (np.uint8, 128)
        self.pixels: Picture = np.full((area.height, area.width, 3), grey, dtype)

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
        if self.pixels.dtype == np.uint8:
            x = x.mul(255).round().to(torch.uint8)
        pixels = x.cpu().numpy()
        for tile in self._known[self._block(box)]:
            if shared := tile.overlap(box):
                self.pixels[shared.within(self.request.area)] = pixels[shared.within(box)]

    def _block(self, box: Box) -> tuple[int, int]:
        """Column and row of what a box lies in: squares of whole tiles, as large as the largest tile."""
        side = self.request.header.tile_size
        side *= MAX_TILE_SIZE // side
        return box.left // side, box.top // side


def _decode(model: Model, limits: Limits, *, requests: Sequence[DecodeRequest], damaged_ok: bool) -> list[Picture]:
    canvases = [Canvas(model, request) for request in requests]
    coded = [(canvas, *tile) for canvas in canvases for tile in canvas.coded()]
    for batch in _batches(
        [latent_shape(box) for _, box, _ in coded], [padded(box).area for _, box, _ in coded], limits.batch
    ):
        tiles = [coded[k] for k in batch]
        levels = [canvas.request.header.level for canvas, _, _ in tiles]
        found = model.unpack([payload for _, _, payload in tiles], levels, *latent_shape(tiles[0][1]))
        for (canvas, box, _), latents in zip(tiles, found, strict=True):
            if not isinstance(latents, DamagedFileError):
                canvas.put_latents(box, latents.y_hat)
            elif not damaged_ok:
                latents.filename = canvas.request.filename
                raise latents

    synthesise(model, limits, wanted=[(canvas, box) for canvas in canvases for box in canvas.wanted()])
    return [canvas.pixels for canvas in canvases]


def synthesise(model: Model, limits: Limits, *, wanted: Sequence[tuple[Canvas, Box]]) -> list[None]:
    """Put the pixels of boxes on their canvases, whose latents there and in the halo are known."""
    parts = [
        (canvas, synthesis_window(model, canvas.request.header, part))
        for canvas, box in wanted
        for part in box.split(limits.side)
    ]
    shapes = [window.shape for _, window in parts]
    for batch in _batches(shapes, [padded(window.outer).area for _, window in parts], limits.batch):
        windows = [parts[k] for k in batch]
        y_hat = torch.stack([canvas.y_hat[window.outer.within(canvas.outer, STRIDE)] for canvas, window in windows])
        levels = [canvas.request.header.level for canvas, _ in windows]
        for (canvas, window), x in zip(windows, model.synthesise(y_hat, levels), strict=True):
            canvas.put_pixels(window.box, x[window.inner])
        checkpoint(sum(window.box.area for _, window in windows))
    return []


def _frame_box(image: Picture) -> Box:
    return Box(0, 0, image.shape[1], image.shape[0])


def _analysis_window(model: Model, image: Picture, box: Box) -> Window:
    return Window(box, (image.shape[1], image.shape[0]), model.network.analysis.halo())


def synthesis_window(model: Model, header: Header, box: Box) -> Window:
    return Window(box, (header.width, header.height), model.network.synthesis.halo())


def _chunks(items: Iterable[T], pixels: Callable[[T], int], model: Model) -> Iterator[list[T]]:
    """Runs of items that are worth a batch together; one by one where each is large."""
    chunk: list[T] = []
    total = 0
    for item in items:
        chunk.append(item)
        total += pixels(item)
        if total >= _BATCH[_device_type(model)]:
            yield chunk
            chunk, total = [], 0
    if chunk:
        yield chunk


def _batches(keys: Sequence[Hashable], sizes: Sequence[int], limit: int) -> Iterator[list[int]]:
    """Positions of equal keys, in runs whose sizes sum to at most `limit`, but at least one by one."""
    groups: dict[Hashable, list[int]] = {}
    for k, key in enumerate(keys):
        groups.setdefault(key, []).append(k)
    for group in groups.values():
        count = max(1, limit // sizes[group[0]])
        for start in range(0, len(group), count):
            yield group[start : start + count]


def within_memory(model: Model, work: _Work[T]) -> list[T]:
    """Do the work on the model's device; when memory is short in smaller parts, and if need be on the CPU.

    Raises:
        MemoryError: it is not enough on the CPU either.
    """
    attempts = [Limits(_BATCH[_device_type(model)], MAX_TILE_SIZE), *(Limits(1, side) for side in _SMALLER_SIDES)]
    for limits in attempts:
        try:
            with at_work(), _threads():
                return work(model, limits)
        except BaseException as error:  # a panic of an extension in Rust is no Exception
            if not is_shortage(error):
                raise
            shortage = error.with_traceback(None)  # whose frames hold what is to be freed
        if _device_type(model) == "cuda":
            torch.cuda.empty_cache()
    if _device_type(model) == "cpu":
        msg = "not enough memory for this image"
        raise MemoryError(msg) from shortage
    warnings.warn(f"{model.device} is out of memory, coding on the CPU instead", RuntimeWarning, stacklevel=2)
    return within_memory(load_model(model.name, "cpu", model.digest), work)


def _device_type(model: Model) -> str:
    return model.device.type


_Key = tuple[str, bytes | None, str, str]
_models: dict[_Key, Model] = {}
"""By what was asked for; one that is asked for in several ways is the same."""
_loading = threading.Lock()
_LOADING = 10.0
"""Seconds to wait for another thread that loads a model; what interrupted it may have left the lock held."""


def is_loaded(name: str | None = None) -> bool:
    """Whether `load_model` has this model at hand."""
    return _key(name) in _models


def load_model(name: str | None = None, device: str | None = None, digest: bytes | None = None) -> Model:
    """The model of that name, or the default one, on a device or on that of `agvae.options`; loaded once per process.

    Args:
        digest: of the model's file, as files hold it: this very model, where there are several of that name.

    Raises:
        agvae.errors.WeightsError: no model of that name is known, or its weights are not to be had.
        agvae.errors.UnsupportedFileError: there is no model of that name and digest.
        MemoryError: memory is short.
        ValueError: the device cannot be used.
    """
    key = _key(name, device, digest)
    model = _models.get(key)
    if model is None:
        path = model_files.find(key[0], digest)  # may download: others must not wait for that
        sha256 = model_files.entry_of(key[0], digest)["sha256"]
        alone = _loading.acquire(timeout=_LOADING)
        try:
            same = (m for k, m in list(_models.items()) if (m.name, m.sha256, k[2]) == (key[0], sha256, key[2]))
            model = next(same, None)
            if model is None:
                with at_work():
                    model = Model(path, key[0], key[2])
            model = _models.setdefault(key, model)
        finally:
            if alone:
                _loading.release()
    return model


def _key(name: str | None, device: str | None = None, digest: bytes | None = None) -> _Key:
    name = model_files.registry()["default"] if name is None else name
    return name, digest, device or options.device, options.weights


def model_of(header: Header) -> Model:
    """The very model that a file was made with; raises as `decode_images` does."""
    return load_model(header.model, digest=header.digest)


def forget_models() -> None:
    """Free all loaded models."""
    _models.clear()


def _threads() -> AbstractContextManager[None]:
    """Work with the threads of `agvae.options`."""
    wanted = options.threads
    return nullcontext() if wanted is None else kernel_threads(wanted)


def _after_fork() -> None:
    """A forked child has none of its parent's threads: it would wait for a lock that one of them held."""
    global _loading
    _loading = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
