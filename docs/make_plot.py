"""The plot of README.md: PSNR over bits per pixel on Kodak, from the results that `agvae evaluate` wrote.

    python docs/make_plot.py

Reads docs/results/kodak.json, and writes docs/images/kodak.png.
"""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib.figure import Figure

DOCS = Path(__file__).parent
CURVES = {
    "agvae": (".agv", "black", (6, 0)),
    "avif": ("AVIF", "#d62728", (-14, 11)),
    "heic-420": ("HEIC", "#9467bd", (6, 6)),
    "webp": ("WebP", "#2ca02c", (6, -6)),
    "jpeg": ("JPEG", "#1f77b4", (6, 0)),
}
"""Names, colours, and where the name is from the end of the curve, in points."""
MOST = 1.75
"""Bits per pixel that are shown."""


def main() -> None:
    """Draw each curve with its name at its end."""
    curves = json.loads((DOCS / "results" / "kodak.json").read_text())["curves"]
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for name, (label, colour, offset) in CURVES.items():
        pairs = sorted(zip(curves[name]["bpp"], curves[name]["psnr"], strict=True))
        rates, qualities = zip(*(pair for pair in pairs if pair[0] <= MOST), strict=True)
        ours = name == "agvae"
        axes.plot(rates, qualities, color=colour, linewidth=3 if ours else 1.5, marker="o", markersize=3)
        axes.annotate(
            label,
            (rates[-1], qualities[-1]),
            offset,
            textcoords="offset points",
            color=colour,
            va="center",
            weight="bold" if ours else "normal",
        )
    axes.set(xlim=(0, MOST + 0.35), ylim=(26, 42), xlabel="bits per pixel", ylabel="PSNR in dB, mean of 24 photographs")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(DOCS / "images" / "kodak.png", dpi=110)


if __name__ == "__main__":
    main()
