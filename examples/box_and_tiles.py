"""A part of a large picture without the rest of it, and what small tiles cost.

python examples/box_and_tiles.py PICTURE
"""

from __future__ import annotations

import sys
import time

from PIL import Image

import agvae

with Image.open(sys.argv[1]) as opened:
    image = opened.convert("RGB")
width, height = image.size
box = (width // 2, height // 2, width // 2 + width // 8, height // 2 + height // 8)
agvae.decode(agvae.encode(image.crop((0, 0, 64, 64))))  # loads PyTorch and the model

for tile_size in (1024, 256, 64):
    data = agvae.encode(image, tile_size=tile_size)
    start = time.perf_counter()
    whole = agvae.decode(data)
    middle = time.perf_counter()
    part = agvae.decode(data, box=box)
    end = time.perf_counter()
    difference = abs(whole[box[1] : box[3], box[0] : box[2]].astype(int) - part).max()
    print(
        f"tiles of {tile_size}: {len(data)} bytes; all in {middle - start:.3f} s, "
        f"{part.shape[1]} x {part.shape[0]} of it in {end - middle:.3f} s, largest difference {difference}"
    )
