"""What an image will look like, and how large its file will be, at one level after another."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

from agvae.boxes import Box, grid
from agvae.coding.assemble import header_of
from agvae.coding.choice import Seen, encode_images
from agvae.coding.extract import Job, decoded, finished
from agvae.coding.frames import Frames, Picture, Pixels
from agvae.coding.loaded import load_model
from agvae.coding.memory import attempts
from agvae.coding.reconstruction import DecodeRequest, Reconstruction
from agvae.coding.tiles import encode_tiles, synthesise, tiles_needed
from agvae.coding.transparency import with_alpha
from agvae.coding.windows import padded
from agvae.file.header import TILE_SIZE
from agvae.file.layout import Reader, write_container
from agvae.file.metadata import Metadata
from agvae.file.payload import NETWORK


class Original:
    """An image to preview: what is the same at all levels.

    Args:
        image: as `agvae.encode` takes it, of one frame.
        bounds: of a part of a larger 16-bit frame the range of that, which it is coded relative to.

    Attributes:
        boxes: of its tiles.

    Raises:
        ValueError, OSError: as `agvae.encode`.
    """

    def __init__(self, image: Picture, bounds: tuple[int, int] | None = None) -> None:
        self.frames = Frames([image], bounds)
        ((self.colour, self.alpha),) = self.frames
        self.boxes = grid(*self.frames.size, TILE_SIZE)
        self.seen = Seen.of(self.colour, self.alpha, self.boxes, bounds=self.frames.range, exact=self.frames.exact)


class Preview:
    """An image coded and decoded at once at one level, tile by tile: the same bytes and pixels as by way of a file.

    Args:
        original: the image.
        level: 0 .. 20480, see `agvae.quality`.
        model: name of the model; the default one if not given.

    Attributes:
        tiles: kind and payload of those that are coded so far, by their number.

    Raises:
        agvae.weights.WeightsError: the model is not to be had.
    """

    def __init__(self, original: Original, level: int, model: str | None = None) -> None:
        self._original, self._model = original, load_model(model)
        self.header = header_of(original.frames, level, self._model.name, self._model.digest)
        self.tiles: dict[int, tuple[bytes, bytes]] = {}

    def parts(self, centre: tuple[float, float] = (0, 0)) -> Iterator[tuple[Box, Pixels]]:
        """The reconstruction of every tile, as `agvae.decode` gives it, those next to centre (x, y) first.

        Raises:
            MemoryError: the image does not fit in memory.
        """
        boxes = self._original.boxes
        if self._original.seen.look is not None:
            pixels = self._at_once()
            for number in sorted(range(len(boxes)), key=lambda k: _distance(boxes[k], centre)):
                yield boxes[number], pixels[boxes[number].slices]
            return
        image = Reconstruction(self._model, DecodeRequest(self.header, {}))
        waiting = {number: set(tiles_needed(self.header, box)) for number, box in enumerate(boxes)}
        for number in sorted(waiting, key=lambda k: _distance(boxes[k], centre)):
            for needed in sorted(waiting[number] - self.tiles.keys()):
                tile = (self._original.colour, boxes[needed])
                for attempt in attempts(self._model, padded(boxes[needed]).area):
                    with attempt:
                        ((_, packed),) = encode_tiles(attempt.model, attempt.limits, [tile], self.header.level)
                self.tiles[needed] = NETWORK, packed.payload
                image.put_latents(boxes[needed], packed.y_hat)
            box = boxes[number]
            for attempt in attempts(self._model, padded(box).area):
                with attempt:
                    synthesise(attempt.model, attempt.limits, [(image, box)])
            alpha = None if self._original.alpha is None else self._original.alpha[box.slices]
            yield box, finished(image.pixels[box.slices], self.header, alpha)

    def _at_once(self) -> Pixels:
        """Code an image with graphics, whose tiles are chosen together, and decode it."""
        (encoded,) = encode_images([self._original.seen], self.header.level, TILE_SIZE, self._model.name)
        self.tiles = dict(enumerate(encoded.tiles))
        (pixels,) = decoded([Job(Reader(BytesIO(self.file())))], damaged_ok=False)
        return pixels

    def file(self, metadata: Metadata | None = None) -> bytes:
        """The bytes of the file, once all parts have been taken; `agvae.encode` makes the same.

        Raises:
            ValueError: there are parts left.
        """
        if len(self.tiles) < len(self._original.boxes):
            msg = f"{len(self.tiles)} of {len(self._original.boxes)} tiles are coded"
            raise ValueError(msg)
        coded = (self.tiles[k] for k in range(len(self.tiles)))
        tiles = list(with_alpha(coded, self._original.seen.alpha))
        return write_container(self.header, metadata or Metadata(), tiles)


def _distance(box: Box, centre: tuple[float, float]) -> float:
    """From the middle of a box, squared."""
    x, y = (box.left + box.right) / 2 - centre[0], (box.top + box.bottom) / 2 - centre[1]
    return x * x + y * y
