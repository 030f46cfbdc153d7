"""What a user gets: the built wheel, import costs, and what the README promises about them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import distributions
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

import pillow_agvae  # noqa: F401
from agvae import weights
from agvae.container import SIGNATURE

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def run(code: str, *arguments: str, path: Path | None = None) -> str:
    """What a new interpreter prints, importing from `path` before anything installed."""
    environment = {**os.environ, "PYTHONPATH": str(path)} if path else {**os.environ}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120, env=environment).stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", build, str(folder)], check=True, capture_output=True, cwd=ROOT, timeout=120)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_wheel_holds_all_that_is_needed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    modules = {p.relative_to(ROOT / "src").as_posix() for p in (ROOT / "src").rglob("*.py")}
    default = weights.registry()["default"]
    shipped = {f"agvae/bundled/{name}" for name in (f"{default}.md", f"{default}.safetensors", "registry.json")}
    assert {name for name in names if name.startswith("agvae/bundled/")} == shipped
    markers = {f"{package}/py.typed" for package in ("agvae", "napari_agvae", "pillow_agvae")}
    pages = {p.relative_to(ROOT / "src").as_posix() for p in (ROOT / "src/agvae/pages/files").iterdir()}
    assert {*modules, *shipped, *markers, *pages, "napari_agvae/napari.yaml", "napari_agvae/icons/agvae.svg"} <= names
    tops = {Path(name).parts[0] for name in names}
    assert {top for top in tops if not top.endswith((".dist-info", ".data"))} == {
        "agvae",
        "napari_agvae",
        "pillow_agvae",
    }


def test_sdist_holds_its_tests_and_neither_models_of_experiments_nor_pictures_of_documents(tmp_path: Path) -> None:
    build = "import sys; from hatchling.build import build_sdist; print(build_sdist(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", build, str(tmp_path)], check=True, capture_output=True, cwd=ROOT, timeout=120)
    (path,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {Path(*Path(name).parts[1:]).as_posix() for name in archive.getnames()}
    tops = ("src", "reproduction", "tests", "docs", "examples", "benchmarks")
    here = {file.relative_to(ROOT).as_posix() for top in tops for file in (ROOT / top).rglob("*") if file.is_file()}
    pictures = {name for name in here if name.startswith("docs/") and name.endswith(".png")}
    assert {name for name in here - pictures if "__pycache__" not in name} <= names
    assert pictures.isdisjoint(names)
    of_experiments = {name for name in names if name.startswith("weights/experiments/")}
    assert of_experiments == {"weights/experiments/README.md"}


def test_default_weights_are_bundled(unpacked: Path) -> None:
    code = "from agvae import weights; print(weights.find(weights.registry()['default']))"
    found = Path(run(code, path=unpacked).strip())
    assert found.parent == unpacked / "agvae" / "bundled"
    assert found.stat().st_size <= 40_000_000
    default = weights.registry()["default"]
    assert weights.find(default).parent == ROOT / "weights"
    assert (ROOT / "weights" / f"{default}.md").read_text(encoding="utf-8").strip()


def test_every_registered_model_has_a_complete_entry() -> None:
    registry = weights.registry()
    assert registry["default"] in registry["models"]
    for name, entry in registry["models"].items():
        assert entry.keys() == weights.ModelEntry.__annotations__.keys(), name
        assert re.fullmatch("[0-9a-f]{64}", entry["sha256"])
        assert Path(entry["file"]).name == entry["file"]


@pytest.mark.parametrize(
    "module", ["agvae", "agvae.container", "agvae.quality", "agvae.weights", "napari_agvae", "pillow_agvae"]
)
def test_import_is_light(module: str) -> None:
    loaded = run(f"import sys, {module}; print(*sys.modules)").split()
    assert module in loaded
    assert {"torch", "numpy", "constriction", "safetensors", "requests"}.isdisjoint(loaded)


def test_the_plugin_imports_no_more_than_opening_needs() -> None:
    loaded = "import sys, PIL.Image; before = {*sys.modules}; import pillow_agvae; print(*({*sys.modules} - before))"
    assert {"csv", "hashlib", "lzma", "shutil"}.isdisjoint(run(loaded).split())


def test_a_wheel_says_where_the_figures_are_made(unpacked: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agvae", "reproduce", "fig9"]
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, cwd=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "in the repository" in done.stderr
    assert "python -m reproduction" in done.stderr


def test_a_wheel_that_is_not_unpacked_says_that_it_must_be(wheel: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agvae", "weights", "list"]
    environment = {**os.environ, "PYTHONPATH": str(wheel)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, cwd=tmp_path)
    assert done.returncode == 1
    wanted = f"agvae runs from {wheel}, where no model can be read: install it as files, with pip"
    assert done.stderr == f"agvae: error: {wanted}\n"


def test_entry_points(unpacked: Path) -> None:
    (distribution,) = distributions(path=[str(unpacked)])
    entries = {(e.group, e.name): e.value for e in distribution.entry_points}
    assert entries == {
        ("console_scripts", "agvae"): "agvae.cli:main",
        ("napari.manifest", "agvae"): "napari_agvae:napari.yaml",
        ("pillow.plugins", "agvae"): "pillow_agvae",
    }
    requirements = distribution.requires or []
    assert not [line for line in requirements if re.search("qt|pyside", line, re.IGNORECASE)]
    assert "Framework :: napari" in distribution.metadata.get_all("Classifier", [])
    page = distribution.read_text("METADATA") or ""
    assert len(re.findall(r"\]\(https:", page)) == README.count("](")  # as the package page has no files beside it


def test_the_readme_has_two_commands_and_ci_runs_the_tests() -> None:
    demo, tests = [line for line in README.splitlines() if line.startswith("python3 -m venv ")]
    assert demo.endswith("/agvae demo")
    assert tests.endswith("/nox")
    assert demo in README.splitlines()[:20]
    assert "grep '^python3 -m venv .*nox' README.md" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_readme_and_nox_name_the_same_packages_of_debian() -> None:
    (line,) = (line for line in README.splitlines() if line.startswith("apt-get install") and "xvfb" in line)
    (names,) = re.findall(r"LIBRARIES = \[(.*?)\]", (ROOT / "noxfile.py").read_text(encoding="utf-8"), re.DOTALL)
    assert set(line.split()[3:]) == set(re.findall(r'"(.*?)"', names))
    (line,) = (line for line in README.splitlines() if line.startswith("apt-get install") and "chromium" in line)
    assert f'"{line}"' in (ROOT / "noxfile.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "call",
    [
        'Image.open("photo.agv")',
        'img.save("photo.agv")',
        'img.save("photo", "AGV")',
        'Image.open("photo.agv", formats=["AGV"])',
    ],
)
def test_the_questions_quote_the_errors_of_a_missing_import(call: str, tmp_path: Path) -> None:
    code = f"""
