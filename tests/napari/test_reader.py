""".agv files as layers, without Qt."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import agvae
from agvae.container import Header, Metadata, Reader, write_container
from napari_agvae.io.document import parse_layers
from napari_agvae.io.opened import OpenedFile
from napari_agvae.io.reader import get_reader, read_agv
from napari_agvae.io.writer import write_agv
from tests.support.helpers import picture

HEADER = Header(20, 10, "RGB", 0, "m", bytes(8), frames=6)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.agv"
    path.write_bytes(agvae.encode(picture(60, 40), 3.25))
    return path


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    path = tmp_path / "frames.agv"
    path.write_bytes(agvae.encode([picture(60, 40, seed) for seed in range(4)], 2))
    return path


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the frames that were decoded."""
    numbers: list[int] = []
    decode = OpenedFile.decode

    def counting(file: OpenedFile, frames: Sequence[int], **options: Any) -> Any:
        numbers.extend(frames)
        return decode(file, frames, **options)

    monkeypatch.setattr(OpenedFile, "decode", counting)
    return numbers


@pytest.mark.parametrize(
    ("path", "accepted"),
    [
        ("x.agv", True),
        ("X.AGV", True),
        (Path("x.Agv"), True),
        (["a.agv", "b.AGV"], True),
        (["a.agv", "b.png"], False),
        ([], False),
        ("x.png", False),
        ("agv", False),
        ("x.agv.png", False),
    ],
)
def test_reader_looks_at_names_only(path: Any, accepted: bool) -> None:
    assert (get_reader(path) is not None) == accepted


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_8_bit_modes(mode: str, tmp_path: Path) -> None:
    colour = picture(60, 40)
    alpha = np.tile(np.arange(60, dtype=np.uint8), (40, 1))
    bands = ([colour[..., 0]] if mode[0] == "L" else [*np.moveaxis(colour, 2, 0)]) + (
        [alpha] if mode[-1] == "A" else []
    )
    path = tmp_path / "x.agv"
    path.write_bytes(agvae.encode(np.stack(bands, axis=2)))
    ((data, attributes, kind),) = read_agv(path)
    expected = np.atleast_3d(agvae.decode(path))
    assert (kind, attributes["name"], attributes["rgb"]) == ("image", "x", mode != "L")
    assert (type(data), data.dtype) == (np.ndarray, np.uint8)
    if mode == "LA":
        expected = expected[..., [0, 0, 0, 1]]
    assert np.array_equal(np.atleast_3d(data), expected)


def test_16_bits_show_their_range(tmp_path: Path) -> None:
    path = tmp_path / "x.agv"
    path.write_bytes(agvae.encode(picture(60, 40)[..., 0].astype(np.uint16) * 9 + 1000))
    ((data, attributes, _),) = read_agv(path)
    assert data.dtype == np.uint16
    assert np.array_equal(data, agvae.decode(path))
    assert attributes["contrast_limits"] == agvae.read_info(path)["range"]


def test_facts_of_the_file_are_in_the_metadata(photo: Path) -> None:
    ((_, attributes, _),) = read_agv(photo)
    facts = attributes["metadata"]["agv"]
    assert json.loads(json.dumps(facts)) == facts == agvae.read_info(photo)
    assert (facts["quality"], facts["s"], facts["l"], facts["width"], facts["height"]) == (3.25, 3, 0.25, 60, 40)
    assert facts["bpp"] == pytest.approx(8 * photo.stat().st_size / (60 * 40), abs=1e-9)


def test_frames_are_decoded_when_they_are_needed(frames: Path, decoded: list[int]) -> None:
    ((data, attributes, _),) = read_agv(frames)
    assert (data.shape, data.dtype, data.chunksize) == ((4, 40, 60, 3), np.uint8, (1, 40, 60, 3))
    assert attributes["rgb"]
    assert decoded == []
    third = data[2].compute()
    assert decoded == [2]
    assert np.array_equal(third, agvae.decode(frames, frame=2))


