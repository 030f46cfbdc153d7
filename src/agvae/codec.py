"""The way of an image: pixels -> latents -> symbols -> bytes, and back.

The image is cut into independent tiles.  g_a and g_s see a tile with a halo as wide as their receptive field,
so the result is that of the whole image; the entropy coder sees one tile's latents alone.
"""

from __future__ import annotations

import hashlib
import os
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import constriction
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agvae import weights as model_files
from agvae.container import TILE_SIZE, DamagedFileError, Header, UnsupportedFileError, grid_boxes, tile_boxes
from agvae.entropy.coder import SYMBOL_LIMIT, Indices, Symbols, TableCoder
from agvae.entropy.tables import Tables, table_index, with_mirror_images
from agvae.networks import AGVAE
from agvae.networks.context import STEPS, join_steps, split_steps
from agvae.networks.gain import level_weights
from agvae.networks.hyperprior import STRIDE as HYPER_STRIDE
from agvae.networks.model import StepParameters
from agvae.networks.transforms import STRIDE
from agvae.quality import LEVEL_STEPS

if TYPE_CHECKING:
    from collections.abc import Callable

Box = tuple[int, int, int, int]
ALIGNMENT = 2 * STRIDE
"""Tiles hold whole 2 x 2 groups of latents: pixels are padded to multiples of this by repeating the edge."""


@dataclass(frozen=True)
class EncodedImage:
    """Tile payloads of an image, the model that made them, and the entropy model's estimate of their size."""

    tiles: list[bytes]
    model: str
    digest: bytes
    estimated_bits: float


@dataclass(frozen=True)
class Latents:
    """The symbols of one tile, int32, and what they stand for.

    Attributes:
        z: (hz, wz, c_hp).
        y: the residuals round(y - mu) of each step, flat, in the order (class, row, column, channel).
        y_hat: (1, h, w, M) float32, residuals plus mu.
    """

    z: Symbols
    y: list[Symbols]
    y_hat: Tensor

    def tobytes(self) -> bytes:
        return b"".join(np.ascontiguousarray(part, "<i4").tobytes() for part in (self.z, *self.y))


