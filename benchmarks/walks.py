"""The way of pixels through the modules, as real calls take it: how many modules, and how often it turns upwards.

    python benchmarks/walks.py {open,save,slice} [--route]

`open` is a picture that is opened and loaded, `save` one that is saved, `slice` one that napari shows and the preview
dock draws after its slider has moved (with napari, and a display).  Each is done once before it is watched, so that
imports and the model's first use count for nothing.  A climb is a call, from anywhere in a module, of one that imports
it, directly or by others: what was handed down is called back, or what was to come is asked for.  Of a pair of modules
it counts once.  Rooms are the folders of a package, and the modules that lie in none.  `--route` prints the modules
from the top floor down, then the climbs.
"""

from __future__ import annotations

import argparse
import ast
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from PIL import Image

import agvae
import pillow_agvae  # noqa: F401

agvae.options.threads = 1  # else it is chance which thread is seen to do what
SOURCE = Path(agvae.__file__).parents[1]
MODULES = {
    str(path): ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    for package in ("agvae", "pillow_agvae", "napari_agvae")
    for path in (SOURCE / package).rglob("*.py")
    if path.name != "lazy.py"  # which stands between an attribute and its function, as functools would
}
PATHS = {name: path for path, name in MODULES.items()}


@cache
def imports(name: str) -> frozenset[str]:
    """The modules that one imports anywhere but for its annotations."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(Path(PATHS[name]).read_text("utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner & PATHS.keys() or {node.module}
        waiting += ast.iter_child_nodes(node)
    return frozenset(found & PATHS.keys()) - {name, "agvae"}


@cache
def below(name: str) -> frozenset[str]:
    """All that a module stands on."""
    direct = imports(name)
    return direct.union(*map(below, direct))


def floor(name: str) -> int:
    return 1 + max(map(floor, imports(name)), default=0)


class Walk:
    """The calls between modules while it is entered, in this thread and in those that began under its eyes."""

    def __init__(self) -> None:
        self.calls: dict[tuple[str, str], None] = {}
        self.modules: dict[str, None] = {}

    def __enter__(self) -> Walk:
        threading.setprofile(self.seen)
        sys.setprofile(self.seen)
        return self

    def __exit__(self, *_: object) -> None:
        threading.setprofile(None)
        sys.setprofile(None)

    def seen(self, frame: FrameType, event: str, _: Any) -> None:
        if event != "call" or (module := MODULES.get(frame.f_code.co_filename)) is None:
            return
        self.modules[module] = None
        caller = frame.f_back
        while caller is not None and caller.f_code.co_filename not in MODULES:
            caller = caller.f_back
        if caller is not None and (other := MODULES[caller.f_code.co_filename]) != module:
            self.calls[other, module] = None

    @property
    def climbs(self) -> list[tuple[str, str]]:
        return [(caller, module) for caller, module in self.calls if caller in below(module)]


def room(name: str) -> str:
    """A folder of a package, or a module that lies in none."""
    return ".".join(name.split(".")[:2])


def picture() -> np.ndarray:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:512, :768].astype(float)
    image = 128 + 60 * np.sin(x / 23) + 40 * np.cos(y / 17) + rng.normal(0, 6, (3, 512, 768))
    return np.ascontiguousarray(np.clip(image, 0, 255).astype(np.uint8).transpose(1, 2, 0))


def walk_files(wanted: str, folder: Path) -> Walk:
    def save() -> None:
        Image.fromarray(picture()).save(folder / "a.agv")

    def load() -> None:
        with Image.open(folder / "a.agv") as im:
            im.load()

    save()
    load()
    with Walk() as walk:
        {"save": save, "open": load}[wanted]()
    return walk


def walk_slice() -> Walk:
    import napari
    from qtpy.QtCore import QEventLoop
    from qtpy.QtWidgets import QApplication

    def wait(until: Callable[[], object]) -> None:
        end = time.monotonic() + 120
        while not until():
            if time.monotonic() > end:
                sys.exit("no preview came")
            QApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 20)

    walk = Walk()
    threading.setprofile(walk.seen)  # for the dock's thread, which begins with the first preview
    viewer = napari.Viewer()
    viewer.add_image(picture(), name="photo")
    _, dock = viewer.window.add_plugin_dock_widget("agvae", "AGVAE preview")
    for level in (3000, 9000):
        walk.calls.clear()
        walk.modules.clear()
        with walk:
            dock.editor.slider.setValue(level)
            wait(lambda: dock._engine.busy)
            wait(lambda: not dock._engine.busy)
            wait(lambda: len(viewer.layers) > 1)
    viewer.close()
    return walk


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("walk", choices=["open", "save", "slice"])
    parser.add_argument("--route", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        walk = walk_slice() if options.walk == "slice" else walk_files(options.walk, Path(folder))
    between = [(caller, module) for caller, module in walk.climbs if room(caller) != room(module)]
    print(f"{options.walk}: {len(walk.modules)} modules, {len(walk.climbs)} climbs, {len(between)} between rooms")
    if options.route:
        for module in sorted(walk.modules, key=floor, reverse=True):
            print(f"{floor(module):3} {module}")
        for caller, module in walk.climbs:
            print(f"    {caller} calls back {module}{' in another room' if (caller, module) in between else ''}")


if __name__ == "__main__":
    main()
