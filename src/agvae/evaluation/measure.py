"""Measuring codecs on images: real file sizes, quality and time per image and setting, and their means."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from agvae.evaluation.peers import Codec
from agvae.images import Tally, check_regular, count_frames, is_image, read_rgb
from agvae.metrics import MS_SSIM_MINIMUM_SIDE, decibels, ms_ssim, psnr

Result = TypeVar("Result")


@dataclass(frozen=True)
class Row:
    """One image coded by one codec at one setting.

    Attributes:
        bytes: size of the whole file.
        bpp: bits of the file per pixel.
        psnr: in dB; inf if lossless.
        ms_ssim: index of at most 1; None for an image too small for it.
        encode_s, decode_s: wall-clock seconds between an image in memory and the file's bytes in memory.
        encode_cpu_s, decode_cpu_s: processor seconds of all threads for the same.
    """

    codec: str
    setting: float
    image: str
    width: int
    height: int
    bytes: int
    bpp: float
    psnr: float
    ms_ssim: float | None
    encode_s: float
    decode_s: float
    encode_cpu_s: float
    decode_cpu_s: float


@dataclass(frozen=True)
class Point:
    """Means of the rows of one codec at one setting.

    Attributes:
        ms_ssim: mean index, None if an image was too small.
        ms_ssim_db: that mean on the logarithmic scale.
    """

    setting: float
    images: int
    bpp: float
    psnr: float
    ms_ssim: float | None
    ms_ssim_db: float | None
    encode_s: float
    decode_s: float
    encode_cpu_s: float
    decode_cpu_s: float


def find_images(folder: Path, tally: Tally, limit: int | None = None) -> list[Path]:
    """The first images of a folder that can be read, sorted by name; `tally` says of those that cannot,
    of other files, and of folders, which are not read.

    Raises:
        ValueError: there is none.
        OSError: it is not a folder that can be read.
    """
    paths: list[Path] = []
    for path in sorted(folder.iterdir()):
        if len(paths) == limit:
            break
        if path.is_dir():
            tally.folders += 1
        elif is_image(path, tally):
            try:
                check_regular(path)
                image = read_rgb(path, str(path))
            except OSError as error:
                tally.broken.append(str(error))
                continue
            paths.append(path)
            tally.used += 1
            tally.pixels += image.width * image.height
            tally.several += count_frames(path) > 1
    if not paths:
        msg = f"no images in {folder} that can be read: {tally}"
        raise ValueError(msg)
    return paths


def measure(codec: Codec, setting: float, image: Image.Image, name: str) -> Row:
    """Encode and decode one RGB image."""
    data, encode_s, encode_cpu_s = _timed(partial(codec.encode, image, setting))
    decoded, decode_s, decode_cpu_s = _timed(partial(codec.decode, data))
    reference, result = np.asarray(image), np.asarray(decoded)
    large_enough = min(image.size) >= MS_SSIM_MINIMUM_SIDE
    return Row(
        codec=codec.name,
        setting=setting,
        image=name,
        width=image.width,
        height=image.height,
        bytes=len(data),
        bpp=8 * len(data) / (image.width * image.height),
        psnr=psnr(reference, result),
        ms_ssim=ms_ssim(reference, result) if large_enough else None,
        encode_s=encode_s,
        decode_s=decode_s,
        encode_cpu_s=encode_cpu_s,
        decode_cpu_s=decode_cpu_s,
    )


def measure_all(paths: Sequence[Path], codecs: Sequence[Codec]) -> Iterator[Row]:
    """Every image with every codec at every setting, image by image, after one unmeasured round of each codec.

    Raises:
        OSError: an image cannot be read; its name is in the message.
    """
    for number, path in enumerate(paths):
        image = read_rgb(path, str(path))
        for codec in codecs:
            if number == 0:
                codec.decode(codec.encode(image, codec.settings[0]))
            for setting in codec.settings:
                yield measure(codec, setting, image, path.name)


def summarise(rows: Iterable[Row]) -> dict[str, list[Point]]:
    """Mean over the images at each setting, as in CompressAI's tables: {codec: points in order of the setting}."""
    groups: dict[str, dict[float, list[Row]]] = {}
    for row in rows:
        groups.setdefault(row.codec, {}).setdefault(row.setting, []).append(row)
    return {
        codec: [_point(setting, group) for setting, group in sorted(settings.items())]
        for codec, settings in groups.items()
    }


def _point(setting: float, rows: Sequence[Row]) -> Point:
    def mean(values: Iterable[float]) -> float:
        return sum(values) / len(rows)

    indices = [row.ms_ssim for row in rows if row.ms_ssim is not None]
    similarity = mean(indices) if len(indices) == len(rows) else None
    return Point(
        setting=setting,
        images=len(rows),
        bpp=mean(row.bpp for row in rows),
        psnr=mean(row.psnr for row in rows),
        ms_ssim=similarity,
        ms_ssim_db=None if similarity is None else decibels(similarity),
        encode_s=mean(row.encode_s for row in rows),
        decode_s=mean(row.decode_s for row in rows),
        encode_cpu_s=mean(row.encode_cpu_s for row in rows),
        decode_cpu_s=mean(row.decode_cpu_s for row in rows),
    )


def _timed(work: Callable[[], Result]) -> tuple[Result, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu
