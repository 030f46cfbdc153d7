"""Random crops of training images that are read when they are drawn: for data sets larger than memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from agvae.images import Tally
from agvae.training.data import CropSource, close, cumulative_chances, load_pool, parse_sources
from agvae.training.sources import Entry, counted, mirrored, pixels_of

_HEAD = 2**16
"""Bytes of a file that are read first to find its size."""
_MOST_UNREADABLE = 100
"""Images in a row that cannot be read, after which the data are taken for gone."""


def load_data(
    texts: Sequence[str],
    crop: int,
    device: torch.device,
    say: Callable[[str], None] | None = None,
    memory: float = 0.0,
) -> CropSource:
    """Crops of the images that all sources name, in shares as by `agvae.training.data.load_pool`.

    Args:
        memory: most bytes for decoded images.  What has more is streamed, what has not lies in memory on the device,
            as without a limit, 0; the crops are the same.

    Raises:
        ValueError: see `load_pool`; or an archive that would have to be streamed is compressed.
        OSError: a source cannot be read.
    """
    if not memory:
        return load_pool(texts, crop, device, say)
    stream = CropStream(texts, crop, device, memory, say)
    if stream.bytes <= memory:
        return load_pool(texts, crop, device)
    if stream.sealed:
        msg = f"{stream.sealed} lies in a compressed archive or is a link in one, and cannot be streamed: unpack it"
        raise ValueError(msg)
    if say:
        say(f"of {stream.bytes / 1e9:.3g} GB of decoded images {memory / 1e9:.3g} GB are kept, the others are streamed")
    return stream


class CropStream:
    """Crops of images of which only the place and the size are known beforehand.

    Each draw reads and decodes the images that it needs, in threads, unless they are among the last that were drawn.
    Which crops it gives depends on the generator alone: they are those that `CropPool` would give.  An image that can
    no longer be read, or has another size by now, gives way to the next one in order, and is named once.

    Args:
        texts: see `agvae.training.data.load_pool`.
        crop: smallest side; what is smaller is continued by its mirror image.
        memory: bytes of decoded images to keep.

    Attributes:
        bytes: what all images would have, decoded.
        sealed: the name of an image that cannot be read again when it is drawn, as those in compressed archives; "" if
            all can.
    """

    def __init__(
        self,
        texts: Sequence[str],
        crop: int,
        device: torch.device,
        memory: float,
        say: Callable[[str], None] | None = None,
    ) -> None:
        sources, shares = parse_sources(texts)
        self._crop, self._device, self._memory, self._say = crop, device, memory, say
        self._entries: list[Entry] = []
        sizes: list[tuple[int, int]] = []
        counts = []
        self.sealed = ""
        self._workers = ThreadPoolExecutor()
        for source in sources:
            tally, before = Tally(), len(sizes)
            for entry in source.entries(tally):
                if entry.content is not None:
                    self.sealed = self.sealed or entry.name
                size = _size(entry)
                if size is None:
                    tally.broken.append(f"{entry.name}: cannot identify image file")
                elif counted(tally, *size, crop):
                    self._entries.append(replace(entry, content=None))
                    sizes.append(size)
            close(source, tally, say)
            counts.append(len(sizes) - before)
        self._sizes = np.array(sizes)
        areas = np.maximum(self._sizes, crop).prod(1)
        self.bytes = 3 * int(areas.sum())
        self._cumulative = cumulative_chances(torch.from_numpy(areas), counts, shares).numpy()
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()
        self._kept_bytes = 0
        self._unreadable: set[int] = set()
        self._lock = threading.Lock()

    def draw(self, batch: int, crop: int, generator: torch.Generator, share: slice = slice(None)) -> Tensor:
        """See `CropSource`; channels-last in memory.

        Raises:
            ValueError: the crop is larger than that of which the images are sure to have one.
            OSError: a hundred images in a row cannot be read.
        """
        if crop > self._crop:
            msg = f"images were chosen for crops of up to {self._crop} pixels, not {crop}"
            raise ValueError(msg)
        u = torch.rand(5, batch, device=self._device, generator=generator, dtype=torch.float64)[:, share].cpu().numpy()
        chosen = np.searchsorted(self._cumulative, u[0]).clip(max=len(self._entries) - 1)
        crops = list(self._workers.map(lambda k: self._cut(int(chosen[k]), crop, u[1:, k]), range(len(chosen))))
        pixels = torch.from_numpy(np.stack(crops)) if crops else torch.empty(0, crop, crop, 3, dtype=torch.uint8)
        return pixels.to(self._device).float().div(255).permute(0, 3, 1, 2)

    def _cut(self, number: int, crop: int, u: np.ndarray) -> np.ndarray:
        image = self._image(number)
        top, left = (int(u[k] * (image.shape[k] - crop + 1)) for k in range(2))
        cut = image[top : top + crop, left : left + crop]
        return cut[:: 1 if u[2] < 0.5 else -1, :: 1 if u[3] < 0.5 else -1]

    def _image(self, number: int) -> np.ndarray:
        """The decoded image, or the next one that can be read."""
        for _ in range(_MOST_UNREADABLE):
            with self._lock:
                image = self._kept.get(number)
                if image is not None:
                    self._kept.move_to_end(number)
                    return image
            image = self._decoded(number)
            if image is not None:
                self._keep(number, image)
                return image
            number = (number + 1) % len(self._entries)
        msg = f"{_MOST_UNREADABLE} images in a row cannot be read, up to {self._entries[number].name}"
        raise OSError(msg)

    def _decoded(self, number: int) -> np.ndarray | None:
        entry = self._entries[number]
        try:
            image = pixels_of(entry.name, entry.read())
            trouble = "" if image.shape[:2] == tuple(self._sizes[number]) else f"{entry.name}: has another size by now"
        except OSError as error:
            trouble = str(error)
        if not trouble:
            return mirrored(image, self._crop)
        with self._lock:
            new = number not in self._unreadable
            self._unreadable.add(number)
        if new and self._say:
            self._say(f"warning: the next image takes the place of one that cannot be read: {trouble}")
        return None

    def _keep(self, number: int, image: np.ndarray) -> None:
        with self._lock:
            if number in self._kept or image.nbytes > self._memory:
                return
            self._kept[number] = image
            self._kept_bytes += image.nbytes
            while self._kept_bytes > self._memory:
                self._kept_bytes -= self._kept.popitem(last=False)[1].nbytes


def _size(entry: Entry) -> tuple[int, int] | None:
    """(height, width) from the begin of a file; None if it is no image."""
    for most in (_HEAD, -1):
        try:
            with Image.open(BytesIO(entry.read(most))) as image:
                return image.height, image.width
        except Exception:  # Pillow's readers raise all kinds at broken files, and at begins of files
            continue
    return None
