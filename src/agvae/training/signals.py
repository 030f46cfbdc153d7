"""Ends that others ask for: signals are noted, and take effect after the work that they came in."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]


class Interruption:
    """A context in whose body SIGTERM, SIGINT and SIGHUP only set `number`; behind it the signal is sent again.

    So the process ends by it as if it came there, or does with it what it always does. What is ignored, as SIGHUP
    under nohup, stays so. Only the main thread can handle signals; in others nothing changes.
    """

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            wanted = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._note) for number in wanted}
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if self.number and kind is None:
            signal.raise_signal(self.number)
