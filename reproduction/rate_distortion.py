"""The rate-distortion figures: their curves measured, compared and drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.interpolate import PchipInterpolator

from agvae.evaluation.bdrate import Curve
from agvae.evaluation.measure import Point
from agvae.evaluation.report import METRICS, Columns, columns, deltas, finite
from reproduction.lines import SINGLE, Line, Panels
from reproduction.measurements import Measurements, deviations
from reproduction.models import config_of, sha256_of
from reproduction.png import to_png


def draw_rate_distortion(panels: Panels, measurements: Measurements) -> tuple[dict[str, Any], bytes]:
    """The numbers of a figure, of those of its models that are there, and its PNG."""
    found: dict[str, Any] = {"images": [path.name for path in measurements.paths], "models": {}, "panels": {}}
    for title, lines in panels.items():
        measured: dict[str, list[tuple[str, Point]]] = {}
        for line in lines:
            of_line = []
            for name in line.models:
                digest = sha256_of(name)
                if digest is not None:
                    found["models"][name] = {"sha256": digest, "betas": config_of(name).betas}
                    of_line += [(name, point) for point in measurements.points(name, between=line.between)]
            if of_line:
                measured[line.label] = sorted(of_line, key=lambda pair: pair[1].bpp)
        found["panels"][title] = _panel(lines, measured)
    return found, _draw(panels, found["panels"])


def _panel(lines: Sequence[Line], measured: Mapping[str, Sequence[tuple[str, Point]]]) -> dict[str, Any]:
    points = {label: [point for _, point in pairs] for label, pairs in measured.items()}
    models = {label: [name for name, _ in pairs] for label, pairs in measured.items()}
    incomplete = {line.label: not set(line.models) <= set(models.get(line.label, [])) for line in lines}
    curves: dict[str, Columns] = {label: columns(curve) for label, curve in points.items()}
    bd = []
    for line in lines:
        for anchor in line.anchors:
            pair = {label: curves[label] for label in (anchor, line.label) if label in curves}
            if len(pair) == 2 and not any(incomplete[label] for label in pair):
                of_pair = [delta for metric in METRICS for delta in deltas(pair, line.label, metric)]
                bd += [{"test": line.label, **asdict(delta)} for delta in of_pair]
    found_curves = {
        label: {"model": models[label], "incomplete": incomplete[label], **curve} for label, curve in curves.items()
    }
    panel = {"curves": found_curves, "bd": bd}
    if SINGLE in points and "HCVR" in points:
        panel["single_rate"] = _against_single_rates(points["HCVR"], measured[SINGLE])
    for line in lines:
        if line.between and line.label in points:
            trained = points[line.anchors[0]]
            panel["deviation"] = {metric: deviations(trained, points[line.label], metric) for metric in METRICS}
    return panel


def _against_single_rates(one: Sequence[Point], singles: Sequence[tuple[str, Point]]) -> list[dict[str, Any]]:
    """The curve of one model at each single-rate model: rate at its PSNR, PSNR at its rate; None beyond the curve."""
    curve = Curve([point.bpp for point in one], [point.psnr for point in one])
    rising = [point for k, point in enumerate(one) if all(point.psnr > other.psnr for other in one[:k])]
    log_rate = PchipInterpolator(
        [point.psnr for point in rising], np.log([point.bpp for point in rising]), extrapolate=False
    )
    return [
        {
            "model": name,
            "bpp": single.bpp,
            "psnr": single.psnr,
            "rate_percent_at_equal_psnr": finite(float(100 * np.expm1(log_rate(single.psnr) - np.log(single.bpp)))),
            "db_at_equal_rate": finite(curve.quality_at(single.bpp) - single.psnr),
        }
        for name, single in singles
    ]


def _draw(layout: Panels, found: Mapping[str, Any]) -> bytes:
    rows = [title for title in layout if found[title]["curves"]]
    metrics = [
        metric
        for metric in METRICS
        if any(None not in curve[metric] for title in rows for curve in found[title]["curves"].values())
    ]
    figure = Figure(figsize=(6 * len(metrics), 4.5 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), len(metrics), squeeze=False)
    for title, of_row in zip(rows, grid, strict=True):
        for metric, axes in zip(metrics, of_row, strict=True):
            for line in layout[title]:
                curve = found[title]["curves"].get(line.label)
                if curve:
                    label = f"{line.label} (incomplete)" if curve["incomplete"] else line.label
                    axes.plot(curve["bpp"], curve[metric], line.style, markersize=4, label=label)
            axes.set(title=title, xlabel="bits per pixel", ylabel=f"{METRICS[metric]} (dB)")
            axes.grid(alpha=0.3)
            axes.legend(fontsize="small")
    return to_png(figure)