def test_a_viewer_decodes_the_frame_that_it_shows(viewer: Any, frames: Path, decoded: list[int]) -> None:
    (layer,) = viewer.open(frames, plugin="agvae")
    assert set(decoded) == {0, 1}  # napari goes from the first frame to that in the middle
    decoded.clear()
    viewer.dims.set_point(0, 3)
    assert set(decoded) == {3}
    assert np.array_equal(layer._slice.image.raw, agvae.decode(frames, frame=3))


def test_16_bit_frames_are_not_decoded_for_contrast_limits(viewer: Any, tmp_path: Path, decoded: list[int]) -> None:
    path = tmp_path / "x.agv"
    path.write_bytes(agvae.encode([np.arange(2400, dtype=np.uint16).reshape(40, 60) + k for k in range(5)]))
    (layer,) = viewer.open(path, plugin="agvae")
    assert layer.contrast_limits == [0, 2403]
    assert set(decoded) == {0, 2}


@pytest.mark.parametrize("name", ["x.agv", "Y.AGV", "Z.Agv"])
@pytest.mark.parametrize("plugin", ["agvae", None])
@pytest.mark.parametrize("kind", [str, Path])
def test_viewers_open_files(viewer: Any, photo: Path, name: str, plugin: str | None, kind: type) -> None:
    path = photo.rename(photo.with_name(name))
    (layer,) = viewer.open(kind(path), plugin=plugin)
    assert (type(layer).__name__, layer.rgb, layer.dtype, layer.data.shape) == ("Image", True, np.uint8, (40, 60, 3))
    assert (layer.name, layer.source.reader_plugin) == (path.stem, "agvae")
    assert list(viewer.layers) == [layer]


def test_the_viewer_s_own_plugins_name_ours(viewer: Any, photo: Path) -> None:
    with pytest.raises(ValueError, match="agvae"):
        viewer.open(photo)


def test_several_files_and_stacks(viewer: Any, photo: Path, tmp_path: Path, decoded: list[int]) -> None:
    other = tmp_path / "other.agv"
    other.write_bytes(agvae.encode(picture(60, 40, 1), 1))
    assert [layer.name for layer in viewer.open([photo, other], plugin=None)] == ["photo", "other"]
    decoded.clear()
    (layer,) = viewer.open([photo, other], plugin=None, stack=True)
    assert (layer.data.shape, layer.rgb) == ((2, 40, 60, 3), True)
    assert len(decoded) == 1
    assert np.array_equal(np.asarray(layer.data[1]), agvae.decode(other))
    files = layer.metadata["agv"]["files"]
    assert [facts["quality"] for facts in files] == [3.25, 1]


def test_stacks_of_frames_have_both_axes(frames: Path) -> None:
    ((data, _, _),) = read_agv([frames, frames])
    assert data.shape == (2, 4, 40, 60, 3)
    assert np.array_equal(data[1, 3].compute(), agvae.decode(frames, frame=3))


def test_stacks_of_unequal_files_name_them(photo: Path, frames: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="files to stack must be of one size") as error:
        read_agv([photo, frames])
    assert str(photo) in str(error.value)
    assert str(frames) in str(error.value)
    assert "\n" not in str(error.value)


def damaged(data: bytes) -> dict[str, tuple[bytes, str]]:
    """Bytes that are no good, and what is said of them."""
    later = bytearray(data)
    later[16] = 2
    flipped = bytearray(data)
    flipped[-10] ^= 1
    return {
        "empty": (b"", "it is empty"),
        "other": (b"\x89PNG" + data[4:], "not an AGV file"),
        "header": (data[:40], "Truncated"),
        "tile": (data[:-20], "truncated"),
        "version": (bytes(later), "checksum"),
        "flipped": (bytes(flipped), "checksum"),
    }


