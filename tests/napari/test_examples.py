"""The examples, and the program of docs/napari.md, run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from napari_agvae import write_agv
from tests.support.helpers import picture

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PAGE = (ROOT / "docs" / "napari.md").read_text(encoding="utf-8")


def run(name: str, *arguments: str) -> str:
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=600).stdout


def test_stack(tmp_path: Path) -> None:
    path = tmp_path / "waves.agv"
    lines = run("napari_stack.py", str(path)).splitlines()
    assert lines[0].startswith(f"{path}: (3, 2, 96, 128) float32, {path.stat().st_size} bytes")
    assert lines[1] == "scale [10.0, 2.0, 0.5, 0.5] units ('s', 'um', 'um', 'um')"
    assert float(lines[2].split()[-1]) < 0.02


@pytest.mark.napari
def test_headless(tmp_path: Path) -> None:
    lines = run("napari_headless.py", str(tmp_path)).splitlines()
    sizes = [int(line.split()[1]) for line in lines[:3]]
    assert sizes == sorted(sizes)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cells.agv",
        "photo-1.agv",
        "photo-3.5.agv",
        "photo-6.agv",
    ]
    assert "(8, 160, 200) uint16, scale [5.   0.65 0.65]" in lines[3]


def test_program_of_the_page(tmp_path: Path) -> None:
    (program,) = re.findall(r"^## Scripts\n.*?^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    command = [sys.executable, "-c", program]
    found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600, cwd=tmp_path).stdout
    size = (tmp_path / "stack.agv").stat().st_size
    assert found == f"(4, 64, 96) float32 [1.0, 0.5, 0.5] {size}\n"


def test_opening_as_the_page_says(viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("photo", "a", "b"):
        write_agv(tmp_path / f"{name}.agv", [(picture(60, 40), {}, "image")])
    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"^## Opening files\n.*?^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    exec(program, {"viewer": viewer})
    assert [layer.data.shape for layer in viewer.layers] == [(40, 60, 3), (2, 40, 60, 3)]


def test_settings_as_the_page_says(settings_page: Any) -> None:
    (statement,) = re.findall(r"^In Python: `(napari\.settings.*)`\.$", PAGE, re.MULTILINE)
    exec(f"import napari.settings; {statement}")
    assert settings_page.coding.quality == 4


@pytest.mark.napari
@pytest.mark.skipif(not os.environ.get("DISPLAY"), reason="no display: run under xvfb-run")
def test_the_command_of_napari_opens_a_file(tmp_path: Path) -> None:
    """It goes on until it is stopped, and complains of nothing."""
    file = tmp_path / "photo.agv"
    write_agv(file, [(picture(60, 40), {}, "image")])
    watch = (
        "import sys, napari\nfrom napari.__main__ import main\nfrom qtpy.QtCore import QTimer\nrun = napari.run\n"
        "def watched(*args, **options):\n"
        "    QTimer.singleShot(500, lambda: (print([layer.name for layer in napari.current_viewer().layers]),"
        " napari.current_viewer().close()))\n"
        "    run(*args, **options)\n"
        "napari.run = watched\n"
        "sys.argv = ['napari', '--plugin', 'agvae', sys.argv[1]]\nmain()"
    )
    command = [sys.executable, "-c", watch, str(file)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    assert "['photo']" in done.stdout
    assert "Traceback" not in done.stderr


def test_links_of_the_page() -> None:
    links = re.findall(r"\]\((\.\.[^)#]*|[A-Z]\w+\.md)", PAGE)
    assert len(links) > 3
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
