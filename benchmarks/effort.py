"""What more effort wins: BD-rates against effort 1 and seconds an image, for each effort, beside speeds of AVIF.

    python benchmarks/effort.py IMAGE_OR_FOLDER... [--efforts 1 2 5 9] [--speeds 8 6 2] [--qualities 1.5 3 4.5 6]
        [--model NAME] [--log FILE]

Every file is decoded; PSNR and MS-SSIM are of the decoded pixels.  Curves are of the mean rate and the mean PSNR, or
mean MS-SSIM in dB, over all images at each quality.  Results go to the log as they come, a JSON line for each file;
with a log that is there already, what it holds is not done again.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import agvae
import pillow_agvae  # noqa: F401
from agvae import weights
from agvae.evaluation.bdrate import Curve, bd_rate
from agvae.images import is_image_name
from agvae.metrics import decibels, ms_ssim, psnr

AVIF = (26, 40, 52, 64, 76)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("images", nargs="+", type=Path)
    parser.add_argument("--efforts", nargs="*", type=int, default=[1, 2, 3, 4, 5, 6, 7, 8, 9])
    parser.add_argument("--speeds", nargs="*", type=int, default=[8, 6, 4, 2, 0])
    parser.add_argument("--qualities", nargs="+", type=float, default=[1.5, 2.5, 3.5, 4.5, 5.5])
    parser.add_argument("--model")
    parser.add_argument("--log", type=Path)
    args = parser.parse_args()

    paths = [path for given in args.images for path in (sorted(given.iterdir()) if given.is_dir() else [given])]
    paths = [path for path in paths if is_image_name(path)]
    rows = [json.loads(line) for line in args.log.read_text().splitlines()] if args.log and args.log.exists() else []
    done = {(row["image"], row["kind"], row["level"], row["quality"]) for row in rows}
    agvae.decode(agvae.encode(np.zeros((64, 64, 3), np.uint8), model=args.model, effort=2))
    for path in paths:
        with Image.open(path) as image:
            picture = image.convert("RGB")
        for kind, level, quality in _wanted(args):
            if (path.name, kind, level, quality) in done:
                continue
            row = {"image": path.name, "kind": kind, "level": level, "quality": quality}
            rows.append(row | _coded(picture, kind, level, quality, args.model))
            if args.log:
                with args.log.open("a") as log:
                    log.write(json.dumps(rows[-1]) + "\n")
    names = {path.name for path in paths}
    _tell([row for row in rows if row["image"] in names], len(paths), args.model)


def _wanted(args: argparse.Namespace) -> Iterator[tuple[str, int, float]]:
    for effort in args.efforts:
        for quality in args.qualities:
            yield "agv", effort, quality
    for speed in args.speeds:
        for quality in AVIF:
            yield "avif", speed, quality


def _coded(picture: Image.Image, kind: str, level: int, quality: float, model: str | None) -> dict[str, Any]:
    file = io.BytesIO()
    start, processor = time.perf_counter(), time.process_time()
    if kind == "agv":
        picture.save(file, "AGV", quality=quality, effort=level, model=model)
    else:
        picture.save(file, "AVIF", quality=int(quality), speed=level, subsampling="4:4:4")
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    with Image.open(io.BytesIO(file.getvalue())) as found:
        pixels, decoded = np.asarray(picture), np.asarray(found.convert("RGB"))
    bits = 8 * len(file.getvalue()) / (picture.width * picture.height)
    quality_of = {"psnr": psnr(pixels, decoded), "ms_ssim": ms_ssim(pixels, decoded)}
    return {"bpp": bits, **quality_of, "seconds": seconds, "processor": processor}


def _tell(rows: list[dict[str, Any]], count: int, model: str | None) -> None:
    curves: dict[str, dict[tuple[str, int], Curve]] = {"PSNR": {}, "MS-SSIM": {}}
    times = {}
    for key in sorted({(str(row["kind"]), int(row["level"])) for row in rows}):
        points = defaultdict(list)
        for row in rows:
            if (row["kind"], row["level"]) == key:
                points[row["quality"]].append(
                    [row[name] for name in ("bpp", "psnr", "ms_ssim", "seconds", "processor")]
                )
        whole = [np.mean(point, 0) for point in points.values() if len(point) == count]
        if len(whole) > 1:
            rate, error, similarity, *_ = zip(*whole, strict=True)
            curves["PSNR"][key] = Curve(rate, error)
            curves["MS-SSIM"][key] = Curve(rate, [decibels(float(value)) for value in similarity])
            times[key] = np.mean(whole, 0)[3:]
    name = model or str(weights.registry()["default"])
    print(f"{count} images, {name} ({agvae.weights.registry()['models'][name]['sha256'][:16]}), {platform.platform()},")
    print(f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}; BD-rates:\n")
    columns = [(metric, to) for metric in curves for to in (("agv", 1), ("avif", 6))]
    titles = [
        f"{metric}, to {'effort' if kind == 'agv' else 'AVIF, speed'} {level}" for metric, (kind, level) in columns
    ]
    print(f"| | {' | '.join(titles)} | s an image | s of processor |")
    print(f"| --- |{' ---: |' * (len(titles) + 2)}")
    for key, of_key in times.items():
        what = f"effort {key[1]}" if key[0] == "agv" else f"AVIF, speed {key[1]}"
        deltas = [
            f"{bd_rate(c[to], c[key]):+.1f} %" if to in c else "" for c, to in ((curves[m], to) for m, to in columns)
        ]
        print(f"| {what} | {' | '.join(deltas)} | {of_key[0]:.2f} | {of_key[1]:.2f} |")


if __name__ == "__main__":
    main()
