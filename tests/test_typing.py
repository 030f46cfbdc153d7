"""The public names as a strict type checker sees them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PROGRAM = """
import numpy as np
from PIL import Image

import agvae
import pillow_agvae

pillow_agvae.register()
pixels = np.zeros((8, 8, 3), np.uint8)
data: bytes = agvae.encode(pixels, 3.5, metadata=agvae.Metadata(comment=b"c"), thumbnail=True)
several = [pixels, pixels]
frames: bytes = agvae.encode(several, s=2, l=0.5) + agvae.encode((pixels, Image.fromarray(pixels)))
deep: bytes = agvae.encode(np.zeros((8, 8), np.uint16), target_size=1000)
Image.fromarray(agvae.decode(data, (0, 0, 4, 4), frame=0)).save("x.png")
files: list[bytes] = agvae.encode_batch([pixels, Image.open("x.png"), [pixels]], quality=75)
shapes = [image.shape for image in agvae.decode_batch(files)]
width: int = agvae.read_info(data)["width"]
try:
    Image.open("x.agv").seek(1)
except agvae.AgvError as error:
    print(error.errno)
"""


def check(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / "program.py"
    path.write_text(program)
    config = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(folder / "cache")]
    command = [sys.executable, "-m", "mypy", "--strict", *config, str(path)]
    environment = {**os.environ, "MYPYPATH": str(ROOT / "src")}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=500)


def test_a_program_passes_strict_checks(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    result = check(PROGRAM, tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    wrong = check(PROGRAM + "agvae.encode(5)\nagvae.read_info(data).width\n", tmp_path)
    assert wrong.stdout.count("program.py:") == 2, wrong.stdout
