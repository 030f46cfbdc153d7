"""The tasks that a dock has begun."""

from __future__ import annotations

from collections.abc import Callable

from napari_agvae.docks.tasks import Task

GOES_ON = " …"


class TaskList(list[Task]):
    """Tasks that are not over.

    Args:
        changed: called when one begins or is over, with what the list said before.
    """

    def __init__(self, changed: Callable[[str], None]) -> None:
        super().__init__()
        self._changed = changed
        self._search: Task | None = None

    def __str__(self) -> str:
        return "\n".join(f"{task.description}{GOES_ON}" for task in self)

    def begin(self, task: Task) -> None:
        said = str(self)
        self.append(task)
        task.ended.connect(self._ended)
        task.start()
        self._changed(said)

    def begin_search(self, task: Task) -> None:
        """Begin a task of which only the last one counts."""
        self.cancel_search()
        self._search = task
        self.begin(task)

    def cancel_search(self) -> None:
        """What was looked for is not wanted any more."""
        if self._search is not None:
            self._search.cancel()

    def cancel(self) -> None:
        for task in self:
            task.cancel()

    def leave(self) -> None:
        """The dock is about to go: what its user has asked for besides goes on, a file that is saved and weights."""
        for task in self:
            if task is self._search:
                task.cancel()
            elif task.target is None:
                task.forget()

    def disconnect(self) -> None:
        """Hear no more of them."""
        for task in self:
            task.ended.disconnect(self._ended)
        self.clear()

    def _ended(self) -> None:
        said = str(self)
        self[:] = [task for task in self if not task.over]
        if self._search not in self:
            self._search = None
        self._changed(said)
