"""The dock "AGVAE preview"."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtGui import QEnterEvent, QShowEvent

from agvae.weights import registry
from napari_agvae.docks.connections import Connections
from napari_agvae.docks.failures import Failures
from napari_agvae.docks.form import PreviewForm
from napari_agvae.docks.preview_layers import PreviewLayers, bare
from napari_agvae.docks.preview_request import IN_A_FILE, request_of
from napari_agvae.docks.removal import remove_later
from napari_agvae.docks.search import Found, find_quality
from napari_agvae.docks.task_list import GOES_ON, TaskList
from napari_agvae.docks.tasks import get_model, save_layer
from napari_agvae.docks.worker import Engine
from napari_agvae.own import is_own
from napari_agvae.preferences import plugin_settings, wanted_level
from napari_agvae.preview.live import Live, MissingModelError, Request, Shown
from napari_agvae.preview.on_view import MOVES
from napari_agvae.state import session

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from agvae.coding.assemble import Level

SELECT = "Select an image layer."
SOON = 150  # ms, in which whoever goes through layers is past those not meant
_tokens = count()


class PreviewDock(PreviewForm):
    """Quality on a slider, the reconstruction of the selected image in the viewer, and what it costs."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(plugin_settings(), lambda: self._layers)
        self._viewer = bare(viewer)
        self._layers: PreviewLayers | None = None
        self._engine: Engine | None = None
        self._token = self._revision = self._look = 0
        self._tasks = TaskList(self._tasks_changed)
        self._failures = Failures()
        self._previewing = self._unasked = False
        self._soon = QTimer(self, singleShot=True, interval=SOON)
        self._soon.timeout.connect(self._begin)
        self._connect()
        self._select()

    def _connect(self) -> None:
        self.destroyed.connect(self._tasks.disconnect)
        self.editor.changed.connect(self._changed)
        for option in (self.lossless, self.model, self.device):
            option.changed.connect(self._options_changed)
        self.target.native.lineEdit().returnPressed.connect(self._find)
        parts = (self.search, self.save, self.cancel, self.get, self.effort)
        slots = (self._find, self._save, self._cancel, self._get_model, self._use)
        for part, slot in zip(parts, slots, strict=True):
            part.changed.connect(slot)
        self._viewed = Connections(
            (self._viewer.layers.selection.events.active, self._select),
            (self._viewer.layers.events.removed, self._removed),
            *((self._viewer.dims.events[name], self._again) for name in MOVES),
        )
        self.comparison.bind(self._viewer)

    def _changed(self, _: int, final: bool) -> None:
        self._tasks.cancel_search()
        self.preview(whole=final or not plugin_settings().visible_only)

    def _options_changed(self) -> None:
        self._tasks.cancel_search()
        self._use()
        self.get.visible = False
        self._failures.forget()
        if self._previewing:
            self._revision += 1
            self.preview()

    def _use(self) -> None:
        """Let saving do as this dock does."""
        session.use(id(self), self.choice)

    def _cancel(self) -> None:
        self._soon.stop()
        if self._engine is not None:
            self._engine.stop()
        self._tasks.cancel()

    def _save(self) -> None:
        if self._layers is None:
            self._say(SELECT)
            return
        if task := save_layer(self, self._layers.source, self.level, self.choice):
            self._use()
            self._tasks.begin(task)

    def _find(self) -> None:
        request = self._new_request(self.editor.level, whole=True)
        if request is None or self._layers is None:
            self._say(self._layers.obstacle if self._layers is not None else SELECT)
            return
        self._use()
        pixels, frames = math.prod(self._layers.size), self._layers.count
        done = partial(self._found, request)
        self._tasks.begin_search(find_quality(request, pixels, frames, *self.wanted, done))

    def _found(self, request: Request, found: Found) -> None:
        if found.size:
            self.numbers.learn(replace(request, level=found.level), found.size)
        self.set_level(found.level)
        self.preview()

    def _get_model(self) -> None:
        self.get.visible = False
        self._use()
        self._tasks.begin(get_model(self.model.value or registry()["default"], self.preview))

    def _tasks_changed(self, said: str) -> None:
        if self.status.text() == said or len(self._tasks) > said.count(GOES_ON):
            self._say()
        self._idle()

    def _select(self) -> None:
        """Take the selected image as the source; where no image is selected, the one before stays."""
        from napari.layers import Image

        active = self._viewer.layers.selection.active
        if isinstance(active, Image) and not is_own(active) and (not self._layers or active is not self._layers.source):
            self._attach(active)
            self._unasked = True
            self._soon.start()
        self._name_source()

    def _attach(self, source: Image) -> None:
        """Begin anew with a source."""
        self._detach()
        self._revision += 1
        self._layers = PreviewLayers(self._viewer, source)
        if id(self) not in session.choices:
            with suppress(TypeError, ValueError):  # of which saving will tell
                self.set_level(wanted_level([source.as_layer_data_tuple()], plugin_settings()))
        self._followed = Connections(
            (source.events.data, self._data_changed),
            (source.events.name, self._name_source),
            *((source.events[name], self._looked) for name in IN_A_FILE if name in source.events),
        )

    def _name_source(self) -> None:
        self.source.say(self._layers.source.name if self._layers else SELECT)

    def _removed(self, event: Any) -> None:
        """With its source or its reconstruction, all of a preview goes; without a comparison its switch is off."""
        if self._layers is None:
            return
        if event.value is self._layers.source:
            self._detach()
            self._select()
        elif (name := self._layers.forget(event.value)) == "preview":
            self._attach(self._layers.source)
            self._name_source()
        elif name:
            getattr(self.comparison, name).value = False

    def _data_changed(self) -> None:
        self._tasks.cancel_search()
        self._revision += 1
        self.numbers.clear()
        previewing = self._previewing
        if self._layers is not None and not self._layers.fits:
            self._attach(self._layers.source)
        if previewing:
            self._unasked = True
            self._soon.start()

    def _looked(self) -> None:
        """Something besides the pixels has changed that is in the file, too."""
        self._look += 1
        if self._previewing:
            self.numbers.want(None)
            self._unasked = True
            self._soon.start()

    def enterEvent(self, event: QEnterEvent) -> None:
        """Look whether metadata have been edited in place, of which napari tells nobody."""
        super().enterEvent(event)
        if not (self.readouts.stale or self.cancel.enabled):
            self._again()

    def _detach(self, *, later: bool = True) -> None:
        """Let go of the source and remove its layers; at once only where napari is not amid removing layers itself."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None
        if self._layers is not None:
            layers, self._layers = self._layers, None
            self._followed.end()
            layers.unfollow()
            (remove_later if later else PreviewLayers.remove)(layers)
        self._soon.stop()
        self._tasks.cancel_search()
        self._previewing = self._unasked = False
        self._failures.forget()
        self._say()
        self._idle()
        self.numbers.forget()

    @property
    def showing(self) -> bool:
        return self._layers is not None and self._layers.preview is not None

    def _new_request(self, level: Level, *, whole: bool) -> Request | None:
        return request_of(self._layers, (self._revision, self._look), level, self.choice, whole=whole)

    def preview(self, *, whole: bool = True) -> None:
        """Preview what the dock shows, as the user wants it."""
        self._use()
        self._unasked = False
        self._preview_again(whole=whole)

    def _again(self) -> None:
        if self._previewing:
            self._preview_again()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._soon.start()

    def _begin(self) -> None:
        """Preview what nobody has asked for yet, where the dock is on view."""
        if self._unasked and self.isVisible():
            self._preview_again()

    def _preview_again(self, *, whole: bool = True) -> None:
        self._soon.stop()
        self._previewing = True
        request = self._new_request(self.level, whole=whole)
        if request is None:
            if self._layers is not None:
                self._say(self._layers.obstacle)
                self.numbers.want(None)
            return
        if self._engine is None:
            self._token, receivers = next(_tokens), (self._shown, self._say, self._failed, self._idle)
            self._engine = Engine(lambda *tell: Live(*tell).work, *receivers)
        self.cancel.enabled = True
        self.numbers.want(request)
        self._engine.submit(replace(request, token=self._token))

    def _shown(self, shown: Shown) -> None:
        if self._layers is None or self._engine is None or shown.request.token != self._token:
            return
        if (first := self._layers.preview is None) or shown.numbers is None:  # numbers come after the last pixels
            self._layers.show(shown.canvas, shown.request.level, shown.request.index)
        if first:
            self.comparison.apply()
            self.offer_devices()
        if shown.numbers is not None:
            self.numbers.show(shown, shown.numbers)
            self._say()

    def _failed(self, error: Exception) -> None:
        self.numbers.clear()
        self.status.say(str(error) or type(error).__name__)
        self.get.visible = isinstance(error, MissingModelError)
        if not (self.get.visible or self._unasked):
            self._failures.tell(self.status.text(), error)

    def _idle(self) -> None:
        busy = self._engine is not None and self._engine.busy
        self.cancel.enabled = bool(self._tasks) or busy
        if not busy:
            self.numbers.rest()
        if self.status.text().endswith(GOES_ON) and not self.cancel.enabled:
            self._say()

    def _say(self, text: str = "") -> None:
        self.status.say(text or str(self._tasks))

    def shut_down(self) -> None:
        """End the preview and remove it; the next move of the slider begins anew."""
        self._tasks.leave()
        self._detach(later=False)
        session.leave(id(self))

    def leave(self) -> None:
        self.shut_down()
        self._tasks.disconnect()
        self._viewed.end()
        self.comparison.release(self._viewer)
