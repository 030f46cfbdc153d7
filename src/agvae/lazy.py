"""Attributes that are worked out when they are first asked for, without a lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class lazy(Generic[T]):
    """`functools.cached_property` as it is from Python 3.12 on.

    Before that it holds one lock for all instances of a class while it works: threads wait for one another, and a child
    that is forked meanwhile waits for ever.  Here two threads may both work out the same.
    """

    def __init__(self, function: Callable[[Any], T]) -> None:
        self.function = function
        self.__doc__ = function.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> lazy[T]: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None) -> T: ...
    def __get__(self, instance: object | None, owner: type | None = None) -> lazy[T] | T:
        if instance is None:
            return self
        value = vars(instance)[self.function.__name__] = self.function(instance)
        return value
