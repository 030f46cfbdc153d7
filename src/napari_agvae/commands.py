"""What napari's menus and command palette offer beside the docks; of the viewer that was used last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QFileDialog

from napari_agvae.docks.preview_dock import PreviewDock
from napari_agvae.docks.tasks import opening, reconstructing

if TYPE_CHECKING:
    import napari


def compare() -> None:
    """Show the original in place of the reconstruction, or the other way."""
    dock = _dock()
    if dock.showing:
        dock.comparison.swap()
    else:
        dock.preview()


def split() -> None:
    """Show the original left of a line and the reconstruction right of it, or no longer."""
    _switch(_dock(), "curtain")


def difference() -> None:
    """Show the difference times the dock's gain, or no longer."""
    _switch(_dock(), "difference")


def reencode() -> None:
    """Add the selected image layer as saving it and opening the file would give it back."""
    from napari.layers import Image
    from napari.utils.notifications import show_warning

    viewer = _viewer()
    layer = viewer.layers.selection.active
    if isinstance(layer, Image):
        reconstructing(layer, lambda layers: _add(viewer, layers)).start()
    else:
        show_warning("Select an image layer to re-encode.")


def open_files() -> None:
    """Open .agv files without keeping the window waiting."""
    viewer = _viewer()
    paths, _ = QFileDialog.getOpenFileNames(None, "Open .agv", "", "AGVAE images (*.agv)")
    for path in paths:
        opening(path, lambda layers: _add(viewer, layers)).start()


def _switch(dock: PreviewDock, name: str) -> None:
    control = getattr(dock.comparison, name)
    control.value = not control.value or not dock.showing
    if not dock.showing:
        dock.preview()


def _dock() -> PreviewDock:
    """The viewer's preview dock, opened if it is not."""
    window = _viewer().window
    found = next((each for each in window.dock_widgets.values() if isinstance(each, PreviewDock)), None)
    dock: PreviewDock = found or window.add_plugin_dock_widget("agvae", "AGVAE preview")[1]
    return dock


def _viewer() -> napari.viewer.Viewer:
    import napari

    return napari.current_viewer()


def _add(viewer: napari.viewer.Viewer, layers: Sequence[tuple[Any, dict[str, Any], str]]) -> None:
    from napari.layers import Layer

    for each in layers:
        viewer.add_layer(Layer.create(*each))
