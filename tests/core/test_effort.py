"""More effort: fewer bits or better pixels, for the same decoder."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

import agvae
import pillow_agvae  # noqa: F401
from agvae.coding.assemble import psnr
from agvae.coding.distortion import similarity
from agvae.coding.frames import Frames
from agvae.coding.loaded import load_model
from agvae.container import Reader
from agvae.entropy.exact import freeze
from agvae.file.payload import MIXED
from agvae.metrics import ms_ssim
from agvae.networks import bands
from agvae.networks.autoencoder import StepParameters, follow
from agvae.networks.inference import prepare
from agvae.progress import Stopped, watched
from agvae.quality import parse_effort
from agvae.training.calibrate import calibrated_units
from agvae.weights import registered
from tests.support.helpers import TINY, picture, pictures, started

Pixels = NDArray[np.uint8]


def cost(data: bytes, image: Pixels, model: str | None = None) -> float:
    """R + beta D in bits."""
    error = float(np.square(agvae.decode(data).astype(np.float64) - image).reshape(*image.shape[:2], -1).mean(2).sum())
    return 8 * len(data) + load_model(model).beta(agvae.container.Reader(BytesIO(data)).header.level) * error


def gain(image: Pixels, quality: float, effort: int, **options: Any) -> float:
    """What effort wins of R + beta D, as a share of the bits of the plain file."""
    plain = agvae.encode(image, quality, **options)
    costs = [
        cost(data, image, options.get("model"))
        for data in (plain, agvae.encode(image, quality, effort=effort, **options))
    ]
    return (costs[0] - costs[1]) / (8 * len(plain))


@pytest.mark.parametrize(("quality", "least"), [(1.0, 0.04), (3.5, 0.03), (6.0, 0.01)])
def test_effort_makes_files_better(quality: float, least: float) -> None:
    image = picture(192, 128)
    gains = [gain(image, quality, effort) for effort in (2, 5)]
    assert 0 <= gains[0] < gains[1]
    assert gains[1] > least


def test_tiles_are_refined_each_by_itself() -> None:
    """And no border between them gets worse, though none knows of the other."""
    image = picture(128, 96)
    files = [agvae.encode(image, 3.5, tile_size=64, effort=effort) for effort in (1, 4)]
    costs = [cost(data, image) for data in files]
    assert costs[0] - costs[1] > 0.02 * 8 * len(files[0])
    border = np.s_[:, [63, 64]]
    errors = [float(np.square(agvae.decode(data)[border].astype(float) - image[border]).mean()) for data in files]
    assert errors[1] < 1.1 * errors[0]


def test_a_model_in_float64_is_refined_too(float64_model: Path) -> None:
    with registered(float64_model) as name:
        assert load_model(name).exact_type == torch.float64
        assert gain(picture(64, 64), 3.5, 5, model=name) > 0.03


def test_grey_of_16_bits_and_alpha() -> None:
    deep = picture(96, 64)[..., 0].astype(np.uint16) * 200 + 500
    rgba = np.dstack([picture(96, 64), np.zeros((64, 96), np.uint8)])
    rgba[:, :48, 3] = 255
    for image in (deep, rgba):
        plain, refined = (agvae.encode(image, 3.5, effort=effort) for effort in (1, 5))
        quality = [psnr(data, Frames([image])) for data in (plain, refined)]
        assert len(refined) < len(plain) or quality[1] > quality[0]
        assert abs(len(refined) / len(plain) - 1) < 0.2
        assert quality[1] > quality[0] - 0.3
    assert np.array_equal(agvae.decode(refined)[..., 3], rgba[..., 3])


def test_beside_what_is_without_loss() -> None:
    page = Image.fromarray(picture(256, 256))
    ImageDraw.Draw(page).rectangle((0, 0, 255, 127), "white")
    for row in range(4, 120, 14):
        ImageDraw.Draw(page).text((4, row), "Only what the model codes is refined", "navy")
    plain, refined = (agvae.encode(page, 3.5, effort=effort) for effort in (1, 5))
    assert {tile.kind for tile in Reader(BytesIO(plain)).tiles()} == {MIXED}
    assert np.array_equal(agvae.decode(refined)[:96], agvae.decode(plain)[:96])
    assert cost(refined, np.asarray(page)) < cost(plain, np.asarray(page))


@pytest.mark.parametrize("quality", [2, 5])
def test_targets_are_met(quality: float) -> None:
    image = picture(256, 192)
    plain = agvae.encode(image, quality)
    size = agvae.encode(image, target_size=len(plain), effort=4)
    assert 0.97 * len(plain) <= len(size) <= len(plain)
    assert psnr(size, Frames([image])) > psnr(plain, Frames([image])) + 0.05
    wanted = psnr(plain, Frames([image]))
    alike = agvae.encode(image, target_psnr=wanted, effort=4)
    assert psnr(alike, Frames([image])) >= wanted - 0.05
    assert len(alike) < 0.99 * len(plain)


def test_targets_that_only_effort_reaches() -> None:
    """Below the smallest plain file and above the best one; what is refused says what more effort has reached."""
    image = picture(192, 128)
    frames = Frames([image])
    plain, small = (len(agvae.encode(image, 1, effort=effort)) for effort in (1, 3))
    best, better = (psnr(agvae.encode(image, 6, effort=effort), frames) for effort in (1, 3))
    assert small < plain
    assert better > best + 0.1
    with pytest.raises(ValueError, match=f"has {plain} bytes, at quality 1$"):
        agvae.encode(image, target_size=plain - 1)
    assert len(agvae.encode(image, target_size=plain - 1, effort=3)) < plain
    with pytest.raises(ValueError, match=f"has {small} bytes, at quality 1$"):
        agvae.encode(image, target_size=small - 1, effort=3)
    with pytest.raises(ValueError, match=rf"is 6, with {best:.2f} dB$"):
        agvae.encode(image, target_psnr=better)
    assert psnr(agvae.encode(image, target_psnr=better, effort=3), frames) >= better - 0.05
    with pytest.raises(ValueError, match=rf"is 6, with {better:.2f} dB$"):
        agvae.encode(image, target_psnr=better + 0.1, effort=3)


@pytest.mark.parametrize(
    ("image", "size", "effort"),
    [(picture(64, 64, 1), 300, 2), (picture(64, 64)[..., 0], 10**6, 2), (picture(96, 64)[..., 0], 300, 3)],
    ids=["few bytes", "the best quality", "grey"],
)
def test_a_size_holds_no_worse_picture_for_effort(image: Pixels, size: int, effort: int) -> None:
    plain, refined = (agvae.encode(image, target_size=size, effort=k) for k in (1, effort))
    assert psnr(refined, Frames([image])) >= psnr(plain, Frames([image]))


def test_the_same_every_time_and_nothing_else_changed() -> None:
    image = picture(96, 64)
    modes: list[Callable[[], AbstractContextManager[Any]]] = [
        nullcontext,
        torch.inference_mode,
        torch.no_grad,
        lambda: torch.autocast("cpu", torch.bfloat16),
    ]
    state, found = torch.random.get_rng_state(), set()
    for mode in modes:
        with mode():
            before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
            found.add(agvae.encode(image, effort=4))
            assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before
    torch.set_default_dtype(torch.float64)
    try:
        found.add(agvae.encode(image, effort=4))
    finally:
        torch.set_default_dtype(torch.float32)
    assert len(found) == 1
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(p.grad is None and not p.requires_grad for p in load_model().network.parameters())


@pytest.mark.parametrize("border", ["zeros", "replicate"])
def test_gradients_in_bands_are_those_of_pytorch(border: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = started(replace(TINY, border=border))
    units = calibrated_units(network, pictures(1))
    freeze(network.entropy, units)
    prepare(network, torch.device("cpu"), torch.device("cpu"), units)
    weights = torch.eye(TINY.levels)[[1, 3]]
    random = torch.Generator().manual_seed(0)
    y = torch.randn(2, 20, 6, TINY.latent, generator=random).mul(4).round().requires_grad_()
    z = torch.randn(2, 5, 2, TINY.hyper_latent, generator=random).mul(4).round().requires_grad_()

    def gradients() -> tuple[Tensor, ...]:
        symbols = iter(network.entropy.split(y))
        total = network.synthesise(y, weights).square().sum()

        def visit(p: StepParameters) -> Tensor:
            nonlocal total
            total = total + p.mu.square().sum() + p.log2_sigma.square().sum() + p.asymmetry.square().sum()
            return next(symbols)

        follow(network.entropy.walk(z, weights, 20, 6), visit)
        return torch.autograd.grad(total, [y, z])

    in_bands = gradients()
    monkeypatch.setattr(bands, "wanted", lambda *_, **__: False)
    for found, expected in zip(in_bands, gradients(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_any_number_of_threads_gives_the_same_bytes() -> None:
    image, found, before = picture(400, 300), set(), agvae.options.threads
    try:
        for agvae.options.threads in (1, 2, 4):
            found.add(agvae.encode(image, 4, effort=4))
    finally:
        agvae.options.threads = before
    assert len(found) == 1


def test_it_can_be_stopped() -> None:
    calls = 0

    def watch(_: int) -> None:
        nonlocal calls
        calls += 1
        if calls > 500:
            raise Stopped

    with pytest.raises(Stopped), watched(watch):
        agvae.encode(picture(64, 64), effort=9)


def test_progress_counts_each_pixel_once() -> None:
    counts: list[int] = []
    with watched(counts.append):
        agvae.encode(picture(128, 96), effort=3, tile_size=64)
    assert sum(counts) == 128 * 96
    assert max(counts) == 64 * 64 / 2  # one step of two


@pytest.mark.parametrize("effort", [0, 10, 2.5, "3", True, float("nan")])
def test_bad_efforts(effort: Any) -> None:
    with pytest.raises(ValueError, match="effort must be an integer from 1 to 9"):
        agvae.encode(picture(32, 32), effort=effort)


def test_want_of_memory_is_told_of_at_the_line_that_encodes(monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("agvae.coding.choice.refine_tile", short)
    with pytest.warns(RuntimeWarning, match="not enough memory for effort") as told:
        assert agvae.encode(picture(64, 64), effort=2) == agvae.encode(picture(64, 64))
    assert told[0].filename == __file__


def test_efforts_double() -> None:
    assert [parse_effort(effort) for effort in (None, *range(1, 10))] == [0, 0, 1, 2, 4, 8, 16, 32, 64, 128]


def test_pillow_takes_effort() -> None:
    image = Image.fromarray(picture(64, 64))
    files = [BytesIO(), BytesIO()]
    image.save(files[0], "AGV", effort=3)
    image.save(files[1], "AGV")
    assert files[0].getvalue() == agvae.encode(image, effort=3) != files[1].getvalue()
    assert agvae.encode(image, lossless=True, effort=3) == agvae.encode(image, lossless=True)


def test_similarity_is_that_of_the_metrics() -> None:
    x = picture(200, 180)
    x_hat = np.clip(x + np.random.default_rng(0).normal(0, 9, x.shape), 0, 255).astype(np.uint8)
    tensors = [torch.from_numpy(image).permute(2, 0, 1)[None].double() / 255 for image in (x_hat, x)]
    assert float(similarity(tensors[0], tensors[1])) == pytest.approx(ms_ssim(x, x_hat), abs=1e-6)


@pytest.mark.parametrize(("size", "mse_weight"), [((16, 16), 0.0), ((64, 96), 0.0), ((64, 96), 0.5), ((176, 168), 0.0)])
def test_a_model_for_the_eye_is_refined_for_it(
    size: tuple[int, int], mse_weight: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default model, had it been trained for MS-SSIM with its betas: what it was trained for falls for its bits."""
    monkeypatch.setattr(load_model(), "metric", "ms-ssim")
    monkeypatch.setattr(load_model(), "mse_weight", mse_weight)
    image = picture(*size)
    files = [agvae.encode(image, 3.5, effort=effort) for effort in (1, 5)]
    x, *found = (torch.from_numpy(p).permute(2, 0, 1)[None] / 255 for p in (image, *map(agvae.decode, files)))
    weight = load_model().multiplier(10240) * image.shape[0] * image.shape[1]
    costs = []
    for data, p in zip(files, found, strict=True):
        distortion = 1000 * (1 - similarity(p, x)) + mse_weight * 255**2 * (p - x).square().mean()
        costs.append(8 * len(data) + weight * float(distortion))
    assert costs[1] < costs[0]


def _in_child(queue: Any) -> None:
    try:
        queue.put(len(agvae.encode(picture(64, 64), effort=3)))
    except Exception as error:
        queue.put(f"{type(error).__name__}: {error}")


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
def test_in_a_forked_child() -> None:
    size = len(agvae.encode(picture(64, 64), effort=3))
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=_in_child, args=(queue,))
    child.start()
    found = queue.get()
    child.join()
    assert found == size
