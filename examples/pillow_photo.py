"""A photograph as .agv, with its orientation, colour profile and everything else that it says of itself, and back.

python examples/pillow_photo.py PHOTO [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

import pillow_agvae  # registers the format, too

source, folder = Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else ".")
target = folder / f"{source.stem}.agv"

with Image.open(source) as photo:
    # `photo.save` would do, but empties what it replaces before it begins; this writes whole or not at all.
    # The profile comes along by itself; Exif, which has the orientation, and XMP only if they are given.
    pillow_agvae.save(photo, target, quality=3.5, exif=photo.getexif(), xmp=photo.info.get("xmp"), thumbnail=True)

with Image.open(target) as coded:  # reads the header; pixels are decoded when they are needed
    print(f"{target.name}: {coded.mode} {coded.width} x {coded.height}, {target.stat().st_size} bytes")
    print("kept:", *sorted(coded.info))
    coded.thumbnail((128, 128))  # from the thumbnail that was stored, not from the picture
    coded.convert("RGB").save(folder / f"{source.stem}-small.jpg", icc_profile=coded.info.get("icc_profile"))

with Image.open(target) as coded:
    coded.save(folder / f"{source.stem}-back.png", exif=coded.getexif())

print(f"at most {source.stat().st_size // 10} bytes:")
with Image.open(source) as photo:
    smaller = folder / f"{source.stem}-tenth.agv"
    pillow_agvae.save(photo, smaller, target_size=source.stat().st_size // 10)
print(f"{smaller.name}: {smaller.stat().st_size} bytes")
