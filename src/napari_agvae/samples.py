"""Sample data, all bundled: a photograph, the same as a file, and a stack of drawn cells."""

from __future__ import annotations

from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_agvae.io.document import LayerData
from napari_agvae.io.reader import read_agv

SHAPE = (8, 160, 200)
"""Times, rows and columns of the stack."""


def photo() -> list[LayerData]:
    """A photograph of a cat, uint8 (300, 451, 3)."""
    with files("agvae").joinpath("data", "chelsea.png").open("rb") as file, Image.open(file) as image:
        return [(np.asarray(image.convert("RGB")), {"name": "photo", "rgb": True}, "image")]


def coded() -> list[LayerData]:
    """The photograph from an .agv file of quality 3.5."""
    with as_file(files("napari_agvae").joinpath("data", "chelsea.agv")) as path:
        return read_agv(path)


def stack() -> list[LayerData]:
    """Cells that drift and divide, uint16 (T, Y, X), with noise as a camera has it."""
    attributes = {
        "name": "cells",
        "scale": (5, 0.65, 0.65),
        "units": ("s", "um", "um"),
        "axis_labels": ("t", "y", "x"),
        "contrast_limits": (90, 1100),
    }
    return [(_cells(), attributes, "image")]


def _cells() -> NDArray[np.uint16]:
    rng = np.random.default_rng(7)
    times, rows, columns = SHAPE
    y, x = np.mgrid[:rows, :columns]
    centres = rng.uniform((0, 0), (rows, columns), (14, 2))
    drift = rng.normal(0, 1.2, centres.shape)
    widths = rng.uniform(6, 11, len(centres))
    apart = rng.normal(0, 1, centres.shape)
    apart *= 1.4 * (widths / np.hypot(*apart.T))[:, None]
    frames = []
    for time in range(times):
        light = np.full((rows, columns), 110.0)
        parted = np.clip(time - np.arange(len(centres)) % times, 0, 3)[:, None] / 3
        for side in (-1, 1):
            for (cy, cx), width in zip(centres + drift * time + side * apart * parted, widths, strict=True):
                light += 420 * np.exp(-((((y - cy) ** 2 + (x - cx) ** 2) / width**2) ** 2))
        frames.append(rng.poisson(light))
    return np.stack(frames).astype(np.uint16)
