"""What the measurements say: Bjontegaard deltas, continuity of the quality scale, tables."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path

from agvae.evaluation.bdrate import Curve, bd_quality, bd_rate, shared_range
from agvae.evaluation.measure import Point, Row
from agvae.quality import VECTORS

Columns = Mapping[str, Sequence[float | None]]
"""A rate-distortion curve as columns of equal length: "bpp" and any of `METRICS`."""
METRICS = {"psnr": "PSNR", "ms_ssim_db": "MS-SSIM"}


@dataclass(frozen=True)
class Delta:
    """One codec against an anchor.

    Attributes:
        metric: a key of `METRICS`.
        rate: BD-rate in percent over the qualities that both reach; negative is fewer bits at equal quality.
        quality: BD-PSNR or BD-MS-SSIM in dB over the rates that both reach; None if there are none.
        low, high: the qualities that both reach, dB.
    """

    anchor: str
    metric: str
    rate: float
    quality: float | None
    low: float
    high: float


@dataclass(frozen=True)
class Continuity:
    """How evenly quality and size follow the quality scale of a variable-rate codec.

    Attributes:
        deviation: {quality between two trained levels: how far its PSNR lies above (+) or below (-) the monotone
            cubic through the trained levels at its rate, in dB, in the mean over the images; inf if its rate lies
            outside theirs}.
        mean_size_rises: whether the mean bpp strictly rises from each quality to the next.
        not_larger: (image, quality) wherever a file is not larger than that of the trained level before.
    """

    deviation: dict[float, float]
    mean_size_rises: bool
    not_larger: list[tuple[str, float]]

    @property
    def max_deviation(self) -> float | None:
        """Largest absolute deviation in dB; None if nothing between trained levels was measured."""
        return max(map(abs, self.deviation.values()), default=None)


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        head: names of the columns.
        rows: their cells.
    """

    head: list[str]
    rows: list[list[str]]


def columns(points: Sequence[Point]) -> dict[str, list[float | None]]:
    """The points as columns, one for every attribute; values that are not finite become None."""
    return {f.name: [finite(getattr(point, f.name)) for point in points] for f in fields(Point)}


def read_anchors(path: Path, names: Sequence[str] = ()) -> dict[str, Columns]:
    """Published curves from a JSON file {codec: {"bpp": [...], "psnr": [...], "ms_ssim_db": [...]}}.

    Names that begin with an underscore are notes and ignored, and so are columns of other names.

    Args:
        names: the curves wanted; all if empty.

    Raises:
        ValueError: the file is not JSON of this layout, or lacks a name.
        OSError: it cannot be read.
    """
    try:
        anchors: dict[str, Columns] = {
            name: {key: [float(v) for v in entry[key]] for key in ("bpp", *METRICS) if key in entry}
            for name, entry in json.loads(path.read_text(encoding="utf-8")).items()
            if not name.startswith("_")
        }
    except (AttributeError, TypeError, ValueError) as error:
        msg = f'{path} is not a JSON file of curves {{codec: {{"bpp": [...], "psnr": [...]}}}}: {error}'
        raise ValueError(msg) from error
    for name in names:
        if name not in anchors:
            msg = f"no curve {name!r} in {path}; there are: {', '.join(anchors)}"
            raise ValueError(msg)
    return {name: anchors[name] for name in names or anchors}


def deltas(curves: Mapping[str, Columns], test: str, metric: str = "psnr") -> list[Delta]:
    """The curve `test` against every other one with which it has a range of qualities in common."""
    found = {name: _curve(entry, metric) for name, entry in curves.items()}
    mine = found.pop(test)
    results = []
    for name, anchor in found.items():
        if mine is None or anchor is None:
            continue
        low, high = shared_range(anchor, mine)
        if low < high:
            results.append(Delta(name, metric, bd_rate(anchor, mine), _bd_quality(anchor, mine), low, high))
    return results


def trained_qualities(levels: int) -> list[float]:
    """The qualities 1 to 6 at which a model of so many gain vectors has one; any is that of a model of one rate."""
    return [1.0] if levels == 1 else [1 + 5 * s / (levels - 1) for s in range(levels)]


