"""Quality and targets as options of `save`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.plugin import SIZE, reopened, saved

pytestmark = pytest.mark.usefixtures("tiny_weights")


@pytest.mark.parametrize(
    "options", [{"quality": 3}, {"quality": np.float32(3)}, {"s": 3}, {"s": 3, "l": 0.0}, {"quality": 40}]
)
def test_quality(options: dict[str, Any], photo: Image.Image) -> None:
    assert saved(photo, **options) == saved(photo, quality=3.0)


def test_size_grows_with_quality(photo: Image.Image) -> None:
    sizes = [len(saved(photo, quality=q)) for q in range(1, 7)]
    assert sizes == sorted(set(sizes))
    assert len(saved(photo)) == len(saved(photo, quality=3.5))


@pytest.mark.parametrize("quality", [float("nan"), float("inf"), -1, 0, 7, 101, 1e9, "75", None, True])
def test_wrong_quality(quality: Any, photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "x.agv"
    with pytest.raises(ValueError, match=r"Invalid quality setting.* 1 to 6.* 10 to 100"):
        photo.save(path, quality=quality)
    assert not path.exists()


def test_quality_excludes_s(photo: Image.Image) -> None:
    with pytest.raises(ValueError, match="not both"):
        saved(photo, quality=3, s=3)


def test_targets_of_size_and_psnr(photos: list[Image.Image]) -> None:
    photo, options = photos[0], {"save_all": True, "append_images": photos[1:]}
    low, high = len(saved(photo, quality=1, **options)), len(saved(photo, quality=6, **options))
    size = (low + high) // 2
    assert 0.98 * size <= len(saved(photo, target_size=size, **options)) <= size
    bpp = 8 * size / (3 * SIZE[0] * SIZE[1])
    assert saved(photo, target_bpp=bpp, **options) == saved(photo, target_size=size, **options)
    mse = np.mean((np.asarray(reopened(photo, target_psnr=28)).astype(float) - np.asarray(photo)) ** 2)
    assert 10 * np.log10(255**2 / mse) == pytest.approx(28, abs=0.06)


@pytest.mark.parametrize(
    "options",
    [
        {"quality": 3, "target_size": 1000},
        {"s": 3, "target_bpp": 1},
        {"target_psnr": 30, "target_bpp": 1},
        {"target_size": 1},
        {"target_size": "1000"},
        {"target_psnr": 90},
    ],
)
def test_wrong_targets(options: dict[str, Any], photo: Image.Image, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"only one of|target_|cannot be reached"):
        photo.save(tmp_path / "x.agv", **options)
    assert not (tmp_path / "x.agv").exists()
