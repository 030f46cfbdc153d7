"""How many processors this process may use, which in a container are fewer than the machine has."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath

_GROUPS = Path("/proc/self/cgroup")
_MOUNTED = Path("/sys/fs/cgroup")


def processors() -> int:
    """Those of the machine that affinity leaves, and no more than the quota of a container (cgroup), rounded up."""
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on, which users may overrule
        allowed = os.process_cpu_count() or 1
    else:
        allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, _quota()))


@cache
def _quota() -> int:
    """The least of the control groups that this process is in, as it was when first asked for."""
    return min(_quotas(), default=sys.maxsize)


def _quotas() -> Iterator[int]:
    for folder in _groups():
        try:
            try:
                most, period = (folder / "cpu.max").read_text("ascii").split()
            except FileNotFoundError:  # of version 1
                most, period = ((folder / f"cpu.cfs_{name}_us").read_text("ascii") for name in ("quota", "period"))
            if float(most) > 0:
                yield math.ceil(float(most) / float(period))
        except (OSError, ValueError, ZeroDivisionError):  # not there, or "max"
            continue


def _groups() -> Iterator[Path]:
    """Where limits of processors lie: the group of this process, and those around it."""
    try:
        lines = _GROUPS.read_text("utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        path = PurePosixPath(group.lstrip("/"))
        for part in (path, *path.parents):
            yield _MOUNTED / ("cpu" if controllers else "") / part
