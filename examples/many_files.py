"""A folder of pictures to .agv files in several processes, and all of them read again without holding them all.

    python examples/many_files.py FOLDER OUTPUT

Run it twice: what is there and newer than its source is skipped.
"""

from __future__ import annotations

import sys
from pathlib import Path

import agvae
import agvae.batch


def main(source: Path, target: Path) -> None:
    """Code all pictures of a folder, then tell the mean colour of each file, and of those that cannot be read why."""
    for result in agvae.batch.encode([source], target, quality=3, jobs=2):
        print(f"{result.status}: {Path(result.source).name}", result.error or "")

    # Small pictures share a batch, and no more is read than that needs.
    paths = sorted(target.rglob("*.agv"))
    for path, found in zip(paths, agvae.decode_iter(paths, return_exceptions=True), strict=True):
        text = f"failed, {found}" if isinstance(found, Exception) else f"mean {found.mean():.1f}"
        print(f"{path.name}: {text}")


if __name__ == "__main__":  # as with all processes of Python
    main(Path(sys.argv[1]), Path(sys.argv[2]))
