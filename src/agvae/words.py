"""Numbers of things in words."""

from __future__ import annotations


def counted(count: int, thing: str) -> str:
    """So many of a thing, by its name for one."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"
