"""What the docks have in common."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QWidget


class Dock(QWidget):
    """Ends with the dock that napari puts it in: `leave` when it is taken out, `shut_down` when its window closes."""

    _watching = False

    def shut_down(self) -> None:
        """End what runs; what is begun after it begins anew."""

    def leave(self) -> None:
        """Shut down for good."""
        self.shut_down()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is None:
                self.leave()
        elif event.type() == QEvent.Type.Show and not self._watching:
            self._watching = True
            self.window().installEventFilter(self)
        return bool(super().event(event))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Close and watched is self.window():
            self.shut_down()
        return False
