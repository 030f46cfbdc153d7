"""`verify` checks every byte and decodes nothing."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from pillow_agvae.AgvImagePlugin import AgvImageFile
from tests.support.plugin import opened, run

pytestmark = pytest.mark.usefixtures("tiny_weights")


def test_verify(path: Path, data: bytes) -> None:
    im = Image.open(path)
    assert isinstance(im, AgvImageFile)
    im.verify()
    assert im.fp is None
    for position in range(len(data) - 40, len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1
        broken = AgvImageFile(io.BytesIO(flipped))
        with pytest.raises(OSError, match="broken data stream when reading image file"):
            broken.verify()
        assert broken.fp is None
    with pytest.raises(OSError, match="image file is truncated"):
        opened(data[:-1]).verify()


def test_verify_does_not_decode(path: Path) -> None:
    code = "import sys, pillow_agvae; from PIL import Image; Image.open(sys.argv[1]).verify(); print(*sys.modules)"
    assert not {"torch", "numpy"} & set(run(code, path).split())


def test_verify_after_load(data: bytes, expected: bytes) -> None:
    im = opened(data)
    im.load()
    im.verify()
    assert im.tobytes() == expected
