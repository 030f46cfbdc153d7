"""Processes that are started anew, and the interpreter's options."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from PIL import Image

from tests.support.plugin import run

pytestmark = pytest.mark.usefixtures("tiny_weights")


def load_in_child(arguments: tuple[str, str]) -> bytes:
    from agvae.weights import registries

    registries.BUNDLED = Path(arguments[0])
    with Image.open(arguments[1]) as im:
        return im.tobytes()


def test_spawned_process(path: Path, tiny_weights: Path, expected: bytes) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(load_in_child, ((str(tiny_weights), str(path)),)) == expected


CONFORMING_PROGRAM = """
import io, pathlib, sys
import pillow_agvae
from PIL import Image
from agvae.weights import registries

registries.BUNDLED = pathlib.Path(sys.argv[1])
data = pathlib.Path(sys.argv[2]).read_bytes()
with Image.open(sys.argv[2]) as im:
    pixels = im.tobytes()
with Image.open(io.BytesIO(data)) as im:
    im.verify()
fp = io.BytesIO()
Image.frombytes("RGB", (96, 64), pixels).save(fp, "AGV", quality=75)
failures = 0
for damaged in (data[:-1], data[:30], data[:-9] + bytes(9)):
    try:
        Image.open(io.BytesIO(damaged)).load()
    except OSError:
        failures += 1
with Image.open(sys.argv[2]) as im:
    pass
try:
    im.load()
except ValueError:
    failures += 1
print(failures, len(pixels))
"""


@pytest.mark.parametrize("options", [("-OO",), ("-W", "error")])
def test_interpreter_options(options: tuple[str, ...], path: Path, tiny_weights: Path) -> None:
    assert run(CONFORMING_PROGRAM, tiny_weights, path, options=options) == f"4 {3 * 96 * 64}"
