"""What the open preview dock says, for the writer, which napari gives layers only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Session:
    """Quality (1 to 6), model and device of the dock used last; None if there is none or nothing was chosen."""

    quality: float | None = None
    model: str | None = None
    device: str | None = None
    dock: int | None = None

    def leave(self, dock: int) -> None:
        """Forget what a dock that closes has said, unless another one has been used since."""
        if self.dock == dock:
            self.quality = self.model = self.device = self.dock = None


session = Session()