@pytest.mark.parametrize("source", ["photo", "frames"])
@pytest.mark.parametrize("damage", ["empty", "other", "header", "tile", "version", "flipped"])
@pytest.mark.parametrize("plugin", ["agvae", None])
def test_damaged_files_are_named_with_the_cause(
    viewer: Any, source: str, damage: str, plugin: str | None, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(source)
    data, cause = damaged(path.read_bytes())[damage]
    path.write_bytes(data)
    assert get_reader(str(path)) is not None
    with pytest.raises(Exception, match=cause) as error:
        viewer.open(path, plugin=plugin)
    assert str(path) in str(error.value)
    assert not viewer.layers


@pytest.mark.skipif(os.name == "nt", reason="has no resource module")
@pytest.mark.parametrize("damage", ["empty", "other", "header", "tile", "version", "flipped", "first tile"])
def test_damaged_files_cost_little(photo: Path, damage: str) -> None:
    """CPU time, which other programs on the machine do not lengthen; PyTorch alone would take more of both."""
    data = agvae.encode(picture(1300, 600), 2)
    first = bytearray(data)
    first[data.index(b"TILE") + 20] ^= 1
    photo.write_bytes(bytes(first) if damage == "first tile" else damaged(data)[damage][0])
    code = """
import resource, sys, time
from napari_agvae.io.opened import OpenedFile
from napari_agvae.io.reader import get_reader
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
before, start = peak(), time.process_time()
try:
    get_reader(sys.argv[1])(sys.argv[1])
except OSError as error:
    assert sys.argv[1] in str(error), error
    print("torch" in sys.modules, time.process_time() - start, peak() - before)
"""
    command = [sys.executable, "-c", code, str(photo)]
    found = subprocess.run(command, check=True, timeout=600, capture_output=True, text=True).stdout.split()
    assert found[0] == "False"
    assert float(found[1]) < 2
    assert float(found[2]) < 200


def test_a_later_version_asks_for_a_newer_agvae(photo: Path) -> None:
    import zlib

    data = bytearray(photo.read_bytes())
    data[16] = 9
    length = int.from_bytes(data[12:16], "big")
    data[16 + length : 20 + length] = zlib.crc32(data[8:12] + data[16 : 16 + length]).to_bytes(4, "big")
    photo.write_bytes(data)
    with pytest.raises(
        OSError, match=r"photo.agv cannot be opened: unsupported AGV version 9 .* install a newer agvae"
    ):
        read_agv(photo)


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.agv").touch()
    with pytest.raises(OSError, match=r"empty\.agv cannot be opened: it is empty"):
        read_agv(tmp_path / "empty.agv")


def test_a_folder_is_a_stack_of_its_files_in_order(viewer: Any, tmp_path: Path) -> None:
    assert get_reader(tmp_path) is None
    for number in (10, 9, 1):
        (tmp_path / f"t{number}.agv").write_bytes(agvae.encode(np.full((10, 20), number * 20, np.uint8), 4))
    (tmp_path / "notes.txt").touch()
    (layer,) = viewer.open(tmp_path, plugin="agvae")
    assert (layer.data.shape, layer.name) == ((3, 10, 20), tmp_path.name)
    assert [round(float(np.asarray(frame).mean()) / 20) for frame in layer.data] == [1, 9, 10]


def test_a_folder_of_files_of_several_sizes_is_several_layers(tmp_path: Path) -> None:
    for name, size in (("b.agv", (20, 10)), ("a.agv", (30, 10))):
        (tmp_path / name).write_bytes(agvae.encode(picture(*size), 1))
    assert [(data.shape, attributes["name"]) for data, attributes, _ in read_agv(tmp_path)] == [
        ((10, 30, 3), "a"),
        ((10, 20, 3), "b"),
    ]
    (tmp_path / "empty").mkdir()
    with pytest.raises(OSError, match=r"holds no \.agv files"):
        read_agv(tmp_path / "empty")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"gone.agv cannot be opened: No such file"):
        read_agv(tmp_path / "gone.agv")


