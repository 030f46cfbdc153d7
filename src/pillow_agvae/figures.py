"""Figures of matplotlib as .agv files: after `register()`, `figure.savefig("chart.agv")` writes one.

Without that, `figure.savefig("chart.agv", backend="module://pillow_agvae.figures")` does.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from matplotlib.backend_bases import register_backend
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

import pillow_agvae


def register() -> None:
    """Have matplotlib, with any backend, write .agv files."""
    register_backend("agv", __name__, "AG-VAE image")


class FigureCanvas(FigureCanvasAgg):
    """What matplotlib draws a figure on that is to be an .agv file."""

    def print_agv(
        self,
        filename_or_obj: str | os.PathLike[str] | IO[bytes],
        *,
        pil_kwargs: Mapping[str, Any] | None = None,
        facecolor: object = None,
        edgecolor: object = None,
        orientation: object = None,
        bbox_inches_restore: object = None,
    ) -> None:
        """Write the figure; a file that has a name is written whole or not at all.

        Args:
            pil_kwargs: options of `Image.save`, such as quality or lossless.
            facecolor, edgecolor, orientation, bbox_inches_restore: nothing; matplotlib has applied them to the figure.
        """
        self.draw()  # type: ignore[no-untyped-call]
        pixels = np.asarray(self.buffer_rgba())  # type: ignore[no-untyped-call]
        image = Image.fromarray(pixels[..., :3] if pixels[..., 3].min() == 255 else pixels)
        options = {"dpi": (self.figure.dpi, self.figure.dpi), **(pil_kwargs or {})}
        if isinstance(filename_or_obj, str | os.PathLike):
            pillow_agvae.save(image, filename_or_obj, **options)
        else:
            image.save(filename_or_obj, "AGV", **options)
