"""Gaps of napari's event loop while the quality slider of the preview dock is dragged.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/napari_latency.py [--megapixels 24] [--zoom 1]

Opens a viewer with a synthetic RGB image, warms up with one preview, drags the slider for three seconds (one move
every 15 ms), and prints the gaps between the ticks of a 5 ms timer: at rest, while the slider moves and nothing is
previewed (what the window's own redraw takes), while dragging, and while the whole slice is coded after the release;
then how many previews were seen, how long the plugin's own functions kept the event loop, and how long a stop takes.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable

import napari
import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QSlider

from napari_agvae.docks.preview_dock import PreviewDock
from napari_agvae.preview.regions import central_box


class Ticks:
    """Times at which a timer of 5 ms fired."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.timer = QTimer()
        self.timer.timeout.connect(lambda: self.times.append(time.perf_counter()))
        self.timer.start(5)

    def report(self, name: str, start: float, end: float) -> None:
        times = [start, *(t for t in self.times if start < t < end), end]
        gaps = np.diff(times) * 1000
        print(
            f"{name}: {len(gaps)} ticks in {end - start:.1f} s, gaps median {np.median(gaps):.0f}, "
            f"99 % {np.percentile(gaps, 99):.0f}, longest {np.sort(gaps)[::-1][:5].round()} ms",
            flush=True,
        )


def spin(condition: Callable[[], bool], limit: float) -> bool:
    app = QApplication.instance()
    end = time.perf_counter() + limit
    while not condition():
        if time.perf_counter() > end:
            return False
        app.processEvents()
        time.sleep(0.0005)
    return True


def pause(seconds: float) -> None:
    spin(lambda: False, seconds)


class Timed:
    """Milliseconds, of the clock and of the processor, in methods that the event loop calls."""

    def __init__(self) -> None:
        self.times: dict[str, list[tuple[float, float]]] = {}

    def watch(self, owner: type, name: str) -> None:
        method = getattr(owner, name)
        times = self.times[name] = []

        def timed(*args: object) -> None:
            clock, processor = time.perf_counter(), time.thread_time()
            method(*args)
            times.append(((time.perf_counter() - clock) * 1000, (time.thread_time() - processor) * 1000))

        setattr(owner, name, timed)

    def clear(self) -> None:
        for times in self.times.values():
            times.clear()

    def report(self) -> None:
        for name, times in self.times.items():
            if times:
                clock, processor = np.array(times).T
                print(
                    f"{name}: {len(times)} calls, median {np.median(clock):.1f}, longest {clock.max():.1f} ms, "
                    f"of the processor {np.median(processor):.1f}, {processor.max():.1f} ms"
                )


def drag(slider: QSlider, seconds: float) -> int:
    """Move a slider that is held down; the number of moves."""
    end = time.perf_counter() + seconds
    moves = 0
    while time.perf_counter() < end:
        moves += 1
        slider.setValue(2000 + moves * 61 % 18000)
        pause(0.015)
    return moves


def synthetic(megapixels: float) -> np.ndarray:
    """(H, W, 3) uint8 with shapes and texture."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    y, x = np.ogrid[:height, : height * 3 // 2]
    noise = np.random.default_rng(0).integers(0, 24, (height, height * 3 // 2), np.uint8)
    bands = [np.sin(x / (40 + 9 * c)) * np.cos(y / (25 + 7 * c)) * 90 + 110 for c in range(3)]
    return np.stack([np.asarray(band, np.uint8) + noise for band in bands], axis=2)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megapixels", type=float, default=24)
    parser.add_argument(
        "--zoom", type=float, default=1, help="screen pixels for each pixel; 0: the whole image is seen"
    )
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--after", type=float, default=8, help="seconds to watch after the release")
    args = parser.parse_args()
    image = synthetic(args.megapixels)
    timed = Timed()
    for name in ("_changed", "_shown", "_idle"):
        timed.watch(PreviewDock, name)
    viewer = napari.Viewer()
    viewer.add_image(image, name="image")
    dock = PreviewDock(viewer)
    viewer.window.add_dock_widget(dock)
    if args.zoom:
        getattr(viewer, "scene", viewer).camera.zoom = args.zoom
    ticks = Ticks()
    pause(2)

    dock.editor.slider.setSliderDown(True)
    dock.editor.slider.setValue(9000)
    dock.editor.slider.setSliderDown(False)
    seen: list[tuple[float, tuple[int, int, int, int] | None]] = []
    engine, layers = dock._engine, dock._layers
    assert engine is not None
    assert layers is not None
    engine.shown.connect(lambda shown: seen.append((time.perf_counter(), shown.numbers.box if shown.numbers else None)))
    assert spin(lambda: any(box for _, box in seen), 60), "no preview"
    dock._cancel()
    assert spin(lambda: not engine.busy, 5)

    print(
        f"{image.shape[1]} x {image.shape[0]} pixels, zoom {args.zoom}; {os.cpu_count()} cores, {platform.processor()}"
    )
    print(f"view {layers.visible}, its middle {central_box(layers.visible, 512)}")
    start = time.perf_counter()
    pause(1.5)
    ticks.report("at rest", start, time.perf_counter())

    dock.editor.slider.setSliderDown(True)
    dock.editor.blockSignals(True)
    start = time.perf_counter()
    drag(dock.editor.slider, args.seconds)
    ticks.report("slider alone", start, time.perf_counter())
    dock.editor.blockSignals(False)
    pause(0.5)

    seen.clear()
    timed.clear()
    start = time.perf_counter()
    moves = drag(dock.editor.slider, args.seconds)
    released = time.perf_counter()
    ticks.report("dragging", start, released)
    complete = [box for _, box in seen if box]
    print(f"{moves} moves, {len(complete)} previews, the last of {complete[-1] if complete else None}")
    timed.report()

    seen.clear()
    dock.editor.slider.setSliderDown(False)
    dock.editor._released()
    spin(lambda: any(box and box[2] - box[0] == image.shape[1] for _, box in seen), args.after)
    ticks.report("after the release", released, time.perf_counter())
    print("previews after the release:", [(round(t - released, 2), box) for t, box in seen])
    stopped = time.perf_counter()
    dock._cancel()
    spin(lambda: not engine.busy, 10)
    print(f"stopped after {time.perf_counter() - stopped:.3f} s")
    start = time.perf_counter()
    viewer.close()
    print(f"closed after {time.perf_counter() - start:.3f} s")


if __name__ == "__main__":
    main()
