"""What a dock asks of the preview."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agvae.quality import parse_quality
from napari_agvae.docks.preview_layers import PreviewLayers
from napari_agvae.io.writer import wanted_quality
from napari_agvae.preferences import VALUES, plugin_settings
from napari_agvae.preview.live import Request

if TYPE_CHECKING:
    from napari.layers import Image


IN_A_FILE = (
    *("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels", "metadata"),
    *("contrast_limits", "colormap", "gamma", "opacity", "blending", "interpolation2d"),
)
"""What of a layer besides its pixels makes a file larger or smaller."""


def request_of(
    layers: PreviewLayers | None, changes: tuple[int, int], level: int, model: str, device: str, *, whole: bool
) -> Request | None:
    """The slice on view of a source; None if there is none that could be shown.

    Args:
        changes: how often its data, and what else is in a file, have changed.
        model, device: as the dock's menus give them, "" and "auto" for the user's own.
    """
    index = layers.index if layers is not None else None
    if layers is None or index is None:
        return None
    source, value_range = layers.source, plugin_settings().value_range
    revision, look = changes
    stack = (revision, value_range, limits(source))
    return Request(
        key=(stack, index),
        data=source.data,
        attributes=source.as_layer_data_tuple()[1],
        index=index,
        level=level,
        visible=layers.visible,
        whole=whole,
        model=model or None,
        device=None if device == "auto" else device,
        value_range=value_range,
        stack=stack,
        look=look,
    )


def limits(source: Image) -> tuple[float, ...] | None:
    """The contrast limits, where a layer is coded between them."""
    if plugin_settings().value_range == VALUES or source.rgb or source.dtype == "uint8":
        return None
    return tuple(source.contrast_limits)


def wished_level(source: Image) -> int | None:
    """The level at which saving would code a layer; None if its wish is none, of which saving will tell."""
    try:
        return parse_quality(wanted_quality([source.as_layer_data_tuple()], plugin_settings()))
    except (TypeError, ValueError):
        return None
