"""Previews of a slice while a slider moves: the middle of the view at once, then the view, then all of it.

No Qt and no napari here.  What a stage shows is coded as a picture of its own, so that each of them is cheap; the last
one, the whole slice, is what a file will hold.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

import agvae
from agvae.boxes import Box
from agvae.file.chunks import OVERHEAD
from agvae.processors import processors
from agvae.progress import watched
from napari_agvae.loading import import_codec, is_imported, load_codec
from napari_agvae.preferences import VALUES
from napari_agvae.preview.canvas import PreviewCanvas
from napari_agvae.preview.latest import Turn
from napari_agvae.preview.measured import Numbers, similarity
from napari_agvae.preview.regions import SMALLEST, next_side, stages
from napari_agvae.preview.slices import LayerSlice
from napari_agvae.preview.survey import Survey
from napari_agvae.preview.without_loss import ExactPreview

if TYPE_CHECKING:
    from agvae.coding.preview import Preview

LOADING = "Loading PyTorch and the model …"


@dataclass(frozen=True, eq=False)
class Request:
    """What to preview.

    Attributes:
        key: equal for requests of the same slice with the same pixels.
        stack: equal for requests of the same layer with the same pixels.
        look: equal for those with the same attributes.
        token: of whoever asked.
        data, attributes: of the layer, as `LayerFrames` takes them.
        index: of the slice, one integer for each leading axis.
        level: see `agvae.quality`; None for no loss, with `EXACT` as the range of values.
        visible: the box on view, in pixels of the slice.
        whole: whether to go on to the whole slice.
        model: name of the model; the default one if None.
        device: where the networks run; None leaves it to `agvae.options`.
        value_range: how values become codes.
    """

    key: Hashable
    data: Any
    attributes: Mapping[str, Any]
    index: tuple[int, ...]
    level: int | None
    visible: Box
    whole: bool
    model: str | None = None
    device: str | None = None
    value_range: str = VALUES
    token: int = 0
    stack: Hashable = None
    look: Hashable = None


@dataclass(frozen=True)
class Shown:
    """Something new on a canvas; `numbers` when a stage is complete; `obstacle` says why the layer cannot be saved."""

    request: Request
    canvas: PreviewCanvas
    slice: LayerSlice = field(repr=False)
    numbers: Numbers | None = None
    obstacle: str = ""


class MissingModelError(Exception):
    """The weights of a model are not on this machine; they are not fetched without being asked for."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__(f"The weights of the model {name!r} are not on this computer ({size / 1e6:.1f} MB).")
        self.name, self.size = name, size


