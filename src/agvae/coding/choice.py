"""Images to coded tiles: by the model, without loss, or by both, whichever has the lower R + beta D.

Learned codecs fail on what is no photograph: text, charts, pixel art.  Blocks of an image that look like a graphic
(`agvae.coding.graphics`) are tried: what they cost without loss, as they are or in fewer colours
(`agvae.coding.colours`), against the bits and the error of the model.  Where they win, their pixels lie over the
reconstruction, and the model codes a smooth continuation of what is around in their place.  Of 16 bits, which have no
tiles of both, whole tiles are.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from agvae.boxes import Box
from agvae.callers import level_of_caller
from agvae.coding import graphics
from agvae.coding.colours import Colours, Fewer, Laid, counts_of_errors
from agvae.coding.engine import Model, Packed
from agvae.coding.extract import finished
from agvae.coding.fill import filled
from agvae.coding.graphics import BLOCK, Blocks, Map
from agvae.coding.loaded import load_model
from agvae.coding.lossless import can_code, encode_colour, encode_exact, exact_values
from agvae.coding.memory import Limits, attempts, chunks
from agvae.coding.reconstruction import DecodeRequest, Reconstruction
from agvae.coding.tiles import Colour, encode_tiles, refine_tile, synthesise
from agvae.coding.transparency import Alpha, with_alpha
from agvae.coding.windows import STRIDE, padded
from agvae.file.header import TILE_SIZE, Header
from agvae.file.payload import MIXED, NETWORK, WITHOUT_LOSS, join_mixed
from agvae.lazy import lazy
from agvae.progress import checkpoint, uncounted
from agvae.quality import MAX_LEVEL
from agvae.shortage import is_shortage

_WEIGHT = 3.0
"""Of an error in a graphic: halos around letters and lines are seen sooner than as much error in a texture."""
_WHOLE_WEIGHT, _PALETTE_WEIGHT = 8.0, 32.0
"""The same from quality 3.5 on, of what the model makes of a drawing, and of one whose colours are few, which somebody
chose."""
_GAIN = (0.15, 6.0)
"""What graphics must promise to be tried, as a share of the model's bits, at the lowest and highest level: less is
promised by photographs, too, since the promise is from above and the more so the higher the rate."""
_MOSTLY = 0.5
"""Share of the blocks from which a picture may be a graphic as a whole."""
_SIDE_BITS = 16
"""Bits of a block beside its pixels: of the map, and of what the coder has to learn anew."""
_FEWER = 0.5
"""Share of its bits that a graphic may take with fewer colours, roughly."""
_WORTH = 0.95
"""Most of the cost of all that blocks in fewer colours may come to: in photographs they win less, and by chance."""

_SMOOTH, _SAMPLE = 160, 512
"""Most bytes of a block in a picture that may take few without loss though nothing in it is repeated; and the side of
the part that tells how few."""


@dataclass(frozen=True)
class Seen:
    """The colour of an image, and which of its pixels (H, W) are seen; None for all.

    Attributes:
        bounds: of 16 bits the values that stand for 0 and 1.
        plane, boxes: its alpha (H, W), and the tiles that this is coded in.
    """

    colour: Colour
    visible: NDArray[np.bool_] | None = None
    bounds: tuple[int, int] | None = None
    plane: NDArray[np.uint8] | None = None
    boxes: Sequence[Box] = ()

    @classmethod
    def of(
        cls,
        colour: Colour,
        alpha: NDArray[np.uint8] | None,
        boxes: Sequence[Box],
        *,
        bounds: tuple[int, int] | None,
        exact: bool,
    ) -> Seen:
        """Those of an image with alpha (H, W), whose colour under alpha 0 is to be `exact` or may become any."""
        return cls(colour, None if alpha is None or exact else alpha > 0, bounds, alpha, boxes)

    @lazy
    def alpha(self) -> Alpha | None:
        """That of the tiles."""
        return None if self.plane is None else Alpha(self.plane, self.exact, self.boxes)

    @lazy
    def exact(self) -> NDArray[Any]:
        """What to code without loss, as `encode_exact` takes it: where it is not seen, what takes the fewest bits."""
        values = exact_values(self.colour, self.bounds)
        return values if self.visible is None else values * self.visible[..., None]

    @lazy
    def fewer(self) -> Fewer:
        """Fewer colours for all of it."""
        return self.fewer_of(np.ones(self.colour.shape[:2], np.bool_))

    def fewer_of(self, there: Map) -> Fewer:
        """Fewer colours for some of its pixels (H, W), of 8 bits."""
        return Fewer(self.exact, there if self.visible is None else there & self.visible)

    @lazy
    def look(self) -> Blocks | None:
        """What `look_at` says."""
        return look_at(self)


Tiles = list[tuple[bytes, bytes]]
"""Kinds and payloads."""
Coded = dict[int, tuple[bytes, float]]
"""What the model coded of tiles by their number: payload and the entropy model's estimate of its bits."""


