"""Figure 2 of the supplement: the symbols of the channel of highest entropy, and the densities of the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

import agvae
from agvae.coding.loaded import load_model
from agvae.entropy import asymmetric
from agvae.quality import level_to_quality, parse_quality
from reproduction.latents import code, read_centre
from reproduction.png import to_png

TARGET_BPP = 0.5


def matched_normal(log2_sigma: Tensor, asymmetry: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the two-piece normal of mode 0."""
    left, right = torch.exp2(log2_sigma - asymmetry / 2), torch.exp2(log2_sigma + asymmetry / 2)
    mean = (2 / torch.pi) ** 0.5 * (right - left)
    return mean, ((1 - 2 / torch.pi) * (right - left) ** 2 + left * right).sqrt()


def normal_mass(r: Tensor, mean: Tensor, sigma: Tensor) -> Tensor:
    """Mass of a normal in [r - 1/2, r + 1/2], from upper tails only."""
    size = (r - mean).abs()
    upper, lower = ((size + half) / sigma * 0.5**0.5 for half in (0.5, -0.5))
    return 0.5 * (torch.erfc(lower) - torch.erfc(upper))


def draw_densities(names: Sequence[str], path: Path) -> tuple[dict[str, Any], bytes]:
    """Of each model, at a rate of at most 0.5 bpp: the histogram of the channel's symbols y - mu, the mean over its
    positions of the model's density and of the normal of the same mean and variance, the code length under either,
    and how sigma_l / sigma_r is distributed.
    """
    pixels = read_centre(path)
    figure = Figure(figsize=(11, 4 * len(names)), layout="constrained")
    grid = figure.subplots(len(names), 2, squeeze=False)
    numbers = {}
    for name, (left, right) in zip(names, grid, strict=True):
        data = agvae.encode(pixels, target_bpp=TARGET_BPP, model=name)
        level = parse_quality(agvae.read_info(data)["quality"])
        coded = code(load_model(name), pixels, level)
        bits = asymmetric.bits(coded.residual, coded.log2_sigma, coded.asymmetry)
        channel = int(bits.sum((0, 1)).argmax())
        r, log2_sigma, ratio = (
            part[..., channel].flatten() for part in (coded.residual, coded.log2_sigma, coded.asymmetry)
        )
        mean, sigma = matched_normal(log2_sigma, ratio)
        normal_bits = -normal_mass(r, mean, sigma).clamp(min=asymmetric.PROBABILITY_FLOOR).log2()
        reach = int(r.abs().max()) + 1
        symbols = torch.arange(-reach, reach + 1, dtype=torch.float64)[:, None]
        own = asymmetric.interval_probability(symbols, log2_sigma, ratio).mean(1)
        normal = normal_mass(symbols, mean, sigma).mean(1)
        found = {
            "quality": level_to_quality(level),
            "bpp": 8 * len(data) / (pixels.shape[0] * pixels.shape[1]),
            "channel": channel,
            "bits": float(bits[..., channel].sum()),
            "bits_of_matched_normal": float(normal_bits.sum()),
            "y_bits": float(bits.sum()),
            "share_of_symbols_above_sqrt2": float((coded.asymmetry.abs() > 0.5).double().mean()),
            "log2_sigma_ratio_percentiles": np.percentile(ratio.numpy(), (5, 25, 50, 75, 95)).tolist(),
        }
        numbers[name] = found
        values = symbols[:, 0].numpy()
        left.bar(values, (r == symbols).double().mean(1).numpy(), width=0.9, color="0.8", label="symbols")
        left.plot(values, own.numpy(), "C0.-", label=f"model: {found['bits']:.0f} bits")
        left.plot(
            values, normal.numpy(), "C1.--", label=f"normal of its moments: {found['bits_of_matched_normal']:.0f} bits"
        )
        left.set(xlabel="y - mu, rounded", ylabel="share", title=f"{name}, channel {channel}, {found['bpp']:.3f} bpp")
        left.legend(fontsize="small")
        right.hist(-ratio.numpy(), bins=40, density=True, alpha=0.6, label=f"channel {channel}")
        right.hist(-coded.asymmetry.flatten().numpy(), bins=40, density=True, histtype="step", label="all channels")
        right.set(xlabel="log2 (sigma_l / sigma_r)", ylabel="density", title=name)
        right.legend(fontsize="small")
    return {"of": numbers}, to_png(figure)
