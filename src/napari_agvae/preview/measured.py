"""What is said of a preview: size, rate, likeness to the original, time."""

from __future__ import annotations

import math
from collections.abc import Iterator
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
        level: see `agvae.quality`; None for no loss.
        box: what was coded, in pixels of the slice.
        whole: whether that is the whole slice.
        size: of the file in bytes.
        psnr: in dB, infinite if nothing is lost.
        ms_ssim: None for pictures too small to have one.
        seconds: to code and decode.
        raw: bytes of the pixels as the layer has them.
        slices: how many the layer has.
    """

    level: int | None
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


def psnr(original: NDArray[Any], decoded: NDArray[Any], bounds: tuple[float, float] | None = None) -> float:
    """PSNR in dB of grey or colour, infinite if they are equal; arguments as `similarity` takes them."""
    if _is_deep(decoded):
        low, high = _bounds(original, bounds)
        parts = _in_parts(original, decoded)
        return metrics.psnr_of(
            sum(float(np.square((x - y) / (high - low or 1)).sum()) for x, y in parts) / decoded.size
        )
    x, y, visible = _compared(original, decoded)
    found = metrics.psnr(x, y) if x.dtype == np.uint8 else _decibels(np.square((x - y) / np.float32(metrics.PEAK)))
    return found + 10 * math.log10(visible) if math.isfinite(found) else found


def similarity(
    original: NDArray[Any], decoded: NDArray[Any], bounds: tuple[float, float] | None = None
) -> tuple[float, float | None]:
    """PSNR in dB and MS-SSIM of grey or colour; MS-SSIM is None below 161 pixels a side.

    Those of uint8 are `agvae.metrics`.  The peak of other grey is the range of the original's values, which is mapped
    to 8 bits for MS-SSIM.

    Args:
        original, decoded: (H, W) grey of any type, or of 8 bits (H, W, 3) or (H, W, 4), whose alpha and what that hides
            is left out: uint8, or float32 from 0 to 255 before rounding.
        bounds: of parts of grey of another type than uint8 the lowest and highest value of the whole.
    """
    found = psnr(original, decoded, bounds)
    if min(original.shape[:2]) < metrics.MS_SSIM_MINIMUM_SIDE:
        return found, None
    if _is_deep(decoded):
        low, high = _bounds(original, bounds)
        x, y = (np.empty((*decoded.shape, 1), np.uint8) for _ in range(2))
        top = 0
        for parts in _in_parts(original, decoded):
            rows = slice(top, top := top + len(parts[0]))
            for shown, part in zip((x, y), parts, strict=True):
                shown[rows, :, 0] = _rounded(((part - low) / (high - low or 1) * 255).clip(0, 255))
    else:
        x, y, _ = _compared(original, decoded)
    return found, metrics.ms_ssim(_rounded(x), _rounded(y))


def _is_deep(decoded: NDArray[Any]) -> bool:
    """Whether values are grey of another type than uint8."""
    return decoded.ndim == 2 and decoded.dtype != np.uint8


def _bounds(original: NDArray[Any], bounds: tuple[float, float] | None) -> tuple[float, float]:
    return bounds or (float(original.min()), float(original.max()))


def _in_parts(*pictures: NDArray[Any]) -> Iterator[tuple[NDArray[np.float64], ...]]:
    """Some rows of each after the other as float64, which all of them might not fit in memory as."""
    height, width = pictures[0].shape
    rows = max(1, 2**20 // width)
    for top in range(0, height, rows):
        yield tuple(picture[top : top + rows].astype(np.float64) for picture in pictures)


def _compared(original: NDArray[Any], decoded: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Grey or colour of both, alike where the original is hidden, and the share of pixels that are not."""
    x, y = (np.atleast_3d(pixels)[..., :3] for pixels in (original, decoded))
    hidden = np.atleast_3d(original)[..., 3:] == 0
    if not hidden.any():
        return x, y, 1.0
    return x, np.where(hidden, x, y), 1 - float(hidden.mean())


def _decibels(errors: NDArray[Any]) -> float:
    return metrics.psnr_of(float(np.mean(errors, dtype=np.float64)))


def _rounded(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    found: NDArray[np.uint8] = pixels if pixels.dtype == np.uint8 else np.rint(pixels).astype(np.uint8)
    return found


def described(numbers: Numbers) -> dict[str, str]:
    """The numbers in words, by their names in the dock."""
    width, height = numbers.box.width, numbers.box.height
    total = numbers.size * numbers.slices
    return {
        "shown": f"{'whole slice' if numbers.whole else 'region'}, {width} x {height}",
        "size": f"{numbers.size:,} bytes".replace(",", " "),
        "ratio": f"{numbers.raw / numbers.size:.3g} : 1",
        "stack": f"≈ {rounded(total)} ({numbers.slices})" if numbers.whole and numbers.slices > 1 else "-",
        "rate": f"{numbers.bpp:.3f} bpp",
        "psnr": "∞" if math.isinf(numbers.psnr) else f"{numbers.psnr:.2f} dB",
        "ms_ssim": "-" if numbers.ms_ssim is None else f"{numbers.ms_ssim:.4f}",
        "time": f"{numbers.seconds:.2f} s",
    }


def rounded(size: float) -> str:
    """Bytes in a unit that leaves few digits."""
    units = iter(("bytes", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while size >= 1000 and unit != "TB":
        size, unit = size / 1000, next(units)
    return f"{size:.3g} {unit}"
