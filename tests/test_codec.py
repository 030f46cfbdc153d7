"""Pixels to payloads and back with real networks: exact, tiled, bounded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import agvae
from agvae import codec
from agvae.container import DamagedFileError, Header, Reader, UnsupportedFileError, grid_boxes
from tests.helpers import picture, settings_that_must_not_matter

DATA = Path(__file__).parent / "data"
CONFORMANCE = json.loads((DATA / "conformance.json").read_text())


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def header(pixels: np.ndarray, level: int, encoded: codec.EncodedImage, tile_size: int = 1024) -> Header:
    height, width = pixels.shape[:2]
    return Header(width, height, "RGB", level, encoded.model, encoded.digest, tile_size)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (7, 5), (65, 33), (128, 96), (200, 131)])
def test_any_size_comes_back(size: tuple[int, int]) -> None:
    pixels = picture(*size)
    encoded = codec.encode_tiles(pixels, 14000)
    decoded = codec.decode_tiles(header(pixels, 14000, encoded), encoded.tiles)
    assert decoded.shape == pixels.shape
    assert decoded.dtype == np.uint8
    assert psnr(decoded, pixels) > 24


def test_bytes_are_what_the_entropy_model_estimates() -> None:
    pixels = picture(320, 256)
    for level in (0, 10240, 20480):
        encoded = codec.encode_tiles(pixels, level)
        size = sum(map(len, encoded.tiles))
        assert abs(size - encoded.estimated_bits / 8) < 0.015 * size + 100


def test_size_and_quality_rise_with_the_level() -> None:
    pixels = picture(256, 192)
    sizes, qualities = [], []
    for level in range(0, 20481, 4096):
        encoded = codec.encode_tiles(pixels, level)
        sizes.append(sum(map(len, encoded.tiles)))
        qualities.append(psnr(codec.decode_tiles(header(pixels, level, encoded), encoded.tiles), pixels))
    assert sizes == sorted(set(sizes))
    assert qualities == sorted(qualities)


def test_tiles_leave_no_seam() -> None:
    """With the same latents, the tiled synthesis is the untiled one; so is the tiled analysis."""
    model = codec.load_model()
    pixels = picture(460, 300)
    weights = model._weights(9000).float()
    with torch.inference_mode():
        whole = model._analyse(pixels, (0, 0, 460, 300), weights)
        for box in grid_boxes(460, 300, 128):
            top, left = box[1] // 16, box[0] // 16
            tile = model._analyse(pixels, box, weights)
            torch.testing.assert_close(
                tile, whole[:, top : top + tile.shape[1], left : left + tile.shape[2]], atol=2e-3, rtol=1e-3
            )
        image = model._synthesise(whole, (0, 0, 460, 300), weights).astype(int)
        for left, top, right, bottom in grid_boxes(460, 300, 128):
            tile = model._synthesise(whole, (left, top, right, bottom), weights)
            assert np.abs(image[top:bottom, left:right] - tile).max() <= 1


def test_a_lost_tile_costs_that_tile() -> None:
    pixels = picture(256, 128)
    encoded = codec.encode_tiles(pixels, 12000, tile_size=64)
    head = header(pixels, 12000, encoded, 64)
    whole = codec.decode_tiles(head, encoded.tiles)
    partial = codec.decode_tiles(head, [None, *encoded.tiles[1:]])
    assert (partial[:64, :64] == 128).all()
    halo = codec.load_model().network.synthesis.halo()
    np.testing.assert_array_equal(partial[:, 64 + halo :], whole[:, 64 + halo :])


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_changed_payload_is_noticed(data: st.DataObject) -> None:
    """Even without the container's checksum: never other latents in silence, never another exception."""
    pixels = picture(64, 64)
    encoded = codec.encode_tiles(pixels, 12000)
    payload = bytearray(encoded.tiles[0])
    kind = data.draw(st.sampled_from(["flip", "cut", "random"]))
    if kind == "flip":
        position = data.draw(st.integers(0, len(payload) - 1))
        payload[position] ^= 1 << data.draw(st.integers(0, 7))
    elif kind == "cut":
        del payload[data.draw(st.integers(0, len(payload) - 5)) :]
    else:
        payload[4:] = data.draw(st.binary(min_size=len(payload) - 4, max_size=len(payload) - 4))
    model = codec.load_model()
    original = model.unpack(encoded.tiles[0], 12000, (0, 0, 64, 64)).tobytes()
    try:
        changed = model.unpack(bytes(payload), 12000, (0, 0, 64, 64))
    except DamagedFileError:
        return
    assert changed.tobytes() == original


