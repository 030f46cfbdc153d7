"""Small things that several test modules share."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from agvae.entropy.exact import freeze
from agvae.networks import AGVAE, EntropyModel, ModelConfig
from agvae.networks.inference import prepare
from agvae.training.calibrate import calibrated_units

TINY = ModelConfig(
    preset="tiny",
    width8=24,
    width16=32,
    latent=32,
    hyper_latent=8,
    entropy_width=16,
    analysis8=1,
    analysis16=1,
    synthesis16=1,
    synthesis8=1,
    betas=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3),
)


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def picture(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """(height, width, 3) uint8: smooth colours, edges and some texture, the same for a seed everywhere."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    phase = rng.uniform(0, 6.3, (3, 1, 1))
    image = 128 + 60 * np.sin(x / 23 + phase) + 40 * np.cos(y / 17 - phase)
    image += 50 * ((x - 0.6 * y) % 64 < 20)
    image += rng.normal(0, 6, (height, width))
    return np.ascontiguousarray(np.clip(image, 0, 255).astype(np.uint8).transpose(1, 2, 0))


def settings_that_must_not_matter() -> Iterator[None]:
    """One step under each combination of thread count, float32 matmul precision and oneDNN."""
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    try:
        for count, setting, onednn in itertools.product((1, 2, 4), ("highest", "high", "medium"), (True, False)):
            torch.set_num_threads(count)
            torch.set_float32_matmul_precision(setting)
            with torch.backends.mkldnn.flags(enabled=onednn):
                yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)


def started(config: ModelConfig = TINY) -> AGVAE:
    """An untrained but working model: the DCT start on synthetic pictures, everything else random."""
    torch.manual_seed(0)
    model = AGVAE(config)
    model.start(pictures(4))
    return model.eval()


def pictures(count: int, size: int = 128) -> torch.Tensor:
    """(count, 3, size, size) in [0, 1]."""
    crops = np.stack([picture(size, size, seed) for seed in range(count)])
    return torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255


def integer_entropy(config: ModelConfig = TINY) -> EntropyModel:
    """The entropy model of such a model, frozen, in integers."""
    model = started(config)
    units = calibrated_units(model, pictures(1))
    freeze(model.entropy, units)
    prepare(model, torch.device("cpu"), torch.device("cpu"), units)
    return model.entropy


class CountingFile(io.BytesIO):
    """A file in memory; `total` is how many bytes were read from it."""

    total = 0

    def read(self, size: int | None = -1, /) -> bytes:
        part = super().read(size)
        self.total += len(part)
        return part


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file of this process may have more bytes, which stands for a full disk; pytest's own log is one, too."""
    import pytest

    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
