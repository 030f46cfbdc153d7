"""Images into files and back through Pillow alone."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import pytest
from PIL import ExifTags, Image

import pillow_agvae  # noqa: F401

SIZE = (96, 64)


def saved(im: Image.Image, **options: Any) -> bytes:
    fp = io.BytesIO()
    im.save(fp, "AGV", **options)
    return fp.getvalue()


def opened(data: bytes, **options: Any) -> Image.Image:
    return Image.open(io.BytesIO(data), **options)


def reopened(im: Image.Image, **options: Any) -> Image.Image:
    return opened(saved(im, **options))


def run(code: str, *arguments: object, options: tuple[str, ...] = ()) -> str:
    """What a fresh interpreter prints that runs `code`."""
    command = [sys.executable, *options, "-c", code, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if result.returncode:
        pytest.fail(result.stderr)
    return result.stdout.strip()


def some_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "maker"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:01:02 03:04:05"
    return exif