def test_other_weights_of_the_same_name_are_refused() -> None:
    encoded = codec.encode_tiles(picture(32, 32), 0)
    head = Header(32, 32, "RGB", 0, encoded.model, b"\0" * 8)
    with pytest.raises(UnsupportedFileError, match="install the version"):
        codec.decode_tiles(head, encoded.tiles)


def test_an_unknown_model_is_refused_by_name() -> None:
    encoded = codec.encode_tiles(picture(32, 32), 0)
    head = Header(32, 32, "RGB", 0, "no-such-model", encoded.digest)
    with pytest.raises(OSError, match="no-such-model"):
        codec.decode_tiles(head, encoded.tiles)


@pytest.mark.parametrize("name", sorted(CONFORMANCE))
def test_conformance_files_decode_to_their_latents(name: str) -> None:
    assert latents_hash((DATA / name).read_bytes()) == CONFORMANCE[name]["latents_sha256"]


@pytest.mark.parametrize("name", sorted(CONFORMANCE))
def test_conformance_files_decode_to_their_pixels(name: str) -> None:
    """Pixels may differ by rounding between machines; latents may not."""
    with np.load(DATA / "conformance.npz") as expected:
        difference = np.abs(agvae.decode((DATA / name).read_bytes()).astype(int) - expected[name])
    assert difference.max() <= 1


def test_latents_do_not_depend_on_threads_precision_or_onednn() -> None:
    name = sorted(CONFORMANCE)[0]
    data = (DATA / name).read_bytes()
    for _ in settings_that_must_not_matter():
        assert latents_hash(data) == CONFORMANCE[name]["latents_sha256"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_latents_are_the_same_on_cuda() -> None:
    from agvae import weights

    name = sorted(CONFORMANCE)[0]
    reader = Reader(BytesIO((DATA / name).read_bytes()))
    model = codec.Model(weights.find(reader.header.model), reader.header.model, "cuda")
    cpu = codec.Model(weights.find(reader.header.model), reader.header.model, "cpu")
    box = (0, 0, reader.header.width, reader.header.height)
    payload = next(reader.tiles()).payload
    assert payload is not None
    level = reader.header.level
    assert model.unpack(payload, level, box).tobytes() == cpu.unpack(payload, level, box).tobytes()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_codes_after_its_parent() -> None:
    """In a process of its own, for two OpenMP threads from the start."""
    script = """
import os, signal, sys, numpy, agvae
pixels = numpy.arange(64 * 96 * 3, dtype=numpy.uint8).reshape(64, 96, 3)
data = agvae.encode(pixels)
child = os.fork()
if not child:
    signal.alarm(100)
    os._exit(0 if agvae.encode(pixels) == data and agvae.decode(data).shape == pixels.shape else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    environment = os.environ | {"OMP_NUM_THREADS": "2", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=200)


def test_threads_load_a_model_once(tiny_weights: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        models = list(pool.map(codec.load_model, [None, "tiny"] * 4))
    assert all(model is models[0] for model in models)


@pytest.mark.parametrize("device", ["banana", "CPU", "mps", "meta", "cuda:99"])
def test_an_impossible_device_is_a_value_error(
    tiny_weights: Path, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    monkeypatch.setenv("AGVAE_DEVICE", device)
    with pytest.raises(ValueError, match="AGVAE_DEVICE"):
        codec.load_model()


def test_an_empty_device_is_auto(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGVAE_DEVICE", "")
    assert codec.load_model().device.type in ("cpu", "cuda")


def latents_hash(data: bytes) -> str:
    reader = Reader(BytesIO(data))
    payloads = [tile.payload for tile in reader.tiles() if tile.payload is not None]
    return codec.latents_sha256(reader.header, payloads)
