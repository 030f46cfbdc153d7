"""Data sets larger than memory give the crops that they would give in memory."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from agvae.networks import PRESETS
from agvae.training.data import CropPool, load_pool
from agvae.training.options import TrainingOptions
from agvae.training.stream import CropStream, load_data
from tests.support.helpers import TINY, picture
from tests.support.training import check_that_a_resumed_run_is_the_uninterrupted_run

CPU = torch.device("cpu")


@pytest.fixture
def data(tmp_path: Path) -> list[str]:
    """A folder with images of several kinds, one of them small, and a tar file, in shares."""
    folder = tmp_path / "images"
    folder.mkdir()
    for k, (width, height) in enumerate([(90, 80), (40, 70), (64, 64), (20, 20)]):
        Image.fromarray(picture(width, height, k)).save(folder / f"{k}.{('png', 'bmp', 'tif', 'webp')[k]}")
    (folder / "none.png").write_bytes(b"no image")
    with tarfile.open(tmp_path / "shard.tar", "w") as archive:
        for k in range(3):
            Image.fromarray(picture(70, 66 + k, 9 + k)).save(tmp_path / f"{k}.png")
            archive.add(tmp_path / f"{k}.png", f"in/{k}.png")
    return [f"{folder}=2", f"{tmp_path / 'shard.tar'}=1"]


def test_crops_are_those_from_memory_whatever_is_kept(data: list[str]) -> None:
    pool = load_pool(data, 64, CPU)
    said: list[str] = []
    for memory in (0.0, 30_000.0, 1e9):
        stream = CropStream(data, 64, CPU, memory, said.append)
        for step in range(6):
            generator, other = (torch.Generator().manual_seed(step) for _ in range(2))
            expected = pool.draw(8, 64, generator)
            assert torch.equal(stream.draw(8, 64, other), expected)
            share = stream.draw(8, 64, other.manual_seed(step), slice(2, 5))
            assert torch.equal(share, expected[2:5])
            assert stream._kept_bytes == sum(image.nbytes for image in stream._kept.values()) <= memory
        assert stream.bytes == pool.pixels.numel()
    assert "3 images" in said[0]
    assert "1 of them smaller than a crop and mirrored" in said[0]
    assert "left out 1 smaller than half a crop" in said[0]
    assert "none.png" in said[0]


def test_what_fits_lies_in_memory(data: list[str]) -> None:
    said: list[str] = []
    assert isinstance(load_data(data, 64, CPU, said.append, 1e9), CropPool)
    assert len(said) == 2
    assert isinstance(load_data(data, 64, CPU, said.append, 1e4), CropStream)
    assert "are kept, the others are streamed" in said[-1]


def test_compressed_archives_fit_or_are_refused(tmp_path: Path, data: list[str]) -> None:
    with tarfile.open(tmp_path / "shard.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "0.png", "0.png")
    source = [str(tmp_path / "shard.tar.gz")]
    assert isinstance(load_data(source, 64, CPU, None, 1e9), CropPool)
    with pytest.raises(ValueError, match=r"shard\.tar\.gz/0\.png lies in a compressed archive"):
        load_data(source, 64, CPU, None, 1e3)


def test_an_image_that_is_gone_gives_way_to_the_next_and_is_named_once(tmp_path: Path) -> None:
    for k in range(3):
        Image.fromarray(np.full((16, 16, 3), k, np.uint8)).save(tmp_path / f"{k}.png")
    said: list[str] = []
    stream = CropStream([str(tmp_path)], 16, CPU, 0, said.append)
    (tmp_path / "1.png").write_bytes(b"broken")
    generator = torch.Generator()
    values = {int(v) for seed in range(9) for v in stream.draw(3, 16, generator.manual_seed(seed)).mul(255).unique()}
    assert values == {0, 2}
    assert [line for line in said if "1.png" in line] == said[1:]
    assert len(said) == 2
    for k in range(3):
        (tmp_path / f"{k}.png").unlink()
    with pytest.raises(OSError, match="in a row cannot be read"):
        stream.draw(1, 16, generator)


def test_a_run_goes_on_exactly_with_less_memory(
    data: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "tiny", TINY)
    options = TrainingOptions(
        data, str(tmp_path / "out"), preset="tiny", patches=100, batch=2, crop=64, precision="fp32", device="cpu"
    )
    streamed = replace(options, memory=2e-5)
    resumed = check_that_a_resumed_run_is_the_uninterrupted_run(options, tmp_path, rest=streamed)
    assert isinstance(resumed.data, CropStream)
