"""The pictures and tables of docs/quality.md: the bundled photograph at several qualities and efforts, by both models.

    python docs/make_quality.py

Prints the tables, and writes docs/images/quality-*.png.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from PIL import Image

import agvae
from agvae.metrics import decibels, ms_ssim, psnr

IMAGES = Path(__file__).parent / "images"
BOX = (130, 60, 330, 210)
QUALITIES = (1, 2, 3, 3.5, 4, 5, 6)
SHOWN = (1, 2, 3.5, 5)
EFFORTS = (1, 2, 4, 6, 8)
TARGET = 36.0
"""dB at which efforts are compared."""
MODELS = {"base-1": "model-psnr", "base-ssim-1": "model-eye"}
SIZE = 2400
"""Bytes at which models are compared."""


def main() -> None:
    """Code the photograph at each quality, then with each effort."""
    with as_file(files("agvae") / "data" / "chelsea.png") as path:
        photograph = Image.open(path).convert("RGB")
    photograph.crop(BOX).save(IMAGES / "quality-original.png", optimize=True)
    for quality in QUALITIES:
        data = agvae.encode(photograph, quality)
        pixels = agvae.decode(data)
        bpp = agvae.read_info(data)["bpp"]
        print(f"| {quality:g} | {len(data):,} | {bpp:.2f} | {psnr(np.asarray(photograph), pixels):.1f} |")
        if quality in SHOWN:
            Image.fromarray(pixels).crop(BOX).save(IMAGES / f"quality-{quality:g}.png", optimize=True)
    for effort in EFFORTS:
        data = agvae.encode(photograph, target_psnr=TARGET, effort=effort)
        print(f"| {effort} | {len(data):,} | {psnr(np.asarray(photograph), agvae.decode(data)):.2f} |")
    for model, name in MODELS.items():
        data = agvae.encode(photograph, target_size=SIZE, model=model)
        original, pixels = np.asarray(photograph), agvae.decode(data)
        similarity = decibels(ms_ssim(original, pixels))
        print(f"| `{model}` | {len(data):,} | {psnr(original, pixels):.2f} | {similarity:.2f} |")
        Image.fromarray(pixels).crop(BOX).save(IMAGES / f"quality-{name}.png", optimize=True)


if __name__ == "__main__":
    main()
