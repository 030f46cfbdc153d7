"""Writes the conformance files of the released models and the hashes of their latents into tests/data.

What is there stays as it is.  Run it when a model, a mode or a chunk is added, never to make a failing test
pass:

    python -m tests.support.make_conformance
"""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import agvae
from agvae import Metadata
from agvae.container import Reader
from tests.core.test_codec import latents_hash
from tests.support.helpers import picture

DATA = Path(__file__).parents[1] / "data"
FILES: dict[str, tuple[Any, float, dict[str, Any]]] = {
    "rgb-q1.agv": (picture(96, 64, 1), 1.0, {}),
    "rgb-q3.5.agv": (picture(131, 77, 2), 3.5, {}),
    "rgb-q6.agv": (picture(64, 64, 3), 6.0, {}),
    "grey-q4.agv": (picture(70, 50, 4)[..., 0], 4.0, {}),
    "rgba-q2.25.agv": (np.dstack([picture(48, 80, 5), picture(48, 80, 6)[..., 0]]), 2.25, {}),
    "noise-q6.agv": (np.random.default_rng(7).integers(40, 216, (64, 64, 3), np.uint8), 6.0, {}),
    "frames-q2.agv": (
        [picture(40, 56, seed) for seed in (8, 9, 10)],
        2.0,
        {"metadata": Metadata(durations=(40, 33.367, 0), loop=3)},
    ),
    "deep-q5.agv": (1000 + 16 * picture(60, 44, 11)[..., 0].astype(np.uint16), 5.0, {}),
    "deep-frames-q3.agv": (
        [
            (low + scale * picture(52, 36, seed)[..., 0].astype(np.uint16))
            for low, scale, seed in ((300, 1, 13), (20, 200, 14), (9, 0, 15))
        ],
        3.0,
        {},
    ),
    "thumbnail-q1.5.agv": (picture(400, 30, 12), 1.5, {"thumbnail": True}),
    "eye-q2.agv": (picture(90, 70, 21), 2.0, {"model": "base-ssim-1"}),
}

WITHOUT_LOSS: dict[str, Any] = {
    "exact-rgba.agv": np.dstack([picture(50, 70, 16), picture(50, 70, 17)[..., 0]]),
    "exact-drawn-rgba.agv": np.kron(np.eye(9, 12)[..., None], np.ones((4, 4, 1))).astype(np.uint8)
    * np.uint8((200, 90, 20, 170)),
    "exact-deep.agv": 500 + picture(45, 31, 18)[..., 0].astype(np.uint16),
    "exact-palette.agv": Image.fromarray(picture(60, 40, 19)).quantize(20),
    "exact-bilevel.agv": Image.fromarray(picture(40, 60, 20)).convert("1"),
}


def main() -> None:
    hashes = json.loads((DATA / "conformance.json").read_text())
    with np.load(DATA / "conformance.npz") as archive:
        pixels = dict(archive)
    for name, (image, quality, options) in FILES.items():
        if (DATA / name).exists():
            continue
        data = agvae.encode(image, quality, **options)
        (DATA / name).write_bytes(data)
        hashes[name] = {"latents_sha256": latents_hash(data)}
        pixels[name] = agvae.decode(data)
        for frame in range(1, agvae.read_info(data)["frames"]):
            pixels[f"{name} frame {frame}"] = agvae.decode(data, frame=frame)
        if thumbnail := Reader(BytesIO(data)).metadata.thumbnail:
            pixels[f"{name} thumbnail"] = agvae.decode(thumbnail)
    for name, image in WITHOUT_LOSS.items():
        if not (DATA / name).exists():
            data = agvae.encode(image, lossless=True)
            (DATA / name).write_bytes(data)
            pixels[name] = agvae.decode(data)
    (DATA / "conformance.json").write_text(json.dumps(hashes, indent=2) + "\n")
    np.savez_compressed(DATA / "conformance.npz", **pixels)


if __name__ == "__main__":
    main()
