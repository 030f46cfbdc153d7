"""The dock "Rate curve"."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from magicgui import widgets
from qtpy.QtCore import QBuffer
from qtpy.QtWidgets import QVBoxLayout

from agvae.quality import parse_quality
from agvae.whole_file import write_whole
from napari_agvae.docks.compare import row
from napari_agvae.docks.controls import Sentence, ask_for_file
from napari_agvae.docks.dock import Dock
from napari_agvae.docks.plot import Plot
from napari_agvae.docks.preview_layers import PreviewLayers, bare
from napari_agvae.docks.worker import Engine
from napari_agvae.own import is_own
from napari_agvae.preferences import plugin_settings, wanted_device, wanted_level, wanted_model
from napari_agvae.preview.curve import Point, levels, on_line, part, to_csv, work
from napari_agvae.preview.live import Request
from napari_agvae.state import session
from napari_agvae.texts import TOOLTIPS, plain

if TYPE_CHECKING:
    import napari

METRICS = ("PSNR", "MS-SSIM")


class RateCurveDock(Dock):
    """Bits per pixel against PSNR or MS-SSIM of the selected image, over all qualities."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = bare(viewer)
        self._engine: Engine | None = None
        self._token = 0
        self._metadata: dict[str, Any] = {}
        self.found: list[Point] = []
        self.plot = Plot()
        self.status = Sentence()
        self.metric = widgets.ComboBox(choices=METRICS, label="metric")
        self.draw = widgets.PushButton(text="Draw")
        self.stop = widgets.PushButton(text="Stop", enabled=False)
        self.png = widgets.PushButton(text="PNG …", enabled=False)
        self.csv = widgets.PushButton(text="CSV …", enabled=False)
        for name in ("metric", "draw", "stop", "png", "csv"):
            getattr(self, name).tooltip = TOOLTIPS[f"curve.{name}"]
        self._rows = [row(self.metric, self.draw, self.stop), row(self.png, self.csv)]
        layout = QVBoxLayout(self)
        layout.addWidget(self._rows[0].native)
        layout.addWidget(self.plot, 1)
        layout.addWidget(self.status)
        layout.addWidget(self._rows[1].native)
        self.metric.changed.connect(self._redraw)
        self.draw.changed.connect(self.start)
        self.stop.changed.connect(self._stop)
        self.png.changed.connect(self._save_png)
        self.csv.changed.connect(self._save_csv)
        self._redraw()

    def start(self) -> None:
        """Draw the curve of the selected image layer anew."""
        from napari.layers import Image

        layer = self._viewer.layers.selection.active
        layers = PreviewLayers(self._viewer, layer) if isinstance(layer, Image) and not is_own(layer) else None
        index = layers.index if layers is not None else None
        if layers is None or index is None:
            self.status.say(layers.obstacle if layers is not None else "Select an image layer.")
            return
        settings = plugin_settings()
        self._metadata = layer.metadata
        level = self._level = self._level_now
        self._token += 1
        box = part(layers.visible, layers.size)
        layers.unfollow()
        request = Request(
            key=None,
            data=layer.data,
            attributes=layer.as_layer_data_tuple()[1],
            index=index,
            level=level,
            visible=box,
            whole=False,
            model=wanted_model(settings),
            device=wanted_device(settings),
            value_range=settings.value_range,
            token=self._token,
        )
        self.found.clear()
        self._redraw()
        if self._redraw not in session.listeners:
            session.listeners.append(self._redraw)
        self.stop.enabled = True
        self._about = f"{layer.name}, {box.width} x {box.height} pixels"
        self._loading("")
        if self._engine is None:
            receivers = self._take, self._loading, self._failed, self._idle
            self._engine = Engine(lambda *tell: partial(work, tell=tell), *receivers)
        self._engine.submit(request)

    def shut_down(self) -> None:
        """End what runs, and follow the slider no longer."""
        if self._redraw in session.listeners:
            session.listeners.remove(self._redraw)
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _loading(self, text: str) -> None:
        self.status.say(text or f"{self._about}: coding …")

    def _take(self, news: tuple[int, Point]) -> None:
        token, point = news
        if token == self._token and self._engine is not None:
            self.found.append(point)
            total = len(levels(self._level))
            self.status.say(self._about + ("" if len(self.found) == total else f": {len(self.found)} of {total}"))
            self._redraw()

    def _redraw(self, _: Any = None) -> None:
        def y(point: Point) -> float:
            return point.psnr if self.metric.value == METRICS[0] else point.ms_ssim_db or float("nan")

        marked = on_line([(point.level, point.bpp, y(point)) for point in self.found], self._level_now)
        unit = "PSNR in dB" if self.metric.value == METRICS[0] else "MS-SSIM in dB"
        self.plot.draw([(point.bpp, y(point)) for point in self.found], marked, ("bits per pixel", unit))
        self.png.enabled = self.csv.enabled = bool(self.found)

    @property
    def _level_now(self) -> int | None:
        """Of the preview dock that was used last, else that at which the layer would be saved; None for no loss."""
        choice = session.choice
        if choice.quality is None:
            return wanted_level([(None, {"metadata": self._metadata}, "image")], plugin_settings())
        return None if choice.lossless else parse_quality(choice.quality)

    def _failed(self, error: Exception) -> None:
        from napari.utils.notifications import show_error

        self.status.say(str(error) or type(error).__name__)
        show_error(plain(f"Rate curve: {self.status.text()}"))

    def _idle(self) -> None:
        self.stop.enabled = False

    def _stop(self) -> None:
        if self._engine is not None:
            self._engine.stop()

    def _save_png(self) -> None:
        png = QBuffer()
        self.plot.grab().save(png, "PNG")
        self._save("PNG", png.data().data())

    def _save_csv(self) -> None:
        self._save("CSV", to_csv(self.found).encode())

    def _save(self, kind: str, data: bytes) -> None:
        suffix = f".{kind.lower()}"
        path = ask_for_file(self, f"Save the curve as {kind}", f"curve{suffix}", kind, suffix)
        if path is not None:
            try:
                write_whole(path, data)
            except OSError as error:
                self._failed(error)
