"""Open napari with the sample photograph and the preview dock.

    python examples/napari_preview.py [IMAGE]

Drag the slider: the layer "... · AGVAE preview" shows what a file of that quality looks like.
"""

from __future__ import annotations

import sys

import napari

viewer = napari.Viewer()
if len(sys.argv) > 1:
    viewer.open(sys.argv[1], plugin=None)
else:
    viewer.open_sample("agvae", "photo")
viewer.window.add_plugin_dock_widget("agvae", "AGVAE preview")
napari.run()