def continuity(rows: Iterable[Row], points: Sequence[Point], levels: int = VECTORS) -> Continuity:
    """Continuity of the codec whose rows and means these are, of a model of so many trained levels.

    Raises:
        ValueError: fewer than two trained levels of rising size and quality were measured.
    """
    of_vectors = set(trained_qualities(levels))
    trained = [point for point in points if point.setting in of_vectors]
    through = Curve([point.bpp for point in trained], [point.psnr for point in trained])
    deviation = {}
    for point in points:
        if point not in trained and trained[0].setting < point.setting < trained[-1].setting:
            difference = point.psnr - through.quality_at(point.bpp)
            deviation[point.setting] = math.inf if math.isnan(difference) else difference
    sizes: dict[str, dict[float, int]] = {}
    for row in rows:
        if row.setting in of_vectors:
            sizes.setdefault(row.image, {})[row.setting] = row.bytes
    not_larger = [
        (image, high)
        for image, by_quality in sizes.items()
        for low, high in pairwise(sorted(by_quality))
        if by_quality[high] <= by_quality[low]
    ]
    return Continuity(deviation, all(a.bpp < b.bpp for a, b in pairwise(points)), not_larger)


def tables(points: Mapping[str, Sequence[Point]], found: Sequence[Delta]) -> list[Table]:
    """The mean curves and, for each metric, the Bjontegaard deltas."""
    rows = [
        [
            codec,
            f"{p.setting:g}",
            f"{p.bpp:.4f}",
            f"{p.psnr:.2f}",
            _number(p.ms_ssim_db, ".2f"),
            f"{p.encode_s:.3f}",
            f"{p.decode_s:.3f}",
        ]
        for codec, curve in points.items()
        for p in curve
    ]
    made = [Table(["codec", "setting", "bpp", "PSNR (dB)", "MS-SSIM (dB)", "encode (s)", "decode (s)"], rows)]
    for metric, label in METRICS.items():
        rows = [
            [d.anchor, f"{d.rate:+.1f}", _number(d.quality, "+.2f"), f"{d.low:.1f} to {d.high:.1f}"]
            for d in sorted(found, key=lambda delta: delta.rate)
            if d.metric == metric
        ]
        if rows:
            made.append(Table([f"{label} against", "BD-rate (%)", f"BD-{label} (dB)", "over (dB)"], rows))
    return made


def sentences(even: Continuity | None) -> list[str]:
    """What is said of continuity."""
    if even is None:
        return []
    exceptions = ", ".join(f"{image} at {quality:g}" for image, quality in even.not_larger) or "none"
    return [
        "Nothing between trained levels was measured."
        if even.max_deviation is None
        else f"Largest deviation between trained levels: {even.max_deviation:.3f} dB.",
        f"Mean size rises with every step: {'yes' if even.mean_size_rises else 'NO'}.",
        f"Files not larger than at the trained level before: {exceptions}.",
    ]


def markdown(points: Mapping[str, Sequence[Point]], found: Sequence[Delta], even: Continuity | None) -> str:
    """Tables of the mean curves, of the Bjontegaard deltas and of the continuity."""
    parts = []
    for table in tables(points, found):
        rule = "|---|" + "---:|" * (len(table.head) - 1)
        parts.append([f"| {' | '.join(table.head)} |", rule, *(f"| {' | '.join(row)} |" for row in table.rows)])
    if even is not None:
        parts.append(sentences(even))
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def finite(value: float | None) -> float | None:
    """The value, or None (null in JSON) where it is not finite."""
    return value if value is not None and math.isfinite(value) else None


def _curve(entry: Columns, metric: str) -> Curve | None:
    """The usable part of a curve, None if it is less than two points."""
    pairs = zip(entry.get("bpp", ()), entry.get(metric, ()), strict=False)
    usable = [(rate, quality) for rate, quality in pairs if rate is not None and quality is not None]
    try:
        return Curve([rate for rate, _ in usable], [quality for _, quality in usable])
    except ValueError:
        return None


def _bd_quality(anchor: Curve, test: Curve) -> float | None:
    try:
        return bd_quality(anchor, test)
    except ValueError:
        return None


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