class Live:
    """Works on requests one at a time, in one thread; keeps the slice that it worked on last.

    Args:
        shown: called whenever there is something new to see.
        status: called with a sentence about what takes long, "" when it is over.
    """

    def __init__(self, shown: Callable[[Shown], None], status: Callable[[str], None]) -> None:
        self._shown, self._status = shown, status
        self._key: Hashable = None
        self._slice: LayerSlice | None = None
        self._canvas: PreviewCanvas | None = None
        self._stack: Hashable = None
        self._survey: Survey | None = None
        self._side = SMALLEST
        self._done: Shown | None = None
        self._fixed = 0

    def forget(self) -> None:
        """Let go of the layer's pixels."""
        self._key = self._slice = self._canvas = self._stack = self._survey = self._done = None

    def work(self, request: Request, turn: Turn) -> None:
        """Show the stages of a request; raises what coding raises, and MissingModelError."""
        with agvae.options.using(device=request.device), watched(turn.check):
            self._prepare(request, turn)
            assert self._slice is not None
            assert self._survey is not None
            shown = self._known(request, self._slice)
            if shown is None:
                shown = self._stages(request, self._slice, self._survey, turn)
            turn.yielding = True
            self._survey.look()
            if self._survey.obstacle != shown.obstacle:
                self._shown(replace(shown, obstacle=self._survey.obstacle))

    def _prepare(self, request: Request, turn: Turn) -> None:
        if request.level is not None:
            load(request.model, self._status)
        turn.check()
        if self._key == request.key and self._slice is not None:
            return
        self._canvas = self._slice = self._key = self._done = None
        found = self._found(request)
        turn.check()
        self._canvas = PreviewCanvas(found.values)  # a new one: the one before is still on view where it belongs
        self._slice, self._key = found, request.key

    def _found(self, request: Request) -> LayerSlice:
        """The slice of a request; where that cannot be saved, it is known while others are on view."""
        if self._survey is None or self._survey.data is not request.data or self._stack != request.stack:
            self._survey = Survey(request.data, request.attributes, request.value_range)
            self._stack = request.stack
        try:
            return LayerSlice(request.data, request.attributes, request.index, request.value_range)
        except TypeError as error:
            self._survey.obstacle = str(error)
            raise

    def _known(self, request: Request, source: LayerSlice) -> Shown | None:
        """What was shown last, where at most the layer's attributes have changed since."""
        last = self._done
        if last is None or last.numbers is None or _coding(last.request) != _coding(request):
            return None
        numbers = replace(last.numbers, size=self._fixed + _described(request, source))
        self._done = replace(last, request=request, numbers=numbers)
        self._shown(self._done)
        return self._done

    def _stages(self, request: Request, source: LayerSlice, survey: Survey, turn: Turn) -> Shown:
        if request.level is None:  # which changes nothing that is on view: only the size counts, of all of it
            return self._stage(request, source, survey, Box(0, 0, *source.size))
        boxes = stages(request.visible, source.size, self._side, whole=request.whole)
        with few_threads():
            for number, box in enumerate(boxes):
                turn.yielding = number > 0
                turn.check()
                start = time.perf_counter()
                shown = self._stage(request, source, survey, box, keep=number > 0)
                if number == 0:
                    self._side = next_side(self._side, time.perf_counter() - start, box.area)
        return shown

    def _stage(self, request: Request, source: LayerSlice, survey: Survey, box: Box, *, keep: bool = False) -> Shown:
        """Show a box; `keep` leaves nothing else on view than what was painted before of this very box."""
        assert self._canvas is not None
        self._done = None
        start = time.perf_counter()
        codes = source.crop(box)
        decoded = np.empty_like(codes)
        preview = _coded(request, source, survey, box)
        left, top, right, bottom = box
        if keep:
            self._canvas.restore(keep=box)
        view = request.visible
        centre = (view.left + view.right) / 2 - left, (view.top + view.bottom) / 2 - top
        for (x0, y0, x1, y1), pixels in preview.parts(centre):
            decoded[y0:y1, x0:x1] = pixels
            self._canvas.paint(Box(left + x0, top + y0, left + x1, top + y1), source.to_values(pixels))
            self._shown(Shown(request, self._canvas, source))
        seconds = time.perf_counter() - start
        whole = box == (0, 0, *source.size)
        self._fixed = len(preview.file())
        size = self._fixed + (_described(request, source) if whole else 0)
        psnr, ms_ssim = similarity(source.reference(box), source.result(decoded), source.bounds)
        raw = source.values[top:bottom, left:right].nbytes
        numbers = Numbers(request.level, box, whole, size, psnr, ms_ssim, seconds, raw, source.count)
        shown = Shown(request, self._canvas, source, numbers, survey.obstacle)
        self._shown(shown)
        if whole:
            self._done = shown
        return shown


def _coded(request: Request, source: LayerSlice, survey: Survey, box: Box) -> Preview | ExactPreview:
    """A box to be coded and decoded."""
    if request.level is None:
        return ExactPreview(source.crop(box))
    from agvae.coding.preview import Preview

    return Preview(survey.original(source, box), request.level, request.model)


def _coding(request: Request) -> Hashable:
    """Equal for requests of one slice that are coded alike."""
    return request.level, request.model, request.device


def _described(request: Request, source: LayerSlice) -> int:
    """Bytes of the file that say what the layer is, where its file has no other slices."""
    document = source.document(request.attributes)
    return 0 if document is None else OVERHEAD + len(document)


def load(model: str | None, status: Callable[[str], None]) -> None:
    """Load PyTorch and a model, the first time with a status; downloads nothing.

    Raises:
        MissingModelError: the weights are not here.
        agvae.weights.WeightsError: no such model.
    """
    from agvae import weights

    busy = not is_imported()
    if busy:
        status(LOADING)
    try:
        import_codec()
        from agvae.coding.loaded import is_loaded

        if is_loaded(model):
            return
        registry = weights.registry()
        name = model or registry["default"]
        if weights.locate(name) is None:
            raise MissingModelError(name, registry["models"][name]["size"])
        if not busy:
            status(LOADING)
            busy = True
        load_codec(model)
    finally:
        if busy:
            status("")


def few_threads() -> AbstractContextManager[None]:
    """Leave a core to the event loop, unless `agvae.options.threads` says what to do."""
    import torch

    few = max(1, min(torch.get_num_threads(), processors() - 1))
    return agvae.options.using(threads=agvae.options.threads or few)
