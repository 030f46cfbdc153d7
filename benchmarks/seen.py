"""What people see, by SSIMULACRA2: BD-rates of models against other codecs, with PSNR and MS-SSIM beside it.

    python benchmarks/seen.py FOLDER [--models base-1 base-ssim-1] [--peers avif avif-psnr heic-420 jxl webp]
        [--qualities 1 1.5 2] [--log FILE]

Each model is a name or a model file.  Every file is decoded; curves are of the mean rate and the means of PSNR,
MS-SSIM (then in dB) and SSIMULACRA2 (package `ssimulacra2`) over all images, at each quality.  Results go to the
log as they come, a JSON line for each file; what a log holds already is not done again.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import agvae
from agvae.cli.arguments import path_of_model
from agvae.comparison.perceptual import available, ssimulacra2
from agvae.evaluation.bdrate import Curve, bd_rate
from agvae.evaluation.peers import Codec, available_peers, make_peers
from agvae.images import is_image_name
from agvae.metrics import decibels, ms_ssim, psnr
from agvae.weights import read_model_file

PEERS = ("avif", "avif-psnr", "heic-420", "jxl", "webp")
MEASURES = {"psnr": "PSNR", "ms_ssim": "MS-SSIM", "ssimulacra2": "SSIMULACRA2"}


def own(model: str, qualities: tuple[float, ...]) -> Codec:
    """The codec with a model."""
    digest = read_model_file(path_of_model(model)).sha256[:16]

    def decode(data: bytes) -> Image.Image:
        return Image.fromarray(agvae.decode(data))

    return Codec(model, "AGV", f"{model}, SHA-256 {digest}", qualities, partial(agvae.encode, model=model), decode)


def measured(picture: Image.Image, codec: Codec, setting: float) -> dict[str, Any]:
    data = codec.encode(picture, setting)
    decoded = codec.decode(data)
    pixels = np.asarray(picture), np.asarray(decoded)
    return {
        "bpp": 8 * len(data) / (picture.width * picture.height),
        "psnr": psnr(*pixels),
        "ms_ssim": ms_ssim(*pixels),
        "ssimulacra2": ssimulacra2(picture, decoded),
    }


def pictures(folder: Path) -> Iterator[tuple[str, Image.Image]]:
    for path in sorted(folder.iterdir()):
        if is_image_name(path):
            with Image.open(path) as image:
                yield path.name, image.convert("RGB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", nargs="+", default=["base-1", "base-ssim-1"])
    parser.add_argument("--peers", nargs="*", default=[name for name in PEERS if name in available_peers()])
    parser.add_argument("--qualities", nargs="+", type=float, default=[1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6])
    parser.add_argument("--log", type=Path)
    args = parser.parse_args()
    if not available():
        parser.error("needs the package ssimulacra2, as of agvae[eval]")

    lines = args.log.read_text().splitlines() if args.log and args.log.exists() else []
    rows = {(row["image"], row["codec"], row["setting"]): row for row in map(json.loads, lines)}
    codecs = [own(model, tuple(args.qualities)) for model in args.models] + make_peers(args.peers)
    names = []
    for name, picture in pictures(args.folder):
        names.append(name)
        for codec in codecs:
            for setting in codec.settings:
                key = (name, codec.description, setting)
                if key in rows:
                    continue
                row = dict(zip(("image", "codec", "setting"), key, strict=True)) | measured(picture, codec, setting)
                rows[key] = row
                if args.log:
                    with args.log.open("a") as log:
                        log.write(json.dumps(row) + "\n")
    tell([row for row in rows.values() if row["image"] in names], codecs, len(args.models))


def tell(rows: list[dict[str, Any]], codecs: list[Codec], models: int) -> None:
    """A table for each model, against all other codecs."""
    curves: dict[str, list[Curve]] = {}
    for codec in codecs:
        points = defaultdict(list)
        for row in rows:
            if row["codec"] == codec.description and row["setting"] in codec.settings:
                points[row["setting"]].append([row["bpp"], *(row[measure] for measure in MEASURES)])
        rates, errors, similarities, seen = np.transpose([np.mean(points[s], 0) for s in codec.settings])
        columns = (errors, [decibels(value) for value in similarities], seen)
        curves[codec.description] = [Curve(rates, column) for column in columns]
    for codec in codecs[:models]:
        print(f"\n{len({row['image'] for row in rows})} images, {codec.description}; BD-rates:\n")
        print("| against |", " | ".join(MEASURES.values()), "|\n| --- | ---: | ---: | ---: |")
        for other in codecs:
            if other is not codec:
                pairs = zip(curves[other.description], curves[codec.description], strict=True)
                found = " | ".join(f"{bd_rate(*pair):+.1f} %" for pair in pairs)
                print(f"| {other.description} | {found} |")


if __name__ == "__main__":
    main()
