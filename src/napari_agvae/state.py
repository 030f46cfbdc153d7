"""What the open preview docks say, for the writer, which napari gives layers only."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Choice(NamedTuple):
    """What a dock previews with; None where nothing was chosen.

    Attributes:
        quality: 1 to 6.
        lossless: whether nothing is to be lost, at no quality then.
        effort: 1 to 9, of what is saved.
        model: name of the weights, "" for the default ones.
        device: where the networks run, "auto" included.
    """

    quality: float | None = None
    model: str | None = None
    device: str | None = None
    lossless: bool = False
    effort: int | None = None


class Session:
    """The choices of the docks that have been used.

    Attributes:
        choices: by dock, the one used last at the end.
        listeners: called after each change.
    """

    def __init__(self) -> None:
        self.choices: dict[int, Choice] = {}
        self.listeners: list[Callable[[], object]] = []

    @property
    def choice(self) -> Choice:
        """That of the dock used last."""
        return next(reversed(self.choices.values()), Choice())

    def use(self, dock: int, choice: Choice) -> None:
        """Take down what a dock does now."""
        self.choices.pop(dock, None)
        self.choices[dock] = choice
        self._tell()

    def leave(self, dock: int) -> None:
        """Forget what a dock that closes has said: the one used before it holds again."""
        if self.choices.pop(dock, None) is not None:
            self._tell()

    def _tell(self) -> None:
        for listener in self.listeners:
            listener()


session = Session()
