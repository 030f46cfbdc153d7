"""The widgets of the preview dock."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QCheckBox, QComboBox, QLabel, QPushButton, QVBoxLayout, QWidget

from agvae.quality import level_to_quality, parse_quality
from agvae.weights import registry
from napari_agvae.docks.compare import Comparison
from napari_agvae.docks.controls import QualityEditor, ReadOuts, Sentence, devices, explain, row
from napari_agvae.docks.dock import Dock, Scrolled
from napari_agvae.docks.search import UNITS
from napari_agvae.docks.shown_numbers import ShownNumbers
from napari_agvae.docks.spin_boxes import settle, target_box
from napari_agvae.preferences import Settings
from napari_agvae.state import Choice

if TYPE_CHECKING:
    from agvae.coding.assemble import Level
    from napari_agvae.docks.preview_layers import PreviewLayers

READ_OUTS = {
    "shown": "shown",
    "size": "size",
    "ratio": "ratio",
    "stack": "stack",
    "rate": "rate",
    "psnr": "PSNR",
    "ms_ssim": "MS-SSIM",
    "time": "time",
}
LOWEST = 130
"""Height in pixels of which the dock shows the slider and the first numbers; the rest is scrolled."""


class PreviewForm(Dock):
    """What the dock consists of, at first as the settings say; `layers` gives what there is to compare."""

    def __init__(self, settings: Settings, layers: Callable[[], PreviewLayers | None]) -> None:
        super().__init__()
        self.source = Sentence()
        self.unsavable = Sentence()
        self.editor = QualityEditor(parse_quality(settings.quality))
        self.lossless = QCheckBox("without loss")
        self.lossless.setChecked(settings.lossless)
        self.readouts = ReadOuts(READ_OUTS)
        self.numbers = ShownNumbers(self.readouts, self.unsavable)
        self.status = Sentence()
        self.comparison = Comparison(layers)
        known = registry()
        self.model, self.device, self.unit = QComboBox(), QComboBox(), QComboBox()
        self.model.addItem(f"default ({known['default']})", "")
        for name in known["models"]:
            self.model.addItem(name, name)
        if self.model.findData(settings.model) < 0:  # a preview tells what saving tells
            self.model.addItem(settings.model, settings.model)
        self.model.setCurrentIndex(self.model.findData(settings.model))
        self.device.addItems(devices(settings.device))
        self.device.setCurrentText(settings.device)
        self.unit.addItems(UNITS)
        self.target = target_box()
        self.search, self.get = QPushButton("Find"), QPushButton("Get model")
        self.save, self.cancel = QPushButton("Save as .agv …"), QPushButton("Cancel")
        self.get.setVisible(False)
        self.cancel.setEnabled(False)
        explain(self, "preview", "lossless", "model", "device", "target", "unit", "search", "save", "cancel", "get")
        inside = QWidget()
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(1, 5, 1, 5)
        for part in (self.source, self.unsavable, self.editor, self.lossless, self.readouts, self.status, self.get):
            layout.addWidget(part)
        target = row(QLabel("target"), self.target, self.unit, self.search)
        target.setSpacing(3)  # the least width has to do for a target's three decimals
        for line in (target, row(QLabel("model"), self.model), row(QLabel("device"), self.device)):
            layout.addLayout(line)
        layout.addWidget(self.comparison)
        layout.addStretch()
        outside = QVBoxLayout(self)
        outside.setContentsMargins(3, 0, 3, 5)
        outside.addWidget(Scrolled(inside, LOWEST))
        outside.addLayout(row(self.save, self.cancel))
        self.lossless.toggled.connect(self._leave_quality)
        self._leave_quality()

    @property
    def level(self) -> Level:
        """See `agvae.quality`; None for no loss."""
        return None if self.lossless.isChecked() else self.editor.level

    @property
    def choice(self) -> Choice:
        quality, device = level_to_quality(self.editor.level), self.device.currentText()
        return Choice(quality, self.model.currentData(), device, self.lossless.isChecked())

    def set_level(self, level: Level) -> None:
        """Show a level, without a signal."""
        with QSignalBlocker(self.lossless):
            self.lossless.setChecked(level is None)
        if level is not None:
            self.editor.set_level(level)
        self._leave_quality()

    def _leave_quality(self) -> None:
        """Without loss there is nothing to choose."""
        for part in (self.editor, self.target, self.unit, self.search, self.model, self.device):
            part.setEnabled(not self.lossless.isChecked())

    @property
    def wanted(self) -> tuple[float, str]:
        """The target and its unit."""
        settle(self.target)
        return self.target.value(), self.unit.currentText()

    def offer_devices(self) -> None:
        """Let the user choose among those that can be used, as far as that is known by now."""
        chosen = self.device.currentText()
        with QSignalBlocker(self.device):
            self.device.clear()
            self.device.addItems(devices(chosen))
            self.device.setCurrentText(chosen)
