"""The preview's thread, and its news as Qt signals."""

from __future__ import annotations

from qtpy.QtCore import QObject, Signal

from napari_agvae.latest import LatestWins
from napari_agvae.live import Live, Request, Shown


class Engine(QObject):
    """Codes requests in a thread of its own, the latest first; its signals arrive in the thread that made it."""

    shown = Signal(object)
    """`Shown`: something new to see."""
    status = Signal(str)
    """What takes long; empty when it is over."""
    failed = Signal(object)
    """The exception that a request ended with."""
    idle = Signal()
    """Nothing is left to do."""

    def __init__(self) -> None:
        super().__init__()
        live = Live(self._tell, self.status.emit)
        self._latest: LatestWins[Request] = LatestWins(live.work, self._fail, self.idle.emit)

    @property
    def busy(self) -> bool:
        return self._latest.busy

    def submit(self, request: Request) -> None:
        self._latest.submit(request)

    def stop(self) -> None:
        """Drop what waits and end what runs."""
        self._latest.stop()

    def close(self) -> None:
        """Stop for good; no signal comes after it."""
        self.blockSignals(True)
        self._latest.close(0.3)

    def _tell(self, shown: Shown) -> None:
        self.shown.emit(shown)

    def _fail(self, _: Request, error: Exception) -> None:
        self.failed.emit(error)
