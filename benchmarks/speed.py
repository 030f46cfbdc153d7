"""Time and memory of the codec, each figure in a process of its own.

    python benchmarks/speed.py IMAGE

Prints, for the default model: seconds to encode and decode IMAGE (warm, median of 7) beside Pillow's AVIF in the
same process; the same for each type of the transforms, with the PSNR that it costs; small images one by one against
a batch; boxes by the size of tiles, and what these cost; a box and a thumbnail of a 12-megapixel image against the
whole; peak memory of one encode and decode of IMAGE
and of a 12-megapixel image made of it; milliseconds that `import pillow_agvae` adds to Pillow's own import, and
milliseconds of `Image.open` of a 100-megapixel file.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from pathlib import Path

MEDIAN = """
import statistics, sys, time

def median(*works, rounds=7):
    "Seconds of each, which take turns."
    times = [[] for _ in works]
    for _ in range(rounds + 1):
        for work, seconds in zip(works, times):
            start = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - start)
    return [statistics.median(seconds[1:]) for seconds in times]
"""

CODING = """
from io import BytesIO
from PIL import Image
import pillow_agvae

image = Image.open(sys.argv[1]).convert("RGB")

def save(format, **options):
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()

for name, options in (("AGV", {"quality": 3.5}), ("AVIF", {"quality": 60, "subsampling": "4:4:4", "speed": 6})):
    data = save(name, **options)
    encode, decode = median(lambda: save(name, **options), lambda: Image.open(BytesIO(data)).load())
    print(f"{name}: encode {encode:.3f} s, decode {decode:.3f} s, {8 * len(data) / image.width / image.height:.3f} bpp")
"""

TYPES = """
import numpy as np
from PIL import Image
import agvae

pixels = np.asarray(Image.open(sys.argv[1]).convert("RGB"))

def psnr(data):
    return 10 * np.log10(255**2 / np.square(agvae.decode(data) - pixels.astype(float)).mean())

plain = {}
for dtype in ("float32", "float16", "bfloat16"):
    agvae.options.dtype = dtype
    for quality in (2, 4, 6):
        data = agvae.encode(pixels, quality)
        plain.setdefault(quality, (psnr(data), len(data)))
        loss, size = plain[quality][0] - psnr(data), len(data) / plain[quality][1]
        print(f"{dtype} at quality {quality}: {loss:.3f} dB less, {100 * (size - 1):+.2f} % bytes")
    data = agvae.encode(pixels)
    encode, decode = median(lambda: agvae.encode(pixels), lambda: agvae.decode(data))
    print(f"{dtype}: encode {encode:.3f} s, decode {decode:.3f} s")
agvae.options.dtype = None
"""

BATCHES = """
import numpy as np
from PIL import Image
import agvae

agvae.options.threads = int(sys.argv[2])
pixels = np.asarray(Image.open(sys.argv[1]).convert("RGB"))
for side, count in ((64, 64), (128, 24), (256, 8), (512, 4)):
    places = [(37 * k % (512 - side + 1), 61 * k % (768 - side + 1)) for k in range(count)]
    small = [pixels[top : top + side, left : left + side] for top, left in places]
    files = agvae.encode_batch(small)
    alone, together = median(
        lambda: [agvae.encode(image) for image in small],
        lambda: agvae.encode_batch(small),
    )
    alone_back, together_back = median(
        lambda: [agvae.decode(data) for data in files],
        lambda: agvae.decode_batch(files),
    )
    print(f"{count} images of {side} x {side}, {sys.argv[2]} threads: encode one by one {alone:.3f} s, as a batch "
          f"{together:.3f} s; decode {alone_back:.3f} s, {together_back:.3f} s")
"""

BOXES = """
import numpy as np
from PIL import Image
import agvae

pixels = np.asarray(Image.open(sys.argv[1]).convert("RGB"))
if sys.argv[2] == "large":
    pixels = np.tile(pixels, (4, 4, 1))
height, width = pixels.shape[:2]
places = [(37 * k % (width - 255), 61 * k % (height - 255)) for k in range(4)]
files = {side: agvae.encode(pixels, tile_size=side) for side in (1024, 512, 256)}

