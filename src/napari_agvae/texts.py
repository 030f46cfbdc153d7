"""The text of every control, by the part of the plugin and the control's name; and text that others show."""

from __future__ import annotations

import html

TOOLTIPS = {
    "settings.quality": (
        "Of saved files and new previews, from 1 (smallest) to 6 (best), unless the layer or the preview says another."
    ),
    "settings.lossless": (
        "Save all values as they are, at no quality, unless the layer or the preview says another; files are larger."
    ),
    "settings.model": "Name of the weights to code with; empty for the default ones.",
    "settings.device": "Where the networks run. Files are the same on all of them.",
    "settings.effort": (
        "How long to look for fewer bits when saving; 2 takes five to eight times as long as 1, "
        "each further one twice as long."
    ),
    "settings.value_range": (
        "What 16-bit, float and other integer layers are coded relative to. Contrast limits are finer where there are "
        "hot pixels, but clip the values outside."
    ),
    "settings.visible_only": "While dragging, code what is visible; all of the slice on release.",
    "preview.quality": "From 1 (smallest file) to 6 (best image), any number between as well.",
    "preview.s": (
        "The whole part of the quality, s in the paper: which of the six trained sets of gains, from coarse to fine."
    ),
    "preview.l": (
        "The fraction of the quality, l in the paper: how far to go from the gains of the whole part to the next ones."
    ),
    "preview.lossless": (
        "Every value comes back exactly as it is; the file is larger, and has neither quality nor model. "
        "For data that you measure."
    ),
    "preview.model": "Weights to code with; the empty entry means the default ones. A file names the weights it needs.",
    "preview.effort": "How long saving looks for fewer bits: 2 five to eight times as long as 1, then twice each.",
    "preview.device": "Where the networks run. Files are the same on all of them.",
    "preview.target": "What is wanted; Enter or Find moves the slider there.",
    "preview.unit": (
        "kB: 1000 bytes of the file of the whole layer, all slices of it, at most; for a large stack told from some of "
        "them. bpp: bits per pixel of the slice on view, at most. dB: PSNR of the slice on view."
    ),
    "preview.search": "Code what the target is of a few times to find the quality for it, and move the slider there.",
    "preview.toggle": "Hide all that the preview shows to see the original, and show it again: the key H.",
    "preview.curtain": "Show the original left of a line, the reconstruction right of it.",
    "preview.share": "Where the line is, from the left to the right edge of the image.",
    "preview.difference": "A layer of the absolute difference between original and reconstruction, times a factor.",
    "preview.gain": "Factor of the difference.",
    "preview.save": "Save the source layer at this quality, all slices of it; runs in the background.",
    "preview.cancel": (
        "Stop the preview and all work that this dock began in the background. Nothing half-written is left."
    ),
    "preview.get": "Download the weights of the chosen model and keep them.",
    "preview.shown": (
        "What the numbers are of: while dragging, a region of the view, coded as a picture of its own. "
        "Dim numbers are not those of what is asked for now."
    ),
    "preview.rate": "bpp: bits of the file for each pixel.",
    "preview.size": "Of the file of what is shown, in bytes.",
    "preview.ratio": "How many times smaller that is than the pixels as they are in memory.",
    "preview.stack": (
        "What the file of the whole layer comes to: if all its slices are like this one, or as Find for kB has found."
    ),
    "preview.psnr": "Peak signal-to-noise ratio of what is shown; for 16 bits and float, of the range of values.",
    "preview.ms_ssim": "Multi-scale structural similarity, 1 for no difference; needs 161 pixels a side.",
    "preview.time": "Seconds to code and decode what is shown.",
    "curve.metric": "What is drawn over the rate. MS-SSIM as -10 log10(1 - MS-SSIM).",
    "curve.draw": "Code the slice of the selected layer, or the middle of its view, at whole and half qualities.",
    "curve.stop": "Stop drawing.",
    "curve.png": "Save the plot as a picture.",
    "curve.csv": "Save quality, bytes, bits per pixel, PSNR and MS-SSIM as a table.",
}


def plain(text: str) -> str:
    """The text for a label of napari's, which would take names with tags in them for HTML."""
    return html.escape(text, quote=False) if "<" in text or "&lt;" in text else text