@dataclass(frozen=True)
class EncodedImage:
    """The tiles of an image as kinds and payloads, and the model that made them.

    Attributes:
        tiles: in the order of a file.
        model, digest: as a header has them.
        estimated_bits: what the entropy model says of the payloads that the model coded.
        laid: what is without loss; None for nothing.
    """

    tiles: Tiles
    model: str
    digest: bytes
    estimated_bits: float
    laid: Laid | None = None

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
    laid: Iterable[Laid | None] | None = None,
    steps: int = 0,
) -> Iterator[EncodedImage]:
    """Code images, each (H, W, 3) uint8 or float32 in [0, 1], at a level (see `agvae.quality`), as they are asked for.

    What is not seen of one may come back in any colour.

    Args:
        laid: what of each to code without loss, as `EncodedImage` has it; by default what is worth it.
        steps: of `agvae.coding.refine`, for what the model codes in the end.

    Raises:
        agvae.errors.WeightsError: the model is not to be had.
        MemoryError: an image does not fit in memory.
    """
    loaded = load_model(model)
    choosing = laid is None
    pairs = zip(map(_seen, images), repeat(None) if laid is None else laid, strict=False)
    for chunk in chunks(pairs, _pixels_of, loaded):
        for attempt in attempts(loaded, sum(map(_pixels_of, chunk))):
            with attempt:
                encoded = _encode(attempt.model, attempt.limits, chunk, tile_size, level, steps, choosing=choosing)
        yield from encoded


def _encode(
    model: Model,
    limits: Limits,
    images: Sequence[tuple[Seen, Laid | None]],
    tile_size: int,
    level: int,
    steps: int,
    *,
    choosing: bool,
) -> list[EncodedImage]:
    """All by the model, as batches; then those with graphics once more, each by itself; then with more effort."""
    pictures = [_Picture(model, limits, *image, tile_size, level, choosing=choosing) for image in images]
    tiles = [(picture, number) for picture in pictures for number in picture.by_model]
    with uncounted() if steps else nullcontext():
        found = encode_tiles(model, limits, [(picture.image, picture.boxes[n]) for picture, n in tiles], level)
        for k, packed in found:
            picture, number = tiles[k]
            picture.take(number, packed)
    return [picture.encoded(steps) for picture in pictures]


def _pixels_of(pair: tuple[Seen, Laid | None]) -> int:
    return padded(_frame(pair[0].colour)).area


def look_at(image: Seen) -> Blocks | None:
    """The blocks of an image if some of them may be worth coding without loss."""
    if not can_code() or (image.bounds is None and image.colour.dtype != np.uint8):
        return None
    blocks = graphics.look_at(image.exact)
    if not blocks.tried.any() and image.bounds is None:
        return _smooth(image.exact, blocks)
    return blocks if blocks.tried.any() else None


def _smooth(pixels: NDArray[np.uint8], blocks: Blocks) -> Blocks | None:
    """The blocks as graphics if the one in the middle takes few bytes without loss: gradients in each band."""
    frame = Box(0, 0, pixels.shape[1], pixels.shape[0])
    if len(encode_colour(pixels[_middle(frame, BLOCK).slices])) > _SMOOTH:
        return None
    middle = _middle(frame, _SAMPLE)
    bits = 8 * len(encode_colour(pixels[middle.slices])) / middle.area
    return blocks._replace(graphic=np.ones_like(blocks.graphic), bits=graphics.sums(np.full(pixels.shape[:2], bits)))


def _middle(frame: Box, side: int) -> Box:
    left, top = max(frame.width - side, 0) // 2, max(frame.height - side, 0) // 2
    return Box(left, top, min(left + side, frame.width), min(top + side, frame.height))


