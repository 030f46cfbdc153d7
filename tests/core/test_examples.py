"""The programs in the folder of examples that need no napari, as they stand; nox runs the notebook."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import ExifTags, Image

import agvae
from tests.support.helpers import picture

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = {"AGVAE_DEVICE": "cpu", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}

NOT_RUN = ["napari_preview.py"]
"""Opens a window and waits."""


def run(name: str, *arguments: object) -> list[str]:
    environment = os.environ | SMALL | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))}
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_every_example_is_tested() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (EXAMPLES.parent / "tests").rglob("test_examples.py"))
    assert len(list(EXAMPLES.glob("*.py"))) >= 9
    names = {path.name for path in EXAMPLES.glob("*.py")} - set(NOT_RUN)
    assert [name for name in sorted(names) if f'run("{name}"' not in text] == []


def test_pillow_photo(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(picture(200, 130)).save(tmp_path / "photo.jpg", exif=exif, icc_profile=b"profile", quality=97)
    lines = run("pillow_photo.py", tmp_path / "photo.jpg", tmp_path)
    assert lines[0].startswith("photo.agv: RGB 200 x 130, ")
    assert lines[1] == "kept: exif icc_profile"
    with Image.open(tmp_path / "photo-back.png") as back:
        assert (back.getexif()[ExifTags.Base.Orientation], back.info["icc_profile"]) == (6, b"profile")
    assert (tmp_path / "photo-tenth.agv").stat().st_size <= (tmp_path / "photo.jpg").stat().st_size / 10
    assert Image.open(tmp_path / "photo-small.jpg").size == (128, 83)


def test_many_files_and_dask(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(2):
        Image.fromarray(picture(48, 32, number)).save(tmp_path / "in" / f"{number}.png")
    (tmp_path / "in" / "bad.png").write_bytes(b"nothing")
    lines = sorted(run("many_files.py", tmp_path / "in", tmp_path / "out"))
    assert [line.partition(": ")[0] for line in lines] == ["0.agv", "1.agv", "done", "done", "failed"]
    paths = sorted((tmp_path / "out").glob("*.agv"))
    lines = run("dask_pictures.py", *paths)
    assert lines[0] == "lazy: (2, 32, 48, 3) uint8"
    assert lines[2].partition(": ")[2] in map(str, paths)


def test_box_and_tiles(tmp_path: Path) -> None:
    Image.fromarray(picture(160, 96)).save(tmp_path / "a.png")
    lines = run("box_and_tiles.py", tmp_path / "a.png")
    sizes = [int(re.findall(r": (\d+) bytes", line)[0]) for line in lines]
    assert sizes[0] == sizes[1] < sizes[2]
    assert all(int(line.split()[-1]) <= 1 for line in lines)


def test_train_small(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(picture(96, 80)).save(tmp_path / "in" / "a.png")
    lines = run("train_small.py", tmp_path / "in", tmp_path / "out", 8)
    assert [line for line in lines if line.endswith("decoded to (80, 96, 3)")] == lines[-3:]


def test_compare_codecs(tmp_path: Path) -> None:
    Image.fromarray(picture(64, 48)).save(tmp_path / "a.png")
    lines = run("compare_codecs.py", tmp_path / "a.png", tmp_path / "a.html")
    assert all(f"{name} " in lines[0] for name in ("WebP", "JPEG"))
    assert "<!doctype html" in (tmp_path / "a.html").read_text(encoding="utf-8").lower()


def test_the_notebook_is_kept_without_results() -> None:
    notebook = json.loads((EXAMPLES / "first_steps.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) > 4
    assert [cell for cell in cells if cell["outputs"] or cell["execution_count"]] == []


@pytest.mark.usefixtures("tiny_weights")
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_all_that_an_image_says_of_itself_goes_along(form: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Make] = 6, "maker"
    path = tmp_path / "a"
    Image.fromarray(picture(40, 30)).save(path, form, exif=exif, icc_profile=b"profile", dpi=(72, 72))
    with Image.open(path) as image:
        data = agvae.encode(image, metadata=agvae.metadata_of(image))
    kept = agvae.read_metadata(data)
    assert kept.icc_profile == b"profile"
    found = Image.Exif()
    found.load(kept.exif)
    assert found[ExifTags.Base.Make] == "maker"
    assert form == "TIFF" or found[ExifTags.Base.Orientation] == 6
    assert kept.dpi is None if form == "WEBP" else round(kept.dpi[0]) == 72  # type: ignore[index]
