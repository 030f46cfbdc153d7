"""Keep a lazily computed float stack with its geometry in one .agv file, and read single frames of it.

    python examples/napari_stack.py [FILE.agv]

Needs neither napari nor a display: the functions are those that napari calls for File > Save and File > Open.
"""

from __future__ import annotations

import sys

import dask.array as da
import numpy as np

from napari_agvae import read_agv, write_agv

path = sys.argv[1] if len(sys.argv) > 1 else "waves.agv"


def frame(block_id: tuple[int, ...]) -> np.ndarray:
    """One (Y, X) plane of the stack, made when it is asked for."""
    time, depth = block_id[:2]
    y, x = np.mgrid[:96, :128]
    wave = np.sin(np.hypot(y - 48, x - 64) / (3 + depth) - time)
    return (0.5 + 0.1 * wave).astype(np.float32)[None, None]


times, depths = 3, 2
stack = da.map_blocks(frame, chunks=((1,) * times, (1,) * depths, (96,), (128,)), dtype=np.float32)
attributes = {
    "name": "waves",
    "scale": (10, 2, 0.5, 0.5),
    "units": ("s", "um", "um", "um"),
    "axis_labels": ("t", "z", "y", "x"),
    "metadata": {"microscope": "none"},
}
write_agv(path, [(stack, attributes, "image")], quality=4.5)

((data, found, _),) = read_agv(path)
facts = found["metadata"]["agv"]
print(f"{path}: {data.shape} {data.dtype}, {facts['bytes']} bytes, {facts['bpp']:.2f} bpp")
print("scale", found["scale"], "units", found["units"])
one = data[2, 1].compute()  # decodes this frame only
print("largest error of one frame", np.abs(one - stack[2, 1].compute()).max().round(4))
