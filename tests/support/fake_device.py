"""A training step, encoding and decoding on a device that computes nothing but says where every tensor is.

Run as a program by the tests of training, since PyTorch knows at most one such device in a process and cannot forget
it. Tensors that meet on two devices are an error as on a GPU; values are never known.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils import backend_registration

from agvae.coding.engine import Model
from agvae.coding.extract import Part
from agvae.coding.memory import Limits
from agvae.coding.reconstruction import DecodeRequest
from agvae.coding.tensors import tensor_of
from agvae.coding.tiles import _decode
from agvae.file.header import Header
from agvae.networks import PRESETS
from agvae.training.export import export_checkpoint
from agvae.training.ms_ssim import ms_ssim
from agvae.training.optimizers import make_optimizers
from agvae.training.options import TrainingOptions
from agvae.training.trainer import Trainer
from agvae.training.validate import flat_pictures, validate
from tests.support.helpers import TINY

DEVICE = torch.device("privateuseone:0")
AUTOCAST = torch.library.Library("_", "IMPL", "AutocastPrivateUse1")


class Backend(backend_registration._DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


class Generator(torch.Generator):
    device = DEVICE


def look_away() -> None:
    """What looks at values looks at none."""
    real = torch.tensor

    def tensor(*args: Any, device: Any = None, **options: Any) -> Tensor:
        value = real(*args, **options)
        return value if device in (None, torch.device("cpu")) else empty_like(value)

    to = Tensor.to

    def moved(value: Tensor, *args: Any, **options: Any) -> Tensor:
        known = not isinstance(value, FakeTensor) and DEVICE in args
        return empty_like(value) if known else to(value, *args, **options)

    def numpy(value: Tensor) -> Any:
        assert value.device.type == "cpu", "NumPy sees no other memory"
        return np.zeros(value.shape, str(value.dtype).removeprefix("torch."))

    torch.tensor = tensor
    torch.isfinite = lambda _: True
    Tensor.to = moved
    Tensor.numpy = numpy
    Tensor.nonzero = lambda value: torch.zeros(1, value.dim(), dtype=torch.int64, device=value.device)
    Tensor.item = lambda _: 1.0
    Tensor.__float__ = lambda _: 1.0
    Tensor.__bool__ = lambda _: True


def empty_like(value: Tensor) -> Tensor:
    return torch.empty(value.shape, dtype=value.dtype, device=DEVICE)


def move(module: nn.Module) -> None:
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                part._parameters[name] = nn.Parameter(empty_like(parameter), parameter.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = empty_like(buffer)


def train(trainer: Trainer) -> None:
    move(trainer.model)
    move(trainer.average)
    trainer.device, trainer.generator = DEVICE, Generator()
    for name, value in vars(trainer.data).items():
        if isinstance(value, Tensor):
            setattr(trainer.data, name, empty_like(value))
    trainer.optimizers = make_optimizers(trainer.model, trainer.options)
    for _ in range(2):
        assert trainer.train_step().device == DEVICE
    images = torch.zeros(2, 3, 192, 192, device=DEVICE)
    assert ms_ssim(images, images).device == DEVICE
    assert len(validate(trainer.average, flat_pictures(64))) == 4 * TINY.levels


def code(model: Model) -> None:
    move(model.network)
    model.device = model.exact_device = DEVICE
    levels = [0, 9000]
    y = model.analyse(torch.zeros(2, 3, 64, 64), levels)
    assert y.device == DEVICE
    payloads = [packed.payload for packed in model.pack(y, levels)]
    latents = model.unpack(payloads, levels, 4, 4)
    image = model.synthesise(torch.stack([tile.y_hat for tile in latents]), levels)  # type: ignore[union-attr]
    assert (image.device, image.shape) == (DEVICE, (2, 64, 64, 3))
    header = Header(64, 64, "RGBA", 9000, model.name, model.digest)
    (colour,) = _decode(
        model, Limits(2**18, 1024), [DecodeRequest(header, {0: payloads[1]}, on_device=True)], damaged_ok=True
    )
    alpha = np.zeros((64, 64), np.uint8)
    assert colour.device == DEVICE
    assert tensor_of(Part(header, 0, colour, alpha), DEVICE).device == DEVICE


def main(folder: Path) -> None:
    backend_registration._setup_privateuseone_for_python_backend("gpu", Backend())
    AUTOCAST.fallback(torch.library.fallthrough_kernel)
    PRESETS["tiny"] = TINY
    options = TrainingOptions(
        [str(folder / "images")], str(folder / "run"), preset="tiny", batch=2, crop=64, drawn=0.5, device="cpu"
    )
    trainer = Trainer(options)
    trainer.save(folder / "checkpoint.pt")
    export_checkpoint(folder / "checkpoint.pt", folder / "tiny.safetensors", "tiny")
    model = Model(folder / "tiny.safetensors", "tiny", "cpu")
    look_away()
    with FakeTensorMode(allow_non_fake_inputs=True):
        with pytest.raises(RuntimeError, match="same device"):
            torch.ones(1, device=DEVICE) + torch.ones(1)
        train(trainer)
        code(model)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
