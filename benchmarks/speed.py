"""Time and memory of the codec, each figure in a process of its own.

    python benchmarks/speed.py IMAGE

Prints, for the default model: seconds to encode and decode IMAGE (warm, median of 7) beside Pillow's AVIF in the
same process, peak memory of one encode and decode of IMAGE and of a 12-megapixel image made of it, milliseconds that
`import pillow_agvae` adds to Pillow's own import, and milliseconds of `Image.open` of a 100-megapixel file.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from pathlib import Path

CODING = """
import statistics, sys, time
from io import BytesIO
from PIL import Image
import pillow_agvae

image = Image.open(sys.argv[1]).convert("RGB")

def median(work):
    work()
    times = []
    for _ in range(7):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)

def save(format, **options):
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()

for name, options in (("AGV", {"quality": 3.5}), ("AVIF", {"quality": 60, "subsampling": "4:4:4", "speed": 6})):
    data = save(name, **options)
    encode, decode = median(lambda: save(name, **options)), median(lambda: Image.open(BytesIO(data)).load())
    print(f"{name}: encode {encode:.3f} s, decode {decode:.3f} s, {8 * len(data) / image.width / image.height:.3f} bpp")
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
from agvae.container import Header, Metadata, TileData, grid_boxes, write_container

warnings.simplefilter("ignore")
header = Header(10000, 10000, "RGB", 10240, "light-1", bytes(8))
data = write_container(header, Metadata(), [TileData(bytes(20000))] * len(grid_boxes(10000, 10000, 1024)))
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
    print(run(CODING, image))
    print(run(PEAK, image, 768, 512))
    print(run(PEAK, image, 4000, 3000))
    times = sorted(float(run(IMPORT).split()[0]) for _ in range(9))
    print(f"import pillow_agvae: {times[4]:.1f} ms over Pillow, NumPy or torch imported: {run(IMPORT).split()[1]}")
    print(f"Image.open of 100 megapixels: {float(run(OPEN)):.2f} ms")


if __name__ == "__main__":
    main()
