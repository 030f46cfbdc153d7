"""The picture of README.md: a part of the bundled photograph, as JPEG and as .agv in files of the same size.

    python docs/make_picture.py

Writes docs/images/equal-bytes.png.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import agvae
from agvae.metrics import psnr

TARGET = Path(__file__).parent / "images" / "equal-bytes.png"
BOX = (120, 50, 340, 215)
JPEG_QUALITY = 7
SCALE, GAP, CAPTION = 2, 8, 40


def main() -> None:
    """Code the photograph both ways, and put the parts side by side."""
    with as_file(files("agvae") / "data" / "chelsea.png") as path:
        photograph = Image.open(path).convert("RGB")
    jpeg = BytesIO()
    photograph.save(jpeg, "JPEG", quality=JPEG_QUALITY, optimize=True)
    size = len(jpeg.getvalue())
    coded = agvae.encode(photograph, target_size=size)
    panels = [("original", photograph)]
    for name, data, image in (
        ("JPEG", jpeg.getvalue(), Image.open(jpeg)),
        (".agv", coded, Image.fromarray(agvae.decode(coded))),
    ):
        quality = psnr(np.asarray(photograph), np.asarray(image))
        panels.append((f"{name}: {len(data) / 1000:.1f} kB, {quality:.1f} dB", image))
    width, height = SCALE * (BOX[2] - BOX[0]), SCALE * (BOX[3] - BOX[1])
    page = Image.new("RGB", (3 * width + 2 * GAP, height + CAPTION), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(24)
    for k, (caption, image) in enumerate(panels):
        left = k * (width + GAP)
        page.paste(image.crop(BOX).resize((width, height), Image.Resampling.LANCZOS), (left, 0))
        draw.text((left + width / 2, height + CAPTION / 2), caption, "black", font, anchor="mm")
    page.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
