"""Image quality: PSNR and MS-SSIM of images of 8 bits, and PSNR of any squared error; by NumPy alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agvae.progress import checkpoint

PEAK = 255.0
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW_SIZE, WINDOW_SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03
MS_SSIM_MINIMUM_SIDE = 2 ** (len(SCALE_WEIGHTS) - 1) * (WINDOW_SIZE - 1) + 1
"""The coarsest scale must hold one window: 161 pixels."""
STRIP = 128
"""Rows that are worked on at once."""

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float64]


def psnr(reference: Pixels, image: Pixels) -> float:
    """Peak signal-to-noise ratio in dB over all samples of two uint8 images of one shape; inf if they are equal.

    Raises:
        ValueError: the images differ in shape or are not uint8.
    """
    _check(reference, image)
    total = 0.0
    for top in range(0, len(reference), STRIP):
        checkpoint()
        difference = reference[top : top + STRIP].astype(np.float64) - image[top : top + STRIP]
        total += float(np.sum(difference * difference))
    return psnr_of(total / reference.size, PEAK)


def psnr_of(mse: float, peak: float = 1.0) -> float:
    """PSNR in dB of a mean squared error; inf for none."""
    return 10 * math.log10(peak**2 / mse) if mse > 0 else math.inf


def ms_ssim(reference: Pixels, image: Pixels) -> float:
    """Multi-scale structural similarity (Wang, Simoncelli and Bovik 2003), at most 1: the mean over the channels.

    Five scales, an 11 x 11 Gaussian window of sigma 1.5 at every position where it fits, scales halved by a
    2 x 2 mean (an odd last row or column is repeated).  Negative means of a scale count as 0.

    Args:
        reference, image: (H, W, C) uint8, both sides at least 161 pixels.

    Raises:
        ValueError: the images differ in shape, are not uint8, or are too small for five scales.
    """
    _check(reference, image)
    if reference.ndim != 3 or min(reference.shape[:2]) < MS_SSIM_MINIMUM_SIDE:
        msg = f"MS-SSIM needs (H, W, C) images of at least {MS_SSIM_MINIMUM_SIDE} pixels a side"
        raise ValueError(msg)
    channels = range(reference.shape[2])
    return math.fsum(_ms_ssim_plane(reference[..., c], image[..., c]) for c in channels) / len(channels)


def decibels(similarity: float) -> float:
    """A similarity index on the usual logarithmic scale, -10 log10(1 - index); inf for 1."""
    return -10 * math.log10(1 - similarity) if similarity < 1 else math.inf


def _check(reference: Pixels, image: Pixels) -> None:
    if reference.shape != image.shape or reference.dtype != np.uint8 or image.dtype != np.uint8:
        msg = f"two uint8 images of one shape expected, got {reference.shape} and {image.shape}"
        raise ValueError(msg)


def _ms_ssim_plane(reference: Pixels, image: Pixels) -> float:
    x, y = reference.astype(np.float64), image.astype(np.float64)
    result = 1.0
    last = len(SCALE_WEIGHTS) - 1
    for scale, weight in enumerate(SCALE_WEIGHTS):
        result *= max(_mean_ssim(x, y, coarsest=scale == last), 0.0) ** weight
        x, y = _halve(x), _halve(y)
    return result


def _mean_ssim(x: Plane, y: Plane, *, coarsest: bool) -> float:
    """Mean of cs over all window positions, at the coarsest scale of l cs; in strips, which bounds memory."""
    rows, columns = x.shape[0] - WINDOW_SIZE + 1, x.shape[1] - WINDOW_SIZE + 1
    total = 0.0
    for top in range(0, rows, STRIP):
        checkpoint()
        strip = slice(top, min(top + STRIP, rows) + WINDOW_SIZE - 1)
        luminance, contrast_structure = ssim_terms(x[strip], y[strip], _blur, PEAK)
        total += float(np.sum(luminance * contrast_structure if coarsest else contrast_structure))
    return total / int(rows * columns)


def ssim_terms(x: Any, y: Any, blurred: Callable[[Any], Any], peak: float) -> tuple[Any, Any]:
    """Luminance term l and contrast-structure term cs of SSIM at every window position, of arrays or of tensors.

    Args:
        blurred: the mean of such a thing over the window at each position.
        peak: of the pixels.
    """
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    mean_x, mean_y = blurred(x), blurred(y)
    variance_sum = blurred(x * x + y * y) - mean_x**2 - mean_y**2
    covariance = blurred(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance, (2 * covariance + c2) / (variance_sum + c2)


def _blur(plane: Plane) -> Plane:
    """Gaussian window over the positions where it fits, rows then columns."""
    offsets = np.arange(WINDOW_SIZE) - WINDOW_SIZE // 2
    window = np.exp(-(offsets**2) / (2 * WINDOW_SIGMA**2))
    window /= window.sum()
    for _ in range(2):
        count = plane.shape[0] - WINDOW_SIZE + 1
        blurred = window[0] * plane[:count]
        for k in range(1, WINDOW_SIZE):
            blurred += window[k] * plane[k : k + count]
        plane = blurred.T
    return plane


def _halve(plane: Plane) -> Plane:
    height, width = plane.shape
    plane = np.pad(plane, ((0, height % 2), (0, width % 2)), mode="edge")
    return (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]) / 4
