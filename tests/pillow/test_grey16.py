"""16-bit grey."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

import agvae
from tests.support.helpers import picture
from tests.support.plugin import SIZE, opened, reopened

pytestmark = pytest.mark.usefixtures("tiny_weights")


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B", "I;16N"])
def test_16_bit_grey(mode: str) -> None:
    values = 500 + 100 * picture(*SIZE)[..., 0].astype(np.uint16)
    layout = {"I;16B": ">u2", "I;16N": "=u2"}.get(mode, "<u2")
    im = reopened(Image.frombytes(mode, SIZE, values.astype(layout).tobytes()), quality=6)
    assert (im.mode, im.size, im.info) == ("I;16", SIZE, {})
    decoded = np.asarray(im)
    assert decoded.dtype == np.uint16
    assert np.abs(decoded.astype(int) - values).mean() < 1000
    assert decoded.min() >= values.min()
    assert decoded.max() <= values.max()


def test_16_bit_grey_behaves_like_any_image(tmp_path: Path) -> None:
    values = 500 + 100 * picture(*SIZE)[..., 0].astype(np.uint16)
    path = tmp_path / "deep.agv"
    Image.fromarray(values).save(path)
    with Image.open(path) as im:
        twin = pickle.loads(pickle.dumps(im))
        assert twin.tobytes() == im.tobytes() == agvae.decode(path).astype("<u2").tobytes()
        for format in ("PNG", "TIFF"):
            fp = io.BytesIO()
            im.save(fp, format)
            assert opened(fp.getvalue()).tobytes() == im.tobytes()
    frames = reopened(Image.fromarray(values), save_all=True, append_images=[Image.fromarray(values // 2)])
    means = [np.asarray(frame).mean() for frame in ImageSequence.Iterator(frames)]
    assert means[0] > 1.5 * means[1]
