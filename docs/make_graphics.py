"""The picture of docs/GRAPHICS.md: a drawn chart, its .agv file, and an AVIF file of that size.

    python docs/make_graphics.py

Prints bytes and PSNR, and writes docs/images/graphics.png.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import agvae
from agvae.metrics import psnr

FOLDER = Path(__file__).parent / "images"
sys.path.insert(0, str(FOLDER.parents[1]))

from benchmarks.graphics import avif_within  # noqa: E402

SIZE = (360, 240)
BOX = (8, 8, 138, 108)
QUALITY = 2
COLOURS = ((66, 133, 244), (219, 68, 55), (244, 180, 0), (15, 157, 88))


def chart() -> Image.Image:
    """Bars and text, at four times its size and made smaller, so that all edges have shades."""
    image = Image.new("RGB", (4 * SIZE[0], 4 * SIZE[1]), "white")
    draw = ImageDraw.Draw(image)
    draw.text((60, 40), "Bytes by format", (32, 33, 36), ImageFont.load_default(64))
    for place, (name, colour) in enumerate(zip(("first", "second", "third", "fourth"), COLOURS, strict=True)):
        top = 170 + 190 * place
        draw.text((60, top + 40), name, (95, 99, 104), ImageFont.load_default(48))
        draw.rounded_rectangle((260, top, 1300 - 230 * place, top + 130), 40, fill=colour)
    return image.reduce(4)


def main() -> None:
    """Code the chart, and put parts side by side at three times their size."""
    image = chart()
    data = agvae.encode(image, QUALITY)
    avif = avif_within(image, len(data))
    shown = [image, Image.fromarray(agvae.decode(data)), Image.open(BytesIO(avif)).convert("RGB")]
    for name, size, pixels in zip(("agv", "AVIF"), (len(data), len(avif)), shown[1:], strict=True):
        print(f"{name}: {size:,} bytes, {psnr(np.asarray(image), np.asarray(pixels)):.1f} dB")
    print(f"without loss: {len(agvae.encode(image, lossless=True)):,} bytes")
    parts = [part.crop(BOX).resize((390, 300), Image.Resampling.NEAREST) for part in shown]
    side_by_side = Image.new("RGB", (3 * 390 + 2 * 6, 300), (128, 128, 128))
    for place, part in enumerate(parts):
        side_by_side.paste(part, (396 * place, 0))
    side_by_side.save(FOLDER / "graphics.png", optimize=True)


if __name__ == "__main__":
    main()
