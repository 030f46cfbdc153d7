"""The part of the preview dock that compares the original with its reconstruction."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QDoubleSpinBox, QPushButton, QSlider, QVBoxLayout, QWidget

from napari_agvae.docks.controls import explain, row
from napari_agvae.docks.spin_boxes import any_notation

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_agvae.docks.preview_layers import PreviewLayers

TOGGLE_KEY = "H"
"""As in hide; napari uses it neither for the viewer nor for image layers, whose keys come first."""


class Comparison(QWidget):
    """Toggle, curtain and difference of the layers that `layers` gives, if there are any."""

    def __init__(self, layers: Callable[[], PreviewLayers | None]) -> None:
        super().__init__()
        self._layers = layers
        self.toggle = QPushButton(f"Original / preview ({TOGGLE_KEY})")
        self.curtain, self.difference = QCheckBox("curtain"), QCheckBox("difference x")
        self.share = QSlider(Qt.Orientation.Horizontal, minimum=0, maximum=100, value=50)
        self.gain = QDoubleSpinBox(minimum=1, maximum=64, value=8)
        any_notation(self.gain)
        explain(self, "preview", "toggle", "curtain", "share", "difference", "gain")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.toggle)
        layout.addLayout(row(self.curtain, self.share))
        layout.addLayout(row(self.difference, self.gain))
        for changed in (
            *(self.curtain.toggled, self.difference.toggled),
            *(self.share.valueChanged, self.gain.valueChanged),
        ):
            changed.connect(self.apply)
        self.toggle.clicked.connect(self.swap)

    def apply(self) -> None:
        """Bring the layers in line with the controls."""
        layers = self._layers()
        if layers is not None:
            layers.show_difference(self.gain.value() if self.difference.isChecked() else None)
            layers.show_curtain(self.share.value() / 100 if self.curtain.isChecked() else None)

    def swap(self, _: Any = None) -> None:
        """Show the original in place of the reconstruction, or the other way."""
        layers = self._layers()
        if layers is not None:
            layers.toggle()

    def bind(self, viewer: ViewerModel) -> None:
        """Let the key do what the button does, unless the key has a meaning already."""
        try:
            viewer.bind_key(TOGGLE_KEY, self.swap)
            self._bound = True
        except ValueError:
            self._bound = False

    def release(self, viewer: ViewerModel) -> None:
        """Give the key back."""
        if self._bound:
            viewer.bind_key(TOGGLE_KEY, None)
            self._bound = False
