"""Figure 2: the importance of channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from agvae.coding.loaded import load_model
from agvae.metrics import psnr
from agvae.quality import MAX_LEVEL
from reproduction.latents import code, read_centre
from reproduction.png import to_png

CHANNELS = 32
"""How many are tried."""
SCALES = tuple(k / 10 for k in range(11))


def draw_importance(name: str, path: Path) -> tuple[dict[str, Any], bytes]:
    """PSNR lost when a channel of y-hat is zero, and PSNR with the most important one scaled.

    At the highest quality; of the first 32 channels, as in the paper.
    """
    model, pixels = load_model(name), read_centre(path)
    y_hat = code(model, pixels, MAX_LEVEL).y_hat.float()

    def quality(channel: int, factor: float) -> float:
        changed = y_hat.clone()
        changed[..., channel] *= factor
        x = model.synthesise(changed[None], [MAX_LEVEL])[0]
        return psnr(pixels, x.mul(255).round().to(torch.uint8).cpu().numpy())

    whole = quality(0, 1.0)
    loss = [whole - quality(channel, 0.0) for channel in range(min(CHANNELS, y_hat.shape[-1]))]
    important = int(np.argmax(loss))
    scaled = [quality(important, factor) for factor in SCALES]

    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.bar(range(len(loss)), loss)
    left.set(xlabel="channel set to zero", ylabel="PSNR lost (dB)", title=name)
    right.plot(SCALES, scaled, "o-")
    right.set(xlabel=f"scale factor of channel {important}", ylabel="PSNR (dB)", title=name)
    numbers = {"psnr": whole, "loss": loss, "channel": important, "scales": SCALES, "psnr_of_scale": scaled}
    return numbers, to_png(figure)
