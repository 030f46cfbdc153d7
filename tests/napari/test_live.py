"""The preview without Qt: which part comes first, the latest request wins, what is shown is what a file holds."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import agvae
from agvae import metrics
from agvae.boxes import Box
from napari_agvae.preview.canvas import PLAIN, PreviewCanvas
from napari_agvae.preview.latest import LatestWins, Stopped, Turn
from napari_agvae.preview.live import LOADING, Live, MissingModelError, Request, Shown
from napari_agvae.preview.measured import described, similarity
from napari_agvae.preview.regions import LARGEST, SMALLEST, central_box, next_side, stages, visible_box
from tests.napari.timing import Stopwatch
from tests.support.helpers import picture

IMAGE = picture(700, 500)
GREY = IMAGE[..., 0]


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def box_in(size: tuple[int, int]) -> st.SearchStrategy[Box]:
    width, height = size
    return st.tuples(
        st.integers(0, width - 1), st.integers(0, height - 1), st.integers(1, width), st.integers(1, height)
    ).map(lambda b: Box(b[0], b[1], min(width, b[0] + b[2]), min(height, b[1] + b[3])))


@given(box_in((3000, 2000)), st.integers(SMALLEST, LARGEST), st.booleans())
def test_stages_grow_around_the_middle_of_the_view(visible: Any, side: int, whole: bool) -> None:
    boxes = stages(visible, (3000, 2000), side, whole=whole)
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in boxes]
    assert boxes[-1] == ((0, 0, 3000, 2000) if whole else visible)
    assert areas[0] <= 2 * side**2
    assert all(2 * small <= large for small, large in pairwise(areas))
    middle = central_box(visible, side)
    assert visible[0] <= middle[0] < middle[2] <= visible[2]
    assert abs((middle[0] + middle[2]) - (visible[0] + visible[2])) <= 1


def test_the_view_is_cut_at_the_slice_and_scaled_by_the_level_of_a_pyramid() -> None:
    assert visible_box(((-10, 5), (99.5, 1000)), 1, (640, 480)) == (5, 0, 640, 101)
    assert visible_box(((10, 20), (19, 29)), 4, (640, 480)) == (80, 40, 120, 80)
    assert visible_box(((500, 0), (600, 10)), 1, (640, 480)) == (0, 0, 640, 480)


def test_the_region_while_dragging_follows_the_machine() -> None:
    assert next_side(256, 0.01, 256**2) > 256
    assert next_side(256, 5, 256**2) == SMALLEST
    assert next_side(512, 0.001, 512**2) == LARGEST
    assert next_side(256, 0.2, 256**2) == 256


def test_a_canvas_shows_the_original_where_nothing_is_painted() -> None:
    canvas = PreviewCanvas(GREY)
    canvas.paint(Box(0, 0, 10, 10), np.zeros((10, 10), np.uint8))
    canvas.paint(Box(20, 20, 30, 30), np.ones((10, 10), np.uint8))
    canvas.restore(keep=Box(20, 20, 30, 30))
    assert (canvas.pixels[20:30, 20:30] == 1).all()
    canvas.pixels[20:30, 20:30] = GREY[20:30, 20:30]
    np.testing.assert_array_equal(canvas.pixels, GREY)


def test_a_layer_sees_what_is_painted_later_at_every_level() -> None:
    canvas = PreviewCanvas(np.zeros((1500, 1200), np.uint8))
    levels = canvas.layer_data(1)
    assert [level.shape for level in levels] == [(1, 1500, 1200), (1, 750, 600)]
    canvas.paint(Box(0, 0, 1200, 1500), np.full((1500, 1200), 7, np.uint8))
    assert all((level == 7).all() for level in levels)
    assert PreviewCanvas(np.zeros((1024, PLAIN // 1024, 3), np.uint8)).layer_data(0).shape == (1024, 1024, 3)


def test_the_latest_request_wins_and_the_first_stage_of_each_is_done() -> None:
    begun, finished, failures = [], [], []
    going_on = threading.Event()

    def work(request: int, turn: Turn) -> None:
        begun.append(request)
        going_on.wait(5)
        turn.check()
        turn.yielding = True
        turn.check()
        finished.append(request)

    latest = LatestWins(work, lambda request, error: failures.append(error), lambda: None)
    for request in range(50):
        latest.submit(request)
        wait_for(lambda: begun)
    going_on.set()
    wait_for(lambda: not latest.busy)
    assert begun == [0, 49]
    assert finished == [49]
    latest.close(1)
    assert not failures


def test_an_error_is_told_and_the_next_request_works() -> None:
    failures, done = [], []

    def work(request: int, _: Turn) -> None:
        done.append(1 // request)

    latest = LatestWins(work, lambda request, error: failures.append((request, type(error))), lambda: None)
    latest.submit(0)
    wait_for(lambda: failures)
    latest.submit(1)
    wait_for(lambda: done)
    latest.close(1)
    assert failures == [(0, ZeroDivisionError)]


def test_closing_stops_what_runs_and_leaves_no_thread() -> None:
    started = threading.Event()

    def work(_: int, turn: Turn) -> None:
        while True:
            started.set()
            turn.check()
            time.sleep(0.001)

    before = threading.active_count()
    ended: list[str] = []
    latest = LatestWins(
        work,
        lambda *_: pytest.fail("no error"),
        lambda: None,
        lambda: ended.append(threading.current_thread().name),
    )
    latest.submit(1)
    started.wait(5)
    latest.close(1)
    latest.close(1)
    assert ended == ["agvae preview"]
    assert threading.active_count() == before
    latest.submit(2)
    assert threading.active_count() == before


def request(image: Any, level: int = 10240, *, index: tuple[int, ...] = (), **changes: Any) -> Request:
    height, width = image.shape[-3:-1] if image.shape[-1] in (3, 4) else image.shape[-2:]
    given = {"visible": Box(0, 0, width, height), "whole": True, "attributes": {"name": "a"}, "key": (id(image), index)}
    return Request(data=image, index=index, level=level, **(given | changes))


def run(wanted: Request, live: Live | None = None, shown: list[Shown] | None = None) -> list[Shown]:
    found: list[Shown] = [] if shown is None else shown
    (live or Live(found.append, lambda _: None)).work(wanted, Turn(lambda: False))
    return found


@pytest.mark.parametrize("image", [IMAGE, GREY, np.dstack((IMAGE, GREY)), GREY.astype(np.uint16) * 99])
def test_the_whole_slice_is_the_file(image: np.ndarray, tmp_path: Any) -> None:
    from napari_agvae.io.writer import write_agv

    last = run(request(image))[-1]
    path = write_agv(tmp_path / "a.agv", [(image, {}, "image")], 3.5)
    data = open(path, "rb").read()  # noqa: PTH123, SIM115
    decoded = agvae.decode(data)
    np.testing.assert_array_equal(last.canvas.pixels, decoded)
    assert last.numbers is not None
    assert last.numbers.whole
    assert last.numbers.size == len(data)
    if image.dtype == np.uint8:
        x, y = np.atleast_3d(image)[..., :3], np.atleast_3d(decoded)[..., :3]
        assert last.numbers.psnr == pytest.approx(metrics.psnr(x, y))
        assert last.numbers.ms_ssim == pytest.approx(metrics.ms_ssim(x, y))


def test_float_values_come_back_and_their_document_counts(tmp_path: Any) -> None:
    from napari_agvae.io.writer import write_agv

    image = GREY.astype(np.float32) / 100 - 1
    attributes = {"name": "a", "scale": [0.5, 0.5], "units": ("um", "um")}
    last = run(request(image, attributes=attributes))[-1]
    path = write_agv(tmp_path / "a.agv", [(image, attributes, "image")], 3.5)
    assert last.numbers is not None
    assert last.numbers.size == len(open(path, "rb").read())  # noqa: PTH123, SIM115
    assert last.canvas.pixels.dtype == np.float32
    assert np.abs(last.canvas.pixels - image).mean() < 0.1


def test_16_bits_between_contrast_limits_are_what_the_file_holds(tmp_path: Any) -> None:
    from napari_agvae.io.writer import write_agv

    image = GREY.astype(np.uint16)
    image[5, 5] = 65535
    attributes = {"name": "a", "contrast_limits": [0, 255]}
    last = run(request(image, attributes=attributes, value_range="contrast limits"))[-1]
    path = write_agv(tmp_path / "a.agv", [(image, attributes, "image")], 3.5, value_range="contrast limits")
    assert last.numbers is not None
    assert last.numbers.size == len(open(path, "rb").read())  # noqa: PTH123, SIM115
    assert last.canvas.pixels.max() <= 255


def test_first_the_middle_then_the_view_then_the_whole() -> None:
    shown = run(request(IMAGE, visible=Box(100, 50, 500, 450)))
    complete = [s.numbers for s in shown if s.numbers is not None]
    assert [n.box for n in complete] == [(204, 154, 396, 346), (100, 50, 500, 450), (0, 0, 700, 500)]
    assert [n.whole for n in complete] == [False, False, True]
    crop = agvae.encode(IMAGE[154:346, 204:396], 3.5)
    assert complete[0].size == len(crop)


def test_while_dragging_only_the_view_is_coded() -> None:
    shown = run(request(IMAGE, visible=Box(0, 0, 192, 192), whole=False))
    assert [s.numbers.box for s in shown if s.numbers] == [(0, 0, 192, 192)]
    np.testing.assert_array_equal(shown[-1].canvas.pixels[192:], IMAGE[192:])


def test_a_slice_of_a_stack_is_read_once_and_alone() -> None:
    dask_array = pytest.importorskip("dask.array")
    read = []

    def block(k: int) -> np.ndarray:
        read.append(k)
        return np.roll(GREY, 50 * k)[None]

    from dask import delayed

    stack = dask_array.concatenate(
        [dask_array.from_delayed(delayed(block)(k), (1, *GREY.shape), GREY.dtype) for k in range(5)]
    )
    shown: list[Shown] = []
    live = Live(shown.append, lambda _: None)
    for level in (0, 20480):
        run(request(stack, level, index=(3,)), live)
    assert read == [3]
    np.testing.assert_array_equal(shown[-1].canvas.original, np.roll(GREY, 150))
    canvas = shown[-1].canvas
    before = canvas.pixels.copy()
    run(request(stack, index=(1,)), live)
    np.testing.assert_array_equal(shown[-1].canvas.original, np.roll(GREY, 50))
    np.testing.assert_array_equal(canvas.pixels, before)  # still on view, where its slice is


@pytest.mark.timing
def test_stopping_takes_little_time_and_shows_nothing_more() -> None:
    shown: list[Shown] = []
    live = Live(shown.append, lambda _: None)
    run(request(IMAGE), live)
    latest = LatestWins(live.work, lambda *_: pytest.fail("no error"), lambda: None)
    image = picture(2048, 2048)
    latest.submit(request(image, visible=Box(0, 0, 200, 200)))
    count = len(shown)
    wait_for(lambda: len(shown) > count + 1)
    with Stopwatch() as watch:
        latest.stop()
        wait_for(lambda: not latest.busy)
    assert watch.seconds < 0.3
    assert not any(s.numbers and s.numbers.whole for s in shown[count:])
    latest.close(1)


def test_a_model_that_is_not_here_is_not_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    from agvae.weights import places

    monkeypatch.setattr(places, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(places, "_places", lambda entry: iter(()))
    monkeypatch.setattr("agvae.coding.loaded._models", {})
    with pytest.raises(MissingModelError, match="not on this computer"):
        run(request(IMAGE))


@pytest.mark.parametrize("bad", [np.full((9, 9), np.nan), np.zeros((9, 9), np.complex64)])
def test_what_cannot_be_coded_is_refused_by_name(bad: np.ndarray) -> None:
    with pytest.raises(TypeError, match="'a'"):
        run(request(bad))


def test_numbers_of_an_image_that_is_not_changed() -> None:
    assert similarity(IMAGE, IMAGE) == (np.inf, pytest.approx(1.0))
    assert similarity(GREY.astype(np.uint16) * 50, GREY.astype(np.uint16) * 50) == (np.inf, pytest.approx(1.0))
    assert similarity(GREY[:9], GREY[:9])[1] is None
    flat = np.full((170, 170), 7, np.uint16)
    assert similarity(flat, flat)[0] == np.inf


RAMP = GREY[:200, :220] / 255


@pytest.mark.parametrize(
    ("image", "value_range"),
    [
        ((RAMP * 3 - 1).astype(np.int16), "values"),
        ((RAMP * 40 - 20).astype(np.int16), "values"),
        ((RAMP > 0.4).astype(np.int32), "values"),
        ((RAMP * 200 - 100).astype(np.int8), "values"),
        (RAMP.astype(np.float16), "values"),
        ((RAMP + 1e5).astype(np.float32), "values"),
        (RAMP * 1e-200, "values"),
        ((RAMP * 2**50).astype(np.uint64), "values"),
        ((RAMP * 47207).astype(np.uint16), "contrast limits"),
        ((RAMP * 3e38).astype(np.float32), "contrast limits"),
        ((IMAGE[:200, :220] / 2 - 9).astype(np.int8), "values"),
        ((IMAGE[:200, :220] * 16.0).astype(np.uint16), "values"),
    ],
    ids=lambda given: given if isinstance(given, str) else f"{given.dtype} {given.ndim}",
)
def test_numbers_are_those_of_the_values_that_come_back(image: Any, value_range: str, tmp_path: Any) -> None:
    from napari_agvae.io.reader import read_agv
    from napari_agvae.io.writer import write_agv

    low, high = float(image.min()), float(image.max())
    limits = (low + (high - low) * 0.1, low + (high - low) * 0.4)
    attributes = {"name": "a", "contrast_limits": limits}
    numbers = run(request(image, attributes=attributes, value_range=value_range))[-1].numbers
    path = write_agv(tmp_path / "a.agv", [(image, attributes, "image")], value_range=value_range)
    ((read, _, _),) = read_agv(path)
    peak = high - low if image.ndim == 2 else max(high, min(255, np.iinfo(image.dtype).max)) - min(low, 0)
    error = np.mean(np.square((read.astype(float) - image.astype(float)) / peak))
    assert numbers is not None
    assert numbers.psnr == pytest.approx(-10 * np.log10(error) if error else np.inf, abs=0.01)
    assert numbers.size == Path(path).stat().st_size


def test_what_is_clipped_is_no_likeness() -> None:
    image = (RAMP * 60000).astype(np.uint16)
    numbers = [
        run(request(image, attributes={"contrast_limits": limits}, value_range="contrast limits"))[-1].numbers
        for limits in ((0, 60000), (20000, 30000))
    ]
    assert numbers[0].psnr > numbers[1].psnr + 10  # type: ignore[union-attr]
    assert numbers[0].ms_ssim > numbers[1].ms_ssim + 0.1  # type: ignore[union-attr, operator]


@pytest.mark.parametrize("image", [GREY[:90, :70].astype(np.int16), GREY[None, :90, :70]])
def test_a_size_follows_attributes_and_nothing_is_coded_again(image: Any, tmp_path: Any) -> None:
    from napari_agvae.io.writer import write_agv

    shown: list[Shown] = []
    live = Live(shown.append, lambda _: None)
    index = (0,) * (image.ndim - 2)
    for look, attributes in enumerate(
        ({}, {"colormap": "viridis", "metadata": {"note": "x" * 3000}}, {"opacity": 0.5})
    ):
        given: dict[str, Any] = {"name": "a", **attributes}
        before = len(shown)
        run(request(image, index=index, attributes=given, look=look), live, shown)
        assert (len(shown) - before == 1) == (look > 0)
        path = write_agv(tmp_path / "a.agv", [(image, given, "image")])
        assert shown[-1].numbers is not None
        assert shown[-1].numbers.size == Path(path).stat().st_size
        assert shown[-1].request.look == look


def test_similarity_of_16_bits_is_that_of_its_range() -> None:
    noisy = np.clip(GREY.astype(int) + np.random.default_rng(0).integers(-9, 9, GREY.shape), 0, 255).astype(np.uint8)
    wide = (GREY - GREY.min()).astype(np.uint16) * 200 + 1000
    psnr, ms_ssim = similarity(wide, wide + (noisy.astype(int) - GREY).astype(np.int16).astype(np.uint16) * 200)
    span = int(GREY.max()) - int(GREY.min())
    assert psnr == pytest.approx(metrics.psnr(GREY, noisy) + 20 * np.log10(span / 255), abs=0.01)
    assert ms_ssim is not None
    assert ms_ssim < 1


def test_numbers_in_words() -> None:
    numbers = run(request(IMAGE))[-1].numbers
    assert numbers is not None
    words = described(numbers)
    assert words["shown"] == "whole slice, 700 x 500"
    assert words["rate"] == f"{8 * numbers.size / 350000:.3f} bpp"
    assert words["ratio"] == f"{3 * 350000 / numbers.size:.3g} : 1"
    assert words["stack"] == "-"
    stack = described(replace(numbers, size=123_456, slices=60))
    assert stack["stack"] == "≈ 7.41 MB (60)"
    assert set(words) == {"shown", "size", "ratio", "stack", "rate", "psnr", "ms_ssim", "time"}


def test_stopped_is_no_failure_of_the_codec() -> None:
    turn = Turn(lambda: True)
    turn.check()
    turn.yielding = True
    with pytest.raises(Stopped):
        turn.check()


def test_that_torch_is_loaded_is_said_before_it_is() -> None:
    code = """
import sys
import numpy as np
from agvae.boxes import Box
from napari_agvae.preview.latest import Turn
from napari_agvae.preview.live import Live, Request
said = []
live = Live(lambda _: None, lambda text: said.append((text, "torch" in sys.modules)))
live.work(Request((), np.zeros((40, 40), np.uint8), {}, (), 0, Box(0, 0, 40, 40), True), Turn(lambda: False))
print(said[0])
"""
    found = subprocess.run([sys.executable, "-c", code], check=True, timeout=600, capture_output=True, text=True).stdout
    assert found == f"{(LOADING, False)}\n"
