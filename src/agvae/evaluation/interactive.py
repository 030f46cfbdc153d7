"""The report as a page, with plots that one can ask: of all images or of one, curve by curve, point by point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import agvae
from agvae.evaluation.measure import Row
from agvae.evaluation.report import METRICS, Columns, Table, finite
from agvae.metrics import decibels
from agvae.pages import pieces, printable

_MEAN = "Mean of all images"


def report_page(
    conditions: str,
    rows: Sequence[Row],
    tables: Sequence[Table],
    sentences: Sequence[str],
    own: str,
    curves: Mapping[str, Columns],
) -> str:
    """One HTML file with plots and tables.

    Args:
        conditions: what was measured, and where.
        rows: all that was measured.
        tables: of mean curves first.
        sentences: about continuity.
        own: the curve that is drawn strongest, and whose range is shown first.
        curves: means, also of published ones.
    """
    drawn = {"metrics": [f"{label} (dB)" for label in METRICS.values()], "own": own, "views": _views(rows, curves)}
    values = {"title": "Rate and quality", "version": agvae.__version__, "conditions": printable(conditions)}
    curve_table, *deltas = tables
    told = [printable(sentence) for sentence in sentences]
    return "".join(pieces("report.html", **values, drawn=drawn, curves=curve_table, deltas=deltas, sentences=told))


def _views(rows: Iterable[Row], curves: Mapping[str, Columns]) -> list[dict[str, Any]]:
    """What can be drawn: {name, curves: [{name, points: [[setting or None, bpp, value of each metric], ...]}]}."""
    measured: dict[str, dict[str, list[list[float | None]]]] = {}
    for row in rows:
        similarity = None if row.ms_ssim is None else finite(decibels(row.ms_ssim))
        point = [row.setting, row.bpp, finite(row.psnr), similarity]
        measured.setdefault(row.image, {}).setdefault(row.codec, []).append(point)
    means = {name: _points(columns) for name, columns in curves.items()}
    views = {_MEAN: means} | {printable(image): curves for image, curves in measured.items()}
    return [
        {"name": name, "curves": [{"name": curve, "points": points} for curve, points in found.items()]}
        for name, found in views.items()
    ]


def _points(columns: Columns) -> list[list[float | None]]:
    rates = columns.get("bpp", ())
    nothing: Sequence[float | None] = [None] * len(rates)
    return [
        list(point)
        for point in zip(*(columns.get(key) or nothing for key in ("setting", "bpp", *METRICS)), strict=True)
    ]
