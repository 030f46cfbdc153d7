"""What is said of a preview: size, rate, likeness to the original, time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agvae import metrics
from agvae.boxes import Box


@dataclass(frozen=True)
class Numbers:
    """Of one picture at one level.

    Attributes:
        level: see `agvae.quality`.
        box: what was coded, in pixels of the slice.
        whole: whether that is the whole slice.
        size: of the file in bytes.
        psnr: in dB, infinite if nothing is lost.
        ms_ssim: None for pictures too small to have one.
        seconds: to code and decode.
        raw: bytes of the pixels as the layer has them.
        slices: how many the layer has.
    """

    level: int
    box: Box
    whole: bool
    size: int
    psnr: float
    ms_ssim: float | None
    seconds: float
    raw: int
    slices: int

    @property
    def bpp(self) -> float:
        """Bits per pixel."""
        return 8 * self.size / self.box.area


def similarity(
    original: NDArray[Any], decoded: NDArray[Any], bounds: tuple[int, int] | None = None
) -> tuple[float, float | None]:
    """PSNR in dB and MS-SSIM of grey or colour; MS-SSIM is None below 161 pixels a side.

    Those of uint8 are `agvae.metrics`.  The peak of uint16 is the range of the frame's values, as that of
    `agvae.encode`'s target, and for MS-SSIM that range is first mapped to 8 bits.

    Args:
        bounds: of parts of a uint16 frame its lowest and highest value; else those of the original.
        original, decoded: (H, W), (H, W, 3) or (H, W, 4), whose alpha and what that hides is left out; uint8, or
            uint16 (H, W).
    """
    x, y = (np.atleast_3d(pixels)[..., :3] for pixels in (original, decoded))
    if x.dtype == np.uint8:
        hidden = np.atleast_3d(original)[..., 3:] == 0
        if hidden.any():
            y = np.where(hidden, x, y)
        psnr = metrics.psnr(x, y)
        if math.isfinite(psnr) and hidden.size:
            psnr += 10 * math.log10(1 - hidden.mean())
    else:
        low, high = bounds or (int(x.min()), int(x.max()))
        scale = 1 / max(high - low, 1)
        mse = float(np.mean(np.square((x - y.astype(np.float32)) * np.float32(scale)), dtype=np.float64))
        psnr = -10 * math.log10(mse) if mse else math.inf
        x, y = (np.rint((pixels - np.float32(low)) * (255 * scale)).clip(0, 255).astype(np.uint8) for pixels in (x, y))
    if min(x.shape[:2]) < metrics.MS_SSIM_MINIMUM_SIDE:
        return psnr, None
    return psnr, metrics.ms_ssim(x, y)


def described(numbers: Numbers) -> dict[str, str]:
    """The numbers in words, by their names in the dock."""
    width, height = numbers.box.width, numbers.box.height
    total = numbers.size * numbers.slices
    return {
        "shown": f"{'whole slice' if numbers.whole else 'region'}, {width} x {height}",
        "size": f"{numbers.size:,} bytes".replace(",", " "),
        "ratio": f"{numbers.raw / numbers.size:.3g} : 1",
        "stack": f"≈ {_rounded(total)} ({numbers.slices})" if numbers.whole and numbers.slices > 1 else "-",
        "rate": f"{numbers.bpp:.3f} bpp",
        "psnr": "∞" if math.isinf(numbers.psnr) else f"{numbers.psnr:.2f} dB",
        "ms_ssim": "-" if numbers.ms_ssim is None else f"{numbers.ms_ssim:.4f}",
        "time": f"{numbers.seconds:.2f} s",
    }


def _rounded(size: float) -> str:
    """Bytes in a unit that leaves few digits."""
    units = iter(("bytes", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while size >= 1000 and unit != "TB":
        size, unit = size / 1000, next(units)
    return f"{size:.3g} {unit}"
