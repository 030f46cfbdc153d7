"""A trained network on a device: transforms, and exact entropy coding, of batches of equal shape.

Tensors are channels-last.  Everything between the bitstream and y-hat is exact: in integers and float32
(`agvae.entropy.integers`) or, if the model's file has no units, in float64 (`agvae.entropy.exact`); g_a and g_s run in
`agvae.options.dtype`.  Nothing depends on what the calling program has set PyTorch to: default type and device,
autocast, inference and gradients; nor is that, or the state of a random generator, changed.
"""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import constriction
import numpy as np
import torch
from torch import Tensor

from agvae import weights as model_files
from agvae.boxes import Slices
from agvae.entropy.coder import SYMBOL_LIMIT, Indices, Symbols, TableCoder
from agvae.entropy.tables import Tables, table_index, with_mirror_images
from agvae.errors import DamagedFileError, WeightsError
from agvae.networks import Config, GainedAutoencoder, ModelConfig, ReferenceConfig, bands, build
from agvae.networks.autoencoder import StepParameters, follow, load_parameters
from agvae.networks.gain import level_weights
from agvae.networks.hyperprior import STRIDE as HYPER_STRIDE
from agvae.networks.inference import prepare
from agvae.progress import checkpoint
from agvae.quality import LEVEL_STEPS, VECTORS
from agvae.settings import options
from agvae.shortage import memory_errors
from agvae.weights.model_file import MALFORMED

Visit = Callable[[StepParameters, list[Indices]], list[Symbols]]


@dataclass(frozen=True)
class Latents:
    """The symbols of one tile, int32, and what they stand for.

    Attributes:
        z: (hz, wz, c_hp).
        y: the residuals round(y - mu) of each step, flat, in the order of the network's walk.
        y_hat: (h, w, M) float32, residuals plus mu, on the device of the entropy model.
    """

    z: Symbols
    y: list[Symbols]
    y_hat: Tensor

    def tobytes(self) -> bytes:
        return b"".join(np.ascontiguousarray(part, "<i4").tobytes() for part in (self.z, *self.y))


class Packed(NamedTuple):
    """A coded tile: its payload, the entropy model's estimate of its bits, and y-hat (h, w, M) as decoding gives it."""

    payload: bytes
    estimated_bits: float
    y_hat: Tensor


