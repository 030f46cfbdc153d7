"""Other codecs as a Pillow user gets them, each with a ladder of quality settings."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from PIL import Image, features


@dataclass(frozen=True)
class Codec:
    """A codec under test.

    Attributes:
        name: column value in every table.
        title: of its format, for people.
        description: settings and library version, for people.
        settings: quality ladder, rising.
        encode: (RGB image, setting) -> the whole file's bytes, with no metadata.  L is taken, too, and RGBA if `alpha`.
        decode: those bytes -> RGB image, with its pixels loaded; RGBA if they have transparency.
        alpha: whether its files hold transparency.
    """

    name: str
    title: str
    description: str
    settings: tuple[float, ...]
    encode: Callable[[Image.Image, float], bytes]
    decode: Callable[[bytes], Image.Image]
    alpha: bool = True


@dataclass(frozen=True)
class _Peer:
    """How Pillow writes one peer: format name, save options, ladder, and the plugin or feature it needs."""

    title: str
    label: str
    format: str
    settings: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    feature: str = ""
    plugin: str = ""
    alpha: bool = True

    def available(self) -> bool:
        return bool(find_spec(self.plugin)) if self.plugin else self.feature in features.get_supported()

    def library(self) -> str:
        """What encodes, with its version."""
        if self.plugin:
            distribution = _DISTRIBUTIONS[self.plugin]
            return f"{distribution} {version(distribution)}"
        turbo = features.version("libjpeg_turbo") if self.feature == "jpg" else None
        return f"libjpeg-turbo {turbo}" if turbo else f"{self.feature} {features.version(self.feature)}"


_DISTRIBUTIONS = {"pillow_heif": "pillow-heif", "pillow_jxl": "pillow-jxl-plugin"}
_AVIF = {"speed": 6, "subsampling": "4:4:4"}
_AVIF_SETTINGS = (4, 12, 26, 40, 52, 64, 76)
_HEIC_SETTINGS = (10, 20, 30, 40, 48, 56)
_HEIC = {"chroma": "444"}
_X265_PSNR = {**_HEIC, "enc_params": {"preset": "slower", "tune": "psnr"}}
_PEERS = {
    "jpeg": _Peer(
        "JPEG",
        "JPEG 4:2:0, optimize",
        "JPEG",
        (4, 10, 20, 35, 55, 75, 88),
        {"optimize": True, "subsampling": "4:2:0"},
        "jpg",
        alpha=False,
    ),
    "webp": _Peer("WebP", "WebP, method 6", "WEBP", (1, 10, 30, 55, 75, 88), {"method": 6}, "webp"),
    "avif": _Peer("AVIF", "AVIF 4:4:4, speed 6", "AVIF", _AVIF_SETTINGS, _AVIF, "avif"),
    "avif-psnr": _Peer(
        "AVIF, tune=psnr",
        "AVIF 4:4:4, speed 6, tune=psnr",
        "AVIF",
        _AVIF_SETTINGS,
        {**_AVIF, "advanced": {"tune": "psnr"}},
        "avif",
    ),
    "heic": _Peer("HEIC 4:4:4", "HEIC 4:4:4", "HEIF", _HEIC_SETTINGS, _HEIC, plugin="pillow_heif"),
    "heic-420": _Peer("HEIC", "HEIC 4:2:0", "HEIF", _HEIC_SETTINGS, {"chroma": "420"}, plugin="pillow_heif"),
    "heic-psnr": _Peer(
        "HEIC, tune=psnr", "HEIC 4:4:4, slower, tune=psnr", "HEIF", _HEIC_SETTINGS, _X265_PSNR, plugin="pillow_heif"
    ),
    "jxl": _Peer(
        "JPEG XL", "JPEG XL, effort 7", "JXL", (5, 15, 30, 45, 60, 75, 86), {"effort": 7}, plugin="pillow_jxl"
    ),
}


def available_peers() -> list[str]:
    """Names of the peers that this Pillow, with the plugins installed beside it, can write."""
    return [name for name, peer in _PEERS.items() if peer.available()]


def make_peers(names: str | Sequence[str]) -> list[Codec]:
    """Codecs of these names, or of this one.

    Raises:
        ValueError: a name is unknown, or its encoder is not installed.
    """
    names = [names] if isinstance(names, str) else names
    for name in names:
        if name not in _PEERS:
            msg = f"unknown codec {name!r}; there are: {', '.join(_PEERS)}"
            raise ValueError(msg)
        if not _PEERS[name].available():
            needed = _PEERS[name].plugin or f"a Pillow with {_PEERS[name].feature}"
            msg = f"codec {name!r} needs {needed}"
            raise ValueError(msg)
    return [_codec(name, _PEERS[name]) for name in names]


def _codec(name: str, peer: _Peer) -> Codec:
    if peer.plugin:
        plugin = importlib.import_module(peer.plugin)
        if peer.plugin == "pillow_heif":
            plugin.register_heif_opener()

    def encode(image: Image.Image, setting: float) -> bytes:
        file = io.BytesIO()
        pixels = image.copy()
        pixels.info.clear()  # some writers take profiles and more from there, which are no part of the comparison
        pixels.save(file, peer.format, quality=int(setting), **peer.options)
        return file.getvalue()

    def decode(data: bytes) -> Image.Image:
        with Image.open(io.BytesIO(data), formats=[peer.format]) as image:
            return image.convert("RGBA" if image.has_transparency_data else "RGB")

    return Codec(name, peer.title, f"{peer.label}; {peer.library()}", peer.settings, encode, decode, alpha=peer.alpha)
