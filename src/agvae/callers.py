"""Who called: for warnings, which are for a line of the program and not for one of ours."""

from __future__ import annotations

import sys
from types import FrameType

_PASSED_THROUGH = ("agvae", "pillow_agvae", "PIL", "torch", "contextlib")


def level_of_caller() -> int:
    """As `stacklevel` of a warning of the function that asks: where the call stands that led here from outside."""
    level = 0
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _PASSED_THROUGH:
        level, frame = level + 1, frame.f_back
    return level
