"""Figures as PNG."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure


def to_png(figure: Figure) -> bytes:
    file = BytesIO()
    figure.savefig(file, format="png", dpi=120)
    return file.getvalue()
