"""`agvae.lazy`."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import agvae
from agvae.lazy import lazy


class Slow:
    started = threading.Event()
    go_on = threading.Event()

    def __init__(self, *, waits: bool) -> None:
        self.waits, self.calls = waits, 0

    @lazy
    def value(self) -> int:
        """A doubled number."""
        self.calls += 1
        if self.waits:
            self.started.set()
            assert self.go_on.wait(60)
        return 42


def test_it_is_worked_out_once() -> None:
    one = Slow(waits=False)
    assert (one.value, one.value, one.calls) == (42, 42, 1)
    assert Slow.value.__doc__ == "A doubled number."


def test_no_instance_waits_for_another() -> None:
    """As a forked child would, for ever: the thread that is at work is not there."""
    slow = threading.Thread(target=lambda: Slow(waits=True).value, daemon=True)
    slow.start()
    assert Slow.started.wait(60)
    found: list[int] = []
    quick = threading.Thread(target=lambda: found.append(Slow(waits=False).value), daemon=True)
    quick.start()
    quick.join(20)
    Slow.go_on.set()
    slow.join(60)
    assert found == [42]


def test_nothing_has_a_lock_for_all_instances() -> None:
    sources = Path(agvae.__file__).parent.parent.rglob("*.py")
    assert not [path for path in sources if re.search(r"\bcached_property\b(?!`)", path.read_text(encoding="utf-8"))]
