"""What choices cost where nothing is lost: 16 bits in one stream, alpha beside its colour, tiles of 1024 pixels.

    python benchmarks/without_loss.py [IMAGE ...]

Draws what it compares, the same at each run; images that are named are cut into tiles, too.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageDraw, features

import agvae
from agvae.boxes import grid
from agvae.coding.lossless import encode_colour, encode_deep, encode_with_alpha
from agvae.container import TILE_SIZE
from agvae.file.alpha import encode_alpha

Deep = NDArray[np.uint16]

PHOTOGRAPH = Path(agvae.__file__).parent / "data" / "chelsea.png"


def sixteen_bits() -> dict[str, Deep]:
    """Values of microscopes and others by their names."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:512, :512]
    cells = np.zeros((512, 512))
    for x, y, size in rng.uniform((0, 0, 6), (512, 512, 24), (90, 3)):
        cells += np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * size**2))
    cells /= cells.max()
    photograph = np.asarray(Image.open(PHOTOGRAPH).convert("L").resize((512, 512)), float)
    centres = rng.uniform(0, 512, (60, 2))
    labels = np.argmin([(rows - y) ** 2 + (columns - x) ** 2 for y, x in centres], axis=0)
    noisy = rng.poisson(40 + 3000 * cells)
    found: dict[str, NDArray[Any]] = {
        "cells, photon noise, 12 bits": noisy,
        "cells, read noise of a camera, 12 bits": 100 + 3000 * cells + rng.normal(0, 12, cells.shape),
        "cells, photon noise times a gain, 16 bits": 17 * noisy,
        "smooth, 16 bits": 65000 * cells,
        "smooth, 12 bits": 4000 * cells,
        "8 bits times 257": 257 * photograph,
        "8 bits times 16": 16 * photograph,
        "photograph with noise, 14 bits": 60 * photograph + rng.normal(0, 20, cells.shape),
        "counts of few photons": rng.poisson(0.1 + 2 * cells),
        "labels": labels,
        "noise of all 16 bits": rng.integers(0, 65536, cells.shape),
        "cells, 48 x 48, with noise": noisy[:48, :48],
        "cells, 8 x 8, with noise": noisy[:8, :8],
    }
    return {name: values.clip(0, 65535).astype(np.uint16) for name, values in found.items()}


def two_streams(values: Deep) -> int:
    return sum(len(encode_colour(np.repeat(band[..., None], 3, -1))) for band in split(values))


def split(values: Deep) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return (values >> 8).astype(np.uint8), (values & 255).astype(np.uint8)


