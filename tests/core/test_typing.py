"""What a type checker makes of a program that uses the installed package."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """\
from __future__ import annotations
import agvae
import pillow_agvae
from PIL import Image

def smaller(path: str, quality: float) -> dict[str, object]:
    with Image.open(path) as im:
        data: bytes = agvae.encode(im, quality, metadata=agvae.Metadata(comment=b"smaller"))
    height, width = agvae.decode(data).shape[:2]
    return agvae.read_info(data) | {"pixels": width * height}

pillow_agvae.register()
agvae.options.threads = 2
print(smaller("photo.png", 3.5))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has the built wheel, and everything else from the one that runs this."""
    folder = tmp_path_factory.mktemp("installed")
    build = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, folder], check=True, capture_output=True, cwd=ROOT, timeout=120)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True, timeout=120)
    scheme = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
    site = Path(sysconfig.get_path("purelib", vars=scheme))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / "others.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return Path(sysconfig.get_path("scripts", vars=scheme)) / Path(sys.executable).name


def check(program: str, python: Path, folder: Path) -> tuple[int, str]:
    (folder / "program.py").write_text(program, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        f"--python-executable={python}",
        "program.py",
    ]
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH")}
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, env=environment)
    return result.returncode, result.stdout + result.stderr


def test_strict_types_of_a_program(python: Path, tmp_path: Path) -> None:
    assert check(PROGRAM, python, tmp_path) == (0, "Success: no issues found in 1 source file\n")


def test_wrong_types_are_seen(python: Path, tmp_path: Path) -> None:
    wrong = PROGRAM.replace("quality, metadata", "str(quality), metadata").replace("threads = 2", "threads = 'two'")
    code, output = check(wrong, python, tmp_path)
    assert code == 1
    assert output.count("error:") == 2, output
