"""The programs of docs/RECIPES.md as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import pillow_agvae  # noqa: F401
from tests.support.helpers import picture

DOCUMENT = (Path(__file__).parents[2] / "docs" / "RECIPES.md").read_text(encoding="utf-8")
COUNT = 4


def blocks(heading: str, language: str = "python") -> list[str]:
    """The programs under a heading of the document."""
    (section,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", DOCUMENT, re.DOTALL | re.MULTILINE)
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.fromarray(picture(48, 32)).save(tmp_path / "photo.png")
    (tmp_path / "photos").mkdir()
    for number in range(COUNT):
        Image.fromarray(picture(48, 32, number)).save(tmp_path / "photos" / f"{number}.agv")
    return tmp_path


def run(program: str, folder: Path, *command: str) -> str:
    """What a program prints; with `command`, the interpreter gets that instead."""
    path = folder / "program.py"
    path.write_text(program, encoding="utf-8")
    environment = {**os.environ, "AGVAE_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))
    arguments = [sys.executable, *(command or (path.name,))]
    result = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=300, env=environment)
    assert result.returncode == 0, result.stderr
    return result.stdout


def without_registration(program: str) -> str:
    changed = re.sub(r"^( *)import pillow_agvae\b.*", r"\1pass", program, flags=re.MULTILINE)
    assert changed != program
    return changed


def test_every_recipe_is_tested() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", DOCUMENT, re.MULTILINE)
    assert len(headings) == 8
    assert [heading for heading in headings if f'"{heading}"' not in tests] == []


def test_dataloader(folder: Path) -> None:
    (program,) = blocks("PyTorch DataLoader")
    lines = run(program, folder).splitlines()
    assert lines == [f"{method} torch.uint8 (2, 3, 32, 48)" for method in ("fork", "spawn") for _ in range(COUNT // 2)]


def test_imageio(folder: Path) -> None:
    (program,) = blocks("imageio")
    assert run(program, folder).splitlines() == ["uint8 (32, 48, 3)", "[(32, 48, 3), (32, 48, 3)]"]
    with Image.open(folder / "copy.agv") as im:
        assert im.format == "AGV"


def test_scikit_image(folder: Path) -> None:
    (program,) = blocks("scikit-image")
    assert run(program, folder) == "uint8 (32, 48, 3) (32, 48, 3)\n"


def test_matplotlib(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    (program,) = blocks("matplotlib")
    assert run(program, folder) == "(300, 400, 3)\n"
    with Image.open(folder / "chart.agv") as im:
        assert im.format == "AGV"


def test_notebooks(folder: Path) -> None:
    (program,) = blocks("Notebooks")
    assert run(program, folder) == "b'PNG' ['AGV', 'WebP', 'JPEG'] <iframe\n"


def test_dask(folder: Path) -> None:
    (program,) = blocks("dask")
    assert run(program, folder) == f"({COUNT}, 3)\n({COUNT}, 3)\n"


SITE = """
import sys
from pathlib import Path

import django
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection

settings.configure(
    INSTALLED_APPS=["photos"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    MEDIA_ROOT="media",
    USE_TZ=True,
)
django.setup()

from photos.forms import PhotoForm
from photos.models import Photo

with connection.schema_editor() as editor:
    editor.create_model(Photo)

def upload(data, name="photo.agv"):
    form = PhotoForm(files={"image": SimpleUploadedFile(name, data)})
    if not form.is_valid():
        return [error.code for error in form.errors["image"].as_data()]
    photo = Photo.objects.get(pk=form.save().pk)
    photo.full_clean()
    with photo.image.open("rb") as fp:
        stored = fp.read()
    return photo.width, photo.height, stored == data, form.cleaned_data["image"].content_type

data = Path("photos/0.agv").read_bytes()
print(upload(data))
print(upload(data[:-1]))
print(upload(data[:-9] + bytes(9)))
print(upload(data, "photo.exe"))
print(upload(b"text"))
"""


@pytest.mark.parametrize("registered", [True, False])
def test_django(registered: bool, folder: Path) -> None:
    for program in blocks("Django ImageField"):
        name = program.splitlines()[0].removeprefix("# ")
        path = folder / name
        path.write_text(
            program if registered or "apps.py" not in name else without_registration(program), encoding="utf-8"
        )
    (folder / "photos" / "__init__.py").touch()
    accepted, *refused = run(SITE, folder).splitlines()
    if registered:
        assert accepted == "(48, 32, True, 'image/x-agv')"
        assert refused == ["['invalid_image']", "['invalid_image']", "['invalid_extension']", "['invalid_image']"]
    else:
        assert {accepted, *refused} == {"['invalid_image']"}


def test_unchanged_program(folder: Path) -> None:
    (command,) = blocks("A program that is not to be changed", "sh")
    program = "import sys\nfrom PIL import Image\nImage.open(sys.argv[1]).convert('L').save(sys.argv[2])\n"
    (folder / "convert.py").write_text(program, encoding="utf-8")
    (folder / "photos" / "0.agv").rename(folder / "photo.agv")
    python, *arguments = command.split()
    assert python == "python"
    assert run("", folder, *arguments) == ""
    with Image.open(folder / "photo.jpg") as im:
        assert (im.format, im.size) == ("JPEG", (48, 32))


@pytest.mark.parametrize("heading", ["PyTorch DataLoader", "imageio", "scikit-image"])
def test_the_import_is_what_it_takes(heading: str, folder: Path) -> None:
    (program,) = blocks(heading)
    with pytest.raises(AssertionError, match=r"UnidentifiedImageError|cannot identify|unknown file extension|agv"):
        run(without_registration(program), folder)
