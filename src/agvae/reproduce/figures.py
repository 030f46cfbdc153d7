"""The rate-distortion figures: which models make which curves, what is compared, and how it is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.interpolate import PchipInterpolator

from agvae.evaluation.bdrate import Curve
from agvae.evaluation.measure import Point
from agvae.evaluation.report import METRICS, Columns, columns, deltas, finite
from agvae.reproduce.curves import Measurements, deviations
from agvae.reproduce.models import config_of, sha256_of
from agvae.reproduce.runs import RUNS


@dataclass(frozen=True)
class Line:
    """One curve: the trained vectors of a model, or several models of one rate each.

    Attributes:
        models: names of runs.
        between: also measure half-way between trained vectors.
        anchors: labels of the lines of the same panel that this one is compared with.
        style: of matplotlib.
    """

    label: str
    models: tuple[str, ...]
    anchors: tuple[str, ...] = ()
    between: bool = False
    style: str = "o-"


SINGLE = "single-rate models"
Panels = Mapping[str, Sequence[Line]]
"""The lines of each row of a figure, by its title."""


def _singles(backbone: str) -> Line:
    return Line(SINGLE, tuple(f"{backbone}-single-{k}" for k in (1, 2, 3)), style="ks:")


def _seeds(test: str, test_label: str, anchor: str, anchor_label: str) -> list[Line]:
    """Two methods, and a second run of each, if there is one, with another seed."""
    lines = [
        Line(anchor_label, (anchor,), style="C1o-"),
        Line(f"{anchor_label}, seed 2", (f"{anchor}-seed2",), (anchor_label,), style="C1o--"),
        Line(test_label, (test,), (anchor_label,), style="C0o-"),
        Line(f"{test_label}, seed 2", (f"{test}-seed2",), (f"{anchor_label}, seed 2", test_label), style="C0o--"),
    ]
    return [line for line in lines if line.models[0] in RUNS]


def panels(experiment: str, model: str) -> Panels:
    """The panels of an experiment; `model` is that of fig3 and fig4."""
    vectors = Line("trained vectors (DVR)", (model,), style="ko")
    figures: dict[str, Panels] = {
        "fig3": {model: [vectors]},
        "fig4": {
            model: [Line("with interpolation (CVR)", (model,), (vectors.label,), between=True, style="C0.-"), vectors]
        },
        "fig9": {
            "Minnen et al.": [
                _singles("minnen"),
                Line("HCVR", ("minnen-hcvr",), (SINGLE,)),
                Line("bottleneck scaling", ("minnen-bottleneck",), ("HCVR",)),
                Line("conditional convolution", ("minnen-conditional",), ("HCVR",)),
            ]
        },
        "fig10": {
            "Ballé et al.": [_singles("balle"), Line("HCVR", ("balle-hcvr",), (SINGLE,))],
            "Minnen et al.": [_singles("minnen"), Line("HCVR", ("minnen-hcvr",), (SINGLE,))],
        },
        "fig11": {
            "AG-VAE": _seeds("agvae", "HCVR", "agvae-cvr", "CVR"),
            "Minnen et al.": _seeds("minnen-hcvr", "HCVR", "minnen-cvr", "CVR"),
        },
        "fig12": {"AG-VAE": _seeds("agvae", "asymmetric (AG-VAE)", "sgvae", "symmetric (SG-VAE)")},
        "supp-n": {
            "Minnen et al., HCVR": [
                Line("n = 6", ("minnen-hcvr",)),
                Line("n = 3", ("minnen-hcvr-n3",), ("n = 6",)),
            ]
        },
    }
    return figures[experiment]


def models_of(experiment: str, model: str) -> list[str]:
    """The models of all lines of a figure."""
    lines = [line for of_panel in panels(experiment, model).values() for line in of_panel]
    return list(dict.fromkeys(name for line in lines for name in line.models))


def rate_distortion(
    experiment: str, model: str, measurements: Measurements
) -> tuple[dict[str, Any], list[str], bytes | None]:
    """The numbers of a figure, the models that it lacks, and its PNG; no PNG if it lacks all."""
    found: dict[str, Any] = {"images": [path.name for path in measurements.paths], "models": {}, "panels": {}}
    missing: list[str] = []
    layout = panels(experiment, model)
    for title, lines in layout.items():
        measured: dict[str, list[tuple[str, Point]]] = {}
        for line in lines:
            of_line = []
            for name in line.models:
                digest = sha256_of(name)
                if digest is not None:
                    found["models"][name] = {"sha256": digest, "betas": config_of(name).betas}
                    of_line += [(name, point) for point in measurements.points(name, between=line.between)]
                elif name not in missing:
                    missing.append(name)
            if of_line:
                measured[line.label] = sorted(of_line, key=lambda pair: pair[1].bpp)
        found["panels"][title] = _panel(lines, measured)
    drawn = any(panel["curves"] for panel in found["panels"].values())
    return found, missing, _draw(layout, found["panels"]) if drawn else None


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
    return png(figure)


def png(figure: Figure) -> bytes:
    file = BytesIO()
    figure.savefig(file, format="png", dpi=120)
    return file.getvalue()
