"""Rate and likeness of a picture over all qualities."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

import agvae
from agvae.boxes import Box
from agvae.metrics import decibels
from agvae.progress import watched
from agvae.quality import LEVEL_STEPS, MAX_LEVEL, level_to_quality
from napari_agvae.preview.latest import Turn
from napari_agvae.preview.live import Request, few_threads, load
from napari_agvae.preview.measured import similarity
from napari_agvae.preview.regions import central_box
from napari_agvae.preview.slices import LayerSlice
from napari_agvae.preview.survey import Survey

LARGEST = 1024
"""Side in pixels of what is coded of larger slices: the middle of the view."""


class Point(NamedTuple):
    """One file: its level, size in bytes, bits per pixel, PSNR in dB, and MS-SSIM if it has one."""

    level: int
    size: int
    bpp: float
    psnr: float
    ms_ssim: float | None

    @property
    def quality(self) -> float:
        return level_to_quality(self.level)

    @property
    def ms_ssim_db(self) -> float | None:
        """-10 log10(1 - MS-SSIM)."""
        return None if self.ms_ssim is None else decibels(self.ms_ssim)


def levels(current: int | None) -> list[int]:
    """The current level, if there is one, then whole qualities, then those half-way."""
    first = [] if current is None else [current]
    whole = list(range(0, MAX_LEVEL + 1, LEVEL_STEPS))
    between = [level + LEVEL_STEPS // 2 for level in whole[:-1]]
    return list(dict.fromkeys([*first, *whole, *between]))


def part(visible: Box, size: tuple[int, int]) -> Box:
    """What of a slice of (width, height) to code: all of a small one, else the middle of the view."""
    everything = Box(0, 0, *size)
    return everything if everything.area <= LARGEST**2 else central_box(visible, LARGEST)


def points(source: LayerSlice, survey: Survey, box: Box, wanted: Iterable[int], model: str | None) -> Iterator[Point]:
    """A point for each level, of a box of a slice."""
    from agvae.coding.preview import Preview

    original = survey.original(source, box)
    codes, reference = source.crop(box), source.reference(box)
    for level in wanted:
        preview = Preview(original, level, model)
        decoded = codes.copy()
        for (left, top, right, bottom), pixels in preview.parts():
            decoded[top:bottom, left:right] = pixels
        size = len(preview.file())
        found = similarity(reference, source.result(decoded), source.bounds)
        yield Point(level, size, 8 * size / (codes.shape[0] * codes.shape[1]), *found)


def work(request: Request, turn: Turn, tell: tuple[Callable[[Any], None], Callable[[str], None]]) -> None:
    """Code what is `visible` of a request.

    Args:
        tell: what takes (token of the request, `Point`), and what takes a sentence about what takes long.
    """
    shown, status = tell
    turn.yielding = True
    with agvae.options.using(device=request.device), watched(turn.check):
        load(request.model, status)
        found = LayerSlice(request.data, request.attributes, request.index, request.value_range)
        box = request.visible
        survey = Survey(request.data, request.attributes, request.value_range)
        with few_threads():
            for point in points(found, survey, box, levels(request.level), request.model):
                shown((request.token, point))


def on_line(line: Iterable[tuple[int, float, float]], level: int | None) -> tuple[float, float] | None:
    """Where a level is on the line through points of (level, x, y); None beyond its ends, and for no level."""
    points = sorted(line)
    if level is None or not points or not points[0][0] <= level <= points[-1][0]:
        return None
    levels, xs, ys = zip(*points, strict=True)
    return float(np.interp(level, levels, xs)), float(np.interp(level, levels, ys))


def to_csv(found: Iterable[Point]) -> str:
    """A table, lowest quality first."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("quality", "bytes", "bpp", "psnr_db", "ms_ssim"))
    for point in sorted(found):
        similar = "" if point.ms_ssim is None else f"{point.ms_ssim:.6f}"
        table.writerow((f"{point.quality:g}", point.size, f"{point.bpp:.6f}", f"{point.psnr:.4f}", similar))
    return text.getvalue()