def drawings() -> dict[str, Image.Image]:
    """Pictures on nothing, by their names."""
    rng = np.random.default_rng(1)
    sprites = Image.new("RGBA", (256, 256))
    for k in range(256):
        half = rng.integers(0, 5, (16, 8))
        colours = np.vstack(([0, 0, 0, 0], np.c_[rng.integers(0, 256, (4, 3)), np.full(4, 255)])).astype(np.uint8)
        sprite = Image.fromarray(colours[np.hstack((half, half[:, ::-1]))])
        sprites.paste(sprite, (k % 16 * 16, k // 16 * 16))
    tiled = Image.new("RGBA", (256, 256))
    for k in range(16):
        tiled.paste(sprites.crop((0, 0, 64, 64)), (k % 4 * 64, k // 4 * 64))

    def icons(draw: ImageDraw.ImageDraw) -> None:
        for k in range(64):
            x, y = k % 8 * 256, k // 8 * 256
            draw.rounded_rectangle((x + 24, y + 24, x + 232, y + 232), 60, fill=colour(rng))
            draw.ellipse((x + 80, y + 80, x + 176, y + 176), fill=colour(rng))

    def ellipses(draw: ImageDraw.ImageDraw) -> None:
        for x, y, size in rng.integers(0, (1800, 1800, 600), (20, 3)):
            draw.ellipse((x, y, x + 80 + size, y + 80 + size // 2), fill=colour(rng))

    lines = Image.new("RGBA", (400, 240), (0, 0, 0, 0))
    write(lines, 14, rng)
    return {
        "256 sprites of 16 x 16 pixels": sprites,
        "16 of the same sprites, tiled": tiled,
        "64 rounded icons, 512 x 512": smooth(icons),
        "antialiased ellipses": smooth(ellipses),
        "14 lines of text on nothing": lines,
    }


def smooth(drawn: Callable[[ImageDraw.ImageDraw], None]) -> Image.Image:
    """A drawing of 2048 x 2048 pixels, reduced with its edges softened."""
    image = Image.new("RGBA", (2048, 2048), (0, 0, 0, 0))
    drawn(ImageDraw.Draw(image))
    return image.resize((512, 512), Image.Resampling.BOX)


def colour(rng: np.random.Generator) -> tuple[int, ...]:
    return tuple(int(value) for value in rng.integers(0, 256, 3))


def write(image: Image.Image, count: int, rng: np.random.Generator) -> None:
    draw = ImageDraw.Draw(image)
    for k in range(count):
        line = "".join(chr(97 + letter) for letter in rng.integers(0, 26, image.width // 8))
        draw.text((12, 8 + 16 * k), line, fill=(20, 20, 20) if image.mode == "RGB" else (20, 20, 20, 255))


def large() -> dict[str, Image.Image]:
    """Drawn pictures that are larger than a tile, by their names."""
    rng = np.random.default_rng(2)
    page = Image.new("RGB", (2000, 2800), "white")
    write(page, 170, rng)
    rows, columns = np.mgrid[:2048, :2048] // 8
    gradient = np.dstack((columns, rows, (rows + columns) // 2)).astype(np.uint8)
    return {
        "a page of text, 2000 x 2800": page,
        "a gradient in three bands, 2048 x 2048": Image.fromarray(gradient),
    }


def of_tiles(image: Image.Image) -> tuple[int, int]:
    """Bytes of the whole, and of its tiles."""
    pixels = np.asarray(image.convert("RGB"))
    boxes = grid(image.width, image.height, TILE_SIZE)
    parts = [pixels[box.top : box.bottom, box.left : box.right] for box in boxes]
    return webp(pixels), sum(map(webp, parts))


def webp(pixels: NDArray[np.uint8]) -> int:
    return saved(Image.fromarray(pixels), "WEBP", lossless=True, quality=80, method=4)


def saved(image: Image.Image, form: str, **options: Any) -> int:
    file = io.BytesIO()
    image.save(file, form, **options)
    return len(file.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE")
    args = parser.parse_args()
    print(f"Pillow {PIL.__version__}, libwebp {features.version('webp')}\n")
    print("| values, 512 x 512 | two streams | one stream |\n|---|---|---|")
    for name, values in sixteen_bits().items():
        png = saved(Image.fromarray(values), "PNG", compress_level=9)
        print(f"| {name} | {two_streams(values) / png:.2f} | {len(encode_deep(values)) / png:.2f} |", flush=True)
    print("\n| picture | alpha by itself | beside its colour | the .agv file | lossless WebP |\n|---|---|---|---|---|")
    for name, image in drawings().items():
        colours, alpha = np.asarray(image)[..., :3], np.asarray(image)[..., 3]
        apart, together = len(encode_colour(colours)) + len(encode_alpha(alpha)), len(encode_with_alpha(colours, alpha))
        file, other = len(agvae.encode(image, lossless=True)), saved(image, "WEBP", lossless=True, exact=True)
        print(f"| {name} | {apart} | {together} | {file} | {other} |", flush=True)
    print("\n| picture | whole | in tiles |\n|---|---|---|")
    for name, image in (large() | {path.name: Image.open(path) for path in args.images}).items():
        whole, tiles = of_tiles(image)
        print(f"| {name} | {whole / 1000:.1f} kB | {100 * (tiles / whole - 1):+.1f} % |", flush=True)


if __name__ == "__main__":
    main()
