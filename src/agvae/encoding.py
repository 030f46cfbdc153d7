"""What the arguments of a call ask for, and the file of frames that comes of it.

Shared by `agvae.encode`, Pillow's save, napari's writer and the commands.
"""

from __future__ import annotations

from numbers import Real
from typing import cast

import numpy as np

from agvae.coding.assemble import Level
from agvae.coding.colours import Laid
from agvae.coding.frames import Frames
from agvae.coding.rate_control import Target, encode_to_psnr, encode_to_size
from agvae.container import Metadata, check_model_name
from agvae.file.header import TILE_SIZE, check_tile_size
from agvae.quality import parse_effort, parse_quality
from agvae.shortage import loading

THUMBNAIL_SIDE = 384
THUMBNAIL_SIDES = (16, 1024)
"""Longer side of a thumbnail in pixels, unless another within these bounds is asked for."""
MAX_TARGET = 1e15
"""Bytes, bits per pixel or dB."""


def parse_level(quality: object = None, *, s: object = None, l: object = None, lossless: object = False) -> Level:  # noqa: E741
    """The level (see `agvae.quality`) that the arguments of a call ask for, None for pixels without loss.

    Raises:
        ValueError: lossless is given with another of them, or one is outside its range.
    """
    check_flag("lossless", lossless)
    if not lossless:
        return parse_quality(quality, s=s, l=l)
    if quality is not None or s is not None or l is not None:
        msg = "lossless leaves no quality to choose: give only one of them"
        raise ValueError(msg)
    return None


def parse_rate(
    quality: object = None,
    *,
    s: object = None,
    l: object = None,  # noqa: E741
    lossless: object = False,
    target_size: object = None,
    target_bpp: object = None,
    target_psnr: object = None,
) -> Level | Target:
    """The level as `parse_level` gives it, or the target that the arguments of a call ask for.

    Raises:
        ValueError: more than one of quality, s, lossless and the targets is given, or one is outside its range.
    """
    targets = {"size": target_size, "bpp": target_bpp, "psnr": target_psnr}
    given = [Target(kind, cast(float, value)) for kind, value in targets.items() if value is not None]
    if not given:
        return parse_level(quality, s=s, l=l, lossless=lossless)
    if len(given) > 1 or quality is not None or s is not None or l is not None or lossless:
        msg = "give only one of quality, s with l, lossless, target_size, target_bpp and target_psnr"
        raise ValueError(msg)
    target = given[0]
    if not isinstance(target.value, Real) or isinstance(target.value, bool) or not 0 < target.value <= MAX_TARGET:
        msg = f"target_{target.kind} must be a positive number up to {MAX_TARGET:g}, not {str(target.value)[:40]}"
        raise ValueError(msg)
    return target


def encode_frames(
    frames: Frames,
    rate: Level | Target,
    metadata: Metadata | None = None,
    model: str | None = None,
    *,
    thumbnail: bool | int | None = False,
    tile_size: int | None = None,
    effort: int | None = None,
) -> bytes:
    """The bytes of a file of these frames; the arguments are those of `encode`, rate comes from `parse_rate`."""
    with loading():
        from agvae.coding.assemble import coded_files, psnr, with_thumbnail

    common = checked_metadata(metadata, model)
    check_model(rate, model)
    side = thumbnail_side(thumbnail)
    tile_size = TILE_SIZE if tile_size is None else check_tile_size(tile_size)
    steps = parse_effort(effort)

    laid: dict[int, list[Laid | None]] = {}
    kept: dict[bytes, list[Laid | None]] = {}

    def coded(level: Level, given: list[Laid | None] | None = None, steps: int = 0) -> bytes:
        """The file of a level; with what is given without loss, if any is; refined in steps."""
        whole = with_thumbnail(common, frames, side, level, model) if side else common
        found: list[Laid | None] = []
        files = coded_files([(frames, whole)], level, model, tile_size=tile_size, laid=given, found=found, steps=steps)
        (data,) = files
        kept[data] = found
        if level is not None and given is None:
            laid[level] = found
        return data

    def alike(level: int, other: int) -> bytes:
        return coded(level, laid.get(other, [None] * frames.count))

    def refined(level: int, plain: bytes) -> bytes:
        return coded(level, kept[plain], steps)

    def psnr_of(data: bytes) -> float:
        return psnr(data, frames)

    if not isinstance(rate, Target):
        return coded(rate, steps=steps)
    more = refined if steps else None
    if rate.kind == "psnr":
        return encode_to_psnr(coded, psnr_of, rate.value, alike, more)
    width, height = frames.size
    size = rate.value * (width * height * frames.count / 8 if rate.kind == "bpp" else 1)
    if size < 1:
        msg = f"target_{rate.kind} {rate.value:g} cannot be reached: that is {size:.2g} bytes"
        raise ValueError(msg)
    return encode_to_size(coded, size, alike, more, psnr_of if steps and _is_for_psnr(model) else None)


def _is_for_psnr(model: str | None) -> bool:
    with loading():
        from agvae.coding.loaded import load_model

    return load_model(model).metric == "mse"


def thumbnail_side(value: object) -> int | None:
    """The longer side of a thumbnail in pixels, None for none."""
    if value is None or isinstance(value, bool | np.bool_):
        return THUMBNAIL_SIDE if value else None
    low, high = THUMBNAIL_SIDES
    if not isinstance(value, int | np.integer) or not low <= value <= high:
        msg = f"thumbnail must be True, False, or the longer side in pixels from {low} to {high}, not {value!r}"
        raise ValueError(msg)
    return int(value)


def check_flag(name: str, value: object) -> None:
    """Raises ValueError unless the value of an option is true, false or None."""
    if value is not None and not (isinstance(value, bool | int | np.bool_) and value in (0, 1)):
        msg = f"{name} must be True or False, not {value!r}"
        raise ValueError(msg)


def check_model(rate: Level | Target, model: str | None) -> None:
    if rate is None and model is not None:
        msg = "lossless needs no model: give only one of them"
        raise ValueError(msg)


def checked_metadata(metadata: Metadata | None, model: str | None) -> Metadata:
    """The metadata, empty for None; raises for them and for the model's name as `encode` does."""
    if metadata is None:
        metadata = Metadata()
    elif not isinstance(metadata, Metadata):
        msg = f"metadata must be an agvae.Metadata, not {type(metadata).__name__}"
        raise TypeError(msg)
    if model is not None:
        check_model_name(model)
    return metadata
