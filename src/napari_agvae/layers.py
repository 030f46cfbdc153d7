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
_FOLLOWED = (*_PLACE, *_LOOK, "visible")


def bare(viewer: ViewerModel) -> ViewerModel:
    """The viewer in the proxy that plugins get, whose layers are other objects whenever one looks."""
    found: ViewerModel = getattr(viewer, "__wrapped__", viewer)
    return found


def is_own(layer: Any) -> bool:
    """Whether a layer was made by a preview."""
    return layer in _own


class PreviewLayers:
    """The layers of one source in one viewer.

    They hold one slice and lie where that is in the source: at other positions of the sliders the source is seen.
    They follow its place, look, name and visibility, not the other way: their own eyes hide them alone.

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
        self._index: tuple[int, ...] = ()
        self._name = source.name
        self._hidden: list[Image] = []
        self._kind = self._kind_now
        for name in _FOLLOWED:
            if hasattr(source.events, name):
                getattr(source.events, name).connect(self._follow)
        source.events.name.connect(self._rename)

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

    def show(self, canvas: PreviewCanvas, level: int, index: tuple[int, ...]) -> None:
        """Show what is on a canvas now, of the slice at an index."""
        self._index = index
        if canvas is not self._canvas:
            self._canvas = canvas
            if self.preview is not None:
                self._place(self.preview)
                self.preview.data = canvas.layer_data(len(index))
            if self.difference is not None:
                self._place(self.difference)
                self.difference.data = canvas.difference(len(index))
            if self.curtain is not None:
                self._place(self.curtain)
                self.show_curtain(self.share)
        if self.preview is None:
            self.preview = self._added(PREVIEW, canvas.layer_data(len(index)), self._look())
        else:
            _redraw(self.preview)
        self.preview.metadata["agvae"] = {"quality": level_to_quality(level)}
        self.show_difference(self.gain)
        if self.curtain is None:
            self.show_curtain(self.share)

    def show_difference(self, gain: float | None) -> None:
        """Show |original - reconstruction| times a gain, None for not at all."""
        self.gain = gain
        if gain is None or self._canvas is None:
            self._remove("difference")
            return
        if self.difference is None:
            look = {} if self.source.rgb else {"contrast_limits": [0, float(np.ptp(self.source.contrast_limits))]}
            self.difference = self._added(DIFFERENCE, self._canvas.difference(len(self._index)), look)
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
        data = self._canvas.layer_data(len(self._index), self._canvas.original[:, :columns])
        if self.curtain is None:
            self.curtain = self._added(CURTAIN, data, self._look())
        else:
            self.curtain.data = data

    def toggle(self) -> None:
        """Show the original in place of all that the preview shows, or that again."""
        if hidden := [layer for layer in self._hidden if layer in self._there and not layer.visible]:
            for layer in hidden:
                layer.visible = True
            self._hidden = []
        else:
            self._hidden = [layer for layer in self._there if layer.visible]
            for layer in self._hidden:
                layer.visible = False

    def forget(self, layer: Any) -> str:
        """Take down that the user has removed a layer: "preview", "difference", "curtain", or "" if it is none of them.

        Neither comes back until it is asked for.
        """
        name = next((name for name in _NAMES if layer is getattr(self, name)), "")
        if name:
            setattr(self, name, None)
        if name == "difference":
            self.gain = None
        elif name == "curtain":
            self.share = None
        return name

    def unfollow(self) -> None:
        """Follow the source no longer."""
        for name in _FOLLOWED:
            if hasattr(self.source.events, name):
                getattr(self.source.events, name).disconnect(self._follow)
        self.source.events.name.disconnect(self._rename)
        self._canvas = None

    def remove(self) -> None:
        """Remove the layers."""
        self._remove(*_NAMES)

    def remove_one(self) -> bool:
        """Remove one of the layers; whether there was one."""
        there = [name for name in _NAMES if getattr(self, name) is not None]
        self._remove(*there[:1])
        return bool(there)

    @property
    def _there(self) -> list[Image]:
        layers = (self.preview, self.difference, self.curtain)
        return [layer for layer in layers if layer is not None]

    def _place(self, layer: Image) -> None:
        """Put a layer where the slice is that it holds."""
        from napari.utils.transforms import Affine

        place = {name: getattr(self.source, name) for name in ("scale", "translate", "rotate", "shear")}
        layer.translate = Affine(**place)((*self._index, 0, 0))

    def _look(self) -> dict[str, Any]:
        if self.source.rgb:
            return {"interpolation2d": self.source.interpolation2d}
        return {name: getattr(self.source, name) for name in _LOOK}

    def _added(self, kind: str, data: Any, look: dict[str, Any]) -> Image:
        from napari.layers import Image

        layer = Image(
            data,
            name=_named(self.source.name, kind),
            rgb=self.source.rgb,
            multiscale=isinstance(data, list),
            **{name: getattr(self.source, name) for name in _PLACE if hasattr(self.source, name)},
            **look,
        )
        _own.add(layer)
        self._place(layer)
        active = self.viewer.layers.selection.active
        below = {PREVIEW: 1, DIFFERENCE: 2, CURTAIN: 2 if self.difference is None else 3}
        self.viewer.layers.insert(self.viewer.layers.index(self.source) + below[kind], layer)
        self.viewer.layers.selection.active = active
        return layer

    def _follow(self, event: Any) -> None:
        for layer in self._there:
            if event.type not in _LOOK or layer is not self.difference:
                if event.type != "translate":
                    setattr(layer, event.type, getattr(self.source, event.type))
                if event.type in _PLACE:
                    self._place(layer)

    def _rename(self) -> None:
        """Give the layers the name of the source, but for those that the user has named."""
        for layer, kind in ((self.preview, PREVIEW), (self.difference, DIFFERENCE), (self.curtain, CURTAIN)):
            if layer is not None and layer.name == _named(self._name, kind):
                layer.name = _named(self.source.name, kind)
        self._name = self.source.name

    def _remove(self, *names: str) -> None:
        for name in names:
            layer = getattr(self, name)
            setattr(self, name, None)
            if layer is not None and layer in self.viewer.layers:
                self.viewer.layers.remove(layer)


def _named(source: str, kind: str) -> str:
    return f"{source} · {kind}"


def _redraw(layer: Image) -> None:
    layer.refresh(thumbnail=False, highlight=False, extent=False)
