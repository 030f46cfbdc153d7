"""Figure 2 of the supplement: the symbols of the channel of highest entropy, and the densities of the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
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


@dataclass(frozen=True)
class Densities:
    """The channel of highest entropy of a picture.

    Attributes:
        numbers: of the figure's JSON.
        symbols: float64 (n,), -n // 2 to n // 2.
        shares: of the symbols y - mu in the channel, float64 (n,).
        own, normal: means over the channel's positions of the model's density, and of the normal of the same mean and
            variance, float64 (n,).
        ratio, all_ratios: log2 (sigma_r / sigma_l) at the positions of the channel, and of all channels.
    """

    numbers: dict[str, Any]
    symbols: Tensor
    shares: Tensor
    own: Tensor
    normal: Tensor
    ratio: Tensor
    all_ratios: Tensor


def compare_densities(name: str, pixels: NDArray[np.uint8]) -> Densities:
    """Code a picture of `read_centre` at a rate of at most 0.5 bpp, and take the channel of highest entropy."""
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
    numbers = {
        "quality": level_to_quality(level),
        "bpp": 8 * len(data) / (pixels.shape[0] * pixels.shape[1]),
        "channel": channel,
        "bits": float(bits[..., channel].sum()),
        "bits_of_matched_normal": float(normal_bits.sum()),
        "y_bits": float(bits.sum()),
        "share_of_symbols_above_sqrt2": float((coded.asymmetry.abs() > 0.5).double().mean()),
        "log2_sigma_ratio_percentiles": np.percentile(ratio.numpy(), (5, 25, 50, 75, 95)).tolist(),
    }
    return Densities(
        numbers,
        symbols[:, 0],
        (r == symbols).double().mean(1),
        asymmetric.interval_probability(symbols, log2_sigma, ratio).mean(1),
        normal_mass(symbols, mean, sigma).mean(1),
        ratio,
        coded.asymmetry.flatten(),
    )


def draw_densities(names: Sequence[str], path: Path) -> tuple[dict[str, Any], bytes]:
    """Of each model: symbols and densities of the channel, the code length under either density, and how
    sigma_l / sigma_r is distributed.
    """
    pixels = read_centre(path)
    figure = Figure(figsize=(11, 4 * len(names)), layout="constrained")
    grid = figure.subplots(len(names), 2, squeeze=False)
    numbers = {}
    for name, (left, right) in zip(names, grid, strict=True):
        found = compare_densities(name, pixels)
        own, normal = (f"{found.numbers[key]:.0f} bits" for key in ("bits", "bits_of_matched_normal"))
        channel, values = found.numbers["channel"], found.symbols.numpy()
        left.bar(values, found.shares.numpy(), width=0.9, color="0.8", label="symbols")
        left.plot(values, found.own.numpy(), "C0.-", label=f"model: {own}")
        left.plot(values, found.normal.numpy(), "C1.--", label=f"normal of its moments: {normal}")
        title = f"{name}, channel {channel}, {found.numbers['bpp']:.3f} bpp"
        left.set(xlabel="y - mu, rounded", ylabel="share", title=title)
        left.legend(fontsize="small")
        right.hist(-found.ratio.numpy(), bins=40, density=True, alpha=0.6, label=f"channel {channel}")
        right.hist(-found.all_ratios.numpy(), bins=40, density=True, histtype="step", label="all channels")
        right.set(xlabel="log2 (sigma_l / sigma_r)", ylabel="density", title=name)
        right.legend(fontsize="small")
        numbers[name] = found.numbers
    return {"of": numbers}, to_png(figure)
