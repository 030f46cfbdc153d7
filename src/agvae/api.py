"""Pixels to the bytes of files and back: `agvae.encode`, `decode`, and their batches.

The codec, and torch, are loaded when a function is first called.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
from PIL import Image

from agvae.coding.frames import Frames, Picture, Pixels
from agvae.container import Box, Metadata, Reader
from agvae.encoding import (
    check_flag,
    check_model,
    checked_metadata,
    encode_frames,
    parse_level,
    parse_rate,
    thumbnail_side,
)
from agvae.errors import Failures
from agvae.file.header import TILE_SIZE, check_tile_size
from agvae.quality import parse_effort, parse_quality
from agvae.settings import options
from agvae.shortage import loading
from agvae.streams import Source, opened

if TYPE_CHECKING:
    from torch import Tensor

    from agvae.coding.extract import Part

_OF_ONE: Failures = (OSError, ValueError, TypeError, MemoryError, Image.DecompressionBombError)
"""What is wrong with one of many images or files."""


def encode(
    image: Picture | Sequence[Picture],
    quality: float | None = None,
    *,
    s: int | None = None,
    l: float | None = None,  # noqa: E741
    target_size: float | None = None,
    target_bpp: float | None = None,
    target_psnr: float | None = None,
    lossless: bool = False,
    metadata: Metadata | None = None,
    model: str | None = None,
    thumbnail: bool | int = False,
    exact: bool = False,
    tile_size: int | None = None,
    effort: int | None = None,
) -> bytes:
    """The bytes of an .agv file.

    Args:
        image: uint8 pixels of shape (H, W) or (H, W, 1) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB, or
            (H, W, 4) RGBA, not premultiplied; or uint16 (H, W) grey; or a Pillow image, of which only the pixels of
            the current frame are taken; or a sequence of these: frames, all of one size, of 8 or of 16 bits.
            Frames of different modes are stored in the least mode that holds all; each of 16 bits is coded relative
            to its own lowest and highest value.
        quality: 1 to 6, or 10 to 100 on the percent scale; 3.5 if nothing is given.
        s, l: instead of quality, the gain vector 1 .. 6 and the interpolation in [0, 1).
        target_size, target_bpp: instead of quality, the most bytes that the file may have, or bits per pixel of a
            frame; it has at most 1 % less, unless the best quality or the coarseness of a tiny file ends lower.
        target_psnr: instead of quality, the PSNR in dB of grey or colour over all frames, met within 0.05 dB, or
            exceeded where no quality meets it; the peak is 255, for 16 bits the range of the frame's values, and pixels
            of alpha 0 do not count.  Targets take about four times as long.
        lossless: instead of quality, every pixel as it is, also under alpha 0; of Pillow images mode 1, and mode P of
            those of one palette, too, while La, RGBa, RGBX and YCbCr, which are converted with loss, are refused.
            Neither this nor decoding such a file needs PyTorch.
        metadata: what to store besides the pixels.
        model: name of the model to code with; the default one if not given.
        thumbnail: store a thumbnail as well, of 384 or so many pixels (16 to 1024) on its longer side and of the same
            quality, if the image is larger.
        exact: code the colour of pixels whose alpha is 0, too.  Otherwise it becomes the smooth continuation of the
            visible colour, which makes smaller files with better edges.
        tile_size: side in pixels of the tiles that can be decoded apart, a multiple of 64 up to 1024; smaller ones make
            boxes cheaper and files larger.
        effort: 1, the default, to 9: 2 takes five to eight times as long as 1, each further one up to twice as long as
            the one before, and decoding as long as ever.  From 2 on the model's latents are refined for this very
            picture: fewer bits, better pixels, or both.  Bytes are then the same for the same machine and PyTorch
            alone.

    Raises:
        ValueError: an argument is outside its range, a target is out of reach, or an image is empty.
        TypeError: image is the name or the content of a file, or metadata is not a `Metadata`.
        OSError: an image cannot be read, or has a mode that cannot be written, or not without loss, with the name of
            its file if it has one; or the model is not to be had, an `AgvError`.
    """
    targets = {"target_size": target_size, "target_bpp": target_bpp, "target_psnr": target_psnr}
    rate = parse_rate(quality, s=s, l=l, lossless=lossless, **targets)
    frames = _frames(image, exact, lossless=bool(lossless))
    return encode_frames(frames, rate, metadata, model, thumbnail=thumbnail, tile_size=tile_size, effort=effort)


@overload
def encode_batch(
    images: Iterable[Picture | Sequence[Picture]],
    quality: float | None = ...,
    *,
    s: int | None = ...,
    l: float | None = ...,  # noqa: E741
    lossless: bool = ...,
    metadata: Metadata | None = ...,
    model: str | None = ...,
    thumbnail: bool | int = ...,
    exact: bool = ...,
    tile_size: int | None = ...,
    effort: int | None = ...,
    return_exceptions: Literal[False] = ...,
) -> list[bytes]: ...
@overload
def encode_batch(
    images: Iterable[Picture | Sequence[Picture]],
    quality: float | None = ...,
    *,
    s: int | None = ...,
    l: float | None = ...,  # noqa: E741
    lossless: bool = ...,
    metadata: Metadata | None = ...,
    model: str | None = ...,
    thumbnail: bool | int = ...,
    exact: bool = ...,
    tile_size: int | None = ...,
    effort: int | None = ...,
    return_exceptions: bool,
) -> list[bytes | Exception]: ...
def encode_batch(
    images: Iterable[Picture | Sequence[Picture]],
    quality: float | None = None,
    *,
    s: int | None = None,
    l: float | None = None,  # noqa: E741
    lossless: bool = False,
    metadata: Metadata | None = None,
    model: str | None = None,
    thumbnail: bool | int = False,
    exact: bool = False,
    tile_size: int | None = None,
    effort: int | None = None,
    return_exceptions: bool = False,
) -> list[bytes] | list[bytes | Exception]:
    """The bytes of a file for each image; small images share a batch, which is faster than one call for each.

    The arguments and the errors are those of `encode_iter`.
    """
    files = encode_iter(
        images,
        quality,
        s=s,
        l=l,
        lossless=lossless,
        metadata=metadata,
        model=model,
        thumbnail=thumbnail,
        exact=exact,
        tile_size=tile_size,
        effort=effort,
        return_exceptions=return_exceptions,
    )
    return list(files)


@overload
def encode_iter(
    images: Iterable[Picture | Sequence[Picture]],
    quality: float | None = ...,
    *,
    s: int | None = ...,
    l: float | None = ...,  # noqa: E741
    lossless: bool = ...,
    metadata: Metadata | None = ...,
    model: str | None = ...,
    thumbnail: bool | int = ...,
    exact: bool = ...,
    tile_size: int | None = ...,
    effort: int | None = ...,
    return_exceptions: Literal[False] = ...,
) -> Iterator[bytes]: ...
@overload
def encode_iter(
    images: Iterable[Picture | Sequence[Picture]],
    quality: float | None = ...,
    *,
    s: int | None = ...,
    l: float | None = ...,  # noqa: E741
    lossless: bool = ...,
    metadata: Metadata | None = ...,
    model: str | None = ...,
    thumbnail: bool | int = ...,
    exact: bool = ...,
    tile_size: int | None = ...,
    effort: int | None = ...,
    return_exceptions: bool,
) -> Iterator[bytes | Exception]: ...
def encode_iter(
    images: Iterable[Picture | Sequence[Picture]],
    quality: float | None = None,
    *,
    s: int | None = None,
    l: float | None = None,  # noqa: E741
    lossless: bool = False,
    metadata: Metadata | None = None,
    model: str | None = None,
    thumbnail: bool | int = False,
    exact: bool = False,
    tile_size: int | None = None,
    effort: int | None = None,
    return_exceptions: bool = False,
) -> Iterator[bytes] | Iterator[bytes | Exception]:
    """The bytes of a file for each image, one after the other, so that they need not all be in memory.

    Images are taken as they are needed: as many as are worth a batch, or one where it is large.

    Args:
        images: each as `encode` takes it; their sizes and modes may differ.  What is no list or tuple may give all of
            them in one buffer.
        metadata: what to store besides the pixels, the same in each file.
        return_exceptions: give an error of one image in the place of its file, and go on.

    The other arguments and the errors, at once, are those of `encode`; what is one image and no list of them is a
    TypeError.
    """
    with loading():
        from agvae.coding.assemble import coded_files, with_thumbnail

    level = parse_level(quality, s=s, l=l, lossless=lossless)
    common = checked_metadata(metadata, model)
    check_model(level, model)
    side = thumbnail_side(thumbnail)
    tile_size = TILE_SIZE if tile_size is None else check_tile_size(tile_size)
    steps = parse_effort(effort)
    check_flag("exact", exact)
    _check_list("images", images)
    failures = _OF_ONE if return_exceptions else ()
    outcomes: deque[Exception | None] = deque()

    def files() -> Iterator[tuple[Frames, Metadata]]:
        lazy = not isinstance(images, list | tuple | np.ndarray)
        for number, image in enumerate(images):
            try:
                with _telling(f"image {number}"):
                    frames = _frames(image, exact, once=lazy, lossless=bool(lossless))
            except failures as error:
                outcomes.append(error)
            else:
                outcomes.append(None)
                yield frames, with_thumbnail(common, frames, side, level, model) if side else common

    def found() -> Iterator[bytes | Exception]:
        for data in coded_files(files(), level, model, tile_size=tile_size, steps=steps):
            while (error := outcomes.popleft()) is not None:
                yield error
            yield data
        yield from filter(None, outcomes)

    return found()


def decode(source: Source, box: Box | None = None, *, frame: int = 0, damaged_ok: bool = False) -> Pixels:
    """The pixels of one frame of a file.

    They are uint8 of shape (H, W) for mode L, (H, W, 2) LA, (H, W, 3) RGB, (H, W, 4) RGBA; uint16 (H, W) for I;16; 0
    and 255 for mode 1; and the colours of mode P, RGBA if one is transparent.

    Args:
        source: the bytes of a file (any bytes-like object), its path, or a binary file; of one that cannot seek, such
            as a pipe, no more is read and kept than is needed.
        box: (left, top, right, bottom) in pixels, within the frame: only these pixels, which are those of the whole
            frame but for rounding, and cost less.
        frame: which one, from 0.
        damaged_ok: fill tiles that are damaged or missing with opaque neutral grey instead of raising.

    Raises:
        AgvError: not an .agv file, or it is truncated, damaged, or needs a model that is not to be had; its kinds are
            in `agvae.errors`.  What no pixel of the box depends on is not looked at.
        ValueError: there is no such box or frame.
        OSError: the file cannot be opened or read.
        PIL.Image.DecompressionBombError: frame or box have more than twice `PIL.Image.MAX_IMAGE_PIXELS`.
    """
    with opened(source) as fp:
        return decode_frame(Reader(fp, damaged_ok=damaged_ok), frame, box, damaged_ok=damaged_ok)


@overload
def decode_batch(
    sources: Iterable[Source],
    box: Box | None = ...,
    *,
    frame: int = ...,
    damaged_ok: bool = ...,
    return_exceptions: Literal[False] = ...,
) -> list[Pixels]: ...
@overload
def decode_batch(
    sources: Iterable[Source],
    box: Box | None = ...,
    *,
    frame: int = ...,
    damaged_ok: bool = ...,
    return_exceptions: bool,
) -> list[Pixels | Exception]: ...
def decode_batch(
    sources: Iterable[Source],
    box: Box | None = None,
    *,
    frame: int = 0,
    damaged_ok: bool = False,
    return_exceptions: bool = False,
) -> list[Pixels] | list[Pixels | Exception]:
    """The pixels of one frame of each file; small images share a batch, which is faster than one call for each.

    The arguments and the errors are those of `decode_iter`.
    """
    return list(decode_iter(sources, box, frame=frame, damaged_ok=damaged_ok, return_exceptions=return_exceptions))


@overload
def decode_iter(
    sources: Iterable[Source],
    box: Box | None = ...,
    *,
    frame: int = ...,
    damaged_ok: bool = ...,
    return_exceptions: Literal[False] = ...,
) -> Iterator[Pixels]: ...
@overload
def decode_iter(
    sources: Iterable[Source],
    box: Box | None = ...,
    *,
    frame: int = ...,
    damaged_ok: bool = ...,
    return_exceptions: bool,
) -> Iterator[Pixels | Exception]: ...
def decode_iter(
    sources: Iterable[Source],
    box: Box | None = None,
    *,
    frame: int = 0,
    damaged_ok: bool = False,
    return_exceptions: bool = False,
) -> Iterator[Pixels] | Iterator[Pixels | Exception]:
    """The pixels of one frame of each file, one after the other, as `decode` gives them.

    Files are opened as they are needed: as many as are worth a batch, or one where it is large.

    Args:
        sources: each as `decode` takes it.
        box: the same of each file.
        return_exceptions: give an error of one file in the place of its pixels, and go on.

    The other arguments and the errors are those of `decode`; one source and no list of them is a TypeError.
    """
    parts = _parts(sources, box, frame, damaged_ok, return_exceptions)
    return (part if isinstance(part, Exception) else part.pixels() for part in parts)


def decode_tensor(source: Source, box: Box | None = None, *, frame: int = 0, damaged_ok: bool = False) -> Tensor:
    """The pixels of one frame of a file as a tensor of PyTorch, on the device of `agvae.options.device`.

    It has the layout and the values of torchvision's `decode_image`, (C, H, W) uint8, of mode I;16 uint16: one channel
    for grey, then alpha where there is some.  What a GPU decoded of 8 bits stays there.

    The arguments and the errors are those of `decode`.
    """
    (pixels,) = decode_tensors([source], box, frame=frame, damaged_ok=damaged_ok)
    return pixels


@overload
def decode_tensors(
    sources: Iterable[Source],
    box: Box | None = ...,
    *,
    frame: int = ...,
    damaged_ok: bool = ...,
    return_exceptions: Literal[False] = ...,
) -> Iterator[Tensor]: ...
@overload
def decode_tensors(
    sources: Iterable[Source],
    box: Box | None = ...,
    *,
    frame: int = ...,
    damaged_ok: bool = ...,
    return_exceptions: bool,
) -> Iterator[Tensor | Exception]: ...
def decode_tensors(
    sources: Iterable[Source],
    box: Box | None = None,
    *,
    frame: int = 0,
    damaged_ok: bool = False,
    return_exceptions: bool = False,
) -> Iterator[Tensor] | Iterator[Tensor | Exception]:
    """The pixels of one frame of each file, one after the other, as `decode_tensor` gives them.

    The arguments and the errors are those of `decode_iter`.
    """
    with loading():
        from agvae.coding.tensors import device_of_options, tensor_of

    device = device_of_options()
    parts = _parts(sources, box, frame, damaged_ok, return_exceptions, on_device=True)
    return (part if isinstance(part, Exception) else tensor_of(part, device) for part in parts)


def _parts(
    sources: Iterable[Source],
    box: Box | None,
    frame: int,
    damaged_ok: bool,
    return_exceptions: bool,
    *,
    on_device: bool = False,
) -> Iterator[Part | Exception]:
    with loading():
        from agvae.coding.extract import Job, colours

    _check_list("sources", sources)
    failures = _OF_ONE if return_exceptions else ()

    def jobs() -> Iterator[Job | Exception]:
        for source in sources:
            with ExitStack() as files:
                job: Job | Exception
                try:
                    job = Job(Reader(files.enter_context(opened(source)), damaged_ok=damaged_ok), frame, box)
                except failures as error:
                    job = error
                yield job

    return colours(jobs(), damaged_ok=damaged_ok, failures=failures, on_device=on_device)


def warm_up(model: str | None = None, device: str | None = None) -> None:
    """Load PyTorch and a model, and code a small picture with it, so that no later call has to.

    For programs that load first and then fork workers, which share its memory: it starts no thread that stays.

    Args:
        model: its name; the default one if not given.
        device: as in `agvae.options`, which say it if not given.  Children cannot use CUDA if their parent did.

    Raises:
        AgvError: the model is not to be had.
        ValueError: there is no such device.
    """
    with loading():
        from agvae.coding.assemble import coded_files

    common = checked_metadata(None, model)
    with options.using(device=device, threads=1):
        frames = Frames([np.zeros((64, 64, 3), np.uint8)])
        (data,) = coded_files([(frames, common)], parse_quality(), model, laid=[None])
        decode(data)


def decode_frame(
    reader: Reader, frame: int = 0, box: Box | None = None, *, damaged_ok: bool = False, indices: bool = False
) -> Pixels:
    """The pixels of a frame of an opened file, or of a box of it, as `decode` gives them; raises the same errors.

    Args:
        indices: give those of mode P, (H, W), and not the colours that they stand for.
    """
    with loading():
        from agvae.coding.extract import Job, decoded

    (pixels,) = decoded([Job(reader, frame, box)], damaged_ok=damaged_ok, indices=indices)
    return pixels


def _frames(image: Picture | Sequence[Picture], exact: bool, *, once: bool = False, lossless: bool = False) -> Frames:
    check_flag("exact", exact)
    buffer = isinstance(image, memoryview)
    if buffer or isinstance(image, str | bytes | bytearray | os.PathLike) or hasattr(image, "read"):
        advice = "make an array of it with numpy.asarray" if buffer else "open a file with PIL.Image.open"
        msg = (
            f"image must be pixels, an array or a Pillow image or a list of them, not {type(image).__name__}: "
            f"{advice} first"
        )
        raise TypeError(msg)
    pictures = image if isinstance(image, Sequence) else [image]
    return Frames(pictures, exact=bool(exact), once=once, lossless=lossless)


@contextmanager
def _telling(which: str) -> Iterator[None]:
    """Say of errors from within which of many images they are about."""
    try:
        yield
    except (ValueError, OSError) as error:
        if type(error) not in (ValueError, OSError):
            raise
        msg = f"{which}: {error}"
        raise type(error)(msg) from error


def _check_list(name: str, items: object) -> None:
    """Refuse what can be gone through, but is one item whose list was forgotten."""
    one_array = isinstance(items, np.ndarray) and items.ndim < 4 and items.dtype != object
    one = isinstance(items, str | bytes | bytearray | memoryview | os.PathLike | Image.Image)
    if one or one_array or hasattr(items, "read") or not hasattr(items, "__iter__"):
        msg = f"{name} must be a list, not one {type(items).__name__}"
        raise TypeError(msg)
