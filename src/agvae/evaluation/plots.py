"""Rate-distortion plots."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from agvae.evaluation.report import METRICS, Columns


def rate_distortion_plot(curves: Mapping[str, Columns], test: str, metric: str = "psnr") -> bytes:
    """PNG of quality over bits per pixel, `test` drawn strongest and over its own range of rates with a margin.

    Raises:
        ValueError: the test curve has no point.
    """
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.add_subplot()
    axes.set_prop_cycle(color=colormaps["turbo"](np.linspace(0.05, 0.95, len(curves))))  # none twice
    for name, entry in curves.items():
        pairs = zip(entry.get("bpp", ()), entry.get(metric, ()), strict=False)
        points = sorted((rate, quality) for rate, quality in pairs if rate is not None and quality is not None)
        if name == test and not points:
            msg = f"{test} has no points in {METRICS[metric]}"
            raise ValueError(msg)
        if points:
            colour, width, order = ("black", 2.5, 3) if name == test else (None, 1.2, 2)
            (line,) = axes.plot(*zip(*points, strict=True), color=colour, linewidth=width, zorder=order)
            line.set(marker="o", markersize=3, label=name)
        if name == test:
            margin = 0.1 * (points[-1][0] - points[0][0])
            axes.set_xlim(0, points[-1][0] + margin)
            axes.set_ylim(points[0][1] - 1, points[-1][1] + 1)
    axes.set_xlabel("bits per pixel")
    axes.set_ylabel(f"{METRICS[metric]} (dB)")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", ncols=1 + len(curves) // 30).set_in_layout(False)
    file = BytesIO()
    figure.savefig(file, format="png", dpi=120)
    return file.getvalue()
