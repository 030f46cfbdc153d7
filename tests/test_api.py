"""The door for arrays: `agvae.encode`, `agvae.decode`, `agvae.read_info`."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
from array import array
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import agvae
from agvae.container import (
    DamagedFileError,
    Header,
    Metadata,
    Reader,
    TileData,
    TruncatedFileError,
    tile_boxes,
    write_container,
)
from tests.helpers import picture

pytestmark = pytest.mark.usefixtures("tiny_weights")


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def alpha_ramp(width: int, height: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width]
    ramp: NDArray[np.uint8] = ((3 * x + y) % 256).astype(np.uint8)
    return ramp


def rebuilt(data: bytes, header: Header | None = None, tiles: list[TileData] | None = None) -> bytes:
    """The same file with another header or other tiles, and right checksums."""
    reader = Reader(io.BytesIO(data))
    return write_container(header or reader.header, reader.metadata, tiles or list(reader.tiles()))


@pytest.mark.parametrize("shape", [(50, 70), (50, 70, 1), (50, 70, 2), (50, 70, 3), (50, 70, 4), (1, 1), (3, 1, 3)])
def test_shapes_round_trip(shape: tuple[int, ...]) -> None:
    pixels = np.resize(picture(70, 50), shape).astype(np.uint8)
    decoded = agvae.decode(agvae.encode(pixels))
    assert decoded.dtype == np.uint8
    assert decoded.shape == (shape[:2] if shape[2:] == (1,) else shape)
    assert decoded.flags.c_contiguous


def test_decoded_picture_resembles_the_original() -> None:
    pixels = picture(200, 130)
    assert psnr(agvae.decode(agvae.encode(pixels, 6)), pixels) > 28
    assert psnr(agvae.decode(agvae.encode(pixels[..., 0], 6)), pixels[..., 0]) > 28


def test_alpha_is_exact_over_tiles() -> None:
    pixels = np.dstack((picture(1100, 70), alpha_ramp(1100, 70)))
    data = agvae.encode(pixels, 1)
    assert agvae.read_info(data)["tiles"] == 2
    np.testing.assert_array_equal(agvae.decode(data)[..., 3], pixels[..., 3])


def test_grey_stays_exactly_grey() -> None:
    grey = picture(60, 40)[..., 0]
    data = agvae.encode(np.dstack((grey, grey, grey)))
    decoded = agvae.decode(data)
    assert decoded.shape == (40, 60, 3)
    np.testing.assert_array_equal(decoded[..., 0], decoded[..., 1])
    np.testing.assert_array_equal(decoded[..., 0], decoded[..., 2])
    np.testing.assert_array_equal(decoded[..., 0], agvae.decode(agvae.encode(grey)))
    assert Reader(io.BytesIO(data)).header.grey
    assert not Reader(io.BytesIO(agvae.encode(picture(60, 40)))).header.grey


def test_memory_layout_does_not_matter() -> None:
    pixels = picture(64, 48)
    assert agvae.encode(np.asfortranarray(pixels)) == agvae.encode(pixels)
    assert agvae.encode(pixels[::-1][::-1]) == agvae.encode(pixels)


def test_images_give_the_same_bytes_as_arrays() -> None:
    pixels = picture(64, 48)
    assert agvae.encode(Image.fromarray(pixels), 2) == agvae.encode(pixels, 2) == agvae.encode(pixels, s=2)


def test_metadata_is_stored() -> None:
    metadata = Metadata(comment=b"hello", dpi=(300, 299.5))
    assert Reader(io.BytesIO(agvae.encode(picture(16, 16), metadata=metadata))).metadata == metadata


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((5, 5), np.uint16), "uint8"),
        (np.zeros((5, 5, 5), np.uint8), "shape"),
        (np.zeros(5, np.uint8), "shape"),
        (np.zeros((0, 5, 3), np.uint8), "empty"),
        (np.zeros((5, 0), np.uint8), "empty"),
        (np.zeros((5, 5, 0), np.uint8), "shape"),
        ([[0.5]], "uint8"),
    ],
)
def test_other_arrays_are_refused(pixels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        agvae.encode(pixels)


def test_other_arguments_are_refused() -> None:
    pixels = picture(16, 16)
    with pytest.raises(TypeError, match=r"metadata must be an agvae\.Metadata, not dict"):
        agvae.encode(pixels, metadata={})  # type: ignore[arg-type]
    for model in ("", "../x", 5):
        with pytest.raises(ValueError, match="not a model name"):
            agvae.encode(pixels, model=model)  # type: ignore[arg-type]
    for source in (None, 5, {}):
        for function in (agvae.decode, agvae.read_info):
            with pytest.raises(TypeError, match="source must be the bytes of a file, its path"):
                function(source)


def test_any_buffer_is_read() -> None:
    data = agvae.encode(picture(16, 16))
    for source in (bytearray(data), memoryview(data), array("B", data), np.frombuffer(data, np.uint8)):
        np.testing.assert_array_equal(agvae.decode(source), agvae.decode(data))  # type: ignore[arg-type]
        assert agvae.read_info(source) == agvae.read_info(data)  # type: ignore[arg-type]


def test_read_info_leaves_a_file_where_it_was() -> None:
    fp = io.BytesIO(b"before" + agvae.encode(picture(16, 16)))
    fp.seek(6)
    agvae.read_info(fp)
    assert fp.tell() == 6


def test_unknown_model_is_refused() -> None:
    with pytest.raises(OSError, match="'nonesuch'"):
        agvae.encode(picture(16, 16), model="nonesuch")
    data = agvae.encode(picture(16, 16))
    header = Reader(io.BytesIO(data)).header
    with pytest.raises(OSError, match="nonesuch"):
        agvae.decode(rebuilt(data, replace(header, model="nonesuch")))
    with pytest.raises(OSError, match="SHA-256"):
        agvae.decode(rebuilt(data, replace(header, digest=bytes(8))))


def test_read_info(tmp_path: Path) -> None:
    data = agvae.encode(picture(100, 50), 3.25, metadata=Metadata(xmp=b"<x/>"))
    path = tmp_path / "a.agv"
    path.write_bytes(data)
    with path.open("rb") as fp:
        infos = [agvae.read_info(source) for source in (data, bytearray(data), path, str(path), fp)]
        assert not fp.closed
    info = infos[0]
    assert all(other == info for other in infos)
    header = Reader(io.BytesIO(data)).header
    assert info == {
        "width": 100,
        "height": 50,
        "mode": "RGB",
        "quality": 3.25,
        "s": 3,
        "l": 0.25,
        "bytes": len(data),
        "bpp": 8 * len(data) / 5000,
        "model": "tiny",
        "digest": header.digest.hex(),
        "frames": 1,
        "tiles": 1,
        "tile_size": 1024,
        "metadata": ["xmp"],
    }
    assert json.loads(json.dumps(info)) == info


def test_decode_takes_paths_and_files(tmp_path: Path) -> None:
    data = agvae.encode(picture(30, 20))
    path = tmp_path / "a.agv"
    path.write_bytes(data)
    expected = agvae.decode(data)
    np.testing.assert_array_equal(agvae.decode(path), expected)
    np.testing.assert_array_equal(agvae.decode(io.BytesIO(data)), expected)


def test_other_files_are_a_syntax_error() -> None:
    with pytest.raises(SyntaxError):
        agvae.decode(b"GIF89a")


def test_truncated_file_is_an_error_or_grey() -> None:
    data = agvae.encode(np.dstack((picture(40, 30), alpha_ramp(40, 30))))
    with pytest.raises(TruncatedFileError, match=r"image file is truncated \(\d+ bytes not processed\)"):
        agvae.decode(data[:-1])
    decoded = agvae.decode(data[:-1], damaged_ok=True)
    assert (decoded[..., :3] == 128).all()
    assert (decoded[..., 3] == 255).all()


def test_damage_costs_its_tile_alone() -> None:
    pixels = np.dstack((picture(1100, 70), alpha_ramp(1100, 70)))
    data = agvae.encode(pixels, 3)
    whole = agvae.decode(data)
    tiles = list(Reader(io.BytesIO(data)).tiles())
    assert tiles[1].payload is not None
    broken_payload = tiles[1].payload[:8] + bytes(len(tiles[1].payload) - 8)
    cases = [
        data[:-1],
        rebuilt(data, tiles=[tiles[0], replace(tiles[1], payload=broken_payload)]),
    ]
    halo = 300
    for damaged in cases:
        with pytest.raises((DamagedFileError, TruncatedFileError)):
            agvae.decode(damaged)
        decoded = agvae.decode(damaged, damaged_ok=True)
        np.testing.assert_array_equal(decoded[:, : 1024 - halo], whole[:, : 1024 - halo])
        assert (decoded[:, 1024:, :3] == 128).all()
    decoded = agvae.decode(rebuilt(data, tiles=[tiles[0], replace(tiles[1], alpha=b"?")]), damaged_ok=True)
    np.testing.assert_array_equal(decoded[..., :3], whole[..., :3])
    assert (decoded[:, 1024:, 3] == 255).all()


def test_first_frame_of_several_is_decoded() -> None:
    data = agvae.encode(picture(40, 30))
    reader = Reader(io.BytesIO(data))
    tiles = [*reader.tiles(), TileData(b"not a payload")]
    two = write_container(replace(reader.header, frames=2), Metadata(), tiles)
    np.testing.assert_array_equal(agvae.decode(two), agvae.decode(data))


def test_nonsense_payloads_with_right_checksums_are_damage() -> None:
    data = agvae.encode(picture(40, 30), 6)
    payload = next(Reader(io.BytesIO(data)).tiles()).payload
    assert payload is not None
    rng = random.Random(0)
    for _ in range(100):
        damaged = bytearray(payload)
        match rng.randrange(4):
            case 0:
                damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
            case 1:
                del damaged[rng.randrange(len(damaged)) :]
            case 2:
                damaged += rng.randbytes(4 * rng.randint(1, 5))
            case _:
                damaged[:] = rng.randbytes(4 * rng.randrange(50))
        try:
            decoded = agvae.decode(rebuilt(data, tiles=[TileData(bytes(damaged))]))
        except DamagedFileError:
            continue
        assert decoded.shape == (30, 40, 3)


def test_header_that_contradicts_the_payload_is_damage() -> None:
    data = agvae.encode(picture(40, 30), 3)
    header = Reader(io.BytesIO(data)).header
    for wrong in (replace(header, width=80), replace(header, height=700), replace(header, level=20480)):
        with pytest.raises(DamagedFileError):
            agvae.decode(rebuilt(data, wrong))


def test_decompression_bombs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = agvae.encode(picture(40, 30))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 599)
    with pytest.raises(Image.DecompressionBombError):
        agvae.decode(data)
    for limit in (600, None):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert agvae.decode(data).shape == (30, 40, 3)


def test_tile_boxes_match_the_codec() -> None:
    reader = Reader(io.BytesIO(agvae.encode(picture(1030, 20), 1)))
    assert len(tile_boxes(reader.header)) == len(list(reader.tiles())) == 2


def test_import_is_light() -> None:
    code = "import sys, agvae; print(sorted({'torch', 'numpy', 'PIL'} & set(sys.modules))); print(dir(agvae))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded, names = result.stdout.splitlines()
    assert loaded == "[]"
    assert "read_info" in names


def test_names_of_the_container_are_here_without_numpy() -> None:
    code = "import sys, agvae; agvae.Metadata, agvae.AgvError; print({'torch', 'numpy', 'PIL'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"
    assert agvae.Metadata is Metadata


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="nonesuch"):
        agvae.nonesuch  # noqa: B018