class _Picture:
    """An image on its way to tiles.

    Args:
        laid: what to code without loss, None for nothing.
        choosing: find what is worth it instead.

    Attributes:
        boxes: of the tiles.
        image, by_model: what the model is to code at first, and the numbers of the tiles.
    """

    def __init__(
        self, model: Model, limits: Limits, seen: Seen, laid: Laid | None, tile_size: int, level: int, *, choosing: bool
    ) -> None:
        self.model, self.limits, self.level = model, limits, level
        self._seen, self._laid = seen, laid
        self._deep = seen.bounds is not None
        frame = _frame(seen.colour)
        self.boxes = frame.split(tile_size)
        self._columns = -(-frame.width // tile_size)
        mode = "I;16" if self._deep else "RGB"
        names = model.name, model.digest
        self._header = Header(frame.width, frame.height, mode, level, *names, tile_size, range=seen.bounds)
        self._look = seen.look if choosing else None
        self.image, self.by_model = seen.colour, list(range(len(self.boxes)))
        if laid is not None:
            self.image, self.by_model = self._rest(laid.blocks)
        self._coded: Coded = {}
        self._latents: dict[int, Tensor] = {}
        self._without_loss: dict[tuple[int, Colours | None], bytes] = {}
        self._last: tuple[Colours, NDArray[Any]] | None = None

    def take(self, number: int, packed: Packed) -> None:
        """A tile as the model codes it; latents are kept where they may be needed."""
        self._coded[number] = packed.payload, packed.estimated_bits
        if self._look is not None and (self._deep or self._look.tried[_blocks(self.boxes[number])].any()):
            self._latents[number] = packed.y_hat

    def encoded(self, steps: int) -> EncodedImage:
        """The tiles of the lowest R + beta D, or those with the blocks that were given; refined in so many steps."""
        coded, laid = self._coded, self._laid
        if self._look is not None:
            with uncounted():
                coded, laid = self._with_alpha(self._look, *self._chosen(self._look))
        if steps:
            coded = self._refined(coded, laid, steps)
        tiles = self._tiles(coded, laid)
        bits = sum(coded[k][1] for k, (kind, _) in enumerate(tiles) if kind in (NETWORK, MIXED))
        return EncodedImage(tiles, self.model.name, self.model.digest, bits, laid)

    def _with_alpha(self, look: Blocks, coded: Coded, laid: Laid | None) -> tuple[Coded, Laid | None]:
        """These, or all without loss if this takes no more bytes with alpha: what is drawn on nothing in one colour."""
        if self._seen.alpha is None or (laid is not None and laid.blocks.all() and laid.colours is None):
            return coded, laid
        size, everything = self._bytes(coded, laid), Laid(np.ones_like(look.graphic))
        if look.bits.sum() < 2 * 8 * size and self._bytes({}, everything) <= size:
            return {}, everything
        return coded, laid

    def _bytes(self, coded: Coded, laid: Laid | None) -> int:
        """Of colour and alpha."""
        tiles = with_alpha(self._tiles(coded, laid), self._seen.alpha)
        return sum(len(tile.payload or b"") + len(tile.alpha or b"") for tile in tiles)

    def _refined(self, coded: Coded, laid: Laid | None, steps: int) -> Coded:
        """What the model codes, each tile as it is or refined, whichever has the lower R + beta D."""
        image, seen, by_model = self._seen.colour, self._seen.visible, list(range(len(self.boxes)))
        if laid is not None:
            image, by_model = self._rest(laid.blocks)
            if not self._deep:
                hidden = graphics.pixels_of(laid.blocks, *image.shape[:2])
                seen = ~hidden if seen is None else seen & ~hidden
        better = dict(coded)
        for number, box in enumerate(self.boxes):
            if number in by_model:
                payload, bits = coded[number]
                try:
                    packed, gain = refine_tile(self.model, self.limits, image, box, self.level, steps, seen)
                except BaseException as error:  # a panic of an extension in Rust is no Exception
                    if not is_shortage(error):
                        raise
                    warnings.warn(
                        "not enough memory for effort: coded without", RuntimeWarning, stacklevel=level_of_caller()
                    )
                    by_model = []
                    checkpoint(box.area)
                else:  # the gain is by the entropy model's estimate, of which both payloads tell how far it is off
                    gain += (packed.estimated_bits - 8 * len(packed.payload)) - (bits - 8 * len(payload))
                    if gain > 0:
                        better[number] = packed.payload, packed.estimated_bits
            else:
                checkpoint(box.area)
        return better

    def _chosen(self, look: Blocks) -> tuple[Coded, Laid | None]:
        """What the model codes, and what is without loss: nothing, all, or some blocks."""
        by_model, everything = self._bits(self._coded, None), np.ones_like(look.graphic)
        beta = self.model.beta(self.level)
        weight = beta * np.where(look.graphic, _WEIGHT, 1.0)
        whole_weight = weight
        drawn = not self._deep and bool(look.tried.mean() > _MOSTLY)
        if drawn:
            edged = look.graphic & (look.edged | look.palette)
            whole_weight = np.where(edged, beta * _whole_weight(self.level, palette=look.palette), weight)
        if (look.palette or look.tried.all()) and look.bits.sum() < by_model:
            # of others some blocks without loss may be fewer bytes than all
            exact = self._whole(everything)
            if exact.bits <= by_model:
                colours = self._fewer(look, everything, weight)
                return min(exact, self._whole(everything, colours), key=lambda option: option.cost(weight)).found
        rate = self._rates(look.graphic.shape)
        bits = _FEWER * look.bits if drawn and not look.palette else look.bits
        gain = 2 * rate + whole_weight * _roughness(self._seen) - bits - _SIDE_BITS
        promising = look.tried & (gain > 0)
        if gain[promising].sum() < _least_gain(self.level) * by_model:
            return self._coded, None
        squares = self._errors(everything if self._deep else promising, self._latents)
        options = [_Option(by_model, squares, self._coded, None)]
        colours = self._fewer(look, everything, weight) if drawn else None
        if colours is not None:
            options.append(self._whole(everything, colours))
        if self._deep:
            options += self._by_tiles(rate, squares, weight)
        elif not look.palette:  # whose colours are kept or not, but not here and there
            most = min(option.cost(weight) for option in options)
            colours = colours or self._fewer(look, promising, weight)
            options += self._by_blocks(promising, look.bits, rate, squares, weight, most, colours)
        costs = [option.cost(option.weight(weight, whole_weight)) for option in options]
        if look.bits.sum() < 2 * min(costs):
            options.append(self._whole(everything))
            costs.append(options[-1].bits)
        return options[int(np.argmin(costs))].found

    def _whole(self, everything: Map, colours: Colours | None = None) -> _Option:
        """All without loss."""
        laid = Laid(everything, colours)
        return _Option(self._bits({}, laid), self._changes(laid), {}, laid)

    def _fewer(self, look: Blocks, blocks: Map, weight: NDArray[np.float64]) -> Colours | None:
        """The colours that blocks should have, if not their own: those of a palette are chosen one by one, and stay."""
        if self._deep or look.palette:
            return None
        seen = self._seen
        fewer = seen.fewer if blocks.all() else seen.fewer_of(graphics.pixels_of(blocks, *self.image.shape[:2]))
        return fewer.at(float(weight[blocks].mean()))

    def _changes(self, laid: Laid) -> NDArray[np.float64]:
        """Squared error, as it counts, of blocks without loss in their colours."""
        errors = np.zeros(laid.blocks.shape)
        if laid.colours is not None:
            new = self._values(laid)
            for box in self.boxes:
                exact = self._seen.exact[box.slices]
                squares = np.square(new[box.slices].astype(np.float32) - exact).mean(axis=2)
                errors[_blocks(box)] = graphics.sums(squares * counts_of_errors(exact))
        return errors * laid.blocks

    def _values(self, laid: Laid) -> NDArray[Any]:
        """The image in the colours of what is without loss."""
        if laid.colours is None:
            return self._seen.exact
        if self._last is None or self._last[0] is not laid.colours:
            new = self._seen.exact.copy()
            for box in self.boxes:
                checkpoint()
                new[box.slices] = laid.colours.of(new[box.slices])
            self._last = laid.colours, new
        return self._last[1]

    def _by_blocks(
        self,
        promising: Map,
        rough: NDArray[np.float64],
        rate: NDArray[np.float64],
        squares: NDArray[np.float64],
        weight: NDArray[np.float64],
        most: float,
        colours: Colours | None,
    ) -> Iterator[_Option]:
        """With the blocks without loss that are worth it, each by itself, as they are or in fewer colours.

        Args:
            most: what it may cost.
            colours: the fewer ones; None for no others.
        """
        by_model = rate + weight * squares
        ways: list[tuple[float, Laid, NDArray[np.float64]]] = []
        for laid in (Laid(promising), Laid(promising, colours))[: 1 if colours is None else 2]:
            changes = self._changes(laid)
            costs = self._exact_bits(laid, rough) + _SIDE_BITS + weight * changes
            blocks = promising & (costs < by_model)
            ways.append((float(np.where(blocks, costs, by_model).sum()), laid._replace(blocks=blocks), changes))
        cost, laid, changes = min(ways, key=lambda way: way[0])
        most *= 1 if laid.colours is None else _WORTH
        if cost < most and laid.blocks.any() and not laid.blocks.all():
            coded = self._coded | self._again(laid.blocks)
            yield _Option(self._bits(coded, laid), np.where(laid.blocks, changes, squares), coded, laid)

    def _by_tiles(
        self, rate: NDArray[np.float64], squares: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> Iterator[_Option]:
        """With the tiles without loss that are worth it; their neighbours lack what they have in their halo."""
        cost = rate + weight * squares
        laid = np.zeros(cost.shape, np.bool_)
        for number, box in enumerate(self.boxes):
            laid[_blocks(box)] = 8 * len(self._exact_tile(number, Laid(laid))) < cost[_blocks(box)].sum()
        if laid.any() and not laid.all():
            full = self._full(laid)
            squares = self._errors(~laid, {k: y_hat for k, y_hat in self._latents.items() if not full[k]})
            yield _Option(self._bits(self._coded, Laid(laid)), squares, self._coded, Laid(laid))

    def _tiles(self, coded: Coded, laid: Laid | None) -> Tiles:
        """With these blocks without loss, and of the others what the model coded."""
        if laid is None:
            return [(NETWORK, coded[k][0]) for k in range(len(self.boxes))]
        there = graphics.pixels_of(laid.blocks, *self.image.shape[:2])
        tiles: Tiles = []
        for k, (box, alone) in enumerate(zip(self.boxes, self._alone(laid.blocks), strict=True)):
            if alone:
                tiles.append((WITHOUT_LOSS, self._exact_tile(k, laid)))
            elif self._deep or not laid.blocks[_blocks(box)].any():
                tiles.append((NETWORK, coded[k][0]))
            else:
                exact = encode_colour(self._values(laid)[box.slices], there[box.slices])
                tiles.append((MIXED, join_mixed(exact, coded[k][0])))
        return tiles

    def _bits(self, coded: Coded, laid: Laid | None) -> float:
        return 8.0 * sum(len(payload) for _, payload in self._tiles(coded, laid))

    def _exact_tile(self, number: int, laid: Laid) -> bytes:
        """The payload of a tile without loss."""
        key = number, laid.colours
        if key not in self._without_loss:
            self._without_loss[key] = encode_exact(self._values(laid)[self.boxes[number].slices])
        return self._without_loss[key]

    def _full(self, laid: Map) -> NDArray[np.bool_]:
        """The tiles all of whose blocks are among these."""
        return np.array([laid[_blocks(box)].all() for box in self.boxes])

    def _alone(self, laid: Map) -> NDArray[np.bool_]:
        """Those that need nothing of the model, nor do neighbours need theirs where a tile can have both."""
        alone = self._full(laid).reshape(-1, self._columns)
        if not self._deep:
            for _ in range(-(-self.model.network.synthesis.halo() // self._header.tile_size)):
                alone = graphics.inner(alone)
        return alone.ravel()

    def _rest(self, laid: Map) -> tuple[Colour, list[int]]:
        """What the model is to code beside blocks without loss, and the tiles that have some of it."""
        again = np.flatnonzero(~self._alone(laid)).tolist()
        if self._deep or not again:
            return self._seen.colour, again
        hidden = graphics.pixels_of(graphics.inner(laid), *self._seen.colour.shape[:2])
        return filled(self._seen.colour, ~hidden), again

    def _again(self, laid: Map) -> Coded:
        """What the model codes of the tiles in which it has to code other pixels beside these blocks."""
        smooth, rest = self._rest(laid)
        again = [k for k in rest if laid[_blocks(self.boxes[k])].any()]
        tiles = encode_tiles(self.model, self.limits, [(smooth, self.boxes[k]) for k in again], self.level)
        return {again[place]: (packed.payload, packed.estimated_bits) for place, packed in tiles}

    def _rates(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Bits of the model for each block of tiles with graphics: shares of a tile's by the size of the latents."""
        rates = np.zeros(shape)
        for number, y_hat in self._latents.items():
            sizes = y_hat.abs().add(1).log2().sum(-1).cpu().numpy().astype(np.float64)
            shares = graphics.sums(sizes, BLOCK // STRIDE) + 1e-9
            rates[_blocks(self.boxes[number])] = shares * (8 * len(self._coded[number][0]) / shares.sum())
        return rates

    def _errors(self, where: Map, latents: Mapping[int, Tensor]) -> NDArray[np.float64]:
        """Squared error of the model in each block of tiles in which some are wanted, summed over pixels."""
        image = Reconstruction(self.model, DecodeRequest(self._header, {}))
        wanted = [number for number, box in enumerate(self.boxes) if number in latents and where[_blocks(box)].any()]
        for number, y_hat in latents.items():
            image.put_latents(self.boxes[number], y_hat)
        synthesise(self.model, self.limits, [(image, self.boxes[number]) for number in wanted])
        low, high = self._seen.bounds or (0, 255)
        errors = np.zeros(where.shape)
        for number in wanted:
            place = self.boxes[number].slices
            difference = finished(image.pixels[place], self._header, None).astype(np.float32) - low
            if self._seen.visible is not None:
                difference *= self._seen.visible[place][..., None]
            difference -= self._seen.exact[place]
            squares = np.square(difference * np.float32(255 / max(high - low, 1)))
            errors[_blocks(self.boxes[number])] = graphics.sums(squares.mean(axis=2) if squares.ndim == 3 else squares)
        return errors

    def _exact_bits(self, laid: Laid, rough: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bits of blocks without loss: those of all of a tile's together, in shares."""
        bits = np.zeros(laid.blocks.shape)
        there = graphics.pixels_of(laid.blocks, *self.image.shape[:2])
        for box in self.boxes:
            blocks = _blocks(box)
            if laid.blocks[blocks].any():
                size = 8 * len(encode_colour(self._values(laid)[box.slices], there[box.slices]))
                bits[blocks] = rough[blocks] * (size / max(float(rough[blocks][laid.blocks[blocks]].sum()), 1.0))
        return bits


class _Option(NamedTuple):
    """A way to code an image: bits, squared errors of the blocks, what the model codes, and what is without loss."""

    bits: float
    squares: NDArray[np.float64]
    coded: Coded
    laid: Laid | None

    def weight(self, laid: NDArray[np.float64], by_model: NDArray[np.float64]) -> NDArray[np.float64]:
        """Those of errors in blocks without loss and in others."""
        return by_model if self.laid is None else np.where(self.laid.blocks, laid, by_model)

    @property
    def found(self) -> tuple[Coded, Laid | None]:
        return self.coded, self.laid

    def cost(self, weight: NDArray[np.float64]) -> float:
        """R + beta D in bits, errors weighted."""
        return self.bits + float((weight * self.squares).sum())


def _least_gain(level: int) -> float:
    return _between(_GAIN, level / MAX_LEVEL)


def _whole_weight(level: int, *, palette: bool) -> float:
    return _between((_WEIGHT, _PALETTE_WEIGHT if palette else _WHOLE_WEIGHT), min(2 * level / MAX_LEVEL, 1))


def _between(ends: tuple[float, float], share: float) -> float:
    low, high = ends
    return float(low * (high / low) ** share)


def _blocks(box: Box) -> tuple[slice, slice]:
    """The blocks of a tile."""
    outer = box.aligned(BLOCK)
    return slice(outer.top // BLOCK, outer.bottom // BLOCK), slice(outer.left // BLOCK, outer.right // BLOCK)


def _roughness(seen: Seen) -> NDArray[np.float64]:
    """Of each block, the most squared error that a reconstruction without its detail would have, roughly."""
    plane, unit = (seen.exact[..., 1], 1) if seen.bounds is None else (seen.colour[..., 0], 255)

    def squares(rows: NDArray[Any], above: int) -> tuple[NDArray[np.float64]]:
        rows = unit * rows.astype(np.float32)
        total = np.zeros(rows.shape, np.float32)
        total[1:] += np.square(np.diff(rows, axis=0))
        total[:, 1:] += np.square(np.diff(rows, axis=1))
        return (graphics.sums(total[above:]) / 4,)

    return graphics.in_bands(squares, plane)[0]


def _seen(image: Colour | Seen) -> Seen:
    return image if isinstance(image, Seen) else Seen(image)


def _frame(image: Colour) -> Box:
    return Box(0, 0, image.shape[1], image.shape[0])
