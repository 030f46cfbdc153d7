"""Images to coded tiles: by the model, without loss, or by both, whichever has the lower R + beta D.

Learned codecs fail on what is no photograph: text, charts, pixel art.  Blocks of an image that look like a graphic
(`agvae.coding.graphics`) are tried: what they cost without loss, against the bits and the error of the model.  Where
they win, their pixels lie without loss over the reconstruction, and the model codes a smooth continuation of what is
around in their place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from agvae.boxes import Box
from agvae.coding import graphics
from agvae.coding.engine import Model, Packed
from agvae.coding.fill import filled
from agvae.coding.graphics import BLOCK, Blocks, Map
from agvae.coding.loaded import load_model
from agvae.coding.lossless import can_code, encode_colour
from agvae.coding.memory import Limits, attempts, chunks
from agvae.coding.reconstruction import DecodeRequest, Reconstruction
from agvae.coding.tiles import Colour, encode_tiles, synthesise
from agvae.coding.windows import STRIDE, padded
from agvae.file.header import TILE_SIZE, Header
from agvae.file.payload import MIXED, NETWORK, WITHOUT_LOSS, join_mixed
from agvae.progress import uncounted
from agvae.quality import MAX_LEVEL

_WEIGHT = 3.0
"""Of an error in a graphic: halos around letters and lines are seen sooner than as much error in a texture."""
_GAIN = (0.15, 6.0)
"""What graphics must promise to be tried, as a share of the model's bits, at the lowest and highest level: less is
promised by photographs, too, since the promise is from above and the more so the higher the rate."""
_SIDE_BITS = 16
"""Bits of a block beside its pixels: of the map, and of what the coder has to learn anew."""


@dataclass(frozen=True)
class Seen:
    """The colour of an image, and which of its pixels (H, W) are seen; None for all."""

    colour: Colour
    visible: NDArray[np.bool_] | None = None

    @cached_property
    def exact(self) -> Colour:
        """The colour to code without loss: where it is not seen, what takes the fewest bits."""
        return self.colour if self.visible is None else self.colour * self.visible[..., None]


Tiles = list[tuple[bytes, bytes]]
"""Kinds and payloads."""


@dataclass(frozen=True)
class EncodedImage:
    """The tiles of an image as kinds and payloads, and the model that made them.

    Attributes:
        tiles: in the order of a file.
        model, digest: as a header has them.
        estimated_bits: what the entropy model says of the payloads that the model coded.
    """

    tiles: Tiles
    model: str
    digest: bytes
    estimated_bits: float

    @property
    def payloads(self) -> list[bytes]:
        """Of all tiles, whatever their kind."""
        return [payload for _, payload in self.tiles]


def encode_images(
    images: Iterable[Colour | Seen],
    level: int,
    tile_size: int = TILE_SIZE,
    model: str | None = None,
    *,
    graphics: bool = True,
) -> Iterator[EncodedImage]:
    """Code images, each (H, W, 3) uint8 or float32 in [0, 1], at a level (see `agvae.quality`), as they are asked for.

    What is not seen of one may come back in any colour.

    Args:
        graphics: look for them, and code them without loss where that is worth it.

    Raises:
        agvae.errors.WeightsError: the model is not to be had.
        MemoryError: an image does not fit in memory.
    """
    loaded = load_model(model)
    for chunk in chunks(map(_seen, images), lambda image: padded(_frame(image.colour)).area, loaded):
        for attempt in attempts(loaded):
            with attempt:
                pictures = [_Picture(attempt.model, attempt.limits, image, tile_size, level) for image in chunk]
                if graphics:
                    for picture in pictures:
                        picture.look()
                encoded = _encode(attempt.model, attempt.limits, pictures, level)
        yield from encoded


def _encode(model: Model, limits: Limits, pictures: Sequence[_Picture], level: int) -> list[EncodedImage]:
    """All by the model, as batches; then those with graphics once more, each by itself."""
    tiles = [(picture, number) for picture in pictures for number in range(len(picture.boxes))]
    for k, packed in encode_tiles(model, limits, [(picture.image, picture.boxes[n]) for picture, n in tiles], level):
        picture, number = tiles[k]
        picture.take(number, packed)
    return [picture.best() for picture in pictures]


def look_at(image: Seen) -> Blocks | None:
    """The blocks of an image if some of them may be worth coding without loss."""
    if image.colour.dtype != np.uint8 or not can_code():
        return None
    blocks = graphics.look_at(image.exact)
    return blocks if blocks.graphic.any() else None


class _Picture:
    """An image on its way to tiles."""

    def __init__(self, model: Model, limits: Limits, seen: Seen, tile_size: int, level: int) -> None:
        self.model, self.limits, self.image, self.level = model, limits, seen.colour, level
        self._seen, image = seen, seen.colour
        self.boxes = _frame(image).split(tile_size)
        self._columns = -(-image.shape[1] // tile_size)
        self._header = Header(image.shape[1], image.shape[0], "RGB", level, model.name, model.digest, tile_size)
        self._look: Blocks | None = None
        self._payloads: dict[int, bytes] = {}
        self._estimates: dict[int, float] = {}
        self._latents: dict[int, Tensor] = {}
        self._beta = model.beta(level)

    def look(self) -> None:
        """Look for graphics, before tiles are taken."""
        self._look = look_at(self._seen)

    def take(self, number: int, packed: Packed) -> None:
        """A tile as the model codes it; latents are kept where they may be needed."""
        self._payloads[number], self._estimates[number] = packed.payload, packed.estimated_bits
        if self._look is not None and self._look.graphic[_blocks(self.boxes[number])].any():
            self._latents[number] = packed.y_hat

    def best(self) -> EncodedImage:
        """The tiles of the lowest R + beta D: all by the model, all without loss, or both."""
        by_model = [(NETWORK, self._payloads[k]) for k in range(len(self.boxes))]
        tiles = by_model
        if self._look is not None:
            with uncounted():
                tiles = self._chosen(by_model, self._look)
        bits = sum(self._estimates[k] for k, (kind, _) in enumerate(tiles) if kind != WITHOUT_LOSS)
        return EncodedImage(tiles, self.model.name, self.model.digest, bits)

    def _chosen(self, by_model: Tiles, look: Blocks) -> Tiles:
        if look.bits.sum() < _bits(by_model) and _bits(self._whole) <= _bits(by_model):
            return self._whole
        rate = self._rates(look.graphic.shape)
        weight = self._beta * np.where(look.graphic, _WEIGHT, 1.0)
        gain = 2 * rate + weight * _roughness(self._seen.exact) - look.bits - _SIDE_BITS
        promising = look.graphic & (gain > 0)
        if gain[promising].sum() < _least_gain(self.level) * _bits(by_model):
            return by_model
        error = weight * self._errors(promising)
        cost = rate + error
        options = {_bits(by_model) + float(error.sum()): by_model}
        if look.bits.sum() < 2 * min(options):
            options[_bits(self._whole)] = self._whole
        laid = promising & (self._exact_bits(promising, look.bits) + _SIDE_BITS < cost)
        if laid.any() and not laid.all():
            mixed = self._mixed(by_model, laid)
            options[_bits(mixed) + float(error[~laid].sum())] = mixed
        return options[min(options)]

    @cached_property
    def _whole(self) -> Tiles:
        """All without loss."""
        return [(WITHOUT_LOSS, encode_colour(self._seen.exact[box.slices])) for box in self.boxes]

    def _rates(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Bits of the model for each block of tiles with graphics: shares of a tile's by the size of the latents."""
        rates = np.zeros(shape)
        for number, y_hat in self._latents.items():
            sizes = y_hat.abs().add(1).log2().sum(-1).cpu().numpy().astype(np.float64)
            shares = graphics.sums(sizes, BLOCK // STRIDE) + 1e-9
            rates[_blocks(self.boxes[number])] = shares * (8 * len(self._payloads[number]) / shares.sum())
        return rates

    def _errors(self, where: Map) -> NDArray[np.float64]:
        """Squared error of the model in each block of tiles in which some are wanted, summed over pixels."""
        image = Reconstruction(self.model, DecodeRequest(self._header, {}))
        wanted = [number for number, box in enumerate(self.boxes) if where[_blocks(box)].any()]
        for number, y_hat in self._latents.items():
            image.put_latents(self.boxes[number], y_hat)
        synthesise(self.model, self.limits, [(image, self.boxes[number]) for number in wanted])
        errors = np.zeros(where.shape)
        for number in wanted:
            place = self.boxes[number].slices
            difference = image.pixels[place].astype(np.float32) - self.image[place]
            if self._seen.visible is not None:
                difference *= self._seen.visible[place][..., None]
            errors[_blocks(self.boxes[number])] = graphics.sums(np.square(difference).mean(axis=2))
        return errors

    def _exact_bits(self, where: Map, rough: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bits of blocks without loss: those of all of a tile's together, in shares."""
        bits = np.zeros(where.shape)
        there = graphics.pixels_of(where, *self.image.shape[:2])
        for box in self.boxes:
            blocks = _blocks(box)
            if where[blocks].any():
                size = 8 * len(encode_colour(self._seen.exact[box.slices], there[box.slices]))
                bits[blocks] = rough[blocks] * (size / max(float(rough[blocks][where[blocks]].sum()), 1.0))
        return bits

    def _mixed(self, by_model: Tiles, laid: Map) -> Tiles:
        """Tiles with these blocks without loss; where no neighbour needs the model, nothing by the model."""
        height, width = self.image.shape[:2]
        there = graphics.pixels_of(laid, height, width)
        smooth = filled(self.image, ~graphics.pixels_of(graphics.inner(laid), height, width))
        tiles = list(by_model)
        full = np.array([laid[_blocks(box)].all() for box in self.boxes]).reshape(-1, self._columns)
        alone = graphics.inner(full).ravel()
        again = [k for k, box in enumerate(self.boxes) if not alone[k] and laid[_blocks(box)].any()]
        for k in np.flatnonzero(alone):
            tiles[k] = WITHOUT_LOSS, encode_colour(self._seen.exact[self.boxes[k].slices])
        for place, packed in encode_tiles(
            self.model, self.limits, [(smooth, self.boxes[k]) for k in again], self.level
        ):
            number, box = again[place], self.boxes[again[place]]
            self._estimates[number] = packed.estimated_bits
            tiles[number] = (
                MIXED,
                join_mixed(encode_colour(self._seen.exact[box.slices], there[box.slices]), packed.payload),
            )
        return tiles


def _bits(tiles: Tiles) -> float:
    return 8.0 * sum(len(payload) for _, payload in tiles)


def _least_gain(level: int) -> float:
    low, high = _GAIN
    return float(low * (high / low) ** (level / MAX_LEVEL))


def _blocks(box: Box) -> tuple[slice, slice]:
    """The blocks of a tile."""
    outer = box.aligned(BLOCK)
    return slice(outer.top // BLOCK, outer.bottom // BLOCK), slice(outer.left // BLOCK, outer.right // BLOCK)


def _roughness(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Of each block, the most squared error that a reconstruction without its detail would have, roughly."""
    green = image[..., 1].astype(np.float32)
    total = np.zeros(green.shape, np.float32)
    total[1:] += np.square(np.diff(green, axis=0))
    total[:, 1:] += np.square(np.diff(green, axis=1))
    return graphics.sums(total) / 4


def _seen(image: Colour | Seen) -> Seen:
    return image if isinstance(image, Seen) else Seen(image)


def _frame(image: Colour) -> Box:
    return Box(0, 0, image.shape[1], image.shape[0])
