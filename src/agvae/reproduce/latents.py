"""What single models do to the latents of one picture: figure 2, and figures 1 and 2 of the supplement."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

import agvae
from agvae.coding.engine import Model
from agvae.coding.loaded import load_model
from agvae.entropy import asymmetric
from agvae.entropy.coder import SYMBOL_LIMIT
from agvae.entropy.tables import table_index
from agvae.images import read_rgb
from agvae.metrics import psnr
from agvae.networks.autoencoder import StepParameters, follow
from agvae.networks.gain import level_weights
from agvae.quality import LEVEL_STEPS, MAX_LEVEL, level_to_quality, parse_quality
from agvae.reproduce.figures import png

CHANNELS = 32
"""How many channels figure 2 takes."""
SCALES = tuple(k / 10 for k in range(11))
TARGET_BPP = 0.5
"""Of figure 2 of the supplement."""
MULTIPLE, LARGEST = 64, 1024

Found = tuple[dict[str, Any], bytes]


def read_centre(path: Path) -> NDArray[np.uint8]:
    """The middle of a picture, (H, W, 3) uint8, sides multiples of 64 of at most 1024.

    Raises:
        ValueError: it is smaller than 64 x 64.
        OSError: it cannot be read.
    """
    image = read_rgb(path, str(path))
    width, height = (min(side // MULTIPLE * MULTIPLE, LARGEST) for side in image.size)
    if not width or not height:
        msg = f"{path}: the image must have at least {MULTIPLE} x {MULTIPLE} pixels"
        raise ValueError(msg)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return np.asarray(image.crop((left, top, left + width, top + height)))


@dataclass(frozen=True)
class Coded:
    """The latents of a picture as the entropy model sees them; float64 (h, w, M).

    Attributes:
        residual: y - mu, rounded: the symbols; zero where the file does without them, as they are so improbable.
        y_hat: residual + mu.
        log2_sigma, asymmetry: see `agvae.entropy.asymmetric`.
    """

    residual: Tensor
    y_hat: Tensor
    log2_sigma: Tensor
    asymmetry: Tensor


def code(model: Model, pixels: NDArray[np.uint8], level: int) -> Coded:
    """Latents and entropy parameters of a picture, (H, W, 3) uint8, H and W multiples of 64, at a level."""
    network = model.network
    x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    y = model.analyse(x, [level]).to(model.exact_device)
    position = round(level * (network.config.levels - 1) / (MAX_LEVEL / LEVEL_STEPS)) / LEVEL_STEPS
    weights = level_weights(torch.tensor([position], dtype=torch.float64, device=y.device), network.config.levels)
    places = iter(network.entropy.split(torch.arange(y.numel(), device=y.device).reshape(y.shape)))
    found = torch.empty(3, y.numel(), dtype=torch.float64, device=y.device)

    def visit(p: StepParameters) -> Tensor:
        place = next(places)
        residual = (y.double().flatten()[place] - p.mu).round().clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT)
        residual[torch.from_numpy(model.y_coder.skipped[table_index(p.log2_sigma, p.asymmetry).cpu().numpy()])] = 0
        for row, values in zip(found, (residual, p.log2_sigma, p.asymmetry), strict=True):
            row[place.flatten()] = values.flatten()
        return residual + p.mu

    with torch.inference_mode():
        z = network.hyper_analyse(y, weights.float()).round().clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT).double()
        z[..., torch.from_numpy(model.z_coder.skipped)] = 0
        y_hat = follow(network.entropy.walk(z, weights, *y.shape[1:3]), visit)
    residual, log2_sigma, asymmetry = (part.reshape(y.shape[1:]).cpu() for part in found)
    return Coded(residual, y_hat[0].cpu(), *asymmetric.clamp_parameters(log2_sigma, asymmetry))


def channel_importance(name: str, path: Path) -> Found:
    """Figure 2: PSNR lost when a channel of y-hat is zero, and PSNR with the most important one scaled.

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
    return numbers, png(figure)


def gain_vectors(name: str) -> Found:
    """Figure 1 of the supplement: m_s over the channels.

    Raises:
        ValueError: the model has no gain unit.
    """
    log2 = getattr(load_model(name).network.gain, "log2", None)
    if log2 is None:
        msg = f"model {name} has no gain unit"
        raise ValueError(msg)
    gains = torch.exp2(log2.detach()).cpu().numpy()
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for s, vector in enumerate(gains, 1):
        axes.semilogy(vector, label=f"s = {s}")
    axes.set(xlabel="channel", ylabel="gain", title=name)
    axes.legend(fontsize="small", ncols=2)
    pairs = np.corrcoef(np.log(gains)) if len(gains) > 1 else np.ones((1, 1))
    return {"gains": gains.tolist(), "correlation_of_log_gains": pairs.tolist()}, png(figure)


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


def entropy_models(names: list[str], path: Path) -> Found:
    """Figure 2 of the supplement: the symbols of the channel of highest entropy, and the densities of the model.

    For each model, at a rate of at most 0.5 bpp: the histogram of the channel's symbols y - mu, the mean over its
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
    return {"of": numbers}, png(figure)
