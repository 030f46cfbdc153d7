"""A small line plot."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPen
from qtpy.QtWidgets import QWidget

XY = tuple[float, float]
_ACCENT, _MARK = QColor("#3b9dff"), QColor("#ffb000")
_APART = 14
"""Pixels between two lines of text."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 10, 22, 34


class Plot(QWidget):
    """Points joined by lines, one of them marked."""

    def __init__(self) -> None:
        super().__init__()
        self.points: list[XY] = []
        self.marked: XY | None = None
        self.labels = ("", "")
        self.setMinimumSize(180, 110)

    def sizeHint(self) -> QSize:
        return QSize(260, 240)

    def draw(self, points: Sequence[XY], marked: XY | None, labels: tuple[str, str]) -> None:
        """Show points with finite coordinates; labels are those of the x and the y axis."""
        self.points = sorted(point for point in points if all(map(math.isfinite, point)))
        self.marked, self.labels = marked, labels
        self.update()

    def paintEvent(self, _: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink = self.palette().color(QPalette.ColorRole.WindowText)
        faint = QColor(ink)
        faint.setAlpha(60)
        area = QRectF(_LEFT, _TOP, self.width() - _LEFT - _RIGHT, self.height() - _TOP - _BOTTOM)
        painter.setPen(ink)
        below = QRectF(area.left(), area.bottom() + 16, area.width(), 16)
        painter.drawText(below, Qt.AlignmentFlag.AlignCenter, self.labels[0])
        painter.drawText(QRectF(4, 2, area.width(), 16), Qt.AlignmentFlag.AlignLeft, self.labels[1])
        if self.points:
            xs, ys = ticks([x for x, _ in self.points], from_zero=True), ticks([y for _, y in self.points])

            def place(point: XY) -> QPointF:
                x = (point[0] - xs[0]) / (xs[-1] - xs[0])
                y = (point[1] - ys[0]) / (ys[-1] - ys[0])
                return QPointF(area.left() + x * area.width(), area.bottom() - y * area.height())

            for x in xs:
                at = place((x, ys[0]))
                _line(painter, faint, at, QPointF(at.x(), area.top()))
                painter.setPen(ink)
                painter.drawText(QRectF(at.x() - 20, at.y() + 2, 40, 14), Qt.AlignmentFlag.AlignCenter, f"{x:g}")
            apart = math.ceil(_APART * len(ys) / max(area.height(), 1))
            for y in ys[::apart]:
                at = place((xs[0], y))
                _line(painter, faint, at, QPointF(area.right(), at.y()))
                painter.setPen(ink)
                right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                painter.drawText(QRectF(0, at.y() - 8, _LEFT - 4, 16), right, f"{y:g}")
            painter.setPen(QPen(_ACCENT, 2))
            painter.drawPolyline([place(point) for point in self.points])
            painter.setBrush(_ACCENT)
            for point in self.points:
                painter.drawEllipse(place(point), 2.5, 2.5)
            if self.marked is not None and all(map(math.isfinite, self.marked)):
                painter.setPen(QPen(_MARK, 2))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawEllipse(place(self.marked), 6, 6)
        painter.end()


def ticks(values: Sequence[float], *, from_zero: bool = False) -> list[float]:
    """Three to seven round numbers around all values."""
    low, high = (0.0 if from_zero else min(values)), max(values)
    span = max(high - low, abs(high) * 1e-6, 1e-9)
    step = 10.0 ** math.floor(math.log10(span))
    step *= next(factor for factor in (0.2, 0.5, 1, 2, 5) if span / (step * factor) <= 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(k * step, 12) for k in range(first, max(last, first + 1) + 1)]


def _line(painter: QPainter, colour: QColor, start: QPointF, end: QPointF) -> None:
    painter.setPen(QPen(colour, 1))
    painter.drawLine(start, end)
