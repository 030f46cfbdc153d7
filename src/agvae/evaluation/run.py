"""A whole evaluation: this codec and its peers on a folder of images, into a folder of results."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image

import agvae
from agvae.coding.loaded import load_model
from agvae.evaluation.interactive import report_page
from agvae.evaluation.measure import Row, find_images, measure_all, summarise
from agvae.evaluation.peers import Codec, make_peers
from agvae.evaluation.plots import rate_distortion_plot
from agvae.evaluation.report import (
    METRICS,
    Columns,
    Continuity,
    columns,
    continuity,
    deltas,
    finite,
    markdown,
    sentences,
    tables,
)
from agvae.images import Tally
from agvae.quality import on_scale
from agvae.weights import registry
from agvae.whole_file import append_whole, check_target, csv_line, make_folder, write_whole
from agvae.words import counted

OWN_NAME = "agvae"
ROWS = "rows.csv"
RESULTS = (ROWS, "summary.json", "report.md", "report.html", *(f"{metric}.png" for metric in METRICS))
UNFINISHED = "rows-unfinished.csv"
"""The rows of a run that goes on or was interrupted."""
DEFAULT_QUALITIES = tuple(1 + step / 2 for step in range(11))


@dataclass(frozen=True)
class EvaluationOptions:
    """What to measure.

    Attributes:
        folder: of images; those that cannot be read, other files and sub-folders are left out, and the report says so.
        output: folder for rows.csv, summary.json, report.md, report.html and the plots, another one than `folder`;
            made if missing.
        qualities: of this codec, in [1, 6] or on the percent scale.
        peers: names, see `agvae.evaluation.peers.make_peers`.
        model: weights to use, None for the default model.
        anchors: published curves over the same images to compare with, as `read_anchors` gives them; a measured
            codec takes the place of one of its name.
        limit: measure only the first so many images that can be read, None for all.
        force: replace results that are there.
    """

    folder: Path
    output: Path
    qualities: Sequence[float] = DEFAULT_QUALITIES
    peers: Sequence[str] = ()
    model: str | None = None
    anchors: Mapping[str, Columns] = field(default_factory=dict)
    limit: int | None = None
    force: bool = False


def evaluate(options: EvaluationOptions, command: str = "", progress: Callable[[str], None] = lambda _: None) -> str:
    """Measure and write all results; returns the report in Markdown.

    What is measured goes to `UNFINISHED` in the meantime.  Only when all is measured are results of an earlier run
    removed, before any of this run is named: those of two runs never lie side by side.

    Args:
        command: the command line, recorded in the summary.
        progress: called with a line of text at the start and after every image.

    Raises:
        ValueError: no images, an unknown codec or model, or a bad quality.
        OSError: a file cannot be read or written, or results of an earlier run are there.
    """
    _check_output(options)
    tally = Tally()
    images = find_images(options.folder, tally, options.limit)
    progress(f"{options.folder}: {tally}")
    codecs = [own_codec(options.qualities, options.model), *make_peers(options.peers)]
    levels = load_model(options.model).network.config.levels
    make_folder(options.output)
    unfinished = options.output / UNFINISHED
    unfinished.unlink(missing_ok=True)
    rows = _measure_into(unfinished, images, codecs, progress)

    points = summarise(rows)
    curves: dict[str, Columns] = {name: columns(curve) for name, curve in points.items()}
    known = {**options.anchors, **curves}
    found = [delta for metric in METRICS for delta in deltas(known, OWN_NAME, metric)]
    try:
        even = continuity([row for row in rows if row.codec == OWN_NAME], points[OWN_NAME], levels)
    except ValueError:
        even = None
    here, model = machine(), _model(options.model)
    conditions = (
        f"Means over {tally}; model {model['name']} (SHA-256 {model['sha256'][:16]}...); "
        f"{here['cpu']}, {here['torch_threads']} of {here['cores']} cores; torch {here['torch']}."
    )
    report = f"{conditions}\n\n{markdown(points, found, even)}"
    summary = {
        "command": command,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "images": [path.name for path in images],
        "machine": here,
        "model": model,
        "codecs": {codec.name: codec.description for codec in codecs},
        "curves": curves,
        "bd": [asdict(delta) for delta in found],
        "continuity": None if even is None else _entry(even),
    }
    results = {
        "summary.json": json.dumps(summary, indent=1, allow_nan=False).encode() + b"\n",
        "report.md": report.encode(),
        "report.html": report_page(conditions, rows, tables(points, found), sentences(even), OWN_NAME, known).encode(),
    }
    for metric in METRICS:
        if any(value is not None for value in curves[OWN_NAME][metric]):
            results[f"{metric}.png"] = rate_distortion_plot(known, OWN_NAME, metric)
    _replace_results(options.output, results)
    return report


def _check_output(options: EvaluationOptions) -> None:
    """Refuse a folder whose pictures would be measured, or results be lost."""
    if options.output.exists() and options.folder.exists() and options.output.samefile(options.folder):
        msg = f"{options.output}: the results would lie among the images, and be measured the next time"
        raise ValueError(msg)
    for name in (*RESULTS, UNFINISHED):
        path = options.output / name
        try:
            check_target(path, replace=options.force)
        except FileNotFoundError:
            continue
        except FileExistsError as error:
            reason = "is the result of an earlier run, and is replaced only with --force"
            raise FileExistsError(error.errno, reason, str(path)) from None


def own_codec(qualities: Sequence[float] = DEFAULT_QUALITIES, model: str | None = None) -> Codec:
    """This codec through its public functions, at these qualities; the default model if None.

    Raises:
        ValueError: a quality is none.
    """

    def encode(image: Image.Image, quality: float) -> bytes:
        return agvae.encode(image, quality=quality, model=model)

    def decode(data: bytes) -> Image.Image:
        return Image.fromarray(agvae.decode(data))

    settings = tuple(sorted(set(map(on_scale, qualities))))
    return Codec(OWN_NAME, "AGV", f"AG-VAE; agvae {_version('agvae')}", settings, encode, decode)


def machine() -> dict[str, Any]:
    """Where the seconds were measured: processor, cores, threads, software versions."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "pillow": _version("pillow"),
        "agvae": _version("agvae"),
    }


