"""Writes the conformance files of the default model and the hashes of their latents into tests/data.

Run it when a model or a format version is added, never to make a failing test pass:

    python -m tests.make_conformance
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import agvae
from tests.helpers import picture
from tests.test_codec import latents_hash

DATA = Path(__file__).parent / "data"
FILES = {
    "rgb-q1.agv": (picture(96, 64, 1), 1.0),
    "rgb-q3.5.agv": (picture(131, 77, 2), 3.5),
    "rgb-q6.agv": (picture(64, 64, 3), 6.0),
    "grey-q4.agv": (picture(70, 50, 4)[..., 0], 4.0),
    "rgba-q2.25.agv": (np.dstack([picture(48, 80, 5), picture(48, 80, 6)[..., 0]]), 2.25),
    "noise-q6.agv": (np.random.default_rng(7).integers(0, 256, (64, 64, 3), np.uint8), 6.0),
}


def main() -> None:
    DATA.mkdir(exist_ok=True)
    hashes, pixels = {}, {}
    for name, (image, quality) in FILES.items():
        data = agvae.encode(image, quality)
        (DATA / name).write_bytes(data)
        hashes[name] = {"latents_sha256": latents_hash(data)}
        pixels[name] = agvae.decode(data)
    (DATA / "conformance.json").write_text(json.dumps(hashes, indent=2) + "\n")
    np.savez_compressed(DATA / "conformance.npz", **pixels)


if __name__ == "__main__":
    main()
