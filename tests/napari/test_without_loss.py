"""Layers that are saved without loss: every value comes back as it is, or the layer is refused."""

from __future__ import annotations

import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import agvae
from agvae.boxes import Box
from napari_agvae.io.reader import read_agv
from napari_agvae.io.values import exact_map
from napari_agvae.io.writer import write_agv, write_image, write_images, write_without_loss
from napari_agvae.preferences import EXACT
from napari_agvae.preview.latest import Turn
from napari_agvae.preview.live import Live, Request, Shown
from napari_agvae.preview.measured import described
from napari_agvae.preview.without_loss import ExactPreview
from napari_agvae.state import Choice, session
from tests.support.helpers import picture

RNG = np.random.default_rng(3)
CELLS = RNG.poisson(300, (3, 40, 50))
RGB = picture(50, 40)
HIDING = np.dstack((RGB, np.where(RGB[..., 0] > 120, 0, 77).astype(np.uint8)))

KEPT: dict[str, Any] = {
    "uint8": CELLS.astype(np.uint8),
    "RGB": RGB,
    "RGBA": HIDING,
    "RGB stack": np.stack((RGB, RGB[::-1])),
    "uint16": CELLS.astype(np.uint16) * 150,
    "int8": (CELLS % 256 - 128).astype(np.int8),
    "int16": (CELLS * 100 - 32000).astype(np.int16),
    "int16, all of it": np.array([[-32768, 32767], [0, -1]], np.int16),
    "int32": (CELLS - 10).astype(np.int32),
    "int32, far out": (CELLS + (2**31 - 1 - CELLS.max())).astype(np.int32),
    "int64, frames far apart": CELLS + np.array([0, 10**9, -(10**12)])[:, None, None],
    "uint64": (CELLS + 2**53 - CELLS.max()).astype(np.uint64),
    "float32, whole numbers": (CELLS - 200).astype(np.float32),
    "float64, of 8 bits": RGB[..., 0] * (1 / 255),
    "float32, of 8 bits": (RGB[..., 0] / 255).astype(np.float32),
    "float32, of 16 bits": (CELLS.astype(np.uint16) * 150 / 65535).astype(np.float32),
    "float32, two values": np.where(CELLS > 300, 0.2, 0.7).astype(np.float32),
    "float64, one value": np.full((3, 4), np.pi),
    "float16": (CELLS - 300).astype(np.float16),
    "float RGB": (RGB / 255).astype(np.float32),
    "uint16 RGB": RGB.astype(np.uint16),
    "float RGBA": (HIDING / 255).astype(np.float32),
    "big endian": (CELLS - 10).astype(">i4"),
}
REFUSED: dict[str, tuple[Any, str]] = {
    "float32": ((CELLS * 0.1234).astype(np.float32), "float32 values in slice 0 that 16 bits do not hold without loss"),
    "float64 of one frame": (np.sqrt(CELLS[0]), "float64 values that 16 bits do not hold without loss"),
    "float64 in slice 2": (np.where(np.arange(3)[:, None, None] == 2, CELLS + 0.1, CELLS), "in slice 2 that"),
    "wide integers": (np.array([[0, 65536]]), "int64 values that 16 bits"),
    "integers beyond 2^53": (np.array([[2**60, 2**60 + 1]]), "int64 values"),
    "uint16 RGB": (RGB.astype(np.uint16) * 2 + (RGB > 99), "uint16 values that 8 bits do not hold"),
    "alpha": (np.dstack((RGB / 255, RGB[..., :1] / 300)).astype(np.float32), "float32 values that 8 bits"),
    "NaN": (np.full((4, 5), np.nan), "NaN"),
    "bool": (np.zeros((4, 5), bool), "true and false"),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.agv"


def back(path: Path) -> NDArray[Any]:
    ((read, _, _),) = read_agv(path)
    return np.asarray(read)


@pytest.mark.parametrize("kind", KEPT)
@pytest.mark.parametrize("lazy", [False, True], ids=["numpy", "dask"])
def test_every_value_comes_back_as_it_is(kind: str, lazy: bool, path: Path) -> None:
    data = KEPT[kind]
    rgb = "RGB" in kind
    given = da.from_array(data, chunks=(1, *data.shape[1:])) if lazy and data.ndim > 2 + rgb else data
    assert write_agv(path, [(given, {"name": "a", "rgb": rgb}, "image")], lossless=True) == str(path)
    assert agvae.read_info(path)["lossless"]
    read = back(path)
    assert (read.dtype, read.shape) == (data.dtype.newbyteorder("="), data.shape)
    np.testing.assert_array_equal(read, data)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_lose_something_is_refused_by_name(kind: str, path: Path) -> None:
    data, reason = REFUSED[kind]
    with pytest.raises(TypeError, match=f"layer 'a' cannot be saved as .agv: it holds .*{reason}"):
        write_without_loss(str(path), [(data, {"name": "a", "rgb": data.shape[-1] in (3, 4)}, "image")])
    assert not list(path.parent.iterdir())


@given(
    st.sampled_from(["int8", "int16", "int32", "uint32", "int64", "uint64", "float32", "float64"]),
    st.integers(-(2**40), 2**40),
    st.lists(st.integers(0, 65535), min_size=1, max_size=5),
)
def test_whole_numbers_no_further_apart_than_16_bits_have_a_map(dtype: str, start: int, steps: list[int]) -> None:
    whole = [start + step for step in steps]
    values = np.array(whole).astype(dtype)
    if values.astype(object).tolist() != whole:
        return  # not of this type
    found = exact_map(values, colour=False)
    assert found is not None
    np.testing.assert_array_equal(found.to_values(found.to_codes(values)), values)


def test_contrast_limits_are_those_of_the_values(path: Path) -> None:
    for data in (KEPT["int32"], KEPT["float32, whole numbers"], KEPT["uint16"], KEPT["int64, frames far apart"]):
        ((_, attributes, _),) = read_agv(write_agv(path, [(data, {}, "image")], lossless=True))
        assert attributes["contrast_limits"] == [data.min(), data.max()]


def test_layers_of_one_file_stay_apart(path: Path) -> None:
    layers = [(KEPT["uint16"], {"name": "a"}, "image"), (CELLS[:1] - 10.0, {"name": "b"}, "image")]
    write_images(
        str(path), [(data, {**look, "metadata": {"agvae": {"lossless": True}}}, kind) for data, look, kind in layers]
    )
    for (read, attributes, _), (data, look, _) in zip(read_agv(path), layers, strict=True):
        assert attributes["name"] == look["name"]
        np.testing.assert_array_equal(np.asarray(read), data)


def test_one_wish_at_a_time(path: Path) -> None:
    layer = (RGB, {}, "image")
    for more in ({"quality": 3}, {"model": "base-1"}, {"value_range": "contrast limits"}, {"lossless": "no"}):
        with pytest.raises(ValueError, match="lossless"):
            write_agv(path, [layer], **{"lossless": True, **more})
    assert not path.exists()


def test_no_setting_clips_what_is_saved_without_loss(settings_page: Any, path: Path) -> None:
    settings_page.coding.value_range = "contrast limits"
    settings_page.coding.lossless = True
    data = KEPT["uint16"]
    write_image(str(path), data, {"contrast_limits": (300, 20000)})
    np.testing.assert_array_equal(back(path), data)
    settings_page.coding.lossless = False
    write_image(str(path), data, {"contrast_limits": (300, 20000)})
    assert not agvae.read_info(path)["lossless"]


def test_lossless_is_what_was_asked_for_last(path: Path) -> None:
    def lossless(*abouts: dict[str, Any]) -> bool:
        write_images(str(path), [(RGB, {"rgb": True, "metadata": about}, "image") for about in abouts])
        found: bool = agvae.read_info(path)["lossless"]
        return found

    opened = {"agv": {"lossless": True, "quality": 6.0}}
    assert lossless(opened)
    assert lossless({"agv": {"lossless": False, "quality": 2.0}}, opened)
    assert lossless({"agv": {"files": [{"lossless": False}, {"lossless": True}]}})
    assert not lossless({**opened, "agvae": {"quality": 2.5}})
    session.use(1, Choice(2.75))
    assert not lossless(opened)
    assert lossless({"agvae": {"lossless": True}})
    session.use(1, Choice(2.75, lossless=True))
    assert lossless({})
    assert not lossless({"agvae": {"quality": 2.5, "lossless": False}})
    with pytest.raises(TypeError, match="lossless must be True or False"):
        lossless({"agvae": {"lossless": "yes"}})


def test_what_was_opened_without_loss_is_saved_so_again(viewer: Any, path: Path, tmp_path: Path) -> None:
    data = KEPT["uint16"]
    write_agv(path, [(data, {}, "image")], lossless=True)
    (layer,) = viewer.open(path, plugin="agvae")
    assert layer.metadata["agv"]["lossless"]
    layer.save(str(tmp_path / "y.agv"))
    np.testing.assert_array_equal(back(tmp_path / "y.agv"), data)


def test_napari_offers_it_in_its_dialog(viewer: Any, path: Path) -> None:
    from npe2 import PluginManager

    layer = viewer.add_image(HIDING, metadata={"agvae": {"quality": 2}})
    offered = {each.display_name: each for each in PluginManager.instance().iter_compatible_writers(["image"])}
    viewer.layers.save(str(path), _writer=offered["AGVAE without loss"])
    np.testing.assert_array_equal(back(path), layer.data)
    layer.save(str(path))
    assert agvae.read_info(path)["quality"] == 2


def test_it_needs_no_torch(tmp_path: Path) -> None:
    code = """
import sys
import numpy as np
from agvae.boxes import Box
from napari_agvae.preferences import EXACT
from napari_agvae.preview.latest import Turn
from napari_agvae.preview.live import Live, Request
from napari_agvae.io.reader import viewer_layers
from napari_agvae.io.writer import write_without_loss
data = np.arange(12, dtype=np.uint16).reshape(3, 4)
write_without_loss(sys.argv[1], [(data, {}, "image")])
((read, _, _),) = viewer_layers(sys.argv[1])
shown = []
request = Request((), data, {}, (), None, Box(0, 0, 4, 3), True, value_range=EXACT)
Live(shown.append, print).work(request, Turn(lambda: False))
print((read == data).all(), shown[-1].numbers.psnr, "torch" in sys.modules)
"""
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.agv")], check=True, timeout=600, capture_output=True, text=True
    )
    assert found.stdout == "True inf False\n"


