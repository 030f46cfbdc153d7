"""The quality setting at which a codec comes nearest to a size or a quality."""

from __future__ import annotations

from collections.abc import Callable


def nearest_setting(value_at: Callable[[int], float], target: float, low: int = 1, high: int = 100) -> int:
    """The setting from `low` to `high` whose value is nearest to the target, the higher of two.

    The values are taken to rise with the setting; where they do not, it is one that is near.  Eight are asked for at
    most, each once.
    """
    known: dict[int, float] = {}

    def value(setting: int) -> float:
        if setting not in known:
            known[setting] = value_at(setting)
        return known[setting]

    first, last = low, high + 1  # of which the first one above the target is
    while first < last:
        middle = (first + last) // 2
        if value(middle) > target:
            last = middle
        else:
            first = middle + 1

    def distance(setting: int) -> float:
        return 0.0 if value(setting) == target else abs(value(setting) - target)  # inf - inf is no number

    return min((setting for setting in (first, first - 1) if low <= setting <= high), key=distance)
