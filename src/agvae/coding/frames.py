"""Arrays and Pillow images as the frames of one file: their common mode, and their colour and alpha to code."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agvae.coding.fill import filled
from agvae.errors import AgvError, named
from agvae.progress import checkpoint

Pixels = NDArray[Any]
"""uint8 or uint16."""
Picture = Pixels | Image.Image

KEPT = 2**26
"""Bytes of pixels up to which frames are kept instead of taken from their source a second time."""

_MODES = {"1": "L", "P": "RGB", "PA": "RGBA", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB"}
_MODES |= {mode: mode for mode in ("L", "LA", "RGB", "RGBA")}
_MODES |= dict.fromkeys(("I;16", "I;16L", "I;16B", "I;16N"), "I;16")
_ROUNDED = ("La", "RGBa", "RGBX", "YCbCr")
"""Those of them whose values cannot be had back from what they become."""


class Frames:
    """The frames of one file.

    Args:
        pictures: arrays or Pillow images as `agvae.encode` takes them.  Those of more than 64 MiB are gone through
            several times, so that a source that makes them anew each time need not hold them all.  What is no list or
            tuple may give all of them in one buffer.
        bounds: of parts of a larger 16-bit frame the range of that, which is taken for theirs.
        exact: leave colour under alpha 0 as it is, instead of what costs least and spoils no edge.
        once: the pictures may change after this: keep copies of them.
        lossless: `exact`, and keep mode 1 of Pillow images, and mode P of those of one palette, which else become L and
            RGB; refuse modes that are only converted with loss.

    Attributes:
        size: (width, height) of all frames.
        count: how many there are.
        mode: "I;16", or the least of L, LA, RGB and RGBA that holds all frames; if `lossless` also "1" or "P".
        palette: in mode P, red, green, blue and alpha of its colours.
        range: in mode I;16 the smallest and the largest value of all frames, else None.
        ranges: those of each frame in turn, where not all frames have the same, else None.
        grey: the mode is RGB or RGBA, and the three bands are equal in all frames.

    Raises:
        ValueError: there is no frame or an empty one, sizes differ, frames of 8 and of 16 bits are mixed, or pixels
            are masked or of a wrong shape or type.
        OSError: the mode of an image cannot be written, or not without loss.
    """

    def __init__(
        self,
        pictures: Iterable[Picture],
        bounds: tuple[int, int] | None = None,
        *,
        exact: bool = False,
        once: bool = False,
        lossless: bool = False,
    ) -> None:
        self._pictures = pictures
        self._modes: set[str] = set()
        self._lossless, self._palettes = lossless, set[bytes]()
        self.palette: bytes | None = None
        self._copying = once or not isinstance(pictures, list | tuple)
        self.exact = exact or lossless
        self._kept: list[Pixels] | None = []
        self.count = 0
        self.grey = True
        deep = colour = alpha = False
        ranges = array("H")
        held = 0
        for bands in self._source():
            checkpoint()
            height, width, depth = bands.shape
            if self.count == 0:
                self.size, deep = (width, height), bands.dtype == np.uint16
            if (width, height) != self.size:
                first = "{} x {}".format(*self.size)
                size = f"{width} x {height} as frame {self.count}"
                msg = f"all frames must be of the size of the first, {first}, not {size}"
                raise ValueError(msg)
            if (bands.dtype == np.uint16) != deep:
                depths = "8 bits, those before it 16" if deep else "16 bits, those before it 8"
                msg = (
                    f"frames of 8 and of 16 bits cannot be in one file, and frame {self.count} has {depths}: "
                    "convert them to one depth, or make a file of each"
                )
                raise ValueError(msg)
            if deep:
                ranges.extend(bounds or (int(bands.min()), int(bands.max())))
            colour |= depth > 2
            alpha |= depth % 2 == 0
            self.grey = self.grey and (depth < 3 or bool((bands[..., :1] == bands[..., 1:3]).all()))
            self.count += 1
            held += bands.nbytes
            if held > KEPT and not once:
                self._kept = None
            elif self._kept is not None:
                self._kept.append(bands)
        if self.count == 0:
            msg = "there must be at least one frame"
            raise ValueError(msg)
        self.mode = "I;16" if deep else ("RGB" if colour else "L") + ("A" if alpha else "")
        if lossless and self._modes == {"1"}:
            self.mode = "1"
        elif lossless and self._modes == {"P"} and len(self._palettes) == 1:
            (self.palette,) = self._palettes
            self.mode, colour = "P", False
            self._kept = None if self._kept is None else list(self._source())
        self.range = (min(ranges), max(ranges)) if deep else None
        self.ranges = None if self.range is None or ranges == array("H", self.range * self.count) else ranges
        self.grey &= colour

    def __iter__(self) -> Iterator[tuple[NDArray[Any], NDArray[np.uint8] | None]]:
        """Colour and alpha of each frame.

        Colour is (H, W, 3) uint8, in mode P three times the index, in mode I;16 float32 with 0 for the lowest and 1 for
        the highest value of the frame;
        alpha (H, W) uint8, or None in a mode without.
        """
        for number, bands in enumerate(self._all_bands()):
            height, width, depth = bands.shape
            colour: NDArray[Any] = bands[..., :3] if depth > 2 else bands[..., :1]
            if (bounds := self.range_of(number)) is not None:
                low, high = bounds
                colour = (colour - np.float32(low)) / np.float32(max(high - low, 1))
            alpha = None
            if self.mode.endswith("A"):
                alpha = bands[..., -1] if depth % 2 == 0 else np.full((height, width), 255, np.uint8)
            yield np.broadcast_to(colour, (height, width, 3)), alpha

    def range_of(self, number: int) -> tuple[int, int] | None:
        """(low, high) of one frame in mode I;16, else None."""
        return self.range if self.ranges is None else (self.ranges[2 * number], self.ranges[2 * number + 1])

    def thumbnail(self, side: int) -> Picture:
        """The first frame in the common mode, made smaller so that its longer side has `side` pixels."""
        bands = next(self._all_bands())
        scale = side / max(self.size)
        size = (max(1, round(self.size[0] * scale)), max(1, round(self.size[1] * scale)))
        if self.range is not None:
            image = Image.fromarray(bands[..., 0].astype(np.float32))
            values: Pixels = np.rint(np.asarray(_resized(image, size)).clip(*self.range)).astype(np.uint16)
            return values
        image = Image.fromarray(bands[..., 0] if bands.shape[2] == 1 else bands)
        return _resized(image.convert(self.mode), size)

    def _all_bands(self) -> Iterator[Pixels]:
        return self._source() if self._kept is None else iter(self._kept)

    def _source(self) -> Iterator[Pixels]:
        for picture in self._pictures:
            if self.palette is not None:
                yield np.asarray(picture)[..., None]
                continue
            few = isinstance(picture, Image.Image) and (picture.mode == "P" or not picture.has_transparency_data)
            self._modes.add(picture.mode if few and isinstance(picture, Image.Image) else "")
            bands = _bands(picture, lossless=self._lossless)
            if self._lossless and isinstance(picture, Image.Image) and picture.mode == "P":
                self._palettes.add(palette_of(picture))
            shown = bands if self.exact else _visible(bands)
            yield shown.copy() if self._copying and shown is bands and not isinstance(picture, Image.Image) else shown


def _visible(bands: Pixels) -> Pixels:
    """(H, W, 1 to 4) with smooth colour where alpha is 0."""
    depth = bands.shape[2]
    if depth % 2 or bands[..., -1].all():
        return bands
    colour = filled(bands[..., : depth - 1], bands[..., -1] > 0)
    return np.concatenate((colour, bands[..., -1:]), axis=2)


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)


def _bands(picture: Picture, *, lossless: bool) -> Pixels:
    """(H, W, 1 to 4) uint8 or (H, W, 1) uint16."""
    if isinstance(picture, Image.Image):
        pixels = image_pixels(picture, lossless=lossless)
    else:
        array = computed(picture)
        if is_masked(array):
            msg = (
                "masked pixels cannot be stored: give the array's filled(0), of dask's dask.array.ma.filled(array, 0), "
                "or the mask as alpha"
            )
            raise ValueError(msg)
        pixels = np.asarray(array)
    deep = pixels.dtype.kind == "u" and pixels.dtype.itemsize == 2
    shape = pixels.shape if pixels.ndim == 3 else (*pixels.shape, 1)
    if not (deep or pixels.dtype == np.uint8) or len(shape) != 3 or not 1 <= shape[2] <= (1 if deep else 4):
        msg = (
            "pixels must be uint8 of shape (H, W) or (H, W, 1 to 4), or uint16 of shape (H, W), "
            f"not {pixels.dtype} of shape {pixels.shape}"
        )
        raise ValueError(msg)
    if pixels.size == 0:
        msg = "cannot write empty image"
        raise ValueError(msg)
    return pixels.reshape(shape).astype(np.uint16 if deep else np.uint8, copy=False)


def palette_of(image: Picture) -> bytes:
    """Red, green, blue and alpha of the colours of a loaded Pillow image of mode P."""
    assert isinstance(image, Image.Image)
    colours = np.zeros((256, 4), np.uint8)
    colours[:, 3] = 255
    own = np.array(image.getpalette("RGBA") or (0, 0, 0, 255), np.uint8).reshape(-1, 4)
    colours[: len(own)], count = own, len(own)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        transparent = colours[: transparent + 1, 3].tobytes()[:-1] + b"\0"
    if isinstance(transparent, bytes):
        alpha = np.frombuffer(transparent, np.uint8)[:256]
        colours[: len(alpha), 3], count = alpha, max(count, len(alpha))
    return colours[:count].tobytes()


def computed(data: Any) -> NDArray[Any]:
    """What is like an array as one; with its mask, which dask's own `__array__` and `numpy.asarray` drop."""
    return np.asanyarray(data.compute() if callable(getattr(data, "compute", None)) else data)


