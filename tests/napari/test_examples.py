"""The examples, and the program of docs/napari.md, run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_links_of_the_page() -> None:
    links = re.findall(r"\]\((\.\.[^)#]*|[A-Z]\w+\.md)", PAGE)
    assert len(links) > 3
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
