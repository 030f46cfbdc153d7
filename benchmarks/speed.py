"""Time and memory of the codec, each figure in a process of its own.

    python benchmarks/speed.py IMAGE

Prints, for the default model: seconds to encode and decode IMAGE (warm, median of 7) beside Pillow's AVIF in the
same process; the same for each type of the transforms, with the PSNR that it costs; small images one by one against
a batch; a box and a thumbnail of a 12-megapixel image against the whole; peak memory of one encode and decode of IMAGE
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

def median(work):
    work()
    times = []
    for _ in range(7):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
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
    encode, decode = median(lambda: save(name, **options)), median(lambda: Image.open(BytesIO(data)).load())
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
    encode, decode = median(lambda: agvae.encode(pixels)), median(lambda: agvae.decode(data))
    print(f"{dtype}: encode {encode:.3f} s, decode {decode:.3f} s")
agvae.options.dtype = None

small = [pixels[y : y + 64, x : x + 64] for y in range(0, 512, 64) for x in range(0, 512, 64)]
files = agvae.encode_batch(small)
one, batch = median(lambda: [agvae.encode(image) for image in small]), median(lambda: agvae.encode_batch(small))
print(f"64 images of 64 x 64: encode one by one {one:.3f} s, as a batch {batch:.3f} s")
one, batch = median(lambda: [agvae.decode(data) for data in files]), median(lambda: agvae.decode_batch(files))
print(f"64 images of 64 x 64: decode one by one {one:.3f} s, as a batch {batch:.3f} s")
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
header = Header(10000, 10000, "RGB", 10240, "light-2", bytes(8))
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
    print(run(PARTS, image))
    print(run(PEAK, image, 768, 512))
    print(run(PEAK, image, 4000, 3000))
    times = sorted(float(run(IMPORT).split()[0]) for _ in range(9))
    print(f"import pillow_agvae: {times[4]:.1f} ms over Pillow, NumPy or torch imported: {run(IMPORT).split()[1]}")
    print(f"Image.open of 100 megapixels: {float(run(OPEN)):.2f} ms")


if __name__ == "__main__":
    main()
