"""The part of the preview dock that compares the original with its reconstruction."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from magicgui import widgets
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_agvae.docks.spin_boxes import any_notation
from napari_agvae.texts import TOOLTIPS

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
        self.toggle = widgets.PushButton(text=f"Original / preview ({TOGGLE_KEY})")
        self.curtain = widgets.CheckBox(text="curtain")
        self.share = widgets.Slider(value=50, min=0, max=100, readout=False)
        self.difference = widgets.CheckBox(text="difference x")
        self.gain = widgets.FloatSpinBox(value=8.0, min=1.0, max=64.0, step=1.0)
        any_notation(self.gain.native)
        for name in ("toggle", "curtain", "share", "difference", "gain"):
            getattr(self, name).tooltip = TOOLTIPS[f"preview.{name}"]
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._rows = [row(self.toggle), row(self.curtain, self.share), row(self.difference, self.gain)]
        for part in self._rows:
            layout.addWidget(part.native)
        for control in (self.curtain, self.share, self.difference, self.gain):
            control.changed.connect(self.apply)
        self.toggle.changed.connect(self.swap)

    def apply(self) -> None:
        """Bring the layers in line with the controls."""
        layers = self._layers()
        if layers is not None:
            layers.show_difference(self.gain.value if self.difference.value else None)
            layers.show_curtain(self.share.value / 100 if self.curtain.value else None)

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


def row(*parts: widgets.bases.Widget, label: str = "") -> widgets.Container:
    """Widgets side by side, without margins."""
    container = widgets.Container(widgets=parts, layout="horizontal", labels=False, label=label)
    container.native.layout().setContentsMargins(0, 0, 0, 0)
    for part in parts:
        part.native.setMinimumWidth(0)
    return container
