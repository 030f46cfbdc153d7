"""The dock "AGVAE preview"."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from magicgui import widgets
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QAbstractSpinBox, QVBoxLayout, QWidget

from agvae.quality import level_to_quality, parse_quality
from agvae.weights import registry
from napari_agvae.compare import Comparison, row
from napari_agvae.controls import NARROW, QualityEditor, ReadOuts, Sentence, devices
from napari_agvae.engine import Engine
from napari_agvae.layers import PreviewLayers, bare, is_own
from napari_agvae.live import Live, MissingModelError, Request, Shown
from napari_agvae.measure import described
from napari_agvae.settings import VALUES, plugin_settings, use_device
from napari_agvae.state import session
from napari_agvae.tasks import Task, find_quality, get_model, save_layer
from napari_agvae.texts import TOOLTIPS

if TYPE_CHECKING:
    import napari

READ_OUTS = {"shown": "shown", "rate": "rate", "size": "size", "psnr": "PSNR", "ms_ssim": "MS-SSIM", "time": "time"}
UNITS = ("kB", "bpp", "dB")
GOES_ON = " …"
RETRY = "; move the slider to try again"
_tokens = count()


class PreviewDock(QWidget):
    """Quality on a slider, the reconstruction of the selected image in the viewer, and what it costs."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = bare(viewer)
        self._layers: PreviewLayers | None = None
        self._engine: Engine | None = None
        self._token = self._revision = 0
        self._task: Task | None = None
        self._told: set[str] = set()
        self._watching = False
        settings = plugin_settings()
        self.source = Sentence()
        self.editor = QualityEditor(parse_quality(settings.quality))
        self.readouts = ReadOuts(READ_OUTS)
        self.status = Sentence()
        self.comparison = Comparison(lambda: self._layers)
        self._build(settings.model, settings.device)
        self._connect()
        self._select()

    def _build(self, model: str, device: str) -> None:
        known = registry()
        models = [(f"default ({known['default']})", ""), *((name, name) for name in known["models"])]
        model = model if model in known["models"] else ""
        self.model = widgets.ComboBox(choices=models, value=model)
        self.device = widgets.ComboBox(choices=devices(device), value=device)
        self.target = widgets.FloatSpinBox(value=100.0, min=0.001, max=1e9, step=1.0)
        self.target.native.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        self.target.native.setStyleSheet(NARROW)
        self.unit = widgets.ComboBox(choices=UNITS)
        self.search = widgets.PushButton(text="Find")
        self.save = widgets.PushButton(text="Save as .agv …")
        self.cancel = widgets.PushButton(text="Cancel", enabled=False)
        self.get = widgets.PushButton(text="Get model", visible=False)
        for name in ("model", "device", "target", "unit", "search", "save", "cancel", "get"):
            getattr(self, name).tooltip = TOOLTIPS[f"preview.{name}"]
        form = (
            (widgets.Label(value="target"), self.target, self.unit, self.search),
            (widgets.Label(value="model"), self.model),
            (widgets.Label(value="device"), self.device),
        )
        self._rows = [row(*parts) for parts in form]
        self._buttons = row(self.save, self.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(5, 5, 5, 5)
        for part in (self.source, self.editor, self.readouts, self.status, self.get.native):
            layout.addWidget(part)
        for line in self._rows:
            layout.addWidget(line.native)
        layout.addWidget(self.comparison)
        layout.addWidget(self._buttons.native)
        layout.addStretch()

    def _connect(self) -> None:
        self.editor.changed.connect(self._changed)
        self.model.changed.connect(self._options_changed)
        self.device.changed.connect(self._options_changed)
        self.search.changed.connect(self._find)
        self.save.changed.connect(self._save)
        self.cancel.changed.connect(self._cancel)
        self.get.changed.connect(self._get_model)
        self._viewer.layers.selection.events.active.connect(self._select)
        self._viewer.layers.events.removed.connect(self._removed)
        for name in ("current_step", "order", "ndisplay"):
            getattr(self._viewer.dims.events, name).connect(self._moved)
        self.comparison.bind(self._viewer)

    # what the user does

    def _changed(self, level: int, final: bool) -> None:
        session.quality, session.dock = level_to_quality(level), id(self)
        self.preview(whole=final or not plugin_settings().visible_only)

    def _options_changed(self) -> None:
        session.model, session.device, session.dock = self.model.value or None, self.device.value, id(self)
        use_device(plugin_settings())
        self.get.visible = False
        self._told.clear()
        if self.showing:
            self._revision += 1
            self.preview()

    def _moved(self) -> None:
        if self.showing:
            self.preview()

    def _cancel(self) -> None:
        if self._engine is not None:
            self._engine.stop()
        if self._task is not None:
            self._task.cancel()

    def _save(self) -> None:
        if self._layers is not None and self._task is None:
            self._start(save_layer(self, self._layers.source, level_to_quality(self.editor.level), session.model))

    def _find(self) -> None:
        request = self._new_request(whole=True)
        if request is not None and self._task is None:
            self._start(find_quality(request, self.target.value, self.unit.value, self._found))

    def _found(self, level: int) -> None:
        self.editor.set_level(level)
        self._changed(level, True)

    def _get_model(self) -> None:
        if self._task is None:
            self.get.visible = False
            self._start(get_model(self.model.value or registry()["default"], self.preview))

    def _start(self, task: Task | None) -> None:
        if task is not None:
            self._task = task
            self.cancel.enabled = True
            task.ended.connect(self._ended)
            task.start()
            self.status.say(f"{task}{GOES_ON}")

    def _ended(self) -> None:
        self._task = None
        self._idle()

    # the source

    def _select(self) -> None:
        """Take the selected image as the source; where no image is selected, the one before stays."""
        from napari.layers import Image

        active = self._viewer.layers.selection.active
        if isinstance(active, Image) and not is_own(active) and (not self._layers or active is not self._layers.source):
            self._detach()
            self._layers = PreviewLayers(self._viewer, active)
            active.events.data.connect(self._data_changed)
            active.events.name.connect(self._name_source)
        self._name_source()

    def _name_source(self) -> None:
        self.source.say(self._layers.source.name if self._layers else "Select an image layer.")

    def _removed(self, event: Any) -> None:
        if self._layers is not None and event.value is self._layers.source:
            self._detach()
            self._select()

    def _data_changed(self) -> None:
        self._revision += 1
        self.readouts.show_words({})

    def _detach(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None
        if self._layers is not None:
            layers, self._layers = self._layers, None
            layers.source.events.data.disconnect(self._data_changed)
            layers.source.events.name.disconnect(self._name_source)
            layers.close()
        self._told.clear()
        self.status.say("")
        self.readouts.show_words({})

    # the preview

    @property
    def showing(self) -> bool:
        return self._layers is not None and self._layers.preview is not None

    def _new_request(self, *, whole: bool) -> Request | None:
        index = self._layers.index if self._layers is not None else None
        if self._layers is None or index is None:
            return None
        source, value_range = self._layers.source, plugin_settings().value_range
        limits = tuple(source.contrast_limits) if value_range != VALUES and not source.rgb else None
        return Request(
            token=self._token,
            key=(self._revision, index, value_range, limits),
            data=source.data,
            attributes=source.as_layer_data_tuple()[1],
            index=index,
            level=self.editor.level,
            visible=self._layers.visible,
            whole=whole,
            model=self.model.value or None,
            value_range=value_range,
        )

    def preview(self, *, whole: bool = True) -> None:
        request = self._new_request(whole=whole)
        if request is None:
            if self._layers is not None:
                self.status.say("A preview shows rows and columns of a layer, in two dimensions.")
            return
        if self._engine is None:
            self._token = next(_tokens)
            request = self._new_request(whole=whole)
            assert request is not None
            self._engine = Engine(lambda *tell: Live(*tell).work)
            self._engine.shown.connect(self._shown)
            self._engine.status.connect(self.status.say)
            self._engine.failed.connect(self._failed)
            self._engine.idle.connect(self._idle)
        self.cancel.enabled = True
        self._engine.submit(request)

    def _shown(self, shown: Shown) -> None:
        if self._layers is None or self._engine is None or shown.request.token != self._token:
            return
        first = self._layers.preview is None
        if first or shown.numbers is None:  # numbers come after the last pixels
            self._layers.show(shown.canvas, shown.request.level)
        if first:
            self.comparison.apply()
            self.device.choices = devices(self.device.value)
        if shown.numbers is not None:
            self.readouts.show_words(described(shown.numbers))
            self.status.say("")

    def _failed(self, error: Exception) -> None:
        from napari.utils.notifications import show_error

        self.readouts.show_words({})
        self.status.say(str(error) or type(error).__name__)
        self.get.visible = isinstance(error, MissingModelError)
        if not self.get.visible and self.status.text() not in self._told:
            self._told.add(self.status.text())
            known = isinstance(error, OSError | TypeError | ValueError | MemoryError)
            show_error(f"AGVAE preview: {self.status.text()}{'' if known else RETRY}")

    def _idle(self) -> None:
        self.cancel.enabled = self._task is not None or (self._engine is not None and self._engine.busy)
        if self.status.text().endswith(GOES_ON) and not self.cancel.enabled:
            self.status.say("")

    # the end

    def shut_down(self) -> None:
        """End what runs and remove the preview; the next move of the slider begins anew."""
        if self._task is not None:
            self._task.cancel()
        self._detach()
        session.leave(id(self))

    def event(self, event: QEvent) -> bool:
        """Follow the dock: taken out of its window, it ends; so it does when the window closes."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is None:
                self._leave()
        elif event.type() == QEvent.Type.Show and not self._watching:
            self._watching = True
            self.window().installEventFilter(self)
        return bool(super().event(event))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Close and watched is self.window():
            self.shut_down()
        return False

    def _leave(self) -> None:
        self.shut_down()
        self._viewer.layers.selection.events.active.disconnect(self._select)
        self._viewer.layers.events.removed.disconnect(self._removed)
        for name in ("current_step", "order", "ndisplay"):
            getattr(self._viewer.dims.events, name).disconnect(self._moved)
        self.comparison.release(self._viewer)