class Model:
    """A trained `AGVAE` ready to code: transforms in float32, entropy model frozen in exact float64.

    Args:
        path: an exported model file.
        name: the name under which files refer to it.
        device: "auto" (CUDA if there is one, else CPU), "cpu", "cuda" or "cuda:N".

    Raises:
        ValueError: no such device.
        agvae.weights.WeightsError: the file is not that of a model.
    """

    def __init__(self, path: str | os.PathLike[str], name: str, device: str = "auto") -> None:
        self.device = _usable_device(device)
        file = model_files.read_model_file(path)
        self.name, self.sha256 = name, file.sha256
        self.network = AGVAE(file.config)
        self.network.entropy.to(torch.float64)
        try:
            self.network.load_state_dict(file.state)
            self.y_coder = TableCoder(with_mirror_images(Tables.from_tensors(file.tables, "y")))
            self.z_coder = TableCoder(Tables.from_tensors(file.tables, "z"))
        except (RuntimeError, KeyError, IndexError, ValueError) as error:
            msg = f"model file {os.fspath(path)!r} does not fit its own configuration: {error}"
            raise model_files.WeightsError(msg) from error
        self.network.requires_grad_(False).eval().to(self.device)

    @property
    def digest(self) -> bytes:
        """What files store of the weights' SHA-256: its first 8 bytes."""
        return bytes.fromhex(self.sha256)[:8]

    @torch.inference_mode()
    def encode(self, pixels: NDArray[np.uint8], level: int, boxes: Sequence[Box]) -> tuple[list[bytes], float]:
        """Payloads of the tiles of an image, and their estimated size in bits.

        Args:
            pixels: (H, W, 3) uint8 RGB.
            level: 0 .. 20480, see `agvae.quality`.
            boxes: (left, top, right, bottom) of the tiles; left and top multiples of 64.
        """
        weights = self._weights(level)
        payloads, total = [], 0.0
        for box in boxes:
            payload, bits = self._pack(self._analyse(pixels, box, weights.float()), weights)
            payloads.append(payload)
            total += bits
        return payloads, total

    @torch.inference_mode()
    def decode(
        self,
        payloads: Sequence[bytes | None],
        level: int,
        boxes: Sequence[Box],
        size: tuple[int, int],
        *,
        damaged_ok: bool = False,
    ) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB of an image of `size` (width, height); tiles whose payload is None stay grey.

        Args:
            damaged_ok: payloads that do not decode stay grey, too.

        Raises:
            DamagedFileError: a payload does not decode.
        """
        width, height = size
        rows, columns = _aligned(height) // STRIDE, _aligned(width) // STRIDE
        y_hat = torch.zeros(1, rows, columns, self.network.config.latent, device=self.device)
        known = []
        for payload, box in zip(payloads, boxes, strict=True):
            if payload is None:
                continue
            try:
                tile = self.unpack(payload, level, box).y_hat
            except DamagedFileError:
                if not damaged_ok:
                    raise
                continue
            top, left = box[1] // STRIDE, box[0] // STRIDE
            y_hat[:, top : top + tile.shape[1], left : left + tile.shape[2]] = tile
            known.append(box)
        image = np.full((height, width, 3), 128, np.uint8)
        weights = self._weights(level).float()
        for box in known:
            image[box[1] : box[3], box[0] : box[2]] = self._synthesise(y_hat, box, weights)
        return image

    @torch.inference_mode()
    def unpack(self, payload: bytes, level: int, box: Box) -> Latents:
        """The latents of one tile, the same on every machine.

        Raises:
            DamagedFileError: the payload is not one that this model writes.
        """
        if len(payload) < 4 or len(payload) % 4:
            msg = "a tile has a wrong length"
            raise DamagedFileError(msg)
        decoder = constriction.stream.queue.RangeDecoder(np.frombuffer(payload[4:], "<u4").astype(np.uint32))
        height, width = (_aligned(high - low) // STRIDE for low, high in ((box[1], box[3]), (box[0], box[2])))
        shape = (-(-height // HYPER_STRIDE), -(-width // HYPER_STRIDE), self.network.config.hyper_latent)
        try:
            z = self.z_coder.decode(decoder, channel_index(shape)).reshape(shape)
            latents = self._walk(
                z, height, width, self._weights(level), lambda p, index: self.y_coder.decode(decoder, index)
            )
        except AssertionError as error:  # how constriction says that no symbol has this code
            msg = "broken data stream when reading a tile"
            raise DamagedFileError(msg) from error
        if _check(latents) != payload[:4]:
            msg = "a tile decoded to other latents than were encoded"
            raise DamagedFileError(msg)
        return latents

    def _pack(self, y: Tensor, weights: Tensor) -> tuple[bytes, float]:
        """Quantize and code gained y (1, h, w, M) of a tile: its payload and estimated size in bits."""
        encoder = constriction.stream.queue.RangeEncoder()
        bits = 0.0

        def code(coder: TableCoder, values: Tensor, index: Indices) -> Symbols:
            nonlocal bits
            symbols = values.round().clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT).flatten().to(torch.int32).cpu().numpy()
            symbols[coder.skipped[index]] = 0
            coder.encode(encoder, symbols, index)
            bits += coder.bits(symbols, index)
            return symbols

        z = self.network.hyper_analyse(y, weights.float())[0]
        z_hat = code(self.z_coder, z, channel_index(z.shape)).reshape(z.shape)
        targets = iter(split_steps(y.double()))
        _, height, width, _ = y.shape
        latents = self._walk(
            z_hat, height, width, weights, lambda p, index: code(self.y_coder, next(targets) - p.mu, index)
        )
        return _check(latents) + encoder.get_compressed().astype("<u4").tobytes(), bits

    def _walk(
        self, z: Symbols, height: int, width: int, weights: Tensor, visit: Callable[[StepParameters, Indices], Symbols]
    ) -> Latents:
        """The exact path from z through the four steps; `visit` gives each step's symbols for its table indices."""
        entropy = self.network.entropy
        features = entropy.features(torch.from_numpy(z)[None].to(self.device).double(), weights, height, width)
        decoded: list[Tensor] = []
        y = []
        for _ in range(STEPS):
            p = entropy.parameters_of_step(features, decoded, weights)
            index = table_index(p.log2_sigma, p.asymmetry)
            symbols = visit(p, index.flatten().cpu().numpy())
            y.append(symbols)
            decoded.append(p.mu + torch.from_numpy(symbols).to(self.device).reshape(p.mu.shape))
        return Latents(z, y, join_steps(decoded).float())

    def _weights(self, level: int) -> Tensor:
        """Interpolation weights of a level, (1, n) float64 and exact."""
        q = torch.tensor([level / LEVEL_STEPS], dtype=torch.float64, device=self.device)
        return level_weights(q, self.network.config.levels)

    def _analyse(self, pixels: NDArray[np.uint8], box: Box, weights: Tensor) -> Tensor:
        """Gained y of a tile, (1, h, w, M) float32, from the tile and its halo."""
        halo = self.network.analysis.halo()
        rows = _Window(box[1], box[3], pixels.shape[0], halo)
        columns = _Window(box[0], box[2], pixels.shape[1], halo)
        source = pixels[rows.repeating_edge()][:, columns.repeating_edge()]
        x = torch.from_numpy(source).to(self.device).permute(2, 0, 1)[None].float() / 255
        return self.network.analyse(x, weights)[:, rows.inner(), columns.inner()]

    def _synthesise(self, y_hat: Tensor, box: Box, weights: Tensor) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 of a tile from the latents of the tile and its halo."""
        halo = self.network.synthesis.halo()
        rows = _Window(box[1], box[3], y_hat.shape[1] * STRIDE, halo)
        columns = _Window(box[0], box[2], y_hat.shape[2] * STRIDE, halo)
        x = self.network.synthesise(y_hat[:, rows.outer(), columns.outer()], weights)[0].permute(1, 2, 0)
        x = x[box[1] - rows.start : box[3] - rows.start, box[0] - columns.start : box[2] - columns.start]
        image: NDArray[np.uint8] = x.clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy()
        return image


class _Window:
    """A tile's extent along one axis with its halo, in pixels of the padded image."""

    def __init__(self, low: int, high: int, size: int, halo: int) -> None:
        self.low, self.high, self.size = low, _aligned(high), size
        self.start = max(0, low - halo)
        self.stop = min(_aligned(size), self.high + halo)

    def repeating_edge(self) -> NDArray[np.int64]:
        """Pixels of the unpadded image to read."""
        return np.minimum(np.arange(self.start, self.stop), self.size - 1)

    def outer(self) -> slice:
        """Latents of tile and halo in the image."""
        return slice(self.start // STRIDE, self.stop // STRIDE)

    def inner(self) -> slice:
        """Latents of the tile within those of tile and halo."""
        return slice((self.low - self.start) // STRIDE, (self.high - self.start) // STRIDE)


def _aligned(pixels: int) -> int:
    return -(-pixels // ALIGNMENT) * ALIGNMENT


def channel_index(shape: Sequence[int]) -> Indices:
    """Table index of every symbol of z: its channel."""
    return np.broadcast_to(np.arange(shape[-1]), tuple(shape)).reshape(-1)


def _check(latents: Latents) -> bytes:
    """CRC-32 of a tile's symbols, by which a decoder knows that it found the encoder's latents."""
    return zlib.crc32(latents.tobytes()).to_bytes(4, "little")


@contextmanager
def _memory_errors() -> Iterator[None]:
    """torch reports exhausted memory as RuntimeError."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.cuda.OutOfMemoryError) or "allocate memory" in str(error):
            msg = "not enough memory for this image"
            raise MemoryError(msg) from error
        raise


def _usable_device(name: str) -> torch.device:
    if name in ("", "auto"):
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type in ("cpu", "cuda"):
            torch.zeros(1, device=device)
            return device
        reason = "only cpu and cuda can decode exactly"
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
    msg = f"cannot use the device {name!r} (set AGVAE_DEVICE to auto, cpu, cuda or cuda:N): {reason}"
    raise ValueError(msg)


_models: dict[str, Model] = {}
_models_lock = threading.Lock()


def load_model(name: str | None = None) -> Model:
    """The model of that name, or the default one; loaded once per process.

    Raises:
        agvae.weights.WeightsError: no model of that name is known, or its weights are not to be had.
        ValueError: the device that AGVAE_DEVICE names cannot be used.
    """
    name = model_files.registry()["default"] if name is None else name
    with _models_lock:
        if name not in _models:
            _models[name] = Model(model_files.find(name), name, os.environ.get("AGVAE_DEVICE", "auto"))
        return _models[name]


def forget_models() -> None:
    """Free all loaded models."""
    with _models_lock:
        _models.clear()


def _after_fork() -> None:
    """A forked child has none of its parent's threads: it would wait for them forever, or for a lock they held."""
    global _models_lock
    _models_lock = threading.Lock()
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def encode_tiles(
    pixels: NDArray[np.uint8], level: int, tile_size: int = TILE_SIZE, model: str | None = None
) -> EncodedImage:
    """Code an (H, W, 3) uint8 RGB image at a level (see `agvae.quality`) in tiles of `tile_size` pixels.

    Raises:
        agvae.weights.WeightsError: the model is not to be had.
        MemoryError: the image does not fit in memory.
    """
    loaded = load_model(model)
    height, width = pixels.shape[:2]
    with _memory_errors():
        tiles, bits = loaded.encode(pixels, level, grid_boxes(width, height, tile_size))
    return EncodedImage(tiles, loaded.name, loaded.digest, bits)


def decode_tiles(header: Header, tiles: Sequence[bytes | None], *, damaged_ok: bool = False) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of one frame; tiles that are None, and with `damaged_ok` damaged ones, stay grey.

    Raises:
        DamagedFileError: a tile does not decode.
        UnsupportedFileError: the file needs other weights than those known under their name.
        agvae.weights.WeightsError: the file needs a model that is not to be had.
        MemoryError: the image does not fit in memory.
    """
    model, size = model_of(header), (header.width, header.height)
    with _memory_errors():
        return model.decode(tiles, header.level, tile_boxes(header), size, damaged_ok=damaged_ok)


def model_of(header: Header) -> Model:
    """The very model that a file was made with; raises as `decode_tiles` does."""
    model = load_model(header.model)
    if model.digest != header.digest:
        msg = (
            f"this file needs the weights {header.model!r} with SHA-256 {header.digest.hex()}..., "
            f"but {model.sha256[:16]}... are installed under that name; install the version of agvae that wrote it"
        )
        raise UnsupportedFileError(msg)
    return model


def latents_sha256(header: Header, tiles: Sequence[bytes]) -> str:
    """SHA-256 over the latents of a frame's tiles: int32 little-endian z, then y step by step, tile by tile."""
    model = model_of(header)
    digest = hashlib.sha256()
    for payload, box in zip(tiles, tile_boxes(header), strict=True):
        digest.update(model.unpack(payload, header.level, box).tobytes())
    return digest.hexdigest()
