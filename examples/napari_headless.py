"""napari without a window: open, change and save layers in a script or on a server.

    python examples/napari_headless.py [FOLDER]

`ViewerModel` is napari's viewer without Qt; plugins are found once `discover` has been called.
"""

from __future__ import annotations

import sys
from pathlib import Path

from napari.components import ViewerModel
from npe2 import PluginManager

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
PluginManager.instance().discover()
viewer = ViewerModel()

(photo,) = viewer.open_sample("agvae", "photo")
for quality in (1, 3.5, 6):
    photo.metadata["agvae"] = {"quality": quality}  # what the writer is asked for
    (path,) = photo.save(str(folder / f"photo-{quality}.agv"))
    (layer,) = viewer.open(path, plugin="agvae")
    print(f"{Path(path).name}: {layer.metadata['agv']['bytes']} bytes, {layer.metadata['agv']['bpp']:.2f} bpp")

(cells,) = viewer.open_sample("agvae", "stack")
cells.metadata["agvae"] = {"quality": 5}
(path,) = cells.save(str(folder / "cells.agv"))
(layer,) = viewer.open(path, plugin="agvae")
print(f"cells.agv: {layer.data.shape} {layer.dtype}, scale {layer.scale}, decoded frame by frame: {type(layer.data)}")
