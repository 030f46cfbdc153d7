"""Neither memory nor descriptors leak, and a leak would be seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import leaks

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")

LIMIT = 1_000_000
"""Bytes in a block of repetitions: less than one small image in each."""


@pytest.fixture(scope="module")
def growths(tiny_weights_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, int]]:
    folder = tmp_path_factory.mktemp("leaks")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "AGVAE_DEVICE": "cpu"}
    environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))
    command = [sys.executable, "-W", "error", "-m", "tests.support.leaks", tiny_weights_folder, folder]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    assert "ResourceWarning" not in result.stderr
    measured: dict[str, tuple[int, int]] = json.loads(result.stdout)
    return measured


def test_nothing_leaks(growths: dict[str, tuple[int, int]]) -> None:
    honest = {name: growth for name, growth in growths.items() if not name.startswith("leak_")}
    assert len(honest) == len(growths) - 2
    assert {name: growth for name, growth in honest.items() if growth[0] > LIMIT or growth[1] != 0} == {}


def test_planted_leaks_are_seen(growths: dict[str, tuple[int, int]]) -> None:
    assert growths["leak_an_image"][0] > LIMIT
    assert growths["leak_a_descriptor"][1] == leaks.REPETITIONS
