"""Long work in napari's activity dock: with progress, to be cancelled, one notification for an error."""

from __future__ import annotations

import atexit
import math
import os
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QApplication, QDialog, QWidget

from agvae import options, read_info
from agvae.progress import Stopped, checkpoint, watched
from napari_agvae.activity import Progress, saving
from napari_agvae.docks.controls import ask_for_file
from napari_agvae.preferences import plugin_settings, wanted_device
from napari_agvae.state import Choice
from napari_agvae.texts import plain

if TYPE_CHECKING:
    from napari.layers import Image

    from agvae.coding.assemble import Level
    from napari_agvae.io.document import LayerData

_QUESTION = "ConfirmCloseDialog"
"""What napari asks before it closes a window or ends."""
_running: set[Task] = set()
"""Nothing else may keep a task that a command began."""


class Task(QObject):
    """Work in a thread of napari's.

    Args:
        description: what the activity dock says.
        work: called in the thread; it passes `agvae.progress.checkpoint` often.
        total: of what the checkpoints sum up to, 0 if that is not known.
        done: takes the result, in the thread of the event loop; not called after an error or `cancel`.
        target: the file that it makes; it is made to the end when a window closes without a question to the user.
    """

    ended = Signal()
    _advanced = Signal()

    def __init__(
        self,
        description: str,
        work: Callable[[], Any],
        total: int,
        done: Callable[[Any], None] | None = None,
        *,
        target: Path | None = None,
    ) -> None:
        super().__init__()
        self.description, self._work, self._done = description, work, done
        self.progress = Progress(description, total, tell=self._advanced.emit)
        self._advanced.connect(self.progress.show)
        self.target = target
        self._error: Exception | None = None
        self.over = False
        self._done_with = threading.Event()

    def start(self) -> None:
        from napari.qt.threading import FunctionWorker, create_worker

        task = self

        class Worker(FunctionWorker):
            def quit(self) -> None:
                """Called when napari closes the window or ends."""
                if task.target is None or _agreed():
                    task.cancel()

        self.progress.show()
        self._worker = create_worker(self, _start_thread=False, _ignore_errors=True, _worker_class=Worker)
        self._worker.returned.connect(self._returned)
        self._worker.finished.connect(self._finished)
        _running.add(self)
        if self.target is not None:
            atexit.register(self._done_with.wait)
        self._worker.start()

    def cancel(self) -> None:
        """End it at its next checkpoint."""
        self.progress.cancel()

    def forget(self) -> None:
        """Let it end without telling anyone of its result."""
        self._done = None

    def __str__(self) -> str:
        """What napari asks about before it closes."""
        return plain(self.description)

    def __call__(self) -> Any:
        """The work, for napari's worker."""
        try:
            with watched(self.progress.watch):
                checkpoint()
                return self._work()
        except Stopped:
            self.cancel()
        except Exception as error:  # whether napari tells differs between its versions and Qt bindings
            self._error = error
        finally:
            self._done_with.set()
        return None

    def _returned(self, result: Any) -> None:
        if not self.progress.cancelled and self._error is None and self._done is not None:
            self._done(result)

    def _finished(self) -> None:
        self.progress.close()
        self.over = True
        _running.discard(self)
        atexit.unregister(self._done_with.wait)
        self.ended.emit()
        if self._error is not None:
            from napari.utils.notifications import show_error

            show_error(plain(f"{self.description}: {self._error or type(self._error).__name__}"))


def _agreed() -> bool:
    """Whether the user has answered napari's question whether to close: whoever else closes windows asked nobody."""
    dialogs = (widget for widget in QApplication.allWidgets() if widget.metaObject().className() == _QUESTION)
    return any(isinstance(dialog, QDialog) and dialog.result() == QDialog.DialogCode.Accepted for dialog in dialogs)


def save_layer(parent: QWidget, layer: Image, level: Level, choice: Choice) -> Task | None:
    """Ask for a path and save a layer there; None if the user thinks better of it."""
    name = re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", layer.name)
    path = ask_for_file(parent, "Save as .agv", f"{name.removesuffix('.agv')}.agv", "AGVAE images", ".agv", _in_use)
    return writing(layer, path, level, choice.model or None, choice.effort or 1) if path else None


def _in_use(path: Path) -> str:
    """Why nothing can be saved under a path just now; empty if it can."""
    if any(task.target is not None and _same(path, task.target) for task in _running):
        return f"{path} is being saved just now: wait, or choose another name."
    return ""


def _same(one: Path, other: Path) -> bool:
    """Whether two paths are those of one file."""
    with suppress(OSError):
        return one.samefile(other)
    return one.resolve() == other.resolve()


def writing(layer: Image, path: Path, level: Level, model: str | None, effort: int) -> Task:
    """The task of saving a layer, in place of a file that is there when it is begun."""
    from napari_agvae.io.writer import save_at

    data, attributes, kind = layer.as_layer_data_tuple()
    settings = plugin_settings()
    value_range, device = settings.value_range, wanted_device(settings)
    asked = os.path.lexists(path)  # what is there by now is to be replaced, what comes until it is written is not

    def work() -> str:
        with options.using(device=device):
            given = [(data, attributes, kind)]
            return save_at(level, path, given, model=model, value_range=value_range, effort=effort, replace=asked)

    def done(written: str) -> None:
        from napari.utils.notifications import show_info

        show_info(plain(f"Saved {written}: {Path(written).stat().st_size} bytes"))

    return Task(f"Saving {path.name}", work, saving(_pixels(layer)), done, target=path)


def reconstructing(layer: Image, done: Callable[[list[LayerData]], None]) -> Task:
    """The task of coding and decoding a layer: what saving it and opening the file gives, with all frames decoded."""
    from napari_agvae.io.reader import viewer_layers
    from napari_agvae.io.writer import save_images

    given = layer.as_layer_data_tuple()

    def work() -> list[LayerData]:
        with TemporaryDirectory() as folder:
            (path,) = save_images(str(Path(folder) / "layer.agv"), [given])
            ((data, attributes, kind),) = viewer_layers(path)
            if not isinstance(data, np.ndarray):
                data = data.compute(scheduler="synchronous")  # other threads than this are not watched
        info = attributes["metadata"]["agv"]
        how = "without loss" if info["lossless"] else f"{info['quality']:.4g}"
        return [(data, {**attributes, "name": f"{layer.name} · AGVAE {how}"}, kind)]

    return Task(f"Re-encoding {layer.name}", work, saving(_pixels(layer)) + _pixels(layer), done)


def opening(path: str, done: Callable[[list[LayerData]], None]) -> Task:
    """The task of opening a file."""
    from napari_agvae.io.reader import viewer_layers

    pixels = 0
    with suppress(OSError, SyntaxError, ValueError):  # for the work to raise
        info = read_info(path)
        pixels = info["width"] * info["height"] if info["frames"] == 1 else 0
    return Task(f"Opening {Path(path).name}", lambda: viewer_layers(path), pixels, done)


def get_model(name: str, then: Callable[[], None]) -> Task:
    """The task of downloading the weights of a model."""
    from agvae import weights

    size = weights.registry()["models"][name]["size"]
    return Task(f"Getting model {name} ({size / 1e6:.1f} MB)", lambda: weights.find(name), size, lambda _: then())


def _pixels(layer: Image) -> int:
    shape = layer.level_shapes[0] if layer.multiscale else layer.data.shape
    return math.prod(map(int, shape[: layer.ndim]))