def test_an_unknown_model_is_named(tmp_path: Path) -> None:
    reader = Reader(io.BytesIO(agvae.encode(picture(20, 10), 1)))
    header = Header(20, 10, "RGB", 0, "elsewhere-9", bytes(8))
    path = tmp_path / "x.agv"
    path.write_bytes(write_container(header, Metadata(), reader.tiles()))
    with pytest.raises(OSError, match=r"x\.agv cannot be opened: .*elsewhere-9"):
        read_agv(path)


def test_a_damaged_frame_is_named_when_it_is_shown(frames: Path) -> None:
    data = bytearray(frames.read_bytes())
    data[data.index(b"TILE") + 30] ^= 1
    frames.write_bytes(data)
    ((array, _, _),) = read_agv(frames)
    assert array[3].compute().shape == (40, 60, 3)
    with pytest.raises(OSError, match=r"frames\.agv cannot be opened: .*checksum"):
        array[0].compute()


def test_a_viewer_shows_a_damaged_frame_grey_and_says_so(viewer: Any, frames: Path) -> None:
    data = bytearray(frames.read_bytes())
    data[data.index(b"TILE") + 30] ^= 1
    frames.write_bytes(data)
    (layer,) = viewer.open(frames, plugin="agvae")
    with pytest.warns(UserWarning, match=r"frames\.agv: .*checksum.*; frame 0 is grey where it is damaged"):
        assert (np.asarray(layer.data[0]) == 128).all()
    np.testing.assert_array_equal(layer.data[3], agvae.decode(frames, frame=3))


STACK = np.stack([np.full((64, 80), value, np.uint8) for value in (40, 90, 140, 190)])


def means(array: Any) -> list[int]:
    return [round(float(mean), -1) for mean in np.asarray(array).mean(axis=(1, 2))]


