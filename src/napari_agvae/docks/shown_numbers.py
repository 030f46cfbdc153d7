"""The numbers of a preview: which they are of, and whether that is what is asked for now."""

from __future__ import annotations

from collections.abc import Hashable

from napari_agvae.docks.controls import ReadOuts, Sentence
from napari_agvae.preview.live import Request, Shown
from napari_agvae.preview.measured import Numbers, described

CODING = "coding …"
STALE = "out of date"


class ShownNumbers:
    """Read-outs that are dim where they are not of what is asked for now, and a sentence why there will be no file."""

    def __init__(self, readouts: ReadOuts, unsavable: Sentence) -> None:
        self._readouts, self._unsavable = readouts, unsavable
        self._wanted: Hashable = None
        self._shown: Hashable = None
        self._file: tuple[Hashable, str] | None = None

    def want(self, request: Request | None) -> None:
        """Take down what is asked for now, None for what could not be shown."""
        self._wanted = _numbers_of(request)
        if request is None:
            self._readouts.grow_stale(STALE)
        elif self._wanted != self._shown:
            self._readouts.grow_stale("" if self._readouts.stale else CODING)

    def show(self, shown: Shown, numbers: Numbers) -> None:
        self._shown = _numbers_of(shown.request)
        words = described(numbers)
        if self._file and self._file[0] == _file_of(shown.request) and numbers.whole and numbers.slices > 1:
            words["stack"] = self._file[1]
        self._readouts.show_words(words, stale=self._shown != self._wanted)
        self._unsavable.say(shown.obstacle)

    def learn(self, request: Request, size: str) -> None:
        """Take down what the file of the layer comes to."""
        self._file = (_file_of(request), size)

    def rest(self) -> None:
        """Nothing is being coded."""
        if self._readouts.stale:
            self._readouts.grow_stale(STALE)

    def clear(self) -> None:
        """Show nothing; what is asked for stays."""
        self._readouts.show_words({})
        self._unsavable.say("")

    def forget(self) -> None:
        """Show nothing, of nothing."""
        self._wanted = self._shown = self._file = None
        self.clear()


def _numbers_of(request: Request | None) -> Hashable:
    """Equal for requests of which the numbers are the same, but for the part of the slice that they are of."""
    return None if request is None else (request.key, request.look, request.level, request.model)


def _file_of(request: Request) -> Hashable:
    """Equal for requests of layers of which the file is the same."""
    return request.stack, request.look, request.level, request.model
