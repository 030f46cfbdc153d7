"""Layers to .agv files and back, without Qt."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from numpy.typing import NDArray

import agvae
from agvae.container import Reader
from agvae.progress import watched
from napari_agvae.io.reader import read_agv
from napari_agvae.io.writer import refuse_labels, write_agv, write_image, write_images
from napari_agvae.preview.slices import LayerSlice
from napari_agvae.state import Choice, session
from tests.support.helpers import picture


def grey(height: int = 40, width: int = 60, seed: int = 0) -> NDArray[np.float32]:
    """Smooth values from 0 to 1."""
    return picture(width, height, seed).mean(axis=2, dtype=np.float32) / np.float32(255)


def back(path: Any, data: Any, quality: float = 6, **attributes: Any) -> tuple[NDArray[Any], dict[str, Any]]:
    """What is read of one layer after it was written."""
    ((read, found, _),) = read_agv(write_agv(path, [(data, attributes, "image")], quality))
    return np.asarray(read), found


def error(a: Any, b: Any) -> float:
    return float(np.abs(np.asarray(a, float) - np.asarray(b, float)).max())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.agv"


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_8_bits_are_coded_as_the_library_codes_them(path: Path, bands: int) -> None:
    pixels = np.concatenate((picture(60, 40), np.full((40, 60, 1), 77, np.uint8)), axis=2)[..., :bands].squeeze()
    read, attributes = back(path, pixels, 3.25, rgb=bands > 1, name="x", contrast_limits=[0, 255])
    assert path.read_bytes() == agvae.encode(pixels, 3.25)
    assert np.array_equal(read, agvae.decode(path))
    assert attributes["rgb"] == (bands > 1)


def test_a_viewer_saves_what_the_library_encodes(viewer: Any, path: Path, tmp_path: Path) -> None:
    layer = viewer.add_image(picture(60, 40), metadata={"agvae": {"quality": 2.5}})
    assert layer.save(str(path)) == [str(path)]
    assert path.read_bytes() == agvae.encode(picture(60, 40), 2.5)
    assert viewer.layers.save(str(tmp_path / "y.agv")) == [str(tmp_path / "y.agv")]
    assert (tmp_path / "y.agv").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("name", "written"), [("noext", "noext.agv"), ("X.AGV", "X.AGV"), ("a.b", "a.b.agv"), ("x.agv", "x.agv")]
)
def test_extension(name: str, written: str, tmp_path: Path) -> None:
    assert write_image(str(tmp_path / name), picture(20, 10), {"rgb": True}) == [str(tmp_path / written)]
    assert [each.name for each in tmp_path.iterdir()] == [written]


def test_a_viewer_adds_the_extension(viewer: Any, tmp_path: Path) -> None:
    viewer.add_image(picture(20, 10), rgb=True).save(str(tmp_path / "noext"), plugin="agvae")
    assert [each.name for each in tmp_path.iterdir()] == ["noext.agv"]


def test_quality_is_what_was_asked_for_last(path: Path) -> None:
    def quality(**metadata: Any) -> float:
        write_images(str(path), [(picture(60, 40), {"rgb": True, "metadata": metadata}, "image")])
        found: float = agvae.read_info(path)["quality"]
        return found

    assert quality() == 3.5
    assert quality(agv={"quality": 1.5}) == 1.5
    session.use(1, Choice(2.75))
    assert quality(agv={"quality": 1.5}) == 2.75
    assert quality(agv={"quality": 1.5}, agvae={"quality": 4.0}) == 4.0
    assert quality(agv="?", agvae=None) == 2.75


def test_lower_quality_gives_smaller_files(path: Path, tmp_path: Path) -> None:
    for quality, name in ((1.25, "small.agv"), (4.0, "large.agv")):
        write_agv(tmp_path / name, [(picture(60, 40), {}, "image")], quality)
        assert abs(agvae.read_info(tmp_path / name)["quality"] - quality) <= 1 / 256
    assert (tmp_path / "small.agv").stat().st_size < (tmp_path / "large.agv").stat().st_size


def test_an_opened_file_keeps_its_quality(viewer: Any, path: Path, tmp_path: Path) -> None:
    path.write_bytes(agvae.encode(picture(60, 40), 1.75))
    (layer,) = viewer.open(path, plugin="agvae")
    layer.save(str(tmp_path / "y.agv"))
    assert agvae.read_info(tmp_path / "y.agv")["quality"] == 1.75


def test_16_bits_are_coded_as_they_are(path: Path) -> None:
    pixels = (1000 + 3000 * grey()).astype(np.uint16)
    read, attributes = back(path, pixels)
    assert path.read_bytes() == agvae.encode(pixels, 6)
    assert (read.dtype, attributes["contrast_limits"]) == (np.uint16, [pixels.min(), pixels.max()])
    assert "values" not in attributes["metadata"]["agv"]


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint32", "uint64"]
)
def test_other_numbers_are_mapped_to_16_bits_and_back(dtype: str, path: Path) -> None:
    low = -100 if dtype[0] != "u" else 20
    values = (low + 200 * grey()).astype(dtype)
    read, attributes = back(path, values)
    assert read.dtype == dtype
    assert np.abs(read.astype(float) - values.astype(float)).mean() < 2
    stored = attributes["metadata"]["agv"]["values"]
    assert (stored["dtype"], stored["low"], stored["high"]) == (dtype, values.min(), values.max())
    assert attributes["contrast_limits"] == [values.min(), values.max()]
    codes = agvae.decode(path)
    assert codes.dtype == np.uint16
    expected = stored["low"] + codes.astype(float) * (stored["high"] - stored["low"]) / stored["top"]
    assert error(read, expected) <= (0.5 if dtype[0] in "iu" else 0.1)


def test_other_byte_orders(path: Path) -> None:
    values = (100 * grey()).astype(">i2")
    read, _ = back(path, values)
    assert read.dtype == np.int16
    assert np.abs(read - values).mean() < 2


@pytest.mark.parametrize("dtype", ["float32", "uint16"])
@pytest.mark.parametrize("bands", [3, 4])
def test_colour_is_mapped_to_8_bits_and_back(dtype: str, bands: int, path: Path) -> None:
    top = 1 if dtype == "float32" else 65535
    values = np.concatenate((picture(60, 40) / 255 * 0.9, grey()[..., None]), axis=2)[..., :bands] * top
    values = values.astype(dtype)
    read, attributes = back(path, values, rgb=True)
    assert (read.dtype, read.shape) == (dtype, values.shape)
    assert np.abs(read[..., :3] / top - values[..., :3] / top).mean() < 0.02
    if bands == 4:
        assert error(read[..., 3] / top, values[..., 3] / top) <= 0.501 / 255
    assert attributes["metadata"]["agv"]["values"]["top"] == 255


def test_contrast_limits_as_the_range(path: Path) -> None:
    values = grey() * 100
    values[0, 0] = 1e6
    layer = (values, {"contrast_limits": [0, 50.0]}, "image")
    ((read, attributes, _),) = read_agv(write_agv(path, [layer], 6, value_range="contrast limits"))
    assert attributes["metadata"]["agv"]["values"]["high"] == 50
    assert error(read[1:], values[1:].clip(0, 50)) < 10
    pixels = (values.clip(0, 100) * 10).astype(np.uint16)
    layer = (pixels, {"contrast_limits": [99.5, 300.2]}, "image")
    ((read, attributes, _),) = read_agv(write_agv(path, [layer], 6, value_range="contrast limits"))
    stored = attributes["metadata"]["agv"]["values"]
    assert (stored["low"], stored["high"], read.dtype) == (99, 301, np.uint16)


@pytest.mark.parametrize("shape", [(1,), (3,), (2, 3), (2, 1, 2)])
@pytest.mark.parametrize("bands", [1, 3])
def test_stacks_keep_their_axes(shape: tuple[int, ...], bands: int, path: Path) -> None:
    frames = [picture(60, 40, seed)[..., :bands] for seed in range(int(np.prod(shape)))]
    stack = np.stack(frames).reshape(*shape, 40, 60, *([3] if bands == 3 else []))
    ((read, attributes, _),) = read_agv(write_agv(path, [(stack, {"rgb": bands == 3}, "image")]))
    assert isinstance(read, da.Array)
    assert (read.shape, attributes["rgb"]) == (stack.shape, bands == 3)
    for number, index in enumerate(np.ndindex(shape)):
        assert np.array_equal(read[index].compute(), agvae.decode(path, frame=number))


def test_dask_is_computed_frame_by_frame(path: Path) -> None:
    computed: list[int] = []

    def frame(block_id: tuple[int, ...]) -> NDArray[np.float32]:
        computed.append(block_id[0])
        return grey(seed=block_id[0])[None]

    stack = da.map_blocks(
        frame, chunks=((1,) * 4, (40,), (60,)), dtype=np.float32, meta=np.empty((0, 0, 0), np.float32)
    )
    read, _ = back(path, stack)
    assert computed == [0, 1, 2, 3]
    assert error(read, np.stack([grey(seed=seed) for seed in range(4)])) < 0.1


def test_tensors_are_saved(path: Path) -> None:
    torch = pytest.importorskip("torch")
    pixels = picture(60, 40)
    read, _ = back(path, torch.from_numpy(pixels), 3.5)
    assert np.array_equal(read, agvae.decode(agvae.encode(pixels)))


def test_multiscale_saves_the_finest_level(viewer: Any, path: Path) -> None:
    fine = picture(120, 80)
    layer = viewer.add_image([fine, fine[::2, ::2]], multiscale=True, metadata={"agvae": {"quality": 5}})
    assert layer.save(str(path)) == [str(path)]
    assert path.read_bytes() == agvae.encode(fine, 5)


@pytest.mark.parametrize("rgb", [False, True])
def test_what_napari_knows_of_a_layer_survives(viewer: Any, path: Path, rgb: bool) -> None:
    data = np.stack([picture(60, 40, seed) for seed in range(2)])
    more = {} if rgb else {"colormap": "viridis", "contrast_limits": [10, 200]}
    angle = np.deg2rad(30)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    layer = viewer.add_image(
        data if rgb else data[..., 0],
        rgb=rgb,
        scale=(2, 0.5, 0.25),
        translate=(1, -2, 3),
        rotate=turn,
        units=("s", "um", "um"),
        axis_labels=("t", "y", "x"),
        gamma=0.7,
        opacity=0.5,
        blending="additive",
        interpolation2d="linear",
        metadata={"sample": {"id": 7, "tags": ("a", "b")}, "array": np.arange(3), "none": None},
        **more,
    )
    layer.save(str(path))
    (opened,) = viewer.open(path, plugin="agvae")
    for name in ("scale", "translate", "rotate", "shear", "affine"):
        expected = getattr(layer, name)
        assert np.allclose(np.asarray(getattr(opened, name)), np.asarray(expected), atol=1e-12), name
    for name in ("units", "axis_labels", "gamma", "opacity", "blending", "interpolation2d", "ndim", "rgb"):
        assert getattr(opened, name) == getattr(layer, name), name
    if not rgb:
        assert opened.colormap.name == "viridis"
        assert np.array_equal(opened.colormap.colors, layer.colormap.colors)
        assert list(opened.contrast_limits) == [10, 200]
    assert json.loads(json.dumps(opened.metadata)) == opened.metadata
    facts = opened.metadata.pop("agv")
    assert facts["frames"] == 2
    assert opened.metadata == {"sample": {"id": 7, "tags": ["a", "b"]}, "array": [0, 1, 2], "none": None}
    assert np.allclose(opened.extent.world, layer.extent.world)


def test_shear_and_affine_survive(viewer: Any, path: Path) -> None:
    matrix = np.array([[1, 0.2, 5], [0.1, 1, -3], [0, 0, 1]])
    for options in (
        {"shear": [0.3]},
        {"shear": [[1, 0], [0.3, 1]]},
        {"affine": matrix},
        {"shear": [0.3], "rotate": 20},
    ):
        layer = viewer.add_image(picture(60, 40), **options)
        layer.save(str(path))
        (opened,) = viewer.open(path, plugin="agvae")
        assert np.allclose(opened.extent.world, layer.extent.world), options


def test_stacked_files_lie_where_the_first_lies(viewer: Any, path: Path) -> None:
    for options in ({"shear": [0.3], "rotate": 20, "translate": (3, 4)}, {"affine": np.diag([2.0, 3, 1])}):
        layer = viewer.add_image(picture(60, 40), scale=(2, 0.5), units=("um", "um"), **options)
        layer.save(str(path))
        (stack,) = viewer.open([path, path], plugin="agvae", stack=True)
        assert stack.ndim == 3
        assert np.allclose(stack.extent.world[:, 1:], layer.extent.world)
        assert [str(unit) for unit in stack.units] == ["pixel", "micrometer", "micrometer"]


def test_colormaps_of_one_s_own_survive(viewer: Any, path: Path) -> None:
    from napari.utils.colormaps import Colormap

    for colormap in (
        Colormap([[0, 0, 0, 1], [1, 0.5, 0, 1], [1, 1, 1, 1]], name="mine", controls=[0, 0.25, 1]),
        Colormap([[0, 0, 0, 1], [1, 0.5, 0, 1]], name="steps", controls=[0, 0.25, 1], interpolation="zero"),
        Colormap([[0, 0, 0, 1], [1, 0, 0, 1]], name="viridis"),
    ):
        viewer.add_image(picture(60, 40)[..., 0], colormap=colormap).save(str(path))
        (opened,) = viewer.open(path, plugin="agvae")
        assert opened.colormap.name == colormap.name
        assert np.allclose(opened.colormap.map([0, 0.1, 0.3, 0.9, 1]), colormap.map([0, 0.1, 0.3, 0.9, 1]), atol=1e-3)


def test_defaults_of_napari_add_nothing_to_a_file(viewer: Any, path: Path) -> None:
    for data in (picture(60, 40), picture(60, 40)[..., 0], np.stack([picture(60, 40)] * 2)):
        viewer.add_image(data).save(str(path))
        assert agvae.read_info(path)["metadata"] == []


def test_metadata_that_json_has_no_types_for_are_named(path: Path) -> None:
    nested: list[Any] = []
    nested.append(nested)
    metadata = {"object": object(), "nan": float("nan"), "nested": nested, 3: "key", "good": 1}
    with pytest.warns(UserWarning, match="of layer 'a' is not saved") as caught:
        _, attributes = back(path, picture(20, 10), name="a", metadata=metadata)
    assert len(caught) == 4
    assert attributes["metadata"]["good"] == 1


def test_metadata_that_contain_themselves_are_named_as_such(path: Path) -> None:
    branch: dict[str, Any] = {"a": [1]}
    branch |= {"b": [branch, branch], "c": {"d": branch}}
    array = np.empty(2, object)
    array[:] = array
    array[0] = {"again": array}
    chain: Any = []
    for _ in range(40):
        chain = [chain]
    twice = [1, 2]
    metadata = {"branch": branch, "array": array, "chain": chain, "good": [twice, {"x": twice}, (), ((),)]}
    with pytest.warns(UserWarning, match="of layer 'a' is not saved") as caught:
        _, attributes = back(path, picture(20, 10), name="a", metadata=metadata)
    said = [str(each.message).rpartition(": ")[2] for each in caught]
    assert said == ["it contains itself", "it contains itself", "it is nested too deeply"]
    assert attributes["metadata"]["good"] == [twice, {"x": twice}, [], [[]]]


def test_metadata_that_are_too_large_are_named_and_left_out_at_once(path: Path) -> None:
    huge = np.broadcast_to(np.float64(1), (10**9,))
    metadata = {"huge": huge, "deep": {"er": [huge]}, "text": "x" * 2**23, "good": {"a": [1, 2.5, "b"]}}
    with pytest.warns(UserWarning, match=r"metadata '\w+' of layer 'a' is not saved: it is too large") as caught:
        _, attributes = back(path, picture(20, 10), name="a", metadata=metadata)
    assert len(caught) == 3
    assert attributes["metadata"]["good"] == metadata["good"]
    assert attributes["metadata"].keys() == {"good", "agv"}


def test_of_metadata_that_are_too_large_together_the_largest_are_left_out(path: Path) -> None:
    layers = [
        (picture(20, 10), {"name": "a", "metadata": {"one": "x" * 2**21, "small": 1}}, "image"),
        (picture(20, 10), {"name": "b", "metadata": {"two": "y" * (2**21 + 9), "three": "z" * 99}}, "image"),
    ]
    with pytest.warns(UserWarning, match="metadata 'two' of layer 'b' is not saved: it has 2097") as caught:
        write_agv(path, layers)
    assert len(caught) == 1
    (_, first, _), (_, second, _) = read_agv(path)
    assert (len(first["metadata"]["one"]), first["metadata"]["small"]) == (2**21, 1)
    assert second["metadata"].keys() == {"three", "agv"}


@pytest.mark.parametrize("name", ["folder/", "", ".agv", "folder/.agv", ".AGV"])
def test_a_path_without_a_name_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match="names no file"):
        write_agv(name, [(picture(20, 10), {}, "image")])
    with pytest.raises(TypeError, match="names no file"):
        write_image(name, picture(20, 10), {})
    assert [each.name for each in tmp_path.rglob("*")] == ["folder"]


def test_several_layers(viewer: Any, path: Path) -> None:
    photo, mask = picture(60, 40), picture(60, 40, 1)[..., 0]
    stack = np.stack([picture(60, 40, seed)[..., 0] for seed in range(2)])
    viewer.add_image(photo, name="photo", scale=(2, 2))
    viewer.add_image(mask, name="mask", colormap="red", blending="additive")
    viewer.add_image(stack, name="stack")
    assert viewer.layers.save(str(path)) == [str(path)]
    viewer.layers.clear()
    opened = viewer.open(path, plugin="agvae")
    assert [layer.name for layer in opened] == ["photo", "mask", "stack"]
    assert [layer.data.shape for layer in opened] == [(40, 60, 3), (40, 60), (2, 40, 60)]
    assert list(opened[0].scale) == [2, 2]
    assert opened[1].colormap.name == "red"
    for layer, data in zip(opened, (photo, mask, stack), strict=True):
        assert np.abs(np.asarray(layer.data, float) - data).mean() < 8
    with pytest.raises(ValueError, match="holds 3 layers: open it without stacking"):
        read_agv([path, path])


def test_several_layers_of_16_bits_have_ranges_of_their_own(path: Path) -> None:
    small, large = (100 * grey()).astype(np.uint16), (60000 * grey(seed=1)).astype(np.uint16)
    layers = [(small, {"name": "small"}, "image"), (large, {"name": "large"}, "image"), (grey(), {}, "image")]
    first, second, third = read_agv(write_agv(path, layers, 6))
    assert first[0].dtype == second[0].dtype == np.uint16
    assert np.abs(first[0].astype(float) - small).mean() < 2
    assert np.abs(second[0].astype(float) - large).mean() < 1200
    assert third[0].dtype == np.float32


def _stack_with(case: str) -> NDArray[Any]:
    """Five frames of 0 .. 4000, of which one spoils a range of all."""
    stack = np.stack([(4000 * grey(seed=seed)).astype(np.float64) for seed in range(5)])
    if case == "hot pixel":
        stack[3, 5, 5] = 65535
    elif case == "bleached":
        stack *= np.exp(-np.arange(5))[:, None, None]
    else:
        stack[:2] /= 100
    return stack


@pytest.mark.parametrize("case", ["hot pixel", "bleached", "dim plane"])
@pytest.mark.parametrize("dtype", ["uint16", "float32", "int32"])
def test_each_frame_is_coded_in_its_own_range_as_the_preview_shows_it(case: str, dtype: str, path: Path) -> None:
    stack = _stack_with(case).astype(dtype)
    read, attributes = back(path, stack, 4)
    assert attributes["contrast_limits"] == [stack.min(), stack.max()]
    for number in (0, 1):
        source = LayerSlice(stack, {}, (number,))
        shown = source.to_values(agvae.decode(agvae.encode(source.codes, 4)))
        assert np.array_equal(read[number], shown)
        mse = np.mean((read[number] - stack[number].astype(float)) ** 2)
        assert 10 * np.log10(np.ptp(stack[number]) ** 2.0 / mse) > 25


def test_each_frame_of_colour_is_coded_in_its_own_range(path: Path) -> None:
    stack = np.stack([picture(60, 40, seed) for seed in range(3)]) / np.float32(255)
    stack[2, 5, 5] = 1e6
    read, _ = back(path, stack, 6, rgb=True)
    assert error(read[:2], stack[:2]) < 0.2


def test_layers_of_one_file_keep_16_bits_and_their_limits(path: Path) -> None:
    dim, bright = (10 * grey()).astype(np.uint16), (60000 * grey(seed=1)).astype(np.uint16)
    write_agv(path, [(dim, {}, "image"), (np.stack([bright, bright]), {}, "image")], 6)
    (first, one, _), (second, two, _) = read_agv(path)
    assert (one["contrast_limits"], two["contrast_limits"]) == ([dim.min(), dim.max()], [bright.min(), bright.max()])
    assert "values" not in one["metadata"]["agv"]
    assert (first.dtype, second.dtype) == (np.uint16, np.uint16)
    assert error(first, dim) <= 1


def test_contrast_limits_are_one_range_for_all_frames(path: Path) -> None:
    stack = _stack_with("dim plane").astype(np.float32)
    written = write_agv(path, [(stack, {"contrast_limits": (0, 4000)}, "image")], 6, value_range="contrast limits")
    ((_, attributes, _),) = read_agv(written)
    assert attributes["metadata"]["agv"]["values"] == {"dtype": "float32", "low": 0.0, "high": 4000.0, "top": 65535}


@pytest.mark.parametrize(
    ("other", "reason"),
    [(picture(60, 41), "'b' 41 x 60"), (grey(), "all 8 or all 16 bits"), (picture(90, 40), "40 x 90")],
)
def test_layers_that_do_not_fit_together_are_named(viewer: Any, path: Path, other: Any, reason: str) -> None:
    viewer.add_image(picture(60, 40), name="a")
    viewer.add_image(other, name="b")
    with pytest.raises(TypeError, match=reason) as caught:
        viewer.layers.save(str(path))
    assert "save them one by one" in str(caught.value)
    assert not path.exists()


REFUSED = {
    "complex": (np.zeros((4, 5), complex), "'a' .* complex numbers: save real and imaginary part"),
    "bool": (np.zeros((4, 5), bool), "'a' .* true and false, .*: save it as labels"),
    "object": (np.zeros((4, 5), object), "'a' .* values of the type object"),
    "text": (np.zeros((4, 5), "U3"), "'a' .* values of the type <U3"),
    "NaN": (np.full((4, 5), np.nan), "'a' .* NaN or infinite values: replace them first"),
    "infinite": (np.full((4, 5), np.inf, np.float32), "'a' .* NaN or infinite values"),
    "NaN in alpha": (np.full((4, 5, 4), [0, 0, 0, np.nan]), "'a' .* NaN or infinite values"),
    "huge": (np.array([[-1e308, 1e308]]), "'a' .* cannot be mapped exactly"),
    "64 bits": (np.array([[0, 2**60]]), "'a' .* cannot be mapped exactly"),
    "masked": (
        np.ma.masked_array(np.zeros((4, 5), np.uint8), np.eye(4, 5)),
        r"'a' .* masked values: .*data\.filled\(0",
    ),
    "masked dask": (
        da.ma.masked_array(
            da.zeros((2, 4, 5), np.float32, chunks=(1, 4, 5)), da.ones((2, 4, 5), bool, chunks=(1, 4, 5))
        ),
        r"'a' .* masked values in slice 0: .* dask\.array\.ma\.filled\(layer\.data, 0\)",
    ),
    "masked slice": (
        np.ma.masked_array(np.zeros((2, 3, 4, 5), np.uint8), np.arange(120).reshape(2, 3, 4, 5) == 90),
        r"'a' .* masked values in slice \(1, 1\)",
    ),
    "NaN in a slice": (
        np.pad(np.zeros((1, 4, 5)), ((2, 0), (0, 0), (0, 0)), constant_values=np.nan)[::-1],
        "'a' .* in slice 1:",
    ),
    "empty": (np.zeros((0, 5), np.uint8), "'a' .* has the shape"),
    "line": (np.zeros(5, np.uint8), "'a' .* has the shape"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_coded_is_refused_by_name(kind: str, path: Path) -> None:
    data, reason = REFUSED[kind]
    with pytest.raises(TypeError, match=f"layer {reason}"):
        write_image(str(path), data, {"name": "a"})
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize("kind", ["NaN", "bool"])
def test_a_viewer_passes_on_why(viewer: Any, kind: str, path: Path) -> None:
    data, reason = REFUSED[kind]
    layer = viewer.add_image(data, name="a", contrast_limits=[0, 1])
    with pytest.raises(TypeError, match=f"layer {reason}"):
        layer.save(str(path))
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize("with_image", [False, True])
def test_labels_are_refused_by_name(viewer: Any, path: Path, with_image: bool) -> None:
    viewer.add_labels(np.zeros((4, 5), int), name="cells")
    if with_image:
        viewer.add_image(picture(20, 10))
    with pytest.raises(TypeError, match=r"'cells' cannot be saved as \.agv: a lossy codec would change labels"):
        viewer.layers.save(str(path))
    assert not path.exists()
    with pytest.raises(TypeError, match="'cells'"):
        refuse_labels(str(path), [(None, {"name": "cells"}, "labels")])
    with pytest.raises(TypeError, match="'cells'"):
        write_agv(path, [(np.zeros((4, 5), int), {"name": "cells"}, "labels")])


def test_bad_qualities_are_errors_that_napari_shows(path: Path) -> None:
    with pytest.raises(TypeError, match="quality must be"):
        write_image(str(path), picture(20, 10), {"metadata": {"agvae": {"quality": 9}}})
    with pytest.raises(ValueError, match="quality must be"):
        write_agv(path, [(picture(20, 10), {}, "image")], 9)


def test_no_layers(path: Path) -> None:
    with pytest.raises(TypeError, match="no layers"):
        write_agv(path, [])


def test_bad_attributes_are_refused_when_they_are_written(path: Path) -> None:
    with pytest.raises(TypeError, match="impossible scale"):
        back(path, picture(20, 10), name="a", scale=[1, 0])


def test_looks_beyond_the_format_are_left_out_with_a_warning(path: Path) -> None:
    look = {"gamma": 101.0, "axis_labels": ("y" * 101, "x"), "opacity": 0.5}
    with pytest.warns(UserWarning, match="(gamma|axis_labels) of layer 'a' is not saved") as caught:
        _, attributes = back(path, grey(), name="a", **look)
    assert len(caught) == 2
    assert attributes["opacity"] == 0.5
    assert not {"gamma", "axis_labels"} & set(attributes)


def test_what_is_written_can_be_read(path: Path) -> None:
    layers = [(picture(8, 8), {"name": name}, "image") for name in ("a" * 1001, "b")]
    assert [attributes["name"] for _, attributes, _ in read_agv(write_agv(path, layers))] == ["a" * 1000, "b"]
    with pytest.raises(TypeError, match="at most 1024 layers, not 1026"):
        write_agv(path, layers * 513)


def test_a_range_of_values_that_there_is_not(path: Path) -> None:
    with pytest.raises(ValueError, match="value_range must be one of 'values', 'contrast limits', not 'limits'"):
        write_agv(path, [(grey(), {}, "image")], value_range="limits")
    layer = (grey().astype(np.uint16), {"name": "a", "contrast_limits": (70000, 80000)}, "image")
    with pytest.raises(TypeError, match=r"layer 'a' .* contrast limits, \(70000, 80000\), where it has no values"):
        write_agv(path, [layer], value_range="contrast limits")
    assert not path.exists()


def test_a_failure_leaves_the_old_file(path: Path) -> None:
    path.write_bytes(b"old")

    class Enough(Exception):
        pass

    def stop(_: int) -> None:
        raise Enough

    with watched(stop), pytest.raises(Enough):
        write_agv(path, [(picture(60, 40), {}, "image")])
    with pytest.raises(TypeError):
        write_agv(path, [(np.full((4, 5), np.nan), {}, "image")])
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="kills a process")
def test_a_killed_process_leaves_the_old_file(path: Path) -> None:
    path.write_bytes(b"old")
    code = """
