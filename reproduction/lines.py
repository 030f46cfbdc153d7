"""The curves of a figure before they are measured: of which models, compared with what, how they look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reproduction.runs import RUNS


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


Panels = Mapping[str, Sequence[Line]]
"""The lines of each row of a figure, by its title."""

SINGLE = "single-rate models"


def single_rates(backbone: str) -> Line:
    return Line(SINGLE, tuple(f"{backbone}-single-{k}" for k in (1, 2, 3)), style="ks:")


def two_seeds(test: str, test_label: str, anchor: str, anchor_label: str) -> list[Line]:
    """Two methods, and a second run of each, if there is one, with another seed."""
    lines = [
        Line(anchor_label, (anchor,), style="C1o-"),
        Line(f"{anchor_label}, seed 2", (f"{anchor}-seed2",), (anchor_label,), style="C1o--"),
        Line(test_label, (test,), (anchor_label,), style="C0o-"),
        Line(f"{test_label}, seed 2", (f"{test}-seed2",), (f"{anchor_label}, seed 2", test_label), style="C0o--"),
    ]
    return [line for line in lines if line.models[0] in RUNS]
