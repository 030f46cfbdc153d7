"""Pixels to payloads and back with real networks: exact, tiled, bounded."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import agvae
from agvae import weights
from agvae.boxes import Slices
from agvae.coding import memory, reconstruction
from agvae.coding.choice import EncodedImage, encode_images
from agvae.coding.engine import Latents, Model
from agvae.coding.loaded import forget_models, load_model
from agvae.coding.memory import Limits
from agvae.coding.reconstruction import DecodeRequest, Reconstruction
from agvae.coding.tiles import (
    _analyse,
    _decode,
    decode_images,
    encode_tiles,
    latents_sha256,
    tiles_needed,
)
from agvae.coding.windows import Window, latent_shape
from agvae.container import Box, DamagedFileError, Header, Reader, UnsupportedFileError, tile_boxes
from agvae.networks import bands
from agvae.weights import registries
from tests.support.helpers import picture, psnr, settings_that_must_not_matter

DATA = Path(__file__).parents[1] / "data"
CONFORMANCE = json.loads((DATA / "conformance.json").read_text())


@pytest.fixture(autouse=True)
def by_model_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are about what the model codes, also of pictures that would take less without loss."""
    monkeypatch.setattr("agvae.coding.choice.look_at", lambda image: None)


def encode(pixels: np.ndarray, level: int, tile_size: int = 1024) -> EncodedImage:
    return next(encode_images([pixels], level, tile_size))


def request(
    pixels: np.ndarray, level: int, encoded: EncodedImage, tile_size: int = 1024, box: Box | None = None
) -> DecodeRequest:
    height, width = pixels.shape[:2]
    mode, bounds = ("RGB", None) if pixels.dtype == np.uint8 else ("I;16", (0, 65535))
    header = Header(width, height, mode, level, encoded.model, encoded.digest, tile_size, range=bounds)
    return DecodeRequest(header, dict(enumerate(encoded.payloads)), box)


def decode(wanted: DecodeRequest) -> np.ndarray:
    return next(decode_images([wanted]))


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (7, 5), (65, 33), (128, 96), (200, 131)])
def test_any_size_comes_back(size: tuple[int, int]) -> None:
    pixels = picture(*size)
    encoded = encode(pixels, 14000)
    decoded = decode(request(pixels, 14000, encoded))
    assert decoded.shape == pixels.shape
    assert decoded.dtype == np.uint8
    assert psnr(decoded, pixels) > 24


def test_bytes_are_what_the_entropy_model_estimates() -> None:
    pixels = picture(320, 256)
    for level in (0, 10240, 20480):
        encoded = encode(pixels, level)
        size = sum(map(len, encoded.payloads))
        assert abs(size - encoded.estimated_bits / 8) < 0.015 * size + 100


def test_size_and_quality_rise_with_the_level() -> None:
    pixels = picture(256, 192)
    sizes, qualities = [], []
    for level in range(0, 20481, 4096):
        encoded = encode(pixels, level)
        sizes.append(sum(map(len, encoded.payloads)))
        qualities.append(psnr(decode(request(pixels, level, encoded)), pixels))
    assert sizes == sorted(set(sizes))
    assert qualities == sorted(qualities)


def test_tiles_leave_no_seam() -> None:
    """With the same latents, the tiled synthesis is the untiled one; so is the tiled analysis."""
    model = load_model()
    pixels = picture(460, 300)
    whole = _analyse(model, [(pixels, Box(0, 0, 460, 300))], 9000, 1024)
    parts = _analyse(model, [(pixels, Box(0, 0, 460, 300))], 9000, 128)
    torch.testing.assert_close(parts, whole, atol=2e-3, rtol=1e-3)
    wanted = request(pixels, 9000, encode(pixels, 9000))
    one, many = (_decode(model, Limits(1, side), [wanted], damaged_ok=False)[0] for side in (1024, 64))
    assert np.abs(one.astype(int) - many).max() <= 1


def test_a_lost_tile_costs_that_tile() -> None:
    pixels = picture(256, 128)
    encoded = encode(pixels, 12000, tile_size=64)
    wanted = request(pixels, 12000, encoded, 64)
    whole = decode(wanted)
    partial = decode(replace(wanted, tiles={k: tile for k, tile in wanted.tiles.items() if k}))
    assert (partial[:64, :64] == 128).all()
    halo = load_model().network.synthesis.halo()
    np.testing.assert_array_equal(partial[:, 64 + halo :], whole[:, 64 + halo :])


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_box_is_the_crop_of_the_whole_and_needs_only_its_tiles(data: st.DataObject) -> None:
    pixels, wanted, whole = small_tiles()
    height, width = pixels.shape[:2]
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    box = Box(left, top, data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height)))
    needed = tiles_needed(wanted.header, box)
    tiles = {k: wanted.tiles[k] for k in needed}
    part = decode(replace(wanted, tiles=tiles, box=box))
    assert np.abs(part.astype(int) - whole[box.slices]).max() <= 1