import os, sys
import numpy as np
from napari_agvae import write_agv
replace = os.replace
def wait(*paths):
    print("writing", flush=True)
    sys.stdin.read()
os.replace = wait
write_agv(sys.argv[1], [(np.zeros((40, 60, 3), np.uint8), {}, "image")])
"""
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdin is not None
    with process.stdout, process.stdin:
        assert process.stdout.readline() == b"writing\n"
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert path.read_bytes() == b"old"
    (left,) = [each.name for each in path.parent.iterdir() if each != path]
    assert left.startswith(".agvae-")
    assert left.endswith(".part")


def test_writers_are_imported_without_the_codec() -> None:
    code = "import sys, napari_agvae.io.writer; print(*({'torch', 'napari', 'qtpy'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], check=True, timeout=600, capture_output=True, text=True).stdout
    assert found == "\n"


def test_importing_the_package_is_light() -> None:
    code = "import sys, napari_agvae; print(*({'torch', 'numpy', 'napari', 'qtpy'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], check=True, timeout=600, capture_output=True, text=True).stdout
    assert found == "\n"


@pytest.mark.parametrize("data", [picture(60, 40), grey(), picture(60, 40)[..., 0]], ids=["RGB", "float", "grey"])
@pytest.mark.parametrize("place", [{}, {"scale": (2, 0.5), "contrast_limits": [0, 255], "metadata": {"id": 7}}])
def test_a_slice_knows_what_the_file_will_say_of_it(path: Path, data: Any, place: dict[str, Any]) -> None:
    write_agv(path, [(data, place, "image")])
    with path.open("rb") as file:
        assert LayerSlice(data, place, ()).document(place) == Reader(file).metadata.arrays


@pytest.mark.parametrize(
    ("value", "reason"),
    [([0] * 3_000_000, "too large"), (np.ma.masked_array([1, 2], [True, False]), "masked entries")],
    ids=["long", "masked"],
)
def test_metadata_that_are_not_kept_are_told_at_once(path: Path, value: Any, reason: str) -> None:
    with pytest.warns(UserWarning, match=f"metadata 'note' of layer .* is not saved: it .*{reason}"):
        write_agv(path, [(picture(32, 32), {"metadata": {"note": value}}, "image")])
