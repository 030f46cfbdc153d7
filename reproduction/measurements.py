"""Rate-distortion curves of models on a folder of images: every picture is coded to a file and decoded, once."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

from agvae.evaluation.bdrate import Curve
from agvae.evaluation.measure import Point, Row, find_images, measure, summarise
from agvae.evaluation.report import trained_qualities
from agvae.evaluation.run import own_codec
from agvae.images import Tally, read_rgb
from agvae.whole_file import write_whole
from reproduction.models import config_of, sha256_of

ROWS = "rows"
"""Sub-folder of the results for what was measured, one file for each model."""


class Measurements:
    """Measures models on the images of a folder and keeps what it measured in files.

    Sizes are those of the whole files without the model's name in their header.

    A file of results is named after the model and its SHA-256, and knows images by theirs.  Seconds in it are not
    comparable, as whatever was missing may have been measured another time.

    Raises:
        ValueError: no images.
        OSError: the folder cannot be read.
    """

    def __init__(self, images: Path, out: Path, progress: Callable[[str], None]) -> None:
        tally = Tally()
        self.paths = find_images(images, tally)
        progress(f"{images}: {tally}")
        self._out, self._progress = out, progress
        self._digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in self.paths]

    def points(self, model: str, *, between: bool = False) -> list[Point]:
        """Means over the images at the trained vectors of a model, and with `between` half-way between them."""
        qualities = trained_qualities(config_of(model).levels)
        if between:
            qualities += [(low + high) / 2 for low, high in pairwise(qualities)]
        return summarise(self._rows(model, sorted(qualities)))[model]

    def _rows(self, model: str, qualities: Sequence[float]) -> list[Row]:
        """Rows of all images at these qualities, measured where they are not known yet."""
        file = self._out / ROWS / f"{model}-{(sha256_of(model) or '')[:16]}.csv"
        try:
            known = _read(file)
        except _MALFORMED as error:
            self._progress(f"{file} is damaged ({error}) and written anew")
            known = {}
        for number, (path, digest) in enumerate(zip(self.paths, self._digests, strict=True), 1):
            missing = [quality for quality in qualities if (digest, quality) not in known]
            if missing:
                codec, image = replace(own_codec(missing, model), name=model), read_rgb(path, str(path))
                for quality in missing:
                    known[digest, quality] = _nameless(measure(codec, quality, image, path.name))
                _write(file, known)
                self._progress(f"{model}: {number} of {len(self.paths)} images, {path.name}")
        return [known[digest, quality] for digest in self._digests for quality in qualities]


def _nameless(row: Row) -> Row:
    """A row without the bytes of the model's name: at low rates names of unequal length would count as a difference."""
    size = row.bytes - len(row.codec)
    return replace(row, bytes=size, bpp=8 * size / (row.width * row.height))


def deviations(trained: Sequence[Point], points: Sequence[Point], metric: str) -> dict[float, float]:
    """{setting: how far a point that is not trained lies above (+) or below (-) the monotone cubic through the
    trained ones at its rate, in dB}; points of other rates than those in between are left out.
    """
    values = [getattr(point, metric) for point in trained]
    if len(trained) < 2 or None in values:
        return {}
    through = Curve([point.bpp for point in trained], values)
    settings = {point.setting for point in trained}
    low, high = min(point.bpp for point in trained), max(point.bpp for point in trained)
    return {
        point.setting: getattr(point, metric) - through.quality_at(point.bpp)
        for point in points
        if point.setting not in settings and low < point.bpp < high
    }


Known = dict[tuple[str, float], Row]
"""What was measured, by SHA-256 of the image and quality."""


def _read(file: Path) -> Known:
    """What `_write` wrote; nothing if there is no such file.  Raises one of `_MALFORMED` if it is damaged."""
    if not file.exists():
        return {}
    with file.open(newline="", encoding="utf-8") as text:
        known: Known = {}
        for entry in csv.DictReader(text):
            digest = entry.pop(_IMAGE)
            values: dict[str, Any] = {
                name: None if value == "" and name in _OPTIONAL else _TYPES[name](value)
                for name, value in entry.items()
            }
            known[digest, values["setting"]] = Row(**values)
    return known


def _write(file: Path, known: Known) -> None:
    """Write all rows; the file is there as a whole or as it was before."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = StringIO(newline="")
    writer = csv.DictWriter(text, [_IMAGE, *_TYPES])
    writer.writeheader()
    writer.writerows({_IMAGE: digest, **asdict(row)} for (digest, _), row in known.items())
    write_whole(file, text.getvalue().encode())


_IMAGE = "image_sha256"
_TYPES: dict[str, Callable[[str], Any]] = {
    f.name: {"str": str, "int": int}.get(str(f.type), float) for f in fields(Row)
}
_OPTIONAL = [f.name for f in fields(Row) if "None" in str(f.type)]
_MALFORMED = (ValueError, TypeError, KeyError, csv.Error)
"""What reading a table that `_write` did not write may raise."""
