"""The programs of docs/RECIPES.md as they stand there."""

from __future__ import annotations

import io
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest
from PIL import Image, ImageOps, features

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
    Image.fromarray(picture(150, 100)).save(tmp_path / "large.agv", tile_size=64)
    (tmp_path / "photos").mkdir()
    for number in range(COUNT):
        Image.fromarray(picture(48, 32, number)).save(tmp_path / "photos" / f"{number}.agv")
    return tmp_path


def run(program: str, folder: Path, *command: str) -> str:
    """What a program prints; with `command`, the interpreter gets that instead."""
    path = folder / "program.py"
    path.write_text(program, encoding="utf-8")
    arguments = [sys.executable, *(command or (path.name,))]
    result = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=300, env=environment())
    assert result.returncode == 0, result.stderr
    return result.stdout


def environment() -> dict[str, str]:
    path = os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))
    return {**os.environ, "AGVAE_DEVICE": "cpu", "OMP_NUM_THREADS": "1", "PYTHONPATH": path}


def without_registration(program: str) -> str:
    changed = re.sub(r"^( *)import pillow_agvae\b.*", r"\1pass", program, flags=re.MULTILINE)
    assert changed != program
    return changed


def test_every_recipe_is_tested() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", DOCUMENT, re.MULTILINE)
    assert len(headings) == 14
    assert [heading for heading in headings if f'"{heading}"' not in tests] == []


def test_dataloader(folder: Path) -> None:
    (program,) = blocks("PyTorch DataLoader")
    lines = run(program, folder).splitlines()
    assert lines == [f"{method} torch.uint8 (2, 3, 32, 48)" for method in ("fork", "spawn") for _ in range(COUNT // 2)]


def needed(*modules: str) -> None:
    """Skip a test if one of these is not there, or does not fit the others; nox -s recipes has them."""
    for module in modules:
        done = subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"{module}: {done.stderr.strip().splitlines()[-1]}")


def test_image_folder(folder: Path) -> None:
    needed("torchvision")
    (program,) = blocks("torchvision ImageFolder")
    assert run(program, folder) == "torch.uint8 (3, 32, 32) photos\n"


def test_webdataset(folder: Path) -> None:
    needed("webdataset")
    (program,) = blocks("WebDataset")
    assert run(program, folder).splitlines() == ["uint8 (32, 48, 3) 7"] * COUNT


def test_hugging_face(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed("datasets")
    monkeypatch.setenv("HF_HOME", str(folder / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (program,) = blocks("Hugging Face datasets")
    lines = run(program, folder).splitlines()
    assert lines == ["(48, 32)"] + ["uint8 (2, 32, 48, 3)"] * (COUNT // 2)


@pytest.mark.skipif(os.name != "posix", reason="gunicorn is for POSIX")
def test_gunicorn(folder: Path) -> None:
    needed("fastapi", "gunicorn.workers.gasgi")
    (program,), (command,) = blocks("FastAPI under gunicorn"), blocks("FastAPI under gunicorn", "sh")
    (folder / "app.py").write_text(program, encoding="utf-8")
    lying = Image.Exif()
    lying[0x0112] = 6
    for number in range(2):
        Image.fromarray(picture(48, 32)).save(folder / "photos" / f"{number}.agv", exif=lying)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    arguments = [sys.executable, "-m", *command.split(), "--bind", address]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(arguments, cwd=folder, env=environment(), stdout=log, stderr=log) as server,
    ):
        try:
            found = [asked(f"http://{address}/{name}", accept) for name, accept in ASKED]
        finally:
            server.terminate()
    said = (folder / "log").read_text(encoding="utf-8")
    kinds = ["image/x-agv", "image/avif" if features.check("avif") else "image/jpeg", "image/jpeg", "404"]
    assert [kind for kind, _ in found] == kinds, said
    assert found[0][1] == (folder / "photos" / "0.agv").read_bytes()
    for _, data in found[:3]:
        with Image.open(io.BytesIO(data)) as im:
            assert ImageOps.exif_transpose(im).size == (32, 48)


ASKED = [
    ("0", "image/x-agv,*/*;q=0.1"),
    ("1", "text/html,image/avif,image/webp,*/*;q=0.8"),
    ("1", "*/*"),
    ("none", "*/*"),
]


def asked(url: str, accept: str) -> tuple[str, bytes]:
    """What a server answers, once it is there: the kind of its content, or its refusal, and the content."""
    deadline = time.monotonic() + 120
    while True:
        try:
            with urlopen(Request(url, headers={"Accept": accept}), timeout=60) as answer:
                return answer.headers["Content-Type"], answer.read()
        except HTTPError as error:
            return str(error.code), b""
        except URLError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_large_files(folder: Path) -> None:
    (program,) = blocks("A large file as a lazy array")
    compare = 'import numpy as np\nprint(np.array_equal(photo.compute(), agvae.decode("large.agv")))\n'
    assert run(program + compare, folder) == "(100, 150, 3) (2, 3, 1) (30, 10, 3)\nTrue\n"


def test_imageio(folder: Path) -> None:
    (program,) = blocks("imageio")
    assert run(program, folder).splitlines() == ["uint8 (32, 48, 3)", "[(32, 48, 3), (32, 48, 3)]"]
    with Image.open(folder / "copy.agv") as im:
        assert im.format == "AGV"


def test_scikit_image(folder: Path) -> None:
    (program,) = blocks("scikit-image")
    assert run(program, folder) == "uint8 (32, 48, 3) (32, 48, 3)\n"


def test_boxes(folder: Path) -> None:
    (program,) = blocks("Boxes of large pictures")
    assert run(program, folder) == "(16, 32, 3) True\n"


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
