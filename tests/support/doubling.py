"""Work for processes that do little and need nothing, some of which die when they are told to."""

from __future__ import annotations

import os
import sys


class Doubling:
    """A negative job is the number of a signal."""

    def prepare(self) -> None:
        pass

    def __call__(self, job: int) -> int:
        if job < 0:
            os.kill(os.getpid(), -job)
        return 2 * job


class Unready(Doubling):
    def prepare(self) -> None:
        sys.exit(3)
