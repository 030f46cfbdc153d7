"""The dock "Rate curve"."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QBuffer
from qtpy.QtWidgets import QComboBox, QPushButton, QVBoxLayout

from agvae.quality import parse_quality
from agvae.whole_file import write_whole
from napari_agvae.docks.controls import Sentence, ask_for_file, explain, row
from napari_agvae.docks.dock import Dock
from napari_agvae.docks.plot import Plot
from napari_agvae.docks.preview_layers import PreviewLayers, bare
from napari_agvae.docks.worker import Engine
from napari_agvae.own import is_own
from napari_agvae.preferences import plugin_settings, wanted_device, wanted_level, wanted_model
from napari_agvae.preview.curve import Point, levels, on_line, part, to_csv, work
from napari_agvae.preview.live import Request
from napari_agvae.state import session
from napari_agvae.texts import plain

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
        self.metric = QComboBox()
        self.metric.addItems(METRICS)
        self.draw, self.stop = QPushButton("Draw"), QPushButton("Stop")
        self.png, self.csv = QPushButton("PNG …"), QPushButton("CSV …")
        self.stop.setEnabled(False)
        explain(self, "curve", "metric", "draw", "stop", "png", "csv")
        layout = QVBoxLayout(self)
        layout.addLayout(row(self.metric, self.draw, self.stop))
        layout.addWidget(self.plot, 1)
        layout.addWidget(self.status)
        layout.addLayout(row(self.png, self.csv))
        self.metric.currentIndexChanged.connect(self._redraw)
        self.draw.clicked.connect(self.start)
        self.stop.clicked.connect(self._stop)
        self.png.clicked.connect(self._save_png)
        self.csv.clicked.connect(self._save_csv)
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
        self.stop.setEnabled(True)
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

    def _redraw(self) -> None:
        metric = self.metric.currentText()

        def y(point: Point) -> float:
            return point.psnr if metric == METRICS[0] else point.ms_ssim_db or float("nan")

        marked = on_line([(point.level, point.bpp, y(point)) for point in self.found], self._level_now)
        self.plot.draw([(point.bpp, y(point)) for point in self.found], marked, ("bits per pixel", f"{metric} in dB"))
        for button in (self.png, self.csv):
            button.setEnabled(bool(self.found))

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
        self.stop.setEnabled(False)

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
