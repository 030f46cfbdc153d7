"""Validation with the training graph: estimated rate, PSNR and mean error at every trained level, kind by kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from agvae.metrics import psnr_of
from agvae.networks import GainedAutoencoder
from agvae.training.data import load_images
from agvae.training.sources import Source

FLAT = {"flat 0": 0, "flat 16": 16, "flat 128": 128, "flat 255": 255}
"""Kinds of one flat grey picture each, whose bias counts alone."""


@dataclass(frozen=True)
class LevelResult:
    """Means over the images of a kind at level s.

    Attributes:
        kind: what the images are.
        s: the level, counted from 0.
        bpp: estimated bits per pixel.
        psnr: in dB, of 8-bit pixels.
        loss: bpp + beta * 255^2 * MSE.
        bias: mean of decoded less original samples before rounding, in units of 8-bit pixels.
    """

    kind: str
    s: int
    bpp: float
    psnr: float
    loss: float
    bias: float


def load_kinds(texts: Sequence[str], say: Callable[[str], None] | None = None) -> dict[str, list[Tensor]]:
    """Validation images by the label of their source, or by its name where it has none.

    Raises:
        ValueError: a source has no image.
        OSError: a source cannot be read.
    """
    kinds: dict[str, list[Tensor]] = {}
    for text in texts:
        source = Source.parse(text)
        kinds.setdefault(source.label or Path(source.path).name, []).extend(load_images(source, say))
    return kinds


def flat_pictures(side: int = 128) -> dict[str, list[Tensor]]:
    """The kinds of `FLAT`."""
    return {kind: [torch.full((side, side, 3), value, dtype=torch.uint8)] for kind, value in FLAT.items()}


def mean_log2_loss(results: Sequence[LevelResult]) -> float:
    """Over all levels and kinds but the flat ones, every kind counting alike however many images it has."""
    losses = [math.log2(r.loss) for r in results if r.kind not in FLAT]
    return sum(losses) / len(losses)


@torch.no_grad()
def validate(
    model: GainedAutoencoder, kinds: Mapping[str, Sequence[Tensor]], stopped: Callable[[], bool] = lambda: False
) -> list[LevelResult]:
    """Rate and quality of uint8 images (H, W, 3) at each trained level, with rounded latents, in float32.

    Nothing is returned if it was `stopped`, which is asked before each image.
    """
    model.eval()
    device = next(model.parameters()).device
    results = []
    for kind, images in kinds.items():
        for s, beta in enumerate(model.config.betas):
            measured = []
            for image in images:
                if stopped():
                    return []
                measured.append(_measure(model, image.to(device), s, beta))
            results.append(LevelResult(kind, s, *[sum(values) / len(images) for values in zip(*measured, strict=True)]))
    return results


def _measure(model: GainedAutoencoder, image: Tensor, s: int, beta: float) -> tuple[float, float, float, float]:
    """bpp, PSNR, loss and bias."""
    x = image.permute(2, 0, 1)[None].float() / 255
    height, width = x.shape[2:]
    padded = F.pad(x, (0, -width % 64, 0, -height % 64), mode="replicate")
    with torch.autocast(x.device.type, enabled=False):
        output = model(padded, torch.tensor([float(s)], device=x.device))
    x_hat = output.x_hat[:, :, :height, :width].clamp(0, 1)
    mse = float(((x_hat * 255).round() / 255 - x).square().mean())
    bpp = float(output.y_bits + output.z_bits) / (height * width)
    return bpp, psnr_of(mse + 1e-12), bpp + beta * 255**2 * mse, 255 * float((x_hat - x).mean())
