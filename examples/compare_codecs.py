"""What a picture looks like by this and other codecs in files of the same size, as numbers and as a page.

    python examples/compare_codecs.py PICTURE PAGE.html

On the command line that is `agvae compare PICTURE -o PAGE.html`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import agvae

picture, page = Path(sys.argv[1]), Path(sys.argv[2])

comparison = agvae.compare(picture, quality=3, peers=["webp", "jpeg"])
print(comparison)
comparison.save(page)
print(f"{page.name}: {page.stat().st_size} bytes, opens in any browser")