def is_masked(array: NDArray[Any]) -> bool:
    """Whether an element is masked, in NumPy's masked arrays and in others that have a `mask`."""
    return bool(np.any(getattr(array, "mask", False)))


def image_pixels(image: Image.Image, *, lossless: bool) -> Pixels:
    """Pixels of a Pillow image in the mode to write, as `agvae.encode` takes them.

    L, LA, RGB, RGBA and I;16 stay, the first and third gain alpha with transparency in `info`; 1, P, PA, La, RGBa,
    RGBX, YCbCr and the other 16-bit modes are converted.

    Raises:
        OSError: it cannot be read, or has no palette for its mode, or has a mode whose meaning would be lost (CMYK,
            LAB, HSV, I, F) or, if `lossless`, whose values would be rounded (La, RGBa, YCbCr) or dropped (RGBX).
        ValueError: the transparency in `info` is not one for this mode.
    """
    try:
        image.load()
    except (AgvError, MemoryError, Image.DecompressionBombError):
        raise
    except Exception as error:  # Pillow's readers raise all kinds at broken files
        raise OSError(_named(image, str(error) or type(error).__name__)) from error
    mode = _MODES.get(image.mode)
    if mode is None:
        raise OSError(_named(image, f"cannot write mode {image.mode} as AGV"))
    if image.mode == "P" and image.palette is None:  # frames of GIF files with a palette of their own, after grey ones
        raise OSError(_named(image, "has colours that Pillow reads without their palette"))
    if lossless and image.mode in _ROUNDED:
        text = f"mode {image.mode} cannot be kept without loss: convert it to {mode} first, or save it with loss"
        raise OSError(_named(image, text))
    if mode == "I;16":
        if image.has_transparency_data:
            text = f"mode {image.mode} cannot have transparency: remove it from image.info to write it without"
            raise ValueError(_named(image, text))
        return np.asarray(image)
    if image.has_transparency_data and not mode.endswith("A"):
        mode += "A"
    if mode == image.mode:
        return np.asarray(image)
    try:
        return np.asarray(image.convert(mode))
    except (TypeError, ValueError, OverflowError) as error:
        if "transparency" not in image.info:
            raise
        text = f"cannot apply transparency {image.info['transparency']!r} to mode {image.mode}: {error}"
        raise ValueError(_named(image, text)) from error


def _named(image: Image.Image, text: str) -> str:
    """A text about an image, with its file and the frame, if that is not the first."""
    frame = image.tell()
    return named(getattr(image, "filename", None), f"frame {frame}: {text}" if frame else text)