import os, traceback
from PIL import Image
os.chdir({str(tmp_path)!r})
open("photo.agv", "wb").write(bytes(100))
img = Image.new("RGB", (8, 8))
try:
    {call}
except Exception as error:
    print(traceback.format_exception_only(error)[-1].strip())
"""
    message = run(code).strip().replace(f"{tmp_path}{os.sep}", "")  # Pillow 11 shows the whole path
    assert message in (ROOT / "docs" / "faq.md").read_text(encoding="utf-8").splitlines()


def test_contributors_are_told_where_everything_is() -> None:
    """What its table names is there, from the root or beside what was named before; and every room is named."""
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Where is what")[1]
    wrong, named = [], set()
    for row in re.findall(r"^\| .* \| (.*) \|$", table, re.MULTILINE)[1:]:
        folder = ROOT
        for name in re.findall(r"`([\w./]+(?:/|\.py|\.md)|\.ci/run)`", row):
            path = ROOT / name
            if path.exists():
                folder = path if path.is_dir() else path.parent
            else:
                path = folder / name
            if not path.exists():
                wrong.append(name)
            named |= {path, *path.parents}
    rooms = {path.parent for path in (ROOT / "src").glob("*/*/__init__.py")}
    tops = {ROOT / name for name in ("src", "tests", "benchmarks", "reproduction", "weights", "docs")}
    assert wrong == []
    assert {path.relative_to(ROOT).as_posix() for path in (rooms | tops) - named} == set()


def test_the_media_type_is_known_by_the_signature_and_is_no_key(unpacked: Path, tmp_path: Path) -> None:
    """libmagic takes many first bytes from 0x80 on for packets of OpenPGP, which mail filters look at."""
    root = ElementTree.parse(next(unpacked.glob("*.data/data/share/mime/packages/agvae.xml"))).getroot()
    space = {"m": "http://www.freedesktop.org/standards/shared-mime-info"}
    entry = root.find("m:mime-type", space)
    assert entry is not None
    assert entry.attrib["type"] == Image.MIME["AGV"]
    match = entry.find("m:magic/m:match", space)
    assert match is not None
    assert match.attrib["value"].encode().decode("unicode_escape").encode("latin-1") == SIGNATURE
    if shutil.which("file"):
        (tmp_path / "x").write_bytes(next((ROOT / "tests" / "data").glob("rgb*.agv")).read_bytes())
        assert subprocess.run(["file", "-b", tmp_path / "x"], capture_output=True, text=True).stdout == "data\n"
