"""Random crops of training images, which lie decoded in the memory of the training device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from agvae.images import Tally
from agvae.training.sources import Source, read_images

_STEP = 2**26
"""Bytes by which the buffer of all images grows."""


class CropSource(Protocol):
    """What training draws its pictures from; one's own is an argument of `agvae.training.trainer.Trainer`."""

    def draw(self, batch: int, crop: int, generator: torch.Generator, share: slice) -> Tensor:
        """(b, 3, crop, crop) float32 in [0, 1] on the device of the generator: of a whole batch the crops in `share`.

        A step's crops must depend on the state of the generator alone, which follows from the run's seed and the
        number of the step, and each crop on its place in the batch: so a run resumes exactly, and any number of
        processes, each with its share, trains what one would.
        """


def load_images(source: Source | Path, say: Callable[[str], None] | None = None) -> list[Tensor]:
    """Every image of a source that can be read, decoded: uint8 (H, W, 3) each; `say` is told what was left out.

    Raises:
        ValueError: there is none.
        OSError: the source cannot be read.
    """
    source = source if isinstance(source, Source) else Source(str(source))
    tally = Tally()
    images = list(read_images(source, tally))
    close(source, tally, say)
    return images


def load_pool(
    texts: Sequence[str], crop: int, device: torch.device, say: Callable[[str], None] | None = None
) -> CropPool:
    """The images that all sources name, with the share of each behind its sign of equality, or by area if none has one.

    Raises:
        ValueError: there is no source, or one has no image, or no share where another has one.
        OSError: a source cannot be read.
    """
    sources, shares = parse_sources(texts)
    tallies = [Tally() for _ in sources]

    def images(source: Source, tally: Tally) -> Iterable[Tensor]:
        yield from read_images(source, tally, crop)
        close(source, tally, say)

    return CropPool([images(*pair) for pair in zip(sources, tallies, strict=True)], device, shares)


def parse_sources(texts: Sequence[str]) -> tuple[list[Source], list[float] | None]:
    """The sources that texts name, and the share of each, None if none has one.

    Raises:
        ValueError: there is no source, or one has no share where another has one.
    """
    if not texts:
        msg = "no data to train on"
        raise ValueError(msg)
    sources = [Source.parse(text) for text in texts]
    return sources, _shares(sources)


def _shares(sources: Sequence[Source]) -> list[float] | None:
    if not any(source.label for source in sources):
        return None
    try:
        shares = [float(source.label) for source in sources]
    except ValueError:
        shares = []
    if not shares or not all(0 < share < float("inf") for share in shares):
        msg = "data must have a share, a positive number, behind every source or behind none"
        raise ValueError(msg)
    return shares


def close(source: Source, tally: Tally, say: Callable[[str], None] | None) -> None:
    """Say what was found in a source.

    Raises:
        ValueError: no image.
    """
    if not tally.used:
        msg = f"no image in {source.path} that can be used: {tally}"
        raise ValueError(msg)
    if say:
        say(f"{source.path}: {tally}")


class CropPool:
    """All images as one uint8 buffer on the training device; crops are gathered there, flips included.

    Images of a set are drawn in proportion to their area, so that each of its pixels is seen equally often.

    Args:
        sets: images of one kind each, uint8 (H, W, 3), taken one by one.
        device: where crops are drawn.
        shares: how often each set is drawn, in any unit; by area if not given.
    """

    def __init__(
        self, sets: Sequence[Iterable[Tensor]], device: torch.device, shares: Sequence[float] | None = None
    ) -> None:
        sizes: list[tuple[int, int]] = []
        counts: list[int] = []
        pixels, end = np.empty(0, np.uint8), 0
        for images in sets:
            before = len(sizes)
            for image in images:
                start, end = end, end + image.numel()
                if end > pixels.size:  # in its place, where the system can: a copy would need the memory twice
                    pixels.resize(max(end, pixels.size + _STEP), refcheck=False)
                pixels[start:end] = image.reshape(-1).numpy()
                sizes.append((image.shape[0], image.shape[1]))
            counts.append(len(sizes) - before)
        pixels.resize(end, refcheck=False)
        self.pixels = torch.from_numpy(pixels).to(device)
        table = torch.tensor(sizes)
        self.height, self.width = table[:, 0].to(device), table[:, 1].to(device)
        self.smallest_side = int(table.min())
        areas = table.prod(1)
        self.offset = (3 * (areas.cumsum(0) - areas)).to(device)
        self.cumulative = cumulative_chances(areas, counts, shares).to(device)

    def draw(self, batch: int, crop: int, generator: torch.Generator, share: slice = slice(None)) -> Tensor:
        """See `CropSource`; channels-last in memory.

        Raises:
            ValueError: an image is smaller than the crop.
        """
        device, size = self.pixels.device, crop
        if self.smallest_side < size:
            msg = f"every image must be at least {size} pixels wide and high"
            raise ValueError(msg)
        u = torch.rand(5, batch, device=device, generator=generator, dtype=torch.float64)[:, share]
        image = torch.searchsorted(self.cumulative, u[0]).clamp(max=len(self.height) - 1)
        width = self.width[image]
        top = (u[1] * (self.height[image] - size + 1)).long()
        left = (u[2] * (width - size + 1)).long()
        ramp = torch.arange(size, device=device)
        rows = top[:, None] + torch.where(u[3, :, None] < 0.5, ramp, ramp.flip(0))
        columns = left[:, None] + torch.where(u[4, :, None] < 0.5, ramp, ramp.flip(0))
        pixel = rows[:, :, None] * width[:, None, None] + columns[:, None, :]
        index = (self.offset[image, None, None] + 3 * pixel)[..., None] + torch.arange(3, device=device)
        return self.pixels[index].float().div(255).permute(0, 3, 1, 2)


def cumulative_chances(areas: Tensor, counts: Sequence[int], shares: Sequence[float] | None) -> Tensor:
    """For each image the chance that it, or one before it, is drawn: (N,) float64.

    Args:
        areas: (N,) int64, pixels of each image, set by set.
        counts: images of each set.
        shares: see `CropPool`.
    """
    if shares is None:
        return areas.cumsum(0).double().div(areas.sum())
    parts = zip(areas.split(list(counts)), shares, strict=True)
    chances = torch.cat([part.double() * (share / int(part.sum())) for part, share in parts])
    return chances.cumsum(0) / sum(shares)