def boxes(data):
    for left, top in places:
        agvae.decode(data, box=(left, top, left + 256, top + 256))

works = [lambda: agvae.decode(files[1024])] + [lambda data=data: boxes(data) for data in files.values()]
whole, *parts = median(*works, rounds=2)
for (side, data), seconds in zip(files.items(), parts):
    print(f"{width} x {height}, tiles of {side}: a box of 256 x 256 takes {seconds / 4:.3f} s of {whole:.3f} s for the "
          f"whole, {100 * (len(data) / len(files[1024]) - 1):+.1f} % bytes")
"""

PARTS = """
import statistics, sys, time
from io import BytesIO
from PIL import Image
import agvae, pillow_agvae

image = Image.open(sys.argv[1]).convert("RGB").resize((4000, 3000), Image.Resampling.BICUBIC)
plain, drafted = BytesIO(), BytesIO()
image.save(plain, "AGV")
image.save(drafted, "AGV", thumbnail=True)

def best(work):
    times = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)

whole = best(lambda: agvae.decode(plain.getvalue()))
box = best(lambda: agvae.decode(plain.getvalue(), box=(1800, 1300, 2056, 1556)))
reduced = best(lambda: Image.open(plain).thumbnail((160, 160)))
embedded = best(lambda: Image.open(drafted).thumbnail((160, 160)))
print(f"12 megapixels: decode {whole:.2f} s, a box of 256 x 256 {box:.2f} s")
print(f"12 megapixels: Image.thumbnail((160, 160)) {reduced:.2f} s, with an embedded thumbnail {embedded:.3f} s, "
      f"which costs {len(drafted.getvalue()) - len(plain.getvalue())} of {len(drafted.getvalue())} bytes")
"""

PEAK = """
import resource, sys
from io import BytesIO
from PIL import Image
import pillow_agvae

image = Image.open(sys.argv[1]).convert("RGB")
width, height = (int(side) for side in sys.argv[2:])
tiled = Image.new("RGB", (width, height))
for top in range(0, height, image.height):
    for left in range(0, width, image.width):
        tiled.paste(image, (left, top))
file = BytesIO()
tiled.save(file, "AGV")
file.seek(0)
Image.open(file).load()
print(f"{width} x {height}: peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
"""

IMPORT = """
import sys, time
from PIL import Image, ImageFile
start = time.perf_counter()
import pillow_agvae
print(1000 * (time.perf_counter() - start), "torch" in sys.modules or "numpy" in sys.modules)
"""

OPEN = """
import time, warnings
from io import BytesIO
from PIL import Image
import pillow_agvae
from agvae.container import Header, Metadata, TileData, tile_boxes, write_container

warnings.simplefilter("ignore")
header = Header(10000, 10000, "RGB", 10240, "base-1", bytes(8))
data = write_container(header, Metadata(), [TileData(bytes(20000))] * len(tile_boxes(header)))
Image.open(BytesIO(data))
start = time.perf_counter()
Image.open(BytesIO(data))
print(1000 * (time.perf_counter() - start))
"""


def run(code: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    image = parser.parse_args().image
    print(f"{platform.machine()}, {os.cpu_count()} cores")
    print(run(MEDIAN + CODING, image))
    print(run(MEDIAN + TYPES, image))
    for threads in (1, os.cpu_count()):
        print(run(MEDIAN + BATCHES, image, threads))
    for size in ("as it is", "large"):
        print(run(MEDIAN + BOXES, image, size))
    print(run(PARTS, image))
    print(run(PEAK, image, 768, 512))
    print(run(PEAK, image, 4000, 3000))
    times = sorted(float(run(IMPORT).split()[0]) for _ in range(9))
    print(f"import pillow_agvae: {times[4]:.1f} ms over Pillow, NumPy or torch imported: {run(IMPORT).split()[1]}")
    print(f"Image.open of 100 megapixels: {float(run(OPEN)):.2f} ms")


if __name__ == "__main__":
    main()