@pytest.mark.parametrize(
    "change",
    [lambda data: data // 2, lambda data: data[::-1], lambda data: data[1:3], lambda data: data.rechunk((4, 64, 80))],
    ids=["halved", "reversed", "cropped", "rechunked"],
)
def test_a_lazily_changed_stack_can_be_saved_over_its_own_file(tmp_path: Path, change: Any) -> None:
    path = write_agv(tmp_path / "stack.agv", [(STACK, {}, "image")])
    ((opened, _, _),) = read_agv(path)
    changed = change(opened)
    expected = means(changed)
    for _ in range(2):
        write_agv(path, [(changed, {}, "image")])
        assert means(changed) == means(read_agv(path)[0][0]) == expected
    assert means(opened) == [40, 90, 140, 190]


@pytest.mark.parametrize("lost", [1, 3])
def test_files_of_a_stack_can_be_saved_over_while_it_is_open(tmp_path: Path, lost: int) -> None:
    for number, frame in enumerate(STACK):
        write_agv(tmp_path / f"{number}.agv", [(frame, {}, "image")])
    ((folder, _, _),) = read_agv(tmp_path)
    ((files, _, _),) = read_agv([tmp_path / f"{number}.agv" for number in range(4)])
    (tmp_path / "link.agv").symlink_to(tmp_path / f"{lost}.agv")
    write_agv(tmp_path / "link.agv", [(files, {}, "image")])
    assert read_agv(tmp_path / f"{lost}.agv")[0][0].shape == STACK.shape
    assert means(folder) == means(files) == [40, 90, 140, 190]


def test_layers_of_one_file_stay_apart_when_it_is_saved_anew(tmp_path: Path) -> None:
    a, b = (np.full((3, 20, 30), value, np.uint8) for value in (50, 200))
    path = write_agv(tmp_path / "both.agv", [(a, {"name": "a"}, "image"), (b, {"name": "b"}, "image")])
    opened = {attributes["name"]: data for data, attributes, _ in read_agv(path)}
    write_agv(path, [(opened["b"], {"name": "b"}, "image"), (opened["a"], {"name": "a"}, "image")])
    write_agv(path, [(opened["b"], {"name": "b"}, "image")])
    assert {name: round(float(data.compute().mean()), -1) for name, data in opened.items()} == {"a": 50, "b": 200}


def test_content_is_kept_for_open_arrays_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_agv(tmp_path / "stack.agv", [(STACK, {}, "image")])
    read_agv(path)
    ((other, _, _),) = read_agv(write_agv(tmp_path / "other.agv", [(STACK, {}, "image")]))
    monkeypatch.setattr(OpenedFile, "keep", lambda file, _: kept.append(file.path))
    kept: list[str] = []
    write_agv(path, [(STACK, {}, "image")])
    assert [each.name for each in kept if each.parent == tmp_path] == ["other.agv"]
    assert other.ndim == 3


def test_a_stack_goes_to_other_processes(frames: Path) -> None:
    import cloudpickle

    ((array, _, _),) = read_agv(frames)
    copy = cloudpickle.loads(cloudpickle.dumps(array))
    np.testing.assert_array_equal(copy[1], array[1])


def test_tiny_frames_are_decoded_several_at_once(tmp_path: Path, decoded: list[int]) -> None:
    values = np.random.default_rng(0).integers(0, 900, (2, 17, 8, 12)).astype(np.uint16)
    path = write_agv(tmp_path / "tiny.agv", [(values, {}, "image")])
    ((array, _, _),) = read_agv(path)
    assert array.chunks[:2] == ((1, 1), (7, 7, 3))
    everything = array.compute()
    assert sorted(decoded) == list(range(34))
    for number in (0, 6, 7, 20, 33):
        expected = agvae.decode(path, frame=number)
        assert np.abs(everything.reshape(34, 8, 12)[number].astype(int) - expected).max() <= 1


def test_lazy_layers_stay_with_their_file(frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(frames.parent)
    ((array, _, _),) = read_agv(frames.name)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    np.testing.assert_array_equal(array[1], agvae.decode(frames, frame=1))


def test_a_stack_whose_file_was_changed_by_others_says_so(frames: Path) -> None:
    ((array, _, _),) = read_agv(frames)
    frames.write_bytes(agvae.encode([picture(60, 40, seed) for seed in range(4, 8)], 3))
    with pytest.raises(OSError, match=r"^\S*frames\.agv has changed since it was opened: open it again$"):
        array[0].compute()
    frames.unlink()
    with pytest.raises(OSError, match=r"frames\.agv cannot be opened: No such file"):
        array[0].compute()


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"layers": []}',
        b'{"layers": [1]}',
        b'{"layers": [{"shape": [5]}]}',
        b'{"layers": [{"shape": [6, 1.0]}]}',
        b'{"layers": [{"shape": [-6, -1]}]}',
        b'{"layers": [{"shape": [true, 6]}]}',
        b'{"layers": [{"shape": [6], "bands": 2}]}',
        b'{"layers": [{"shape": [6], "values": 3}]}',
        b'{"layers": [{"shape": [6], "values": {}}]}',
        b'{"layers": [{"shape": [6], "values": {"dtype": "float32", "low": 1, "high": 0, "top": 255}}]}',
        b'{"layers": [{"shape": [6], "name": 3}]}',
        b'{"layers": [{"shape": [6], "scale": [1, 2]}]}',
        b'{"layers": [{"shape": [6], "scale": [1, 2, 0]}]}',
        b'{"layers": [{"shape": [6], "scale": [1, 2, NaN]}]}',
        b'{"layers": [{"shape": [6], "scale": [1, 2, 1e999]}]}',
        b'{"layers": [{"shape": [6], "scale": ["1", "2", "3"]}]}',
        b'{"layers": [{"shape": [6], "rotate": [[1, 2], [3]]}]}',
        b'{"layers": [{"shape": [6], "shear": [[1, 2], [3]]}]}',
        b'{"layers": [{"shape": [6], "affine": 3}]}',
        b'{"layers": [{"shape": [6], "units": ["um"]}]}',
        b'{"layers": [{"shape": [6], "axis_labels": [1, 2, 3]}]}',
        b'{"layers": [{"shape": [6], "opacity": 2}]}',
        b'{"layers": [{"shape": [6], "gamma": 0}]}',
        b'{"layers": [{"shape": [6], "metadata": []}]}',
        b'{"layers": [{"shape": [6], "bands": 1, "contrast_limits": [1, 1]}]}',
        b'{"layers": [{"shape": [6], "bands": 1, "colormap": 3}]}',
        b'{"layers": [{"shape": [6], "bands": 1, "colormap": {"colors": [[0, 0, 0, 2]]}}]}',
        b'{"layers": [{"shape": [6], "bands": 1, "colormap": {"colors": [[0, 0, 0, 1]], "controls": [0, 1]}}]}',
        b'{"layers": [{"shape": [6], "bands": 1, "colormap": {"colors": [[0, 0, 0, 1]], "interpolation": []}}]}',
        b'{"layers": [{"shape": [6], "metadata": ' + b"[" * 10**5 + b"]" * 10**5 + b"}]}",
        b'{"layers": [{"shape": [' + b"1" * 5000 + b"]}]}",
        b" " * (2**22 + 1),
    ],
    ids=lambda document: document[:90],
)
def test_impossible_documents_are_refused(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"impossible|description"):
        parse_layers(document, HEADER)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text(max_size=5), part, max_size=4),
    max_leaves=8,
)
names = [
    "name",
    "bands",
    "values",
    "scale",
    "translate",
    "rotate",
    "shear",
    "affine",
    "units",
    "axis_labels",
    "opacity",
]
names += ["gamma", "blending", "interpolation2d", "contrast_limits", "colormap", "metadata"]


