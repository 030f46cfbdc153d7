"""What the open preview dock says, for the writer, which napari gives layers only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Session:
    """Quality (1 to 6) and model that the dock shows; None when there is no dock or nothing was chosen."""

    quality: float | None = None
    model: str | None = None


session = Session()
