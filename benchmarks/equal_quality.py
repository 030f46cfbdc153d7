"""Bits at equal quality, picture by picture, also where some are without loss.

    agvae evaluate FOLDER -o results --peers webp avif avif-psnr
    python benchmarks/equal_quality.py results/rows.csv

A BD-rate of means needs a finite PSNR of every picture.  Here every file of another codec stands against the smallest
.agv file of that picture that is as good: at a rate between those of two qualities, or at that of the better one if it
is without loss.  Files of others that are worse than quality 1, or better than quality 6, do not count.  Prints, for
each codec and measure, the mean difference in bits, over pictures, and each picture's; means are of logarithms.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np

from agvae.metrics import decibels

EXACT = 100.0
"""Decibels of what is without loss, and the most that count."""
OURS = "agvae"

Point = tuple[float, float]
"""Bits per pixel, and decibels."""


def envelope(points: Sequence[Point]) -> list[Point]:
    """Without those than which a smaller file is as good."""
    kept: list[Point] = []
    for rate, quality in sorted(points):
        if not kept or quality > kept[-1][1]:
            kept.append((rate, quality))
    return kept


def rate_of(quality: float, points: Sequence[Point]) -> float | None:
    """The least rate of a quality on an envelope; None beyond its ends."""
    if not points[0][1] <= quality <= points[-1][1]:
        return None
    after = next(k for k, (_, better) in enumerate(points) if better >= quality)
    rate, better = points[after]
    if better in (quality, EXACT):
        return rate
    before = points[after - 1]
    logs = np.interp(quality, (before[1], better), (math.log(before[0]), math.log(rate)))
    return math.exp(float(logs))


def difference(ours: Sequence[Point], theirs: Sequence[Point]) -> float | None:
    """Mean logarithm of the ratio of bits, ours to theirs, at their qualities; None if none can be compared."""
    best = envelope(ours)
    pairs = [(rate_of(quality, best), rate) for rate, quality in theirs]
    logs = [math.log(own / rate) for own, rate in pairs if own is not None]
    return fmean(logs) if logs else None


def percent(logarithm: float | None, digits: int = 0) -> str:
    return "none" if logarithm is None else f"{100 * math.expm1(logarithm):+.{digits}f}"


def quality_of(row: dict[str, str], measure: str) -> float:
    found = float(row["psnr"]) if measure == "PSNR" else decibels(float(row["ms_ssim"]))
    return min(found, EXACT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path, help="written by agvae evaluate")
    with parser.parse_args().rows.open(newline="") as file:
        rows = list(csv.DictReader(file))
    images = sorted({row["image"] for row in rows})
    codecs = [codec for codec in dict.fromkeys(row["codec"] for row in rows) if codec != OURS]
    print("| codec | measure | mean | each picture |\n|---|---|---:|---|")
    for measure in ("PSNR", "MS-SSIM"):
        points: dict[tuple[str, str], list[Point]] = defaultdict(list)
        for row in rows:
            points[row["codec"], row["image"]].append((float(row["bpp"]), quality_of(row, measure)))
        for codec in codecs:
            found = [difference(points[OURS, image], points[codec, image]) for image in images]
            known = [logarithm for logarithm in found if logarithm is not None]
            mean = percent(fmean(known) if known else None, 1)
            print(f"| {codec} | {measure} | {mean} % | {', '.join(map(percent, found))} |")


if __name__ == "__main__":
    main()
