"""Training images in memory, and random crops cut from them on the training device."""

from __future__ import annotations

import errno
import io
import os
import tarfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from agvae.images import IMAGE_SUFFIXES, read_rgb


def image_bytes(folder: Path) -> Iterator[tuple[str, bytes]]:
    """(path, file content) of every image in a folder tree and in the tar files in it, in sorted order."""
    paths = sorted(folder.rglob("*")) if folder.is_dir() else [folder]
    for path in paths:
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
            yield str(path), path.read_bytes()
        elif path.suffix == ".tar":
            yield from _members(path)


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                content = archive.extractfile(member)
                if content is not None and Path(member.name).suffix.lower() in IMAGE_SUFFIXES:
                    yield f"{path}/{member.name}", content.read()
    except (tarfile.TarError, EOFError, zlib.error) as error:
        msg = f"{path}: {error}"
        raise ValueError(msg) from error


def _decode(image: tuple[str, bytes]) -> Tensor:
    name, content = image
    return torch.from_numpy(np.array(read_rgb(io.BytesIO(content), name)))


def load_images(folder: Path, minimum_side: int = 1, limit: int | None = None) -> list[Tensor]:
    """Every image of at least `minimum_side` pixels on its short side, decoded: uint8 (H, W, 3) each.

    Raises:
        ValueError: there is none, or a tar file is damaged.
        OSError: a file cannot be read, or an image not be decoded; the message names it.
    """
    if not folder.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    contents = list(islice(image_bytes(folder), limit))
    with ThreadPoolExecutor() as pool:
        images = [image for image in pool.map(_decode, contents) if min(image.shape[:2]) >= minimum_side]
    if not images:
        msg = f"no image of {minimum_side} pixels or more in {folder}"
        raise ValueError(msg)
    return images


class CropPool:
    """All images as one uint8 buffer on the training device; crops are gathered there, flips included.

    Images are drawn in proportion to their area, so every pixel is seen equally often.
    """

    def __init__(self, images: list[Tensor], device: torch.device) -> None:
        self.pixels = torch.cat([image.reshape(-1) for image in images]).to(device)
        sizes = torch.tensor([image.shape[:2] for image in images])
        self.height, self.width = sizes[:, 0].to(device), sizes[:, 1].to(device)
        self.smallest_side = int(sizes.min())
        areas = sizes.prod(1)
        self.offset = (3 * (areas.cumsum(0) - areas)).to(device)
        self.cumulative_area = areas.cumsum(0).double().div(areas.sum()).to(device)

    def draw(self, count: int, size: int, generator: torch.Generator, share: slice = slice(None)) -> Tensor:
        """(count, 3, size, size) float32 in [0, 1], channels-last in memory; of these crops the `share` that is wanted.

        Raises:
            ValueError: an image is smaller than the crop.
        """
        device = self.pixels.device
        if self.smallest_side < size:
            msg = f"every image must be at least {size} pixels wide and high"
            raise ValueError(msg)
        u = torch.rand(5, count, device=device, generator=generator, dtype=torch.float64)[:, share]
        image = torch.searchsorted(self.cumulative_area, u[0]).clamp(max=len(self.height) - 1)
        width = self.width[image]
        top = (u[1] * (self.height[image] - size + 1)).long()
        left = (u[2] * (width - size + 1)).long()
        ramp = torch.arange(size, device=device)
        rows = top[:, None] + torch.where(u[3, :, None] < 0.5, ramp, ramp.flip(0))
        columns = left[:, None] + torch.where(u[4, :, None] < 0.5, ramp, ramp.flip(0))
        pixel = rows[:, :, None] * width[:, None, None] + columns[:, None, :]
        index = (self.offset[image, None, None] + 3 * pixel)[..., None] + torch.arange(3, device=device)
        return self.pixels[index].float().div(255).permute(0, 3, 1, 2)
