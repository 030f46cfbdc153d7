"""What each codec makes of a picture: its file, what that shows, and how far it is from the original."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image

import agvae
from agvae.comparison import perceptual
from agvae.comparison.matching import nearest_setting
from agvae.evaluation.peers import Codec
from agvae.images import as_rgb
from agvae.metrics import MS_SSIM_MINIMUM_SIDE, ms_ssim, psnr

Equal = Literal["size", "psnr"]
EQUAL = get_args(Equal)


@dataclass(frozen=True)
class Version:
    """A picture by one codec.

    Attributes:
        title: the format.
        description: what wrote it, and how.
        setting: its quality, as this codec counts.
        data: the file.
        image: what it shows.
        bpp: bits of the file per pixel.
        psnr: in dB; inf if nothing differs.
        ms_ssim: at most 1; None for an image too small for it.
        ssimulacra2: at most 100; None for an image too small for it, or where the package is not installed.
    """

    title: str
    description: str
    setting: float
    data: bytes
    image: Image.Image
    bpp: float
    psnr: float
    ms_ssim: float | None
    ssimulacra2: float | None


def own_version(image: Image.Image, rate: dict[str, Any], model: str | None) -> Version:
    """The picture as an .agv file; raises what `agvae.encode` does."""
    data = agvae.encode(image, model=model, **rate)
    info = agvae.read_info(data)
    by = "without loss" if info["lossless"] else f"quality {info['quality']:.4g}, model {info['model']}"
    description = f"AG-VAE, {by}; agvae {agvae.__version__}"
    return _measured("AGV", description, info["quality"], data, image, Image.fromarray(agvae.decode(data)))


def peer_version(codec: Codec, image: Image.Image, own: Version, equal: Equal) -> Version:
    """The picture by another codec, at the quality that brings it nearest to our file.

    Raises:
        Exception: whatever its writer or reader raises at a picture that it does not know.
    """
    files: dict[int, bytes] = {}
    reference = as_rgb(image)

    def value_at(setting: int) -> float:
        files[setting] = codec.encode(image, setting)
        if equal == "size":
            return len(files[setting])
        return psnr(np.asarray(reference), np.asarray(as_rgb(codec.decode(files[setting]))))

    setting = nearest_setting(value_at, len(own.data) if equal == "size" else own.psnr)
    data = files[setting]
    return _measured(codec.title, codec.description, setting, data, image, codec.decode(data))


def _measured(
    title: str, description: str, setting: float, data: bytes, original: Image.Image, image: Image.Image
) -> Version:
    reference, shown = as_rgb(original), as_rgb(image)
    a, b = np.asarray(reference), np.asarray(shown)
    return Version(
        title=title,
        description=description,
        setting=setting,
        data=data,
        image=image,
        bpp=8 * len(data) / (image.width * image.height),
        psnr=psnr(a, b),
        ms_ssim=ms_ssim(a, b) if min(image.size) >= MS_SSIM_MINIMUM_SIDE else None,
        ssimulacra2=perceptual.ssimulacra2(reference, shown) if perceptual.available() else None,
    )
