"""matplotlib's `savefig` with names of .agv files, and what notebooks show of images."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pillow_agvae  # noqa: F401
from tests.support.helpers import picture

matplotlib = pytest.importorskip("matplotlib")

from matplotlib.backend_bases import _default_backends, _default_filetypes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402


@pytest.fixture
def registered() -> Iterator[None]:
    from pillow_agvae import figures

    figures.register()
    yield
    del _default_backends["agv"], _default_filetypes["agv"]


@pytest.fixture
def figure() -> Figure:
    figure = Figure(figsize=(2, 1), dpi=50)
    figure.subplots().plot([1, 3, 2])
    return figure


def drawn(figure: Figure) -> np.ndarray:
    """What matplotlib's own PNG files have."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    with Image.open(file) as image:
        return np.asarray(image)


def test_without_registration_it_is_refused(figure: Figure, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="agv"):
        figure.savefig(tmp_path / "a.agv")


@pytest.mark.usefixtures("registered")
class TestRegistered:
    def test_as_png_has_it(self, figure: Figure, tmp_path: Path) -> None:
        assert figure.canvas.get_supported_filetypes()["agv"] == "AG-VAE image"
        figure.savefig(tmp_path / "a.agv", pil_kwargs={"lossless": True})
        with Image.open(tmp_path / "a.agv") as image:
            assert (image.format, image.mode, image.info["dpi"]) == ("AGV", "RGB", (50, 50))
            assert np.array_equal(np.asarray(image), drawn(figure)[..., :3])

    def test_transparency(self, figure: Figure, tmp_path: Path) -> None:
        figure.savefig(tmp_path / "a.agv", transparent=True, pil_kwargs={"lossless": True})
        with Image.open(tmp_path / "a.agv") as image:
            assert image.mode == "RGBA"
            assert image.getextrema()[3][0] == 0

    def test_resolution_and_borders(self, figure: Figure, tmp_path: Path) -> None:
        figure.savefig(tmp_path / "a.agv", dpi=100, bbox_inches="tight", pil_kwargs={"lossless": True})
        figure.savefig(tmp_path / "a.png", dpi=100, bbox_inches="tight")
        with Image.open(tmp_path / "a.agv") as image, Image.open(tmp_path / "a.png") as other:
            assert image.size == other.size
            assert image.info["dpi"] == (100, 100)

    def test_files_that_are_open(self, figure: Figure) -> None:
        file = io.BytesIO()
        figure.savefig(file, format="agv", pil_kwargs={"lossless": True})
        with Image.open(file) as image:
            assert image.format == "AGV"

    def test_a_failed_save_keeps_the_old_file(self, figure: Figure, tmp_path: Path) -> None:
        (tmp_path / "a.agv").write_bytes(b"old")
        with pytest.raises(ValueError, match="quality"):
            figure.savefig(tmp_path / "a.agv", pil_kwargs={"quality": 7})
        assert (tmp_path / "a.agv").read_bytes() == b"old"


def test_by_the_name_of_the_backend(figure: Figure, tmp_path: Path) -> None:
    path = tmp_path / "a.agv"
    figure.savefig(path, backend="module://pillow_agvae.figures", pil_kwargs={"lossless": True})
    with Image.open(path) as image:
        assert image.format == "AGV"


def test_the_plugin_imports_no_matplotlib() -> None:
    code = "import sys, pillow_agvae; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_notebooks_show_images_as_ever(tmp_path: Path) -> None:
    Image.fromarray(picture(40, 30)).save(tmp_path / "a.agv", lossless=True)
    with Image.open(tmp_path / "a.agv") as image:
        shown = image._repr_png_()
    assert shown is not None
    with Image.open(io.BytesIO(shown)) as png:
        assert png.format == "PNG"
        assert np.array_equal(np.asarray(png), picture(40, 30))
