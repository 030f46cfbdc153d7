"""Graphics at each quality: bytes and PSNR, beside lossless WebP and AVIF of at most the same size.

    python benchmarks/graphics.py [IMAGE ...] [--model NAME]

Without images, of patterns, text and a page with a photograph that the script draws.
"""

from __future__ import annotations

import argparse
import io
import math
import os
import platform
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import agvae
from agvae import weights
from agvae.container import Reader
from agvae.metrics import psnr

QUALITIES = (1, 2, 3.5, 5, 6)
PHOTOGRAPH = Path(agvae.__file__).parent / "data" / "chelsea.png"


def drawn() -> dict[str, Image.Image]:
    """Pictures by their names, the same at each run."""
    rows, columns = np.mgrid[:256, :256]
    rng = np.random.default_rng(0)
    photograph = Image.open(PHOTOGRAPH).convert("RGB")
    art = rng.integers(0, 256, (8, 3))[rng.integers(0, 8, (32, 32))].astype(np.uint8)
    mosaic = np.dstack([(rows % 2 == a) & (columns % 2 == b) for a, b in ((0, 0), (0, 1), (1, 1))])
    gradients = np.dstack((columns, rows, 255 - rows)).astype(np.uint8)
    page = _text(768, 1024)
    page.paste(photograph, (150, 640))
    return {
        "checkers of 1 pixel": Image.fromarray(((rows + columns) % 2 * 255).astype(np.uint8)).convert("RGB"),
        "colour mosaic of 1 pixel": Image.fromarray((255 * mosaic).astype(np.uint8)),
        "gradients across": Image.fromarray(gradients),
        "gradient, diagonal": Image.fromarray((rows + columns >> 1).astype(np.uint8)).convert("RGB"),
        "gradients of each band": Image.fromarray(
            np.dstack((columns * 3 // 4, rows, 3 * columns + 5 * rows >> 3)).astype(np.uint8)
        ),
        "chart, antialiased": _chart().resize((480, 320), Image.Resampling.LANCZOS),
        "icon, antialiased": _icon().resize((96, 96), Image.Resampling.LANCZOS),
        "pixel art": Image.fromarray(art).resize((256, 256), Image.Resampling.NEAREST),
        "dithered photograph": photograph.convert("1").convert("RGB"),
        "photograph in an ordered dither": _ordered(photograph),
        "photograph in 64 colours": photograph.quantize(64).convert("RGB"),
        "photograph in 256 colours, as of GIF": photograph.quantize(256).convert("RGB"),
        "coloured text": _text(768, 512),
        "page of text and a photograph": page,
        "photograph": photograph,
    }


def _ordered(image: Image.Image) -> Image.Image:
    """In three shades a band, by a pattern of 4 x 4 thresholds."""
    rows, columns = np.mgrid[: image.height, : image.width]
    pattern = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])[rows % 4, columns % 4]
    shades = np.floor(np.asarray(image) / 127.5 + (pattern[..., None] + 0.5) / 16).clip(0, 2)
    return Image.fromarray((shades * 127.5).astype(np.uint8))


def _chart() -> Image.Image:
    rng = np.random.default_rng(2)
    image = Image.new("RGB", (960, 640), (250, 250, 245))
    draw = ImageDraw.Draw(image)
    for k in range(8):
        top = 630 - int(rng.integers(20, 200))
        draw.rectangle((60 + k * 100, top, 110 + k * 100, 630), fill=_colour(rng, 255))
    for _ in range(4):
        points = [(20 + k * 23, float(y)) for k, y in enumerate(320 + np.cumsum(rng.normal(0, 12, 40)))]
        draw.line(points, fill=_colour(rng, 255), width=4)
    return image


def _icon() -> Image.Image:
    image = Image.new("RGB", (768, 768), (245, 245, 245))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((48, 48, 720, 720), 190, fill=(30, 120, 220))
    draw.ellipse((190, 190, 580, 580), fill=(250, 200, 40))
    draw.line((190, 580, 580, 190), fill="white", width=48)
    return image


def _colour(rng: np.random.Generator, end: int) -> tuple[int, ...]:
    return tuple(int(value) for value in rng.integers(0, end, 3))


def _text(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(1)
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    for top in range(16, height - 16, 12):
        line = "".join(chr(97 + letter) for letter in rng.integers(0, 26, width // 8))
        draw.text((24, top), line, fill=_colour(rng, 160))
    return image


def lossless_webp(image: Image.Image) -> int:
    file = io.BytesIO()
    image.save(file, "WEBP", lossless=True)
    return len(file.getvalue())


def avif_within(image: Image.Image, size: int) -> bytes:
    """The best AVIF file of at most so many bytes; empty if there is none."""
    found = b""
    low, high = -1, 100
    while high - low > 1:
        middle = (low + high) // 2
        file = io.BytesIO()
        image.save(file, "AVIF", quality=middle)
        if len(file.getvalue()) > size:
            high = middle
        else:
            low, found = middle, file.getvalue()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE")
    parser.add_argument("--model", help="the default one if not given")
    args = parser.parse_args()
    name = args.model or weights.registry()["default"]
    sha256 = weights.registry()["models"][name]["sha256"]
    print(f"{name}, SHA-256 {sha256}; {platform.machine()}, {os.cpu_count()} cores\n")
    pictures = {path.name: Image.open(path).convert("RGB") for path in args.images} or drawn()
    print("| picture | lossless WebP | quality | bytes | PSNR | AVIF of that size | coded |")
    print("|---|---|---|---|---|---|---|")
    for title, image in pictures.items():
        pixels, whole = np.asarray(image), lossless_webp(image)
        for quality in QUALITIES:
            data = agvae.encode(image, quality, model=name)
            kinds = " ".join(sorted({tile.kind.decode() for tile in Reader(io.BytesIO(data)).tiles()}))
            avif = avif_within(image, len(data))
            own = psnr(pixels, agvae.decode(data))
            other = psnr(pixels, np.asarray(Image.open(io.BytesIO(avif)).convert("RGB"))) if avif else math.nan
            row = (title, whole, quality, len(data), f"{own:.1f}", f"{other:.1f}", kinds)
            print("|", " | ".join(map(str, row)), "|", flush=True)


if __name__ == "__main__":
    main()
