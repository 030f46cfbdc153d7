"""The widgets of the preview dock."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from magicgui import widgets
from qtpy.QtWidgets import QVBoxLayout, QWidget

from agvae.quality import EFFORTS, level_to_quality, parse_quality
from agvae.weights import registry
from napari_agvae.docks.compare import Comparison, row
from napari_agvae.docks.controls import QualityEditor, ReadOuts, Sentence, devices
from napari_agvae.docks.dock import Dock, Scrolled
from napari_agvae.docks.search import UNITS
from napari_agvae.docks.shown_numbers import ShownNumbers
from napari_agvae.docks.spin_boxes import settle, target_box
from napari_agvae.preferences import Settings
from napari_agvae.state import Choice
from napari_agvae.texts import TOOLTIPS

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
        self.lossless = widgets.CheckBox(text="without loss", value=settings.lossless)
        self.readouts = ReadOuts(READ_OUTS)
        self.numbers = ShownNumbers(self.readouts, self.unsavable)
        self.status = Sentence()
        self.comparison = Comparison(layers)
        known = registry()
        models = [(f"default ({known['default']})", ""), *((name, name) for name in known["models"])]
        if settings.model and settings.model not in known["models"]:  # a preview tells what saving tells
            models.append((settings.model, settings.model))
        self.model = widgets.ComboBox(choices=models, value=settings.model)
        self.device = widgets.ComboBox(choices=devices(settings.device), value=settings.device)
        self.effort = widgets.SpinBox(value=settings.effort, min=EFFORTS[0], max=EFFORTS[1])
        self.target = target_box()
        self.unit = widgets.ComboBox(choices=UNITS)
        self.search = widgets.PushButton(text="Find")
        self.save = widgets.PushButton(text="Save as .agv …")
        self.cancel = widgets.PushButton(text="Cancel", enabled=False)
        self.get = widgets.PushButton(text="Get model", visible=False)
        for name in ("lossless", "model", "device", "effort", "target", "unit", "search", "save", "cancel", "get"):
            getattr(self, name).tooltip = TOOLTIPS[f"preview.{name}"]
        form = (
            (widgets.Label(value="target"), self.target, self.unit, self.search),
            (widgets.Label(value="model"), self.model),
            (widgets.Label(value="device"), self.device),
            (widgets.Label(value="effort"), self.effort),
        )
        self._rows = [row(*parts) for parts in form]
        self._rows[0].native.layout().setSpacing(3)  # the least width has to do for a target's three decimals
        self._buttons = row(self.save, self.cancel)
        inside = QWidget()
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(1, 5, 1, 5)
        parts = (
            self.source,
            self.unsavable,
            self.editor,
            self.lossless.native,
            self.readouts,
            self.status,
            self.get.native,
        )
        for part in parts:
            layout.addWidget(part)
        for line in self._rows:
            layout.addWidget(line.native)
        layout.addWidget(self.comparison)
        layout.addStretch()
        outside = QVBoxLayout(self)
        outside.setContentsMargins(3, 0, 3, 5)
        outside.addWidget(Scrolled(inside, LOWEST))
        outside.addWidget(self._buttons.native)

        self.lossless.changed.connect(self._leave_quality)
        self._leave_quality()

    @property
    def level(self) -> Level:
        """See `agvae.quality`; None for no loss."""
        return None if self.lossless.value else self.editor.level

    @property
    def choice(self) -> Choice:
        quality, lossless = level_to_quality(self.editor.level), bool(self.lossless.value)
        return Choice(quality, self.model.value, self.device.value, lossless, self.effort.value)

    def set_level(self, level: Level) -> None:
        """Show a level, without a signal."""
        with self.lossless.changed.blocked():
            self.lossless.value = level is None
        if level is not None:
            self.editor.set_level(level)
        self._leave_quality()

    def _leave_quality(self, _: Any = None) -> None:
        """Without loss there is nothing to choose."""
        for part in (self.editor, *(line.native for line in self._rows)):
            part.setEnabled(not self.lossless.value)

    @property
    def wanted(self) -> tuple[float, str]:
        """The target and its unit."""
        settle(self.target.native)
        return self.target.value, self.unit.value

    def offer_devices(self) -> None:
        """Let the user choose among those that can be used, as far as that is known by now."""
        self.device.choices = devices(self.device.value)