@given(st.dictionaries(st.sampled_from(names), json_values, max_size=4))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_no_document_does_harm(member: dict[str, Any]) -> None:
    document = json.dumps({"layers": [{"shape": [6], **member}]}).encode()
    try:
        (layer,) = parse_layers(document, HEADER)
    except ValueError:
        return
    assert layer.count == 6


def test_an_impossible_document_is_an_error_that_names_the_file(photo: Path) -> None:
    reader = Reader(io.BytesIO(photo.read_bytes()))
    photo.write_bytes(write_container(reader.header, Metadata(arrays=b"{}"), reader.tiles()))
    with pytest.raises(OSError, match=r"photo\.agv cannot be opened: the description of its layers has none"):
        read_agv(photo)


def test_every_interpolation_and_blending_of_napari_comes_back(viewer: Any, tmp_path: Path) -> None:
    from napari.layers import Image
    from napari.layers.base._base_constants import Blending
    from napari.layers.image._image_constants import Interpolation

    path = str(tmp_path / "a.agv")
    names = [("interpolation2d", each) for each in Interpolation] + [("blending", each) for each in Blending]
    for name, value in names:
        layer = Image(np.eye(8, dtype=np.uint8), **{name: value.value})
        write_agv(path, [layer.as_layer_data_tuple()], 1)
        (back,) = viewer.open(path, plugin="agvae")
        assert getattr(back, name) == value.value


def test_a_stack_of_files_shows_and_tells_of_all(tmp_path: Path) -> None:
    image = picture(64, 40)[..., 0] / 255
    for number, high in enumerate((100, 1000, 20000)):
        about = {"scale": (0.5, 0.5 + number), "metadata": {"exposure": number, "lens": [4, "x"]}}
        write_agv(tmp_path / f"{number}.agv", [((image * high).astype(np.uint16), about, "image")])
    with pytest.warns(UserWarning, match="the files differ in") as told:
        ((data, attributes, _),) = read_agv(tmp_path)
    said = " ".join(str(each.message) for each in told)
    assert f"the files differ in scale: the stack has those of {tmp_path / '0.agv'}" in said
    assert "differ in their metadata ('exposure')" in said
    low, high = attributes["contrast_limits"]
    assert (low, high) == (int(image.min() * 100), int(image.max() * 20000))
    assert data.shape == (3, 40, 64)
    metadata = attributes["metadata"]
    assert metadata["lens"] == [4, "x"]
    assert "exposure" not in metadata
    assert [each["exposure"] for each in metadata["agv"]["metadata"]] == [0, 1, 2]


