"""What napari's menus and command palette offer beside the docks; napari gives them its viewer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QFileDialog

from napari_agvae.docks.preview_dock import PreviewDock
from napari_agvae.docks.tasks import opening, reconstructing

if TYPE_CHECKING:
    import napari


def compare(viewer: napari.viewer.Viewer) -> None:
    """Show the original in place of the reconstruction, or the other way."""
    dock = _dock(viewer)
    if dock.showing:
        dock.comparison.swap()
    else:
        dock.preview()


def split(viewer: napari.viewer.Viewer) -> None:
    """Show the original left of a line and the reconstruction right of it, or no longer."""
    _switch(_dock(viewer), "curtain")


def difference(viewer: napari.viewer.Viewer) -> None:
    """Show the difference times the dock's gain, or no longer."""
    _switch(_dock(viewer), "difference")


def reencode(viewer: napari.viewer.Viewer) -> None:
    """Add the selected image layer as saving it and opening the file would give it back."""
    from napari.layers import Image
    from napari.utils.notifications import show_warning

    layer = viewer.layers.selection.active
    if isinstance(layer, Image):
        reconstructing(layer, lambda layers: _add(viewer, layers)).start()
    else:
        show_warning("Select an image layer to re-encode.")


def open_files(viewer: napari.viewer.Viewer) -> None:
    """Open .agv files without keeping the window waiting."""
    paths, _ = QFileDialog.getOpenFileNames(None, "Open .agv", "", "AGVAE images (*.agv)")
    for path in paths:
        opening(path, lambda layers: _add(viewer, layers)).start()


def _switch(dock: PreviewDock, name: str) -> None:
    control = getattr(dock.comparison, name)
    control.value = not control.value or not dock.showing
    if not dock.showing:
        dock.preview()


def _dock(viewer: napari.viewer.Viewer) -> PreviewDock:
    """The viewer's preview dock, opened if it is not."""
    window = viewer.window
    found = next((each for each in window.dock_widgets.values() if isinstance(each, PreviewDock)), None)
    dock: PreviewDock = found or window.add_plugin_dock_widget("agvae", "AGVAE preview")[1]
    return dock


def _add(viewer: napari.viewer.Viewer, layers: Sequence[tuple[Any, dict[str, Any], str]]) -> None:
    from napari.layers import Layer

    for each in layers:
        viewer.add_layer(Layer.create(*each))
