"""How many processors a process may use."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agvae import processors as module
from agvae.processors import processors


@pytest.fixture(autouse=True)
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of control groups in place of the machine's, in which are 64 processors."""
    monkeypatch.setattr(os, "process_cpu_count", lambda: 64, raising=False)
    monkeypatch.setattr(module, "_GROUPS", tmp_path / "own")
    monkeypatch.setattr(module, "_MOUNTED", tmp_path)
    module._quota.cache_clear()
    yield tmp_path
    module._quota.cache_clear()


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(("limit", "count"), [("200000 100000", 2), ("150000 100000", 2), ("1000 100000", 1)])
def test_the_quota_of_a_container(limit: str, count: int, groups: Path) -> None:
    put(groups / "own", "0::/\n")
    put(groups / "cpu.max", limit + "\n")
    assert processors() == count


def test_no_quota(groups: Path) -> None:
    put(groups / "own", "0::/\n")
    put(groups / "cpu.max", "max 100000\n")
    assert processors() == 64


def test_neither_groups_nor_files() -> None:
    assert processors() == 64


def test_groups_around_the_own_one(groups: Path) -> None:
    """The least holds."""
    put(groups / "own", "0::/a.slice/b.service\n")
    put(groups / "a.slice/cpu.max", "300000 100000\n")
    put(groups / "a.slice/b.service/cpu.max", "1200000 100000\n")
    assert processors() == 3


@pytest.mark.parametrize("folder", ["cpu/docker/1", "cpu"])
def test_the_first_version(folder: str, groups: Path) -> None:
    """Whose own group may be mounted as the root of all."""
    put(groups / "own", "5:memory:/docker/1\n3:cpu,cpuacct:/docker/1\n0::/\n")
    put(groups / folder / "cpu.cfs_quota_us", "250000\n")
    put(groups / folder / "cpu.cfs_period_us", "100000\n")
    assert processors() == 3
    module._quota.cache_clear()
    put(groups / folder / "cpu.cfs_quota_us", "-1\n")
    assert processors() == 64


def test_damaged_files(groups: Path) -> None:
    put(groups / "own", "0::/\n")
    put(groups / "cpu.max", "1 0\n")
    assert processors() == 64


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs affinity")
def test_affinity() -> None:
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from agvae.processors import processors
print(processors())
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))}
    assert subprocess.check_output([sys.executable, "-c", code], text=True, env=environment) == "1\n"
