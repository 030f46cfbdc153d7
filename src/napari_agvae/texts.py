"""The text of every control, by the part of the plugin and the control's name."""

from __future__ import annotations

TOOLTIPS = {
    "settings.quality": (
        "Of saved files and new previews, from 1 (smallest) to 6 (best), unless the layer or the preview says another."
    ),
    "settings.model": "Name of the weights to code with; empty for the default ones.",
    "settings.device": "Where the networks run. Files are the same on all of them.",
    "settings.value_range": (
        "What 16-bit, float and other integer layers are coded relative to. Contrast limits are finer where there are "
        "hot pixels, but clip the values outside."
    ),
    "settings.visible_only": "While dragging, code what is visible; all of the slice on release.",
}