@cache
def small_tiles() -> tuple[np.ndarray, DecodeRequest, np.ndarray]:
    pixels = picture(333, 270, 4)
    wanted = request(pixels, 9000, encode(pixels, 9000, 64), 64)
    return pixels, wanted, decode(wanted)


@pytest.mark.parametrize("lost", [[], [0, 1], range(16, 34)])
@pytest.mark.parametrize("box", [None, (3, 1020, 40, 1030), (0, 990, 64, 2070), (10, 100, 20, 2200)])
@pytest.mark.parametrize("halo", [128, 48])
def test_a_high_picture_is_decoded_strip_by_strip(
    lost: Sequence[int], box: tuple[int, int, int, int] | None, halo: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no more latents at a time than the strips that touch, and the pixels that all at once give."""
    model = load_model()
    monkeypatch.setattr(model.network.synthesis, "halo", lambda: halo)
    monkeypatch.setattr(reconstruction, "MAX_TILE_SIZE", 256)
    whole, held = high_picture(), []
    latents = Reconstruction.latents

    def counted(image: Reconstruction, window: Window) -> torch.Tensor:
        held.append(len(image._strips))
        return latents(image, window)

    monkeypatch.setattr(Reconstruction, "latents", counted)
    part = whole.header.box if box is None else Box(*box)
    tiles = {k: whole.tiles[k] for k in tiles_needed(whole.header, part) if k not in lost}
    wanted = replace(whole, tiles=tiles, box=part)
    (expected,) = _decode(model, Limits(2**30, 1024), [wanted], damaged_ok=False)
    held.clear()
    (found,) = _decode(model, Limits(1, 1024), [wanted], damaged_ok=False)
    np.testing.assert_array_equal(found, expected)
    assert max(held, default=0) <= 3


@cache
def high_picture() -> DecodeRequest:
    pixels = picture(70, 2200, 6)
    return request(pixels, 9000, encode(pixels, 9000, 64), 64)


@pytest.mark.parametrize("lost", [0, 2])
def test_small_tiles_cost_what_large_ones_do(lost: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although each needs what is around it; where some are lost, too."""
    _, wanted, whole = small_tiles()
    worked = 0
    model = load_model()
    synthesise = model.synthesise

    def counted(y_hat: torch.Tensor, levels: Sequence[int], inner: Slices) -> torch.Tensor:
        nonlocal worked
        worked += y_hat[..., 0].numel() * 256
        return synthesise(y_hat, levels, inner)

    monkeypatch.setattr(model, "synthesise", counted)
    tiles = {k: data for k, data in wanted.tiles.items() if not lost or k % lost}
    pixels = decode(replace(wanted, tiles=tiles))
    assert worked == 352 * 288  # the picture with its padding
    for number, box in enumerate(tile_boxes(wanted.header)):
        part = pixels[box[1] : box[3], box[0] : box[2]]
        if number not in tiles:
            assert (part == 128).all()
        elif not lost:
            assert np.abs(part.astype(int) - whole[box.slices]).max() <= 1


@pytest.mark.parametrize("tile_size", [64, 96, 256])
@pytest.mark.parametrize("size", [(333, 270), (40, 1200)])
def test_small_tiles_are_analysed_together(
    size: tuple[int, int], tile_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And give what each would by itself."""
    pixels, model, limits, worked = picture(*size, 5), load_model(), Limits(2**18, 1024), 0
    analyse = model.analyse

    def counted(x: torch.Tensor, levels: Sequence[int]) -> torch.Tensor:
        nonlocal worked
        worked += x[:, 0].numel()
        return analyse(x, levels)

    monkeypatch.setattr(model, "analyse", counted)
    tiles = [(pixels, box) for box in Box(0, 0, *size).split(tile_size)]
    together = dict(encode_tiles(model, limits, tiles, 9000))
    squares = -(-size[1] // 1024)
    halo = model.network.analysis.halo()
    assert worked <= (size[0] + 31) * (size[1] + 31 + 2 * (squares - 1) * halo)
    far = [(pixels, tiles[number][1]) for number in (0, len(tiles) - 1)]
    assert [packed.payload for _, packed in sorted(encode_tiles(model, limits, far, 9000))] == [
        together[0].payload,
        together[len(tiles) - 1].payload,
    ]
    for number, tile in enumerate(tiles):
        ((_, alone),) = encode_tiles(model, limits, [tile], 9000)
        assert alone.payload == together[number].payload


def test_a_small_box_needs_few_tiles() -> None:
    model = load_model()
    header = Header(100_000, 100_000, "RGB", 0, model.name, model.digest)
    needed = tiles_needed(header, Box(51_700, 51_700, 51_710, 51_710))
    assert needed == [50 * 98 + 50]


def test_images_in_a_batch_code_as_alone() -> None:
    """Sizes mixed, some equal; the latents of a batch are exact, too, so they decode together or alone."""
    pixels = [picture(96, 64, seed) for seed in range(5)] + [picture(65, 33), picture(300, 260), picture(96, 64, 9)]
    together = list(encode_images(pixels, 11111))
    for image, encoded in zip(pixels, together, strict=True):
        alone = encode(image, 11111)
        assert abs(sum(map(len, encoded.payloads)) - sum(map(len, alone.payloads))) <= 8
    wanted = [request(image, 11111, encoded) for image, encoded in zip(pixels, together, strict=True)]
    for one, batched in zip(wanted, decode_images(wanted), strict=True):
        assert np.abs(decode(one).astype(int) - batched).max() <= 1


@pytest.mark.parametrize("seed", [1, 4])
def test_neither_bytes_nor_pixels_depend_on_threads(seed: int) -> None:
    """Pictures whose bytes did, before g_a and g_s worked in bands."""
    pixels = picture(768, 512, seed)
    files, images = [], []
    for threads in (1, 2, 3, 4):
        agvae.options.threads = threads
        try:
            files.append(agvae.encode(pixels, 6))
            images.append(agvae.decode(files[0]))
        finally:
            agvae.options.threads = None
    assert all(data == files[0] for data in files)
    assert all(np.array_equal(image, images[0]) for image in images)


def test_images_are_taken_as_they_are_needed() -> None:
    taken = []

    def images() -> Iterator[np.ndarray]:
        for seed in range(3):
            taken.append(seed)
            yield picture(640, 480, seed)

    stream = encode_images(images(), 0)
    next(stream)
    assert taken == [0]


def test_requests_of_several_levels_and_models(
    tiny_weights_folder: Path, float64_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (tiny_weights_folder / "tiny.safetensors", float64_model):
        shutil.copy(path, tmp_path)
    weights.register(tmp_path)
    monkeypatch.setenv("AGVAE_WEIGHTS_URL", str(tmp_path))
    pixels = picture(96, 64)
    models = [(None, 0), ("tiny-float64", 0), (None, 20480), ("tiny", 20480), ("tiny-float64", 20480), (None, 9999)]
    wanted = [request(pixels, level, next(encode_images([pixels], level, model=model))) for model, level in models]
    assert len({one.header.digest for one in wanted}) == 3
    for one, batched in zip(wanted, decode_images(wanted), strict=True):
        np.testing.assert_allclose(decode(one).astype(int), batched, atol=1)
    forget_models()


def test_sixteen_bits_are_not_rounded_to_eight() -> None:
    """A smooth gradient of float values comes back with steps finer than 1 / 255."""
    ramp = np.linspace(0.2, 0.8, 320, dtype=np.float32)
    pixels = np.broadcast_to(ramp[None, :, None], (256, 320, 3))
    decoded = decode(request(pixels, 20480, encode(pixels, 20480)))
    assert decoded.dtype == np.float32
    assert decoded.min() >= 0
    assert decoded.max() <= 1
    error = np.sqrt(np.mean((decoded - pixels) ** 2))
    rounded = np.sqrt(np.mean((np.round(pixels * 255) / 255 - pixels) ** 2))
    assert error < 3 * rounded
    assert len(np.unique(decoded[..., 1])) > 1000


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_changed_payload_is_noticed(data: st.DataObject) -> None:
    """Even without the container's checksum: never other latents in silence, never another exception."""
    pixels = picture(64, 64)
    encoded = encode(pixels, 12000)
    payload = bytearray(encoded.payloads[0])
    kind = data.draw(st.sampled_from(["flip", "cut", "random"]))
    if kind == "flip":
        position = data.draw(st.integers(0, len(payload) - 1))
        payload[position] ^= 1 << data.draw(st.integers(0, 7))
    elif kind == "cut":
        del payload[data.draw(st.integers(0, len(payload) - 5)) :]
    else:
        payload[4:] = data.draw(st.binary(min_size=len(payload) - 4, max_size=len(payload) - 4))
    model = load_model()
    payloads = [encoded.payloads[0], bytes(payload), encoded.payloads[0]]
    original, changed, again = model.unpack(payloads, [12000] * 3, 4, 4)
    assert isinstance(original, Latents)
    assert isinstance(again, Latents)
    assert again.tobytes() == original.tobytes(), "a damaged tile of the batch costs another one"
    assert isinstance(changed, DamagedFileError) or changed.tobytes() == original.tobytes()


def test_other_weights_of_the_same_name_are_refused() -> None:
    encoded = encode(picture(32, 32), 0)
    head = Header(32, 32, "RGB", 0, encoded.model, b"\0" * 8)
    with pytest.raises(UnsupportedFileError, match="install the version"):
        decode(DecodeRequest(head, dict(enumerate(encoded.payloads))))


def test_the_digest_decides_between_models_of_one_name(
    tiny_weights_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The released one, and one in a folder of one's own."""
    registry = json.loads((registries.BUNDLED / "registry.json").read_text())
    name = registry["default"]
    entry = json.loads((tiny_weights_folder / "registry.json").read_text())["models"]["tiny"]
    (tmp_path / "registry.json").write_text(json.dumps({"models": {name: entry}}))
    shutil.copy(tiny_weights_folder / entry["file"], tmp_path)
    pixels = picture(40, 30)
    with agvae.options.using(weights=tiny_weights_folder):
        encoded = next(encode_images([pixels], 0, model="tiny"))
    own = DecodeRequest(Header(40, 30, "RGB", 0, name, encoded.digest), dict(enumerate(encoded.payloads)))
    with pytest.raises(UnsupportedFileError):
        decode(own)
    with agvae.options.using(weights=tmp_path):
        decode(own)
        with pytest.warns(UserWarning, match="another model under the name") as told:
            assert load_model(name).sha256 == registry["models"][name]["sha256"]
        assert told[0].filename == __file__
        decode(request(pixels, 0, encode(pixels, 0)))


def test_an_unknown_model_is_refused_by_name() -> None:
    encoded = encode(picture(32, 32), 0)
    head = Header(32, 32, "RGB", 0, "no-such-model", encoded.digest)
    with pytest.raises(OSError, match="no-such-model"):
        decode(DecodeRequest(head, dict(enumerate(encoded.payloads))))


@pytest.fixture(params=sorted(CONFORMANCE))
def conforming(request: pytest.FixtureRequest) -> str:
    """The name of a conformance file."""
    name = str(request.param)
    model = agvae.read_info(DATA / name)["model"]
    if weights.locate(model) is None:
        pytest.skip(f"{model} is not in the sdist")
    return name


def test_conformance_files_decode_to_their_latents(conforming: str) -> None:
    assert latents_hash((DATA / conforming).read_bytes()) == CONFORMANCE[conforming]["latents_sha256"]


def test_conformance_files_decode_to_their_pixels(conforming: str) -> None:
    """Pixels may differ by rounding between machines; latents may not."""
    with np.load(DATA / "conformance.npz") as expected:
        difference = np.abs(agvae.decode((DATA / conforming).read_bytes()).astype(int) - expected[conforming])
    assert difference.max() <= 1


def test_latents_do_not_depend_on_threads_precision_or_onednn() -> None:
    name = sorted(CONFORMANCE)[0]
    data = (DATA / name).read_bytes()
    for _ in settings_that_must_not_matter():
        assert latents_hash(data) == CONFORMANCE[name]["latents_sha256"]


def test_nor_do_those_of_a_model_in_float64(float64_model: Path) -> None:
    with weights.registered(float64_model) as name:
        data = agvae.encode(picture(96, 64), 3.5, model=name)
        assert load_model(name).exact_type == torch.float64
        expected = latents_hash(data)
        for _ in settings_that_must_not_matter():
            assert latents_hash(data) == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_latents_are_the_same_on_cuda() -> None:
    from agvae import weights

    name = sorted(CONFORMANCE)[0]
    reader = Reader(BytesIO((DATA / name).read_bytes()))
    payload = next(reader.tiles()).payload
    assert payload is not None
    found = []
    for device in ("cuda", "cpu"):
        model = Model(weights.find(reader.header.model), reader.header.model, device)
        shape = latent_shape((0, 0, reader.header.width, reader.header.height))
        (latents,) = model.unpack([payload], [reader.header.level], *shape)
        assert isinstance(latents, Latents)
        found.append(latents.tobytes())
    assert found[0] == found[1]


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
        models = list(pool.map(load_model, [None, "tiny"] * 4))
    assert all(model is models[0] for model in models)


@pytest.mark.parametrize("device", ["banana", "CPU", "mps", "meta", "cuda:99"])
def test_an_impossible_device_is_a_value_error(
    tiny_weights: Path, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    monkeypatch.setenv("AGVAE_DEVICE", device)
    with pytest.raises(ValueError, match="AGVAE_DEVICE"):
        load_model()


def test_an_empty_device_is_auto(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGVAE_DEVICE", "")
    assert load_model().device.type in ("cpu", "cuda", "mps")


def test_the_device_may_change_between_calls(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_model()
    monkeypatch.setenv("AGVAE_DEVICE", "cpu")
    assert load_model().device.type == "cpu"
    monkeypatch.delenv("AGVAE_DEVICE")
    assert load_model() is first


class ShortOfMemory:
    """Fault injection: g_s with a limit on the pixels of a call."""

    def __init__(self, model: Model, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        synthesise = model.synthesise

        def limited(y_hat: torch.Tensor, levels: Sequence[int], inner: Slices) -> torch.Tensor:
            pixels = 256 * y_hat.shape[0] * y_hat.shape[1] * y_hat.shape[2]
            self.sizes.append(pixels)
            if pixels > limit:
                msg = "CUDA out of memory. Tried to allocate 2.00 GiB."
                raise torch.cuda.OutOfMemoryError(msg)
            return synthesise(y_hat, levels, inner)

        monkeypatch.setattr(model, "synthesise", limited)


def test_short_memory_makes_smaller_parts(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = picture(800, 700)
    wanted = request(pixels, 9000, encode(pixels, 9000))
    whole = decode(wanted)
    short = ShortOfMemory(load_model(), 640 * 640, monkeypatch)
    assert np.abs(decode(wanted).astype(int) - whole).max() <= 1
    assert max(short.sizes) > 640 * 640
    assert len(short.sizes) == 1 + 4


def test_no_memory_at_all_is_a_memory_error(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = picture(64, 64)
    wanted = request(pixels, 9000, encode(pixels, 9000))
    monkeypatch.setenv("AGVAE_DEVICE", "cpu")
    ShortOfMemory(load_model(), 0, monkeypatch)
    with pytest.raises(MemoryError, match="not enough memory"):
        decode(wanted)


def test_a_device_without_memory_is_left_for_the_cpu(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault injection: the model's device only claims to be another one than the CPU."""
    pixels = picture(64, 64)
    wanted = request(pixels, 9000, encode(pixels, 9000))
    whole = decode(wanted)
    claiming = load_model()
    ShortOfMemory(claiming, 0, monkeypatch)
    monkeypatch.setattr("agvae.coding.memory._device_type", lambda model: "mps" if model is claiming else "cpu")
    with pytest.warns(RuntimeWarning, match="on the CPU instead") as told:
        assert np.abs(decode(wanted).astype(int) - whole).max() <= 1
    assert told[0].filename == __file__


def test_other_errors_are_not_taken_for_lack_of_memory(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        msg = "mat1 and mat2 shapes cannot be multiplied"
        raise RuntimeError(msg)

    monkeypatch.setattr(load_model(), "analyse", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        encode(picture(32, 32), 0)


def test_threads_of_a_call(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work on bands, within calls only, also when several of them overlap; operators divide nothing among threads."""
    seen = set()
    model = load_model()
    analyse = model.analyse

    def noting(*arguments: Any) -> torch.Tensor:
        seen.add((bands.threads(), torch.get_num_threads()))
        return analyse(*arguments)

    monkeypatch.setattr(model, "analyse", noting)
    before = torch.get_num_threads()
    monkeypatch.setenv("AGVAE_THREADS", str(before + 2))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda seed: encode(picture(64, 64, seed), 0), range(12)))
        assert set(pool.map(lambda _: torch.get_num_threads(), range(12))) == {before}
    assert seen == {(before + 2, 1)}
    assert (bands.threads(), torch.get_num_threads()) == (before, before)


def test_threads_by_default(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's number, but not more than may run at once."""
    seen = []
    model = load_model()
    analyse = model.analyse

    def noting(*arguments: Any) -> torch.Tensor:
        seen.append(bands.threads())
        return analyse(*arguments)

    monkeypatch.setattr(model, "analyse", noting)
    monkeypatch.delenv("AGVAE_THREADS", raising=False)
    for allowed, count in ((1, 1), (2, 2), (64, 3)):
        monkeypatch.setattr(memory, "processors", lambda allowed=allowed: allowed)
        with bands.kernel_threads(3):
            encode(picture(32, 32), 0)
        assert seen.pop() == count


def test_types_without_bands_divide_their_operators(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model()
    synthesise, seen = model.synthesise, []

    def noting(*arguments: Any) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return synthesise(*arguments)

    monkeypatch.setattr(model, "synthesise", noting)
    with agvae.options.using(dtype="bfloat16", threads=3):
        agvae.decode(agvae.encode(picture(32, 32)))
    assert seen == [3]


def test_new_threads_have_the_number_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while a call has another number, starts helpers, and changes its number within."""
    monkeypatch.setattr(bands, "_helpers", 0)
    before = torch.get_num_threads()

    def in_a_new_thread() -> int:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(torch.get_num_threads).result()

    seen = []
    with bands.kernel_threads(before + 2):
        bands.each_band(lambda *band: None, 1, 200)
        seen.append(in_a_new_thread())
        with bands.kernel_threads(1):
            seen.append(in_a_new_thread())
        seen.append(in_a_new_thread())
        assert torch.get_num_threads() == before + 2
    assert {*seen, in_a_new_thread(), torch.get_num_threads()} == {before}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_transforms(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Coarser pixels, but the same latents: a file of any type decodes in any other."""
    pixels = picture(128, 96)
    full = encode(pixels, 9000)
    monkeypatch.setenv("AGVAE_DTYPE", dtype)
    half = encode(pixels, 9000)
    in_half = decode(request(pixels, 9000, half))
    monkeypatch.delenv("AGVAE_DTYPE")
    in_full = decode(request(pixels, 9000, half))
    assert abs(psnr(in_full, pixels) - psnr(decode(request(pixels, 9000, full)), pixels)) < 0.1
    assert not np.array_equal(in_half, in_full), "the option changes nothing"
    assert psnr(in_half, in_full) > 40


def latents_hash(data: bytes) -> str:
    reader = Reader(BytesIO(data))
    payloads = [tile.payload for tile in reader.tiles() if tile.payload is not None]
    return latents_sha256(reader.header, payloads)


@pytest.mark.parametrize("part", ["analysis", "hyper", "synthesis"])
def test_absurd_weights_are_an_error(
    part: str, tiny_weights_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finite numbers in the file, but not in what they give."""
    import hashlib

    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    source, path = tiny_weights_folder / "tiny.safetensors", tmp_path / "tiny.safetensors"
    tensors = load_file(source)
    for name, tensor in tensors.items():
        if name.startswith(part):
            tensors[name] = torch.full_like(tensor.float(), 3e38)
    with safe_open(source, "pt") as file:
        save_file(tensors, path, file.metadata())
    content = json.loads((tiny_weights_folder / "registry.json").read_text())
    data = path.read_bytes()
    content["models"]["tiny"] |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (tmp_path / "registry.json").write_text(json.dumps(content))
    monkeypatch.setattr(registries, "BUNDLED", tmp_path)
    forget_models()
    pixels = picture(64, 64)
    try:
        with pytest.raises(weights.WeightsError, match=r"'tiny' give numbers beyond float32"):
            decode(request(pixels, 9000, encode(pixels, 9000)))
    finally:
        forget_models()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_latents_too_large_for_a_type_are_decoded_in_float32(dtype: str) -> None:
    """As no picture has them, but a file may; an image beside it is not touched by that."""
    pixels = picture(64, 64)
    model = load_model()
    y = torch.full((1, 4, 4, model.network.config.latent), 30000.0)
    huge = EncodedImage([(b"TILE", model.pack(y, [20480])[0].payload)], model.name, model.digest, 0)
    wanted = [request(pixels, 20480, huge), request(pixels, 20480, encode(pixels, 20480))]
    whole = list(decode_images(wanted))
    with agvae.options.using(dtype=dtype):
        alone = decode(wanted[1])
        found = list(decode_images(wanted))
    assert np.array_equal(found[0], whole[0]) or (dtype == "bfloat16" and psnr(found[0], whole[0]) > 20)
    assert np.array_equal(found[1], alone)
