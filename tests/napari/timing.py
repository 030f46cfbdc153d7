"""Limits of time that hold on a busy machine."""

from __future__ import annotations

import time


class Stopwatch:
    """Seconds that a `with` statement takes: on the clock or of the processor, whichever is less.

    A machine that is busy with other things takes longer on the clock; threads in parallel take more of the processor.
    """

    def __enter__(self) -> Stopwatch:
        self._clock, self._processor = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = min(time.perf_counter() - self._clock, time.process_time() - self._processor)