def test_what_is_no_file_in_a_folder_does_not_keep_it_from_being_opened(tmp_path: Path) -> None:
    folder = tmp_path / "f.agv"
    folder.mkdir()
    for number in range(2):
        write_agv(folder / f"{number}.agv", [(STACK[number], {}, "image")])
    (folder / "._0.agv").write_bytes(b"\0\5\x16\7")
    assert read_agv(folder)[0][0].shape == (2, 64, 80)
    assert read_agv([folder / "0.agv", folder])[0][0].shape == (3, 64, 80)
    (folder / "2.agv").touch()
    with pytest.warns(UserWarning, match=r"2\.agv cannot be opened: it is empty; it is left out"):
        assert read_agv(folder)[0][0].shape == (2, 64, 80)
    for number in range(2):
        (folder / f"{number}.agv").unlink()
    with pytest.raises(OSError, match="it is empty"):
        read_agv(folder)


def test_contrast_limits_of_a_stack_hold_those_that_users_have_set(tmp_path: Path) -> None:
    for number, limits in enumerate(((10, 20), (5, 15), (10, 20))):
        write_agv(tmp_path / f"{number}.agv", [(picture(64, 40)[..., 0], {"contrast_limits": limits}, "image")])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_agv(tmp_path)[0][1]["contrast_limits"] == [5, 20]


def test_colormaps_and_units_of_later_versions_are_left_out(viewer: Any, photo: Path) -> None:
    reader = Reader(io.BytesIO(photo.read_bytes()))
    document = (
        b'{"layers": [{"bands": 1, "colormap": "of the future", "units": ["parsecond", "um"], "new": 3, '
        b'"blending": "of the future", "interpolation2d": "none"}]}'
    )
    photo.write_bytes(write_container(reader.header, Metadata(arrays=document), reader.tiles()))
    with pytest.warns(UserWarning, match="does not know the") as told:
        (layer,) = viewer.open(photo, plugin="agvae")
    assert sum("does not know" in str(each.message) for each in told) == 4
    assert (layer.colormap.name, [str(unit) for unit in layer.units]) == ("gray", ["pixel", "pixel"])


def test_reading_needs_neither_qt_nor_napari_and_codec_only_for_pixels(frames: Path) -> None:
    code = """
import sys
from napari_agvae.io.opened import OpenedFile
from napari_agvae.io.reader import get_reader
from napari_agvae import read_agv
from napari_agvae.io import writer
read = get_reader(sys.argv[1])
heavy = {"torch", "napari", "PyQt6", "PySide6", "qtpy"}
assert heavy.isdisjoint(sys.modules), heavy & set(sys.modules)
(data, attributes, kind), = read(sys.argv[1])
assert heavy.isdisjoint(sys.modules), heavy & set(sys.modules)
data[0].compute()
assert {"napari", "PyQt6", "PySide6", "qtpy"}.isdisjoint(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code, str(frames)], check=True, timeout=600)


@pytest.mark.napari
def test_a_viewer_without_qt(photo: Path) -> None:
    code = """
import sys
from napari.components import ViewerModel
from npe2 import PluginManager
PluginManager.instance().discover()
assert "torch" not in sys.modules
viewer = ViewerModel()
bindings = {"PyQt6", "PySide6", "PyQt5", "PySide2"}
before = bindings & set(sys.modules)  # napari 0.6 itself imports one
layer, = viewer.open(sys.argv[1], plugin="agvae")
assert layer.rgb
assert bindings & set(sys.modules) == before
"""
    subprocess.run([sys.executable, "-c", code, str(photo)], check=True, timeout=600)
