"""What a dock asks of the preview."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_agvae.docks.preview_layers import PreviewLayers
from napari_agvae.preferences import CONTRAST_LIMITS, EXACT, plugin_settings
from napari_agvae.preview.live import Request

if TYPE_CHECKING:
    from napari.layers import Image

    from agvae.coding.assemble import Level
    from napari_agvae.state import Choice

IN_A_FILE = (
    *("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels", "metadata"),
    *("contrast_limits", "colormap", "gamma", "opacity", "blending", "interpolation2d"),
)
"""What of a layer besides its pixels makes a file larger or smaller."""


def request_of(
    layers: PreviewLayers | None, changes: tuple[int, int], level: Level, choice: Choice, *, whole: bool
) -> Request | None:
    """The slice on view of a source; None if there is none that could be shown.

    Args:
        changes: how often its data, and what else is in a file, have changed.
        level: None for no loss.
        choice: of model and device, "" and "auto" for the user's own.
    """
    index = layers.index if layers is not None else None
    if layers is None or index is None:
        return None
    source, value_range = layers.source, EXACT if level is None else plugin_settings().value_range
    revision, look = changes
    stack = (revision, value_range, limits(source, value_range))
    return Request(
        key=(stack, index),
        data=source.data,
        attributes=source.as_layer_data_tuple()[1],
        index=index,
        level=level,
        visible=layers.visible,
        whole=whole,
        model=choice.model or None,
        device=None if choice.device == "auto" else choice.device,
        value_range=value_range,
        stack=stack,
        look=look,
    )


def limits(source: Image, value_range: str) -> tuple[float, ...] | None:
    """The contrast limits, where a layer is coded between them."""
    if value_range != CONTRAST_LIMITS or source.rgb or source.dtype == "uint8":
        return None
    return tuple(source.contrast_limits)
