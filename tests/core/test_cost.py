"""What a file may cost that claims much and holds little: the bounds of docs/SECURITY.md, on work and on memory."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import agvae
from agvae.boxes import Slices
from agvae.coding.engine import Model
from agvae.coding.loaded import load_model
from benchmarks.hostile import cost, forged

CELL = 32 * 32
MEGAPIXEL = 10**6


class Work:
    """Pixels, padded, that went through the two halves of decoding."""

    unpacked = synthesised = 0


@pytest.fixture
def work(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    counts = Work()
    unpack, synthesise = Model._unpack, Model.synthesise

    def counted_unpack(self: Model, payloads: Sequence[bytes], levels: Sequence[int], height: int, width: int) -> Any:
        counts.unpacked += len(payloads) * height * width * 256
        return unpack(self, payloads, levels, height, width)

    def counted_synthesise(self: Model, y_hat: torch.Tensor, levels: Sequence[int], inner: Slices) -> torch.Tensor:
        counts.synthesised += y_hat[..., 0].numel() * 256
        return synthesise(self, y_hat, levels, inner)

    monkeypatch.setattr(Model, "_unpack", counted_unpack)
    monkeypatch.setattr(Model, "synthesise", counted_synthesise)
    return counts


@pytest.mark.parametrize(
    ("width", "height", "options"),
    [
        (1100, 1100, {}),
        (700, 500, {"tile_size": 64}),
        (1, 5000, {}),
        (5000, 1, {"tile_size": 64}),
        (33, 1030, {"mode": "RGBA"}),
        (1, 1, {"mode": "I;16"}),
        (1025, 1025, {"tile_size": 1024}),
    ],
)
def test_work_is_that_of_the_padded_picture(width: int, height: int, options: dict[str, Any], work: Work) -> None:
    """Every padded pixel is unpacked once, and synthesised less than twice, with what is around tiles."""
    data = forged(width, height, **options)
    work.unpacked = work.synthesised = 0
    agvae.decode(data)
    padded = -(-width // 32) * -(-height // 32) * CELL
    assert work.unpacked == padded
    assert padded <= work.synthesised < 2 * padded


def test_work_of_a_batch_is_that_of_its_pictures(work: Work) -> None:
    agvae.decode_batch([forged(1, 1)] * 300)
    assert (work.unpacked, work.synthesised) == (300 * CELL, 300 * CELL)


@pytest.mark.parametrize("tile_size", [64, 1024])
def test_lost_tiles_are_no_work(tile_size: int, work: Work) -> None:
    """Be there a chunk for them or not."""
    data = forged(3000, 3000, tile_size=tile_size, sound=0)
    for lost in (data, data[: len(data) // 2] if tile_size == 64 else data[:-16]):
        assert (agvae.decode(lost, damaged_ok=True) == 128).all()
    assert work.unpacked == work.synthesised == 0
    agvae.decode(forged(3000, 3000, tile_size=tile_size, sound=1e-9), damaged_ok=True)
    halo = load_model().network.synthesis.halo()
    assert work.unpacked == tile_size**2
    assert work.synthesised == (tile_size + halo) ** 2


def test_a_thin_box_of_many_tiles_is_a_bomb(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all the tiles that it touches every pixel must be unpacked."""
    data = forged(1024, 10 * 1024, sound=0)
    box = (500, 0, 501, 10 * 1024)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", MEGAPIXEL)
    with pytest.raises(Image.DecompressionBombError, match=r"1 x 10240 pixels, which take the work of 10485760\)"):
        agvae.decode(data, box, damaged_ok=True)
    assert agvae.decode(data, (500, 0, 501, 8 * 1024), damaged_ok=True).shape == (8 * 1024, 1, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10 * MEGAPIXEL)
    assert agvae.decode(data, box, damaged_ok=True).shape == (10 * 1024, 1, 3)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize(
    ("case", "megapixels", "fixed", "bytes_a_pixel"),
    [
        ("all tiles lost", 30, 10, 3.5),
        ("one tile there", 30, 210, 3.5),
    ],
)
def test_lost_tiles_take_the_memory_of_the_picture_alone(
    case: str, megapixels: int, fixed: int, bytes_a_pixel: float
) -> None:
    """With the default model, whose latents have as many bytes as the picture; but for what a tile is worked on in."""
    assert cost(case, megapixels * MEGAPIXEL).memory < (fixed + bytes_a_pixel * megapixels) * MEGAPIXEL


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize(
    ("case", "megapixels"),
    [("16 bits", 8), ("one pixel wide", 4), ("a batch of pictures of one pixel", 0.5)],
)
def test_memory_is_bounded_by_the_padded_picture(case: str, megapixels: float, tiny_weights_folder: Path) -> None:
    """By the bytes a pixel of docs/SECURITY.md, beside what a small model works in."""
    address = tiny_weights_folder.as_uri()
    with agvae.options.using(weights=address):
        found = cost(case, int(megapixels * MEGAPIXEL), "tiny", AGVAE_WEIGHTS_URL=address)
    assert found.memory < (60 + 25 * megapixels) * MEGAPIXEL
