"""Boxes for numbers, typed or pasted in any notation and shown with a point."""

from __future__ import annotations

import re

from magicgui import widgets
from qtpy.QtCore import QEvent, QLocale, QObject, Qt
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import QAbstractSpinBox, QDoubleSpinBox

from napari_agvae.docks.notation import may_become_number, parse_number

DECIMALS, TYPED_DECIMALS = 3, 9
_NARROW = """
QAbstractSpinBox {{ min-width: {}px; padding: 1px; }}
QAbstractSpinBox::up-button, QAbstractSpinBox::down-button {{ width: 1px; }}
QAbstractSpinBox::up-arrow, QAbstractSpinBox::down-arrow {{ image: none; width: 0px; height: 0px; }}
"""
"""napari's own style makes boxes wider than a third of a narrow dock; with Qt 6.11.3 it hides text without buttons."""
_ENDS = (QEvent.Type.FocusOut, QEvent.Type.Wheel, QEvent.Type.MouseButtonPress)
_KEYS = (
    *(Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Up, Qt.Key.Key_Down),
    *(Qt.Key.Key_PageUp, Qt.Key.Key_PageDown),
)


def any_notation(box: QAbstractSpinBox) -> None:
    """Let a box show numbers with a point, as all else here does, and take them as `parse_number` does."""
    box.setLocale(QLocale.c())
    box.setKeyboardTracking(False)
    box.lineEdit().setValidator(_Begun(box))
    settling = _Settling(box)
    for part in (box, box.lineEdit()):
        part.installEventFilter(settling)


def settle(box: QAbstractSpinBox) -> None:
    """Take what has been typed as the value."""
    _write_plainly(box)
    box.interpretText()


def narrow(box: QAbstractSpinBox, width: int) -> None:
    """Give a box no buttons, and at least so many pixels for its text."""
    box.setStyleSheet(_NARROW.format(width))


def target_box() -> widgets.FloatSpinBox:
    """For kB, bits per pixel or dB."""
    box = widgets.FloatSpinBox(value=100.0, max=1e9, step=1.0)
    box.native.setDecimals(DECIMALS)
    box.min = 0.001  # which two decimals would make 0
    any_notation(box.native)
    narrow(box.native, 44)
    return box


class QualityBox(QDoubleSpinBox):
    """Takes what is typed to nine decimals and shows the level that it becomes, to one more decimal where that counts.

    Qt takes no more decimals than it shows: 3.14159 typed would be 3.141.
    """

    def __init__(self, low: float, high: float, step: float) -> None:
        super().__init__()
        self.setDecimals(TYPED_DECIMALS)
        self.setRange(low, high)
        self.setSingleStep(step)

    def textFromValue(self, value: float) -> str:
        return f"{value:.{DECIMALS + 1}f}".removesuffix("0")  # of which each level has its own


class _Begun(QValidator):
    """Lets a line hold what may become a number."""

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        good = QValidator.State.Intermediate if may_become_number(text) else QValidator.State.Invalid
        return (QValidator.State.Acceptable if parse_number(text) is not None else good), text, position


class _Settling(QObject):
    """Writes a number plainly before Qt makes it the value."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in _ENDS or (event.type() == QEvent.Type.KeyPress and event.key() in _KEYS):
            _write_plainly(self.parent())
        return False


def _write_plainly(box: QAbstractSpinBox) -> None:
    line = box.lineEdit()
    number = parse_number(line.text())
    if number is not None and not re.fullmatch(r"[0-9]+(\.[0-9]*)?", line.text()):
        line.setText(f"{number:.{TYPED_DECIMALS}f}".rstrip("0").rstrip("."))
