"""What the docks have in common."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtWidgets import QFrame, QScrollArea, QWidget

SLIM = "QScrollBar:vertical { width: 10px; }"


class Dock(QWidget):
    """Ends with the dock that napari puts it in: `leave` when it is taken out, `shut_down` when its window has closed.

    Whether a window closes is for napari and the user to say; it is over when the window is gone.
    """

    _watching = False

    def shut_down(self) -> None:
        """End what runs for this dock alone; what is begun after it begins anew."""

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
        minimised = event.spontaneous()
        if event.type() == QEvent.Type.Hide and not minimised and watched is self.window():
            self.shut_down()
        return False


class Scrolled(QScrollArea):
    """A widget that is scrolled where the window is low, instead of keeping the window high."""

    def __init__(self, inside: QWidget, lowest: int) -> None:
        super().__init__()
        self._lowest = lowest
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.verticalScrollBar().setStyleSheet(SLIM)
        self.setWidgetResizable(True)
        self.setWidget(inside)

    def sizeHint(self) -> QSize:
        return self._beside_the_bar(self.widget().sizeHint())

    def minimumSizeHint(self) -> QSize:
        hint = self._beside_the_bar(self.widget().minimumSizeHint())
        return QSize(hint.width(), min(self._lowest, hint.height()))

    def _beside_the_bar(self, hint: QSize) -> QSize:
        return QSize(hint.width() + self.verticalScrollBar().sizeHint().width(), hint.height())
