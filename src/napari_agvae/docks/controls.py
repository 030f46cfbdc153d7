"""Widgets of the docks that know no layers: quality as a slider and as numbers, and the read-outs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QGridLayout,
    QLabel,
    QMessageBox,
    QSizePolicy,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from agvae.quality import LEVEL_STEPS, MAX_LEVEL, VECTORS, level_to_quality, parse_quality, split_level
from napari_agvae.docks.spin_boxes import QualityBox, any_notation, narrow
from napari_agvae.texts import TOOLTIPS


class QualityEditor(QWidget):
    """Quality 1 to 6 as slider and number, and as its whole part s and fraction l; all four say the same."""

    changed = Signal(int, bool)
    """A new level by the user, and whether it is final: the slider is not held."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, MAX_LEVEL)
        self.slider.setSingleStep(LEVEL_STEPS // 100)
        self.slider.setPageStep(LEVEL_STEPS // 4)
        self.quality = QualityBox(1.0, float(VECTORS), 0.05)
        self.s = QSpinBox()
        self.s.setRange(1, VECTORS)
        self.l = QualityBox(0.0, (LEVEL_STEPS - 1) / LEVEL_STEPS, 0.05)
        for name, widget in (("quality", self.slider), ("quality", self.quality), ("s", self.s), ("l", self.l)):
            widget.setToolTip(TOOLTIPS[f"preview.{name}"])
            widget.setAccessibleName(name)
        for box in (self.quality, self.s, self.l):
            any_notation(box)
            narrow(box, 46)
        grid = QGridLayout()
        grid.setHorizontalSpacing(4)  # the least width has to do for four decimals
        parts = (("quality", self.quality), ("whole part s", self.s), ("fraction l", self.l))
        for column, (text, box) in enumerate(parts):
            grid.addWidget(_caption(text), 0, column)
            grid.addWidget(box, 1, column)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.slider)
        layout.addLayout(grid)
        self._level = -1
        self.set_level(level)
        self.slider.valueChanged.connect(self._moved)
        self.slider.sliderReleased.connect(self._released)
        self.quality.valueChanged.connect(self._typed)
        self.s.valueChanged.connect(self._parts_typed)
        self.l.valueChanged.connect(self._parts_typed)

    @property
    def level(self) -> int:
        """See `agvae.quality`."""
        return self._level

    def set_level(self, level: int) -> None:
        """Show a level, without a signal."""
        self._level = level
        s, l = split_level(level)  # noqa: E741
        with self._silent():
            self.slider.setValue(level)
            self.quality.setValue(level_to_quality(level))
            self.s.setValue(s)
            self.l.setValue(l)
            self.l.setEnabled(s < VECTORS)

    def _moved(self, level: int) -> None:
        self._change(level, final=not self.slider.isSliderDown())

    def _released(self) -> None:
        self.changed.emit(self._level, True)

    def _typed(self, quality: float) -> None:
        self._change(parse_quality(quality))

    def _parts_typed(self) -> None:
        s = self.s.value()
        self._change(parse_quality(s=s, l=self.l.value() if s < VECTORS else 0))

    def _change(self, level: int, *, final: bool = True) -> None:
        if level != self._level:
            self.set_level(level)
            self.changed.emit(level, final)

    @contextmanager
    def _silent(self) -> Iterator[None]:
        widgets = (self.slider, self.quality, self.s, self.l)
        before = [widget.blockSignals(True) for widget in widgets]
        try:
            yield
        finally:
            for widget, blocked in zip(widgets, before, strict=True):
                widget.blockSignals(blocked)


class ReadOuts(QWidget):
    """Numbers with their names, one a line; dim where they are not of what is asked for now."""

    def __init__(self, names: Mapping[str, str]) -> None:
        super().__init__()
        self.labels = {key: QLabel("-") for key in names}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        for row, (key, name) in enumerate(names.items()):
            grid.addWidget(_caption(name), row, 0)
            grid.addWidget(self.labels[key], row, 1)
            self.labels[key].setToolTip(TOOLTIPS[f"preview.{key}"])
            self.labels[key].setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def show_words(self, words: Mapping[str, str], *, stale: bool = False) -> None:
        """Show what is given, a dash for the rest."""
        for key, label in self.labels.items():
            label.setText(words.get(key, "-"))
            label.setEnabled(not stale)

    def grow_stale(self, shown: str = "") -> None:
        """Dim the numbers, and say why in place of what they are of."""
        for label in self.labels.values():
            label.setEnabled(False)
        if shown and any(label.text() != "-" for label in self.labels.values()):
            self.labels["shown"].setText(shown)

    @property
    def stale(self) -> bool:
        return not self.labels["shown"].isEnabled()


class Sentence(QLabel):
    """Text that wraps and does not widen the dock."""

    def __init__(self) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)  # names of layers and files are in it
        self.setWordWrap(True)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.setVisible(False)

    def say(self, text: str) -> None:
        self.setText(text)
        self.setVisible(bool(text))


def ask_for_file(
    parent: QWidget,
    title: str,
    suggestion: str,
    kind: str,
    suffix: str,
    refused: Callable[[Path], str] = lambda _: "",
) -> Path | None:
    """Where to save; None if the user thinks better of it.

    A name typed without the suffix gets it.  The dialog asks before a file is overwritten, but of the name as it was
    typed: where there is a file of the whole name, it comes again with that name.  It also comes again, after a word
    about it, where `refused` gives a reason against a path.
    """
    while True:
        name, _ = QFileDialog.getSaveFileName(parent, title, suggestion, f"{kind} (*{suffix})")
        if not name:
            return None
        typed = Path(name)
        path = typed if typed.suffix.lower() == suffix else typed.with_name(typed.name + suffix)
        suggestion = str(path)
        if reason := refused(path):
            message = QMessageBox(QMessageBox.Icon.Warning, title, reason, parent=parent)
            message.setTextFormat(Qt.TextFormat.PlainText)
            message.exec()
        elif path == typed or not os.path.lexists(path):
            return path


def devices(wanted: str) -> list[str]:
    """Those that can be used, as far as that is known before PyTorch is loaded."""
    found = ["auto", "cpu"]
    torch: Any = sys.modules.get("torch")
    with suppress(AttributeError):  # not there, or just being imported, for which nobody here should wait
        found += [f"cuda:{k}" for k in range(torch.cuda.device_count())]
        found += ["mps"] if torch.backends.mps.is_available() else []
    return found if wanted in found else [*found, wanted]


def _caption(text: str) -> QLabel:
    label = QLabel(text)
    label.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
    return label