def _measure_into(
    path: Path, images: Sequence[Path], codecs: Sequence[Codec], progress: Callable[[str], None]
) -> list[Row]:
    """Measure, writing every row as soon as it is known."""
    rows = []
    per_image = sum(len(codec.settings) for codec in codecs)
    names = [f.name for f in fields(Row)]
    append_whole(path, csv_line(names))
    for row in measure_all(images, codecs):
        append_whole(path, csv_line(asdict(row).values()))
        rows.append(row)
        if len(rows) % per_image == 0:
            progress(f"{len(rows) // per_image} of {counted(len(images), 'image')}, {row.image}")
    return rows


def _replace_results(folder: Path, results: Mapping[str, bytes]) -> None:
    """Name the results of this run, whose rows are there, in the place of others, once all are on the disk."""
    with TemporaryDirectory(prefix=".agvae-", dir=folder) as fresh:
        for name, data in results.items():
            write_whole(Path(fresh) / name, data)
        for name in RESULTS:
            (folder / name).unlink(missing_ok=True)
        (folder / UNFINISHED).rename(folder / ROWS)
        for name in results:
            (Path(fresh) / name).rename(folder / name)


def _entry(even: Continuity) -> dict[str, Any]:
    return {
        "deviation": {f"{quality:g}": finite(deviation) for quality, deviation in even.deviation.items()},
        "max_deviation": finite(even.max_deviation),
        "mean_size_rises": even.mean_size_rises,
        "not_larger": even.not_larger,
    }


def _model(name: str | None) -> dict[str, str]:
    known = registry()
    name = name or known["default"]
    return {"name": name, "sha256": known["models"][name]["sha256"]}


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
