"""What of a layer the viewer shows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from agvae.boxes import Box
from napari_agvae.preview.regions import visible_box

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image


MOVES = ("current_step", "order", "ndisplay")
"""Events of `viewer.dims` after which another slice may be on view."""


class OnView:
    """One source in one viewer."""

    def __init__(self, viewer: ViewerModel, source: Image) -> None:
        self.viewer, self.source = viewer, source
        self._kind = self._kind_now

    @property
    def fits(self) -> bool:
        """Whether the source has the axes and the type that it had when this was made."""
        return self._kind == self._kind_now

    @property
    def obstacle(self) -> str:
        """Why there is no `index`; empty if there is one."""
        if not self._flat:
            return "Only rows and columns of a layer can be coded: show these, in two dimensions."
        return "" if self.index is not None else "The viewer's sliders are outside this layer."

    @property
    def index(self) -> tuple[int, ...] | None:
        """Of the slice on view, or None where no rows and columns of the source are on view."""
        ndim = self.source.ndim
        if not self._flat or self.viewer.dims.ndim < ndim:  # of a window that closes
            return None
        point = np.array(self.viewer.dims.point[-ndim:], float) * self._units
        point[-2:] = 0  # as napari, which goes by the sliders alone
        position = self.source.world_to_data(point)[: ndim - 2]
        index = tuple(int(np.rint(value)) for value in position)
        shape = self.shape[: ndim - 2]
        return index if all(0 <= k < n for k, n in zip(index, shape, strict=True)) else None

    @property
    def _units(self) -> Any:
        """What the viewer's units are in those of the source, for each axis of it."""
        world = getattr(self.viewer.dims, "units", None)  # napari 0.9 has them
        if world is None or len(world) < self.source.ndim:
            return np.ones(self.source.ndim)
        import pint

        sizes = pint.get_application_registry().get_base_units
        own = self.source.units
        return np.array([sizes(a)[0] / sizes(b)[0] for a, b in zip(world[-len(own) :], own, strict=True)], float)

    @property
    def count(self) -> int:
        """Number of slices."""
        return math.prod(self.shape[: self.source.ndim - 2])

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of a slice."""
        height, width = self.shape[self.source.ndim - 2 : self.source.ndim]
        return width, height

    @property
    def visible(self) -> Box:
        """What of a slice is on view."""
        corners = np.asarray(self.source.corner_pixels, float)[:, -2:]
        if (corners[0] == corners[1]).any():  # not drawn yet
            return Box(0, 0, *self.size)
        factor = 1.0
        if self.source.multiscale:
            factor = float(self.source.downsample_factors[self.source.data_level][self.source.ndim - 1])
        return visible_box(corners.tolist(), factor, self.size)

    @property
    def _flat(self) -> bool:
        """Whether rows and columns are what the viewer shows, in two dimensions."""
        dims = self.viewer.dims
        return dims.ndisplay == 2 and tuple(dims.displayed) == (dims.ndim - 2, dims.ndim - 1)

    @property
    def _kind_now(self) -> tuple[Any, ...]:
        return self.shape, self.source.dtype, self.source.rgb

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the data, colour included; of a pyramid that of the finest level."""
        return tuple(self.source.data[0].shape if self.source.multiscale else self.source.data.shape)
