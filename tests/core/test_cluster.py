"""A batch on a real Dask cluster of two worker processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import agvae
import agvae.batch
from agvae.batch import cluster as cluster_module
from agvae.batch.batches import Batch
from agvae.batch.inputs import Search
from agvae.batch.work import Work
from agvae.cli import main
from agvae.conversion.to_agv import Encoding
from tests.support.helpers import picture

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = {"n_workers": 2, "threads_per_worker": 2, "processes": True, "dashboard_address": None}
    folder = tmp_path_factory.mktemp("dask")
    failures = dask.config.set({"distributed.scheduler.allowed-failures": 1})
    with failures, distributed.LocalCluster(**options, local_directory=str(folder)) as cluster:
        yield cluster


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "in" / "x").mkdir(parents=True)
    for number in range(60):
        path = tmp_path / "in" / f"{'x/' * (number % 2)}{number}.png"
        Image.fromarray(picture(32, 24, number)).save(path)
    (tmp_path / "in" / "bad.png").write_bytes(b"none")
    return tmp_path / "in"


def check(source: Path, out: Path) -> None:
    """Every file is there once and right."""
    found = sorted(out.rglob("*"))
    assert [path.suffix for path in found if path.is_file()] == [".agv"] * 60
    for path in source.rglob("*.png"):
        if path.name != "bad.png":
            with Image.open(path) as image:
                pixels = agvae.decode((out / path.relative_to(source)).with_suffix(".agv"))
                np.testing.assert_array_equal(pixels, np.asarray(image))


def test_one_of_two_workers_is_killed(
    cluster: Any, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "CHUNK", 4)
    with distributed.Client(cluster, set_as_default=False) as client:
        pids = client.run(os.getpid)
        results = []
        for result in agvae.batch.encode([source], tmp_path / "out", lossless=True, scheduler=client):
            results.append(result)
            if len(results) == 10:
                os.kill(next(iter(pids.values())), signal.SIGKILL)
        assert client.status == "running"  # it is not ours to close
    assert len(results) == len({result.source for result in results}) == 61
    assert [result.source.name for result in results if result.status == "failed"] == ["bad.png"]
    check(source, tmp_path / "out")


def test_on_the_command_line(
    cluster: Any, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # where no worker is
    arguments = ["encode", "in", "--out", "out", "--lossless", "--scheduler", cluster.scheduler_address]
    assert main([*arguments, "--log", "log"]) == 1
    out, error = capsys.readouterr()
    assert out.startswith("60 encoded (")
    assert "bad.png: cannot identify image file" in error
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {line["source"] for line in lines} == {str(path.relative_to(tmp_path)) for path in source.rglob("*.png")}
    check(source, tmp_path / "out")
    assert main(arguments) == 1
    assert "60 skipped" in capsys.readouterr().out


def test_targets_by_url(cluster: Any, source: Path, tmp_path: Path) -> None:
    out = f"dir://out/coded::{tmp_path.as_uri()}"
    results = agvae.batch.encode([source], out, lossless=True, scheduler=cluster.scheduler_address)
    assert [result.source.name for result in results if result.status != "done"] == ["bad.png"]
    check(source, tmp_path / "out" / "coded")


def test_a_model_is_loaded_once_in_a_worker(cluster: Any, tmp_path: Path, tiny_weights_folder: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(8):
        Image.fromarray(picture(24, 24, number)).save(tmp_path / "in" / f"{number}.png")

    def loaded() -> int:
        from agvae.coding import loaded

        return len(loaded._models)

    with distributed.Client(cluster, set_as_default=False) as client:
        with agvae.options.using(weights=tiny_weights_folder):
            results = list(
                agvae.batch.encode(
                    [tmp_path / "in"], tmp_path / "out", 2, model="tiny", scheduler=cluster.scheduler_address
                )
            )
        assert [result.error for result in results] == [None] * 8
        assert max(client.run(loaded).values()) == 1
        assert set(client.run(lambda: repr(agvae.options)).values()) == {repr(agvae.options)}
    assert agvae.read_info(tmp_path / "out" / "3.agv")["model"] == "tiny"


class Deadly(Work):
    """Kills the worker that it is done in, if the file is bad."""

    def __call__(self, job: Any) -> Any:
        if job.source.name == "bad.png":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(job)


def test_a_file_that_kills_every_worker(cluster: Any, source: Path, tmp_path: Path) -> None:
    work = Deadly(Encoding({"lossless": True}), {}, None, force=False, preserve=False)
    search, out = Search(lambda path: path.suffix == ".png", tmp_path / "out"), tmp_path / "out"
    inputs = [source / "bad.png", source / "0.png"]
    results = {
        result.source.name: result
        for result in Batch(inputs, search, out, "{stem}.agv", work, 1, cluster.scheduler_address)
    }
    assert "bad.png: the workers that had it ended, as happens when memory is short" in str(results["bad.png"].error)
    assert results["0.png"].error is None
    assert [path.name for path in out.iterdir()] == ["0.agv"]


def test_no_scheduler(source: Path, tmp_path: Path) -> None:
    with dask.config.set({"distributed.comm.timeouts.connect": "200ms"}):
        batch = agvae.batch.encode([source], tmp_path / "out", lossless=True, scheduler="tcp://127.0.0.1:9")
        with pytest.raises(OSError, match=r"tcp://127\.0\.0\.1:9"):
            list(batch)
    with pytest.raises(ValueError, match="only one of jobs and scheduler"):
        agvae.batch.encode([source], tmp_path / "out", jobs=2, scheduler="tcp://127.0.0.1:9")


@pytest.mark.parametrize("address", ["foo", "none://foo:1", "tcp://foo"])
def test_a_bad_address_ends_the_process(address: str, tmp_path: Path) -> None:
    Image.fromarray(picture(8, 8, 0)).save(tmp_path / "a.png")
    command = [sys.executable, "-m", "agvae", "encode", tmp_path / "a.png", "--out", tmp_path / "out", "--lossless"]
    done = subprocess.run([*command, "--scheduler", address], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("agvae: error: ")