def shown_of(data: NDArray[Any], **attributes: Any) -> list[Shown]:
    shown: list[Shown] = []
    index = (0,) * (data.ndim - 2 - bool(attributes.get("rgb")))
    height, width = data.shape[len(index) : len(index) + 2]
    request = Request((), data, attributes, index, None, Box(5, 5, 20, 20), True, value_range=EXACT)
    assert width > 20
    assert height > 20
    Live(shown.append, lambda _: None).work(request, Turn(lambda: False))
    return shown


@pytest.mark.parametrize("kind", ["RGBA", "uint16", "int32", "float32, of 8 bits", "float RGB"])
def test_the_preview_says_what_the_file_of_one_slice_has(kind: str, path: Path) -> None:
    data = KEPT[kind] if "RGB" in kind or KEPT[kind].ndim == 2 else KEPT[kind][0]
    numbers = shown_of(data, name="a", rgb="RGB" in kind)[-1].numbers
    assert numbers is not None
    write_agv(path, [(data, {"name": "a", "rgb": "RGB" in kind}, "image")], lossless=True)
    assert (numbers.whole, numbers.psnr, numbers.level) == (True, np.inf, None)
    assert numbers.size == path.stat().st_size
    assert described(numbers)["psnr"] == "∞"
    assert described(replace(numbers, level=20480))["psnr"] == "∞"


def test_the_preview_shows_what_the_file_gives_back() -> None:
    shown = shown_of(KEPT["uint16"], name="a")
    np.testing.assert_array_equal(shown[-1].canvas.pixels, KEPT["uint16"][0])
    preview = ExactPreview(HIDING)
    ((box, pixels),) = preview.parts()
    assert box == (0, 0, 50, 40)
    np.testing.assert_array_equal(pixels, HIDING)
    assert preview.file() == agvae.encode(HIDING, lossless=True)


def test_a_slice_that_does_not_fit_is_refused_by_the_preview() -> None:
    with pytest.raises(TypeError, match="without loss"):
        shown_of(CELLS * np.float32(0.1234), name="a")


def test_nothing_is_said_of_a_layer_that_is_saved_whole(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_without_loss(str(path), [(RGB, {"name": "a", "rgb": True}, "image")])
