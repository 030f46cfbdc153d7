"""The layers that a preview shows beside its source: reconstruction and difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from agvae.quality import level_to_quality
from napari_agvae.docks.connections import Connections
from napari_agvae.own import claim
from napari_agvae.preview.canvas import PreviewCanvas
from napari_agvae.preview.on_view import MOVES, OnView

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from agvae.coding.assemble import Level

PREVIEW, DIFFERENCE, CURTAIN = "AGVAE preview", "AGVAE difference", "AGVAE curtain"
_PLACE = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
_NAMES = ("preview", "difference", "curtain")
_LOOK = ("contrast_limits", "colormap", "gamma", "interpolation2d", "blending", "opacity")
_LOOK_OF_COLOUR = ("interpolation2d", "blending", "opacity")
_COVER = ("blending", "opacity", "colormap")
_COVERING = ("opaque", "translucent", "translucent_no_depth")
_FOLLOWED = (*_PLACE, *_LOOK, "visible")


def bare(viewer: ViewerModel) -> ViewerModel:
    """The viewer in the proxy that plugins get, whose layers are other objects whenever one looks."""
    found: ViewerModel = getattr(viewer, "__wrapped__", viewer)
    return found


class PreviewLayers(OnView):
    """The layers of one source in one viewer.

    They hold one slice and lie where that is in the source: at other positions of the sliders the source is seen.
    They follow its place, look, name and visibility, not the other way: their own eyes hide them alone.  A source that
    would shine through its reconstruction (of additive channels, say) is hidden as long as that is on view.

    Attributes:
        preview, difference, curtain: layers, None as long as there is nothing to show.
        gain: of the difference layer, None for no such layer.
        share: of the width that the curtain covers with the original, None for no curtain.
    """

    def __init__(self, viewer: ViewerModel, source: Image) -> None:
        super().__init__(viewer, source)
        self.preview: Image | None = None
        self.difference: Image | None = None
        self.gain: float | None = None
        self.curtain: Image | None = None
        self.share: float | None = None
        self._canvas: PreviewCanvas | None = None
        self._index: tuple[int, ...] = ()
        self._name = source.name
        self._hidden: list[Image] = []
        self._replaced = self._busy = False
        self._following = Connections(
            *((source.events[name], self._follow) for name in _FOLLOWED if name in source.events),
            (source.events.name, self._rename),
            *((viewer.dims.events[name], self._see_to_source) for name in MOVES),
            (viewer.layers.events.reordered, self._see_to_order),
        )

    def show(self, canvas: PreviewCanvas, level: Level, index: tuple[int, ...]) -> None:
        """Show what is on a canvas now, of the slice at an index."""
        if self.source not in self.viewer.layers:
            return  # the window closes
        self._index = index
        if canvas is not self._canvas:
            self._canvas = canvas
            if self.preview is not None:
                self._lay_preview()
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
        self.preview.metadata["agvae"] = {"lossless": True} if level is None else {"quality": level_to_quality(level)}
        self.show_difference(self.gain)
        if self.curtain is None:
            self.show_curtain(self.share)
        self._see_to_source()

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
        columns = self._columns
        if not columns or self._canvas is None:
            self._remove("curtain")
        else:
            data = self._canvas.layer_data(len(self._index), self._canvas.original[:, :columns])
            if self.curtain is None:
                self.curtain = self._added(CURTAIN, data, self._look())
            else:
                self.curtain.data = data
        if self._canvas is not None and self.preview is not None and not self._covering:
            self._lay_preview()

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
            self.show_curtain(None)
        self._see_to_source()
        return name

    def unfollow(self) -> None:
        """Follow the source no longer."""
        self._following.end()
        self._canvas = None
        self._see_to_source()
        for layer in self._there:  # which go soon, while others of the same names may come
            layer.name = f"{layer.name} …"
            layer.visible &= self.source.ndim == 2 or self.source in self.viewer.layers  # or some OpenGL crashes

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

    @property
    def _columns(self) -> int:
        """Of the curtain."""
        return 0 if self.share is None else round(self.share * self.size[0])

    @property
    def _covering(self) -> bool:
        """Whether a layer that looks as the source does hides what is below it."""
        source = self.source
        if source.blending not in _COVERING or source.opacity < 1:
            return False
        if source.rgb:
            return bool(self.shape[-1] == 3)
        return bool((np.asarray(source.colormap.colors)[:, 3] == 1).all())

    def _see_to_source(self, _: Any = None) -> None:
        """Hide the source where it would shine through its reconstruction; show it where that is not on view."""
        seen = self._canvas is not None and self.preview is not None and self.preview.visible
        replaced = seen and self._index == self.index and not self._covering
        if replaced != self._replaced and (self._replaced or self.source.visible):
            self._replaced = replaced
            self._busy = True
            try:
                self.source.visible = not replaced
            finally:
                self._busy = False

    def _see_to_order(self, _: Any = None) -> None:
        """Keep the layers right above the source."""
        layers = self.viewer.layers
        if self._busy or self.source not in layers:
            return
        self._busy = True
        try:
            for above, layer in enumerate((layer for layer in self._there if layer in layers), 1):
                wanted = layers.index(self.source) + above
                if layers.index(layer) != wanted:
                    layers.move(layers.index(layer), wanted)
        finally:
            self._busy = False

    def _lay_preview(self) -> None:
        """Show the canvas; where it hides nothing below it, beside the curtain."""
        assert self.preview is not None
        assert self._canvas is not None
        left = 0 if self._covering or self.curtain is None else min(self._columns, self.size[0] - 1)
        self._place(self.preview, left)
        self.preview.data = self._canvas.layer_data(len(self._index), self._canvas.pixels[:, left:])

    def _place(self, layer: Image, left: int = 0) -> None:
        """Put a layer, which begins so many columns from the left, where the slice is that it holds."""
        from napari.utils.transforms import Affine

        place = {name: getattr(self.source, name) for name in ("scale", "translate", "rotate", "shear")}
        layer.translate = Affine(**place)((*self._index, 0, left))

    def _look(self) -> dict[str, Any]:
        return {name: getattr(self.source, name) for name in (_LOOK_OF_COLOUR if self.source.rgb else _LOOK)}

    def _added(self, kind: str, data: Any, look: dict[str, Any]) -> Image:
        from napari.layers import Image

        layer = Image(
            data,
            name=_named(self.source.name, kind),
            rgb=self.source.rgb,
            multiscale=isinstance(data, list),
            visible=self.source.visible or self._replaced,
            **{name: getattr(self.source, name) for name in _PLACE if hasattr(self.source, name)},
            **look,
        )
        claim(layer)
        self._place(layer)
        layer.events.visible.connect(self._see_to_source)
        active = self.viewer.layers.selection.active
        below = {PREVIEW: 1, DIFFERENCE: 2, CURTAIN: 2 if self.difference is None else 3}
        self.viewer.layers.insert(self.viewer.layers.index(self.source) + below[kind], layer)
        self.viewer.layers.selection.active = active
        return layer

    def _follow(self, event: Any) -> None:
        if self._busy:
            return
        if event.type == "visible" and self._replaced:  # by the user, who wants to see it instead
            self._replaced = False
            for layer in self._there:
                layer.visible = False
            return
        for layer in self._there:
            if event.type not in _LOOK or layer is not self.difference:
                if event.type != "translate":
                    setattr(layer, event.type, getattr(self.source, event.type))
                if event.type in _PLACE:
                    self._place(layer)
        if self.preview is not None and self._canvas is not None and event.type in (*_PLACE, *_COVER):
            self._lay_preview()
        self._see_to_source()

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
        self._see_to_source()


def _named(source: str, kind: str) -> str:
    return f"{source} · {kind}"


def _redraw(layer: Image) -> None:
    layer.refresh(thumbnail=False, highlight=False, extent=False)
