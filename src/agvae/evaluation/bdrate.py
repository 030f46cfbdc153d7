"""Bjontegaard deltas: the mean distance of two rate-distortion curves along the rate or the quality axis.

G. Bjontegaard, "Calculation of average PSNR differences between RD-curves", VCEG-M33, 2001, with the monotone
piecewise cubic (PCHIP, Fritsch and Carlson 1980) that later took the place of the fitted cubic.  Rates are
taken in logarithms and both deltas are means over the range that the curves share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator


@dataclass(frozen=True)
class Curve:
    """A rate-distortion curve.

    A point that costs at least as many bits as another without a better quality is left out: the codec has a
    better point there, and neither axis could be a function of the other.

    Attributes:
        rate: bits per pixel or any other unit, positive, in any order.
        quality: of each rate, in dB; higher is better.

    Raises:
        ValueError: the lengths differ, a value is not finite, a rate is not positive, or fewer than two points remain.
    """

    rate: Sequence[float]
    quality: Sequence[float]
    _log_rate: NDArray[np.float64] = field(init=False, repr=False, compare=False)
    _quality: NDArray[np.float64] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        points: list[tuple[float, float]] = []
        for rate, quality in sorted(zip(self.rate, self.quality, strict=True), key=lambda p: (p[0], -p[1])):
            if not (rate > 0 and math.isfinite(rate) and math.isfinite(quality)):
                msg = f"not a point of a rate-distortion curve: rate {rate}, quality {quality}"
                raise ValueError(msg)
            if not points or quality > points[-1][1]:
                points.append((math.log(rate), quality))
        if len(points) < 2:
            msg = "a rate-distortion curve needs two points or more of rising quality"
            raise ValueError(msg)
        object.__setattr__(self, "_log_rate", np.array([p[0] for p in points]))
        object.__setattr__(self, "_quality", np.array([p[1] for p in points]))

    @property
    def quality_range(self) -> tuple[float, float]:
        """Lowest and highest quality, in dB."""
        return float(self._quality[0]), float(self._quality[-1])

    def quality_at(self, rate: float) -> float:
        """Interpolated quality in dB at a rate; nan outside the curve."""
        return float(PchipInterpolator(self._log_rate, self._quality, extrapolate=False)(math.log(rate)))


def bd_rate(anchor: Curve, test: Curve) -> float:
    """Mean rate difference of `test` against `anchor` at equal quality, in percent; negative is fewer bits.

    Raises:
        ValueError: the curves have no quality in common.
    """
    mean = _mean_difference(anchor._quality, anchor._log_rate, test._quality, test._log_rate)
    return 100 * math.expm1(mean)


def bd_quality(anchor: Curve, test: Curve) -> float:
    """Mean quality difference of `test` against `anchor` at equal rate, in dB (BD-PSNR); positive is better.

    Raises:
        ValueError: the curves have no rate in common.
    """
    return _mean_difference(anchor._log_rate, anchor._quality, test._log_rate, test._quality)


def shared_range(anchor: Curve, test: Curve) -> tuple[float, float]:
    """The qualities that both curves reach, over which `bd_rate` is taken: (low, high) in dB."""
    (low_a, high_a), (low_t, high_t) = anchor.quality_range, test.quality_range
    return max(low_a, low_t), min(high_a, high_t)


def _mean_difference(
    anchor_x: NDArray[np.float64],
    anchor_y: NDArray[np.float64],
    test_x: NDArray[np.float64],
    test_y: NDArray[np.float64],
) -> float:
    """Mean of test y - anchor y over the shared range of x."""
    low, high = max(anchor_x[0], test_x[0]), min(anchor_x[-1], test_x[-1])
    if low >= high:
        msg = "the two curves have no range in common"
        raise ValueError(msg)
    anchor, test = PchipInterpolator(anchor_x, anchor_y), PchipInterpolator(test_x, test_y)
    return float((test.integrate(low, high) - anchor.integrate(low, high)) / (high - low))