class Model:
    """A trained network ready to code: transforms in `agvae.options.dtype`, an exact entropy model.

    Every method takes one level (0 .. 20480, see `agvae.quality`) for each image of its batch.

    Args:
        path: an exported model file.
        name: the name under which files refer to it.
        device: "auto" (CUDA, else MPS, else the CPU), "cpu", "cuda", "cuda:N" or "mps".

    Attributes:
        metric, mse_weight: what it was trained for, see `agvae.training.options.TrainingOptions`.
        device: where g_a and g_s run.
        exact_device: where everything else runs, the CPU if `device` has no float64, which may have to stand in.
        exact_type: float32 for an entropy model in integers, else float64.

    Raises:
        ValueError: no such device.
        WeightsError: the file is not that of a model.
    """

    def __init__(self, path: str | os.PathLike[str], name: str, device: str = "auto") -> None:
        self.device = usable_device(device)
        self.exact_device = torch.device("cpu") if self.device.type == "mps" else self.device
        with (
            memory_errors(f"for model {name!r}"),
            torch.inference_mode(False),
        ):  # in whose mode a model is first needed says nothing about its later use
            self._load(path, name)

    def _load(self, path: str | os.PathLike[str], name: str) -> None:
        file = model_files.read_model_file(path)
        self.name, self.sha256 = name, file.sha256
        options = file.card.get("options")
        trained: dict[str, Any] = options if isinstance(options, dict) else {}
        self.metric = str(trained.get("metric", "mse"))
        self.mse_weight = _number_or_zero(trained.get("mse_weight"))
        self._betas = file.config.betas if self.metric == "mse" else _betas_of(file.card, file.config.levels)
        try:
            with memory_errors(f"for model {name!r}"):
                self.network = _without_values(file.config)
        except ModuleNotFoundError as error:
            hint = ": pip install 'agvae[train]'" if isinstance(file.config, ReferenceConfig) else ""
            msg = f"model {name!r} ({file.config.preset}) needs {error.name}{hint}"
            raise WeightsError(msg) from error
        except MALFORMED as error:  # of another package's network
            msg = f"no network can be made of model file {os.fspath(path)!r}: {error or type(error).__name__}"
            raise WeightsError(msg) from error
        try:
            with memory_errors(f"for model {name!r}"):
                load_parameters(self.network, file.state)
            self.y_coder = TableCoder(with_mirror_images(Tables.from_tensors(file.tables, "y")))
            self.z_coder = TableCoder(Tables.from_tensors(file.tables, "z"))
            prepare(self.network, self.device, self.exact_device, file.units)
        except (RuntimeError, KeyError, IndexError, ValueError) as error:
            msg = f"model file {os.fspath(path)!r} does not fit its own configuration: {error}"
            raise WeightsError(msg) from error
        self.exact_type = torch.float32 if file.units else torch.float64

    def beta(self, level: int) -> float:
        """What a squared error of 8 bits costs in bits at a level, log-linear between the trained ones (equation 8).

        0 for a model that was trained for another distortion, and does not say.
        """
        return self._between(self._betas, level) if self._betas else 0.0

    def multiplier(self, level: int) -> float:
        """beta of whatever distortion the model was trained for, log-linear between the trained ones (equation 8)."""
        return self._between(self.network.config.betas, level)

    def _between(self, betas: Sequence[float], level: int) -> float:
        shares = self.weights([level])[0].tolist()
        return math.exp(sum(share * math.log(beta) for share, beta in zip(shares, betas, strict=True)))

    @property
    def in_bands(self) -> bool:
        """Whether all that takes time is worked on in bands (`agvae.networks.bands`)."""
        plain = self.device.type == "cpu" and self.exact_type == torch.float32 and options.dtype == "float32"
        return plain and type(self.network.config) is ModelConfig

    @property
    def digest(self) -> bytes:
        """What files store of the weights' SHA-256: its first 8 bytes."""
        return bytes.fromhex(self.sha256)[:8]

    def analyse(self, x: Tensor, levels: Sequence[int]) -> Tensor:
        """g_a and the gain unit: (B, 3, H, W) float32 in [0, 1], H and W multiples of 32 -> gained y (B, h, w, M)."""
        with self._alone():
            return self._transform(self.network.analyse, x, levels)

    def synthesise(self, y_hat: Tensor, levels: Sequence[int], inner: Slices | None = None) -> Tensor:
        """The inverse gain unit and g_s: y-hat (B, h, w, M) -> (B, H, W, 3) float32 in [0, 1].

        Args:
            inner: the rows and columns that are wanted of it; None for all.
        """
        with self._alone():
            x = self._transform(lambda y, weights: self.network.synthesise(y, weights, inner), y_hat, levels)
            return x.permute(0, 2, 3, 1).clamp(0, 1)

    def _transform(self, function: Callable[[Tensor, Tensor], Tensor], x: Tensor, levels: Sequence[int]) -> Tensor:
        """g_a or g_s in `agvae.options.dtype`, in float32 for images with numbers that are too large for it."""
        x, weights = x.to(self.device), self.weights(levels).float().to(self.device)
        dtype = getattr(torch, options.dtype)
        with torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32):
            found = function(x, weights).float()
        beyond = ~found.abs().amax(dim=(1, 2, 3)).isfinite()  # a twentieth of the time that isfinite of each takes
        if beyond.any():
            if dtype != torch.float32:
                found[beyond] = function(x[beyond], weights[beyond])
            self._check_finite(found)
        return found

    def _check_finite(self, numbers: Tensor) -> None:
        if not numbers.isfinite().all():
            msg = f"the weights of model {self.name!r} give numbers beyond float32 for this image"
            raise WeightsError(msg)

    def pack(self, y: Tensor, levels: Sequence[int], z: Tensor | None = None) -> list[Packed]:
        """Quantize and code gained y (B, h, w, M), h and w even, with gained z (B, hz, wz, c_hp), else that of h_a."""
        with self._alone():
            return self._pack(y, levels, z)

    def hyper_analyse(self, y: Tensor, level: int) -> Tensor:
        """Gained z of h_a, (1, hz, wz, c_hp), for gained y (1, h, w, M) at a level."""
        with self._alone():
            return self._hyper_analyse(y.to(self.exact_device), self.weights([level]))

    def _hyper_analyse(self, y: Tensor, weights: Tensor) -> Tensor:
        z = self.network.hyper_analyse(y, weights.float())
        self._check_finite(z)
        return z

    def _pack(self, y: Tensor, levels: Sequence[int], z: Tensor | None) -> list[Packed]:
        weights = self.weights(levels)
        y = y.to(self.exact_device)
        z = self._hyper_analyse(y, weights) if z is None else z
        encoders = [constriction.stream.queue.RangeEncoder() for _ in levels]
        bits = [0.0] * len(levels)

        def code(coder: TableCoder, values: Tensor, indices: list[Indices]) -> list[Symbols]:
            """Code values (B, ...), rounded, with the tables of `indices`."""
            checkpoint()
            rounded = values.round().clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT).flatten(1).to(torch.int32).cpu().numpy()
            for b, (symbols, index) in enumerate(zip(rounded, indices, strict=True)):
                symbols[coder.skipped[index]] = 0
                coder.encode(encoders[b], symbols, index)
                bits[b] += coder.bits(symbols, index)
            return list(rounded)

        z_hat = [symbols.reshape(z.shape[1:]) for symbols in code(self.z_coder, z, _z_indices(z.shape))]
        targets = iter(self.network.entropy.split(y.to(self.exact_type)))

        def visit(p: StepParameters, indices: list[Indices]) -> list[Symbols]:
            return code(self.y_coder, next(targets) - p.mu, indices)

        latents = self._walk(z_hat, y.shape[1], y.shape[2], weights, visit)
        return [
            Packed(_check(tile) + encoder.get_compressed().astype("<u4").tobytes(), estimate, tile.y_hat)
            for tile, encoder, estimate in zip(latents, encoders, bits, strict=True)
        ]

    def unpack(
        self, payloads: Sequence[bytes], levels: Sequence[int], height: int, width: int
    ) -> list[Latents | DamagedFileError]:
        """The latents of tiles of height x width positions each, both even: the same on every machine.

        A payload that this model does not write gives its error in place of latents.
        """
        whole = [b for b, payload in enumerate(payloads) if len(payload) >= 4 and len(payload) % 4 == 0]
        found: list[Latents | DamagedFileError] = [DamagedFileError("a tile has a wrong length") for _ in payloads]
        if whole:
            with self._alone():
                latents = self._unpack([payloads[b] for b in whole], [levels[b] for b in whole], height, width)
            for b, tile in zip(whole, latents, strict=True):
                found[b] = tile
        return found

    def _unpack(
        self, payloads: Sequence[bytes], levels: Sequence[int], height: int, width: int
    ) -> list[Latents | DamagedFileError]:
        words = [np.frombuffer(payload[4:], "<u4").astype(np.uint32) for payload in payloads]
        decoders = [constriction.stream.queue.RangeDecoder(numbers) for numbers in words]
        errors: dict[int, DamagedFileError] = {}

        def read(coder: TableCoder, indices: list[Indices]) -> list[Symbols]:
            """The next symbols of each tile; zeros for one that has come to its error."""
            found = [np.zeros(len(index), np.int32) for index in indices]
            for b, index in enumerate(indices):
                if b not in errors:
                    try:
                        found[b] = coder.decode(decoders[b], index)
                    except AssertionError:  # how constriction says that no symbol has this code
                        errors[b] = DamagedFileError("no symbol has this code")
            return found

        shape = (len(payloads), -(-height // HYPER_STRIDE), -(-width // HYPER_STRIDE), self.network.config.hyper_latent)
        z = [symbols.reshape(shape[1:]) for symbols in read(self.z_coder, _z_indices(shape))]
        latents = self._walk(z, height, width, self.weights(levels), lambda _, indices: read(self.y_coder, indices))
        for b, (tile, payload) in enumerate(zip(latents, payloads, strict=True)):
            if b not in errors and _check(tile) != payload[:4]:
                errors[b] = DamagedFileError("a tile decoded to other latents than were encoded")
        return [errors.get(b, tile) for b, tile in enumerate(latents)]

    def _walk(self, z: Sequence[Symbols], height: int, width: int, weights: Tensor, visit: Visit) -> list[Latents]:
        """The exact path from z to y-hat; `visit` gives each step's symbols for its table indices."""
        z_hat = torch.from_numpy(np.stack(z)).to(self.exact_device, self.exact_type)
        y: list[list[Symbols]] = []

        def step(p: StepParameters) -> Tensor:
            checkpoint()
            index = table_index(p.log2_sigma, p.asymmetry).flatten(1).cpu().numpy()
            y.append(visit(p, list(index)))
            return p.mu + torch.from_numpy(np.stack(y[-1])).to(self.exact_device).reshape(p.mu.shape)

        y_hat = follow(self.network.entropy.walk(z_hat, weights, height, width), step).float()
        return [Latents(z[b], [symbols[b] for symbols in y], y_hat[b]) for b in range(len(z))]

    def weights(self, levels: Sequence[int]) -> Tensor:
        """Interpolation weights of levels, (B, n) float64 and exact."""
        n = self.network.config.levels
        steps = [(level * (n - 1) + 2) // (VECTORS - 1) for level in levels]
        return level_weights(torch.tensor(steps, dtype=torch.float64, device=self.exact_device) / LEVEL_STEPS, n)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Work outside of the caller's modes, which are those of its thread."""
        bands.leave()
        with ExitStack() as modes:
            modes.enter_context(torch.inference_mode())
            for kind in {self.device.type, self.exact_device.type, "cpu"}:
                modes.enter_context(torch.autocast(kind, enabled=False))
            yield


def _betas_of(card: Mapping[str, object], levels: int) -> list[float]:
    """What the card of a model for another distortion says that squared errors cost, if it does."""
    betas = card.get("squared_error_betas")
    if not isinstance(betas, list) or len(betas) != levels:
        return []
    return betas if all(type(beta) is float and 0 < beta < math.inf for beta in betas) else []


def _number_or_zero(value: object) -> float:
    return float(value) if isinstance(value, int | float) and 0 <= value < 1e9 else 0.0


def _without_values(config: Config) -> GainedAutoencoder:
    """A network whose parameters are to be loaded, made without drawing random numbers that the caller would miss."""
    if type(config) is ModelConfig:  # a subclass is that of another network
        return build(config, "meta")
    with torch.random.fork_rng(devices=[]):
        return build(config)


def channel_index(shape: Sequence[int]) -> Indices:
    """Table index of every symbol of z (hz, wz, c_hp): its channel."""
    return np.broadcast_to(np.arange(shape[-1]), tuple(shape)).reshape(-1)


def _z_indices(shape: Sequence[int]) -> list[Indices]:
    return [channel_index(shape[1:])] * shape[0]


def _check(latents: Latents) -> bytes:
    """CRC-32 of a tile's symbols, by which a decoder knows that it found the encoder's latents."""
    return zlib.crc32(latents.tobytes()).to_bytes(4, "little")


def usable_device(name: str) -> torch.device:
    """The device of a name as `agvae.options.device` has it.

    Raises:
        ValueError: it cannot be used.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, dtype=torch.float32, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        msg = f"cannot use the device {name!r} (agvae.options.device, AGVAE_DEVICE): {reason}"
        raise ValueError(msg) from error
    return device
