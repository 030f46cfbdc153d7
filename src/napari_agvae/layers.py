"""The layers that a preview shows beside its source: reconstruction and difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np

from agvae.container import Box
from agvae.quality import level_to_quality
from napari_agvae.canvas import PreviewCanvas
from napari_agvae.regions import visible_box

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

PREVIEW, DIFFERENCE, CURTAIN = "AGVAE preview", "AGVAE difference", "AGVAE curtain"
_PLACE = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
_NAMES = ("preview", "difference", "curtain")
_own: WeakSet[Any] = WeakSet()
_LOOK = ("contrast_limits", "colormap", "gamma", "interpolation2d")


def bare(viewer: ViewerModel) -> ViewerModel:
    """The viewer in the proxy that plugins get, whose layers are other objects whenever one looks."""
    found: ViewerModel = getattr(viewer, "__wrapped__", viewer)
    return found


def is_own(layer: Any) -> bool:
    """Whether a layer was made by a preview."""
    return layer in _own


class PreviewLayers:
    """The layers of one source in one viewer.

    The reconstruction follows place, look and visibility of its source, not the other way: its own eye hides it alone.

    Attributes:
        source, preview, difference, curtain: layers, None as long as there is nothing to show.
        gain: of the difference layer, None for no such layer.
        share: of the width that the curtain covers with the original, None for no curtain.
    """

    def __init__(self, viewer: ViewerModel, source: Image) -> None:
        self.viewer, self.source = viewer, source
        self.preview: Image | None = None
        self.difference: Image | None = None
        self.gain: float | None = None
        self.curtain: Image | None = None
        self.share: float | None = None
        self._canvas: PreviewCanvas | None = None
        self._original: Any = None
        self._kind = self._kind_now
        for name in (*_PLACE, *_LOOK, "visible"):
            if hasattr(source.events, name):
                getattr(source.events, name).connect(self._follow)

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
        if not self._flat:
            return None
        ndim = self.source.ndim
        position = self.source.world_to_data(self.viewer.dims.point[-ndim:])[: ndim - 2]
        index = tuple(int(np.rint(value)) for value in position)
        shape = self._shape[: ndim - 2]
        return index if all(0 <= k < n for k, n in zip(index, shape, strict=True)) else None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of a slice."""
        height, width = self._shape[self.source.ndim - 2 : self.source.ndim]
        return width, height

    @property
    def visible(self) -> Box:
        """What of a slice is on view."""
        corners = np.asarray(self.source.corner_pixels, float)[:, -2:]
        if (corners[0] == corners[1]).any():  # not drawn yet
            return (0, 0, *self.size)
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
        return self._shape, self.source.dtype, self.source.rgb

    @property
    def _shape(self) -> tuple[int, ...]:
        return tuple(self.source.data[0].shape if self.source.multiscale else self.source.data.shape)

    def show(self, canvas: PreviewCanvas, level: int) -> None:
        """Show what is on a canvas now."""
        if canvas is not self._canvas:
            self._canvas = canvas
            self._remove(*_NAMES)
        if self.preview is None or self.preview not in self.viewer.layers:
            self.preview = self._added(PREVIEW, canvas.layer_data(self._axes), self._look())
        else:
            _redraw(self.preview)
        self.preview.metadata["agvae"] = {"quality": level_to_quality(level)}
        self.show_difference(self.gain)
        if self.curtain is None or canvas.original is not self._original:
            self._original = canvas.original
            self.show_curtain(self.share)

    def show_difference(self, gain: float | None) -> None:
        """Show |original - reconstruction| times a gain, None for not at all."""
        self.gain = gain
        if gain is None or self._canvas is None:
            self._remove("difference")
            return
        if self.difference is None or self.difference not in self.viewer.layers:
            look = {} if self.source.rgb else {"contrast_limits": [0, float(np.ptp(self.source.contrast_limits))]}
            self.difference = self._added(DIFFERENCE, self._canvas.difference(self._axes), look)
        for part in self.difference.data if self.difference.multiscale else [self.difference.data]:
            part.gain = gain
        _redraw(self.difference)

    def show_curtain(self, share: float | None) -> None:
        """Show the original left of a share (0 .. 1) of the width; None for nowhere."""
        self.share = share
        columns = 0 if share is None else round(share * self.size[0])
        if not columns or self._canvas is None:
            self._remove("curtain")
            return
        data = self._canvas.layer_data(self._axes, self._canvas.original[:, :columns])
        if self.curtain is None or self.curtain not in self.viewer.layers:
            self.curtain = self._added(CURTAIN, data, self._look())
        else:
            self.curtain.data = data

    def toggle(self) -> None:
        """Show the original in place of the reconstruction, or the other way."""
        if self.preview is not None:
            self.preview.visible = not self.preview.visible

    def unfollow(self) -> None:
        """Follow the source no longer."""
        for name in (*_PLACE, *_LOOK, "visible"):
            if hasattr(self.source.events, name):
                getattr(self.source.events, name).disconnect(self._follow)
        self._canvas = self._original = None

    def remove(self) -> None:
        """Remove the layers."""
        self._remove(*_NAMES)

    def remove_one(self) -> bool:
        """Remove one of the layers; whether there was one."""
        there = [name for name in _NAMES if getattr(self, name) is not None]
        self._remove(*there[:1])
        return bool(there)

    @property
    def _axes(self) -> tuple[int, ...]:
        return self._shape[: self.source.ndim - 2]

    def _look(self) -> dict[str, Any]:
        if self.source.rgb:
            return {"interpolation2d": self.source.interpolation2d}
        return {name: getattr(self.source, name) for name in _LOOK}

    def _added(self, kind: str, data: Any, look: dict[str, Any]) -> Image:
        from napari.layers import Image

        layer = Image(
            data,
            name=f"{self.source.name} · {kind}",
            rgb=self.source.rgb,
            multiscale=isinstance(data, list),
            **{name: getattr(self.source, name) for name in _PLACE if hasattr(self.source, name)},
            **look,
        )
        _own.add(layer)
        active = self.viewer.layers.selection.active
        below = {PREVIEW: 1, DIFFERENCE: 2, CURTAIN: 2 if self.difference is None else 3}
        self.viewer.layers.insert(self.viewer.layers.index(self.source) + below[kind], layer)
        self.viewer.layers.selection.active = active
        return layer

    def _follow(self, event: Any) -> None:
        for layer in (self.preview, self.difference, self.curtain):
            if layer is not None and (event.type not in _LOOK or layer is not self.difference):
                setattr(layer, event.type, getattr(self.source, event.type))

    def _remove(self, *names: str) -> None:
        for name in names:
            layer = getattr(self, name)
            setattr(self, name, None)
            if layer is not None and layer in self.viewer.layers:
                self.viewer.layers.remove(layer)


def _redraw(layer: Image) -> None:
    layer.refresh(thumbnail=False, highlight=False, extent=False)
