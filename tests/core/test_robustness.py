"""Damaged files in a child process with limits: errors of the OSError family alone, whatever the file holds.

A failure shows the bytes; `tests.support.fuzz_plugin.one_input(bytes.fromhex("..."))` runs them again.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

import agvae
import pillow_agvae  # noqa: F401
from agvae.container import SIGNATURE
from tests.support import fuzz_container, sandbox
from tests.support.corpus import boundary_cases, mutate, small_files

pytestmark = [
    pytest.mark.usefixtures("tiny_weights"),
    pytest.mark.skipif(sys.platform != "linux", reason="needs limits on memory, and /proc"),
]

SUPPORT = Path(sandbox.__file__).parent
NAMES = ("plain", "tiles", "frames")
MUTATIONS = 10_000
"""Of all files together."""


@pytest.fixture(scope="module")
def files(tiny_weights_folder: Path) -> dict[str, bytes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agvae.weights.registries.BUNDLED", tiny_weights_folder)
        return small_files()


def load_all(data: bytes) -> None:
    """Load every frame."""
    with Image.open(io.BytesIO(data)) as im:
        im.load()
    for frame in range(1, agvae.read_info(data)["frames"]):
        agvae.decode(data, frame=frame)


@pytest.mark.parametrize("name", NAMES)
def test_files_are_what_they_should_be(name: str, files: dict[str, bytes]) -> None:
    assert len(files[name]) < 2000
    load_all(files[name])
    with Image.open(io.BytesIO(files[name])) as im:
        im.verify()
    info = agvae.read_info(files[name])
    assert [info[key] for key in ("width", "height", "mode", "frames", "tiles", "metadata")] == {
        "plain": [40, 24, "RGB", 1, 1, []],
        "tiles": [128, 24, "LA", 1, 2, ["icc_profile", "exif", "xmp", "comment", "dpi"]],
        "frames": [40, 24, "I;16", 2, 1, ["durations", "loop", "thumbnail"]],
    }[name]


def test_mutations_are_the_same_for_a_seed_and_differ_between_seeds(files: dict[str, bytes]) -> None:
    for data in files.values():
        mutations = [mutate(data, seed) for seed in range(300)]
        assert mutations == [mutate(data, seed) for seed in range(300)]
        assert len(set(mutations)) > 250


@pytest.mark.parametrize("name", NAMES)
def test_no_prefix_loads(name: str, files: dict[str, bytes]) -> None:
    data = files[name]
    for length in range(len(data)):
        with pytest.raises(OSError, match=r"\w"):
            load_all(data[:length])


def test_damaged_containers(files: dict[str, bytes]) -> None:
    """The other target for fuzzing, with checksums made right and as they are."""
    for data in files.values():
        for seed in range(300):
            fuzz_container.one_input(bytes([255 * (seed % 2)]) + mutate(data, seed)[len(SIGNATURE) :])


def test_damaged_files(files: dict[str, bytes], tiny_weights: Path) -> None:
    """Every prefix, every boundary, and thousands of mutations; one process for each file."""

    def failure_of(data: bytes) -> str | None:
        inputs = {f"prefix of {length} bytes": data[:length] for length in range(len(data))}
        inputs |= {f"boundary {number}": case for number, case in enumerate(boundary_cases(data))}
        inputs |= {f"mutation of seed {seed}": mutate(data, seed) for seed in range(MUTATIONS // len(NAMES) + 1)}
        failure = sandbox.run("tests.support.fuzz_plugin:one_input", list(inputs.values()), data, tiny_weights)
        if failure is None:
            return None
        name, case = [("no damage", data), *inputs.items()][failure.number + 1]
        return f"{name}: {failure.reason}\n{case.hex()}"

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        failures = dict(zip(files, pool.map(failure_of, files.values()), strict=True))
    assert failures == dict.fromkeys(files)


@pytest.mark.parametrize(
    ("target", "reason"),
    [("grab_memory", "MemoryError"), ("hang", "SIGALRM"), ("die", "SIGABRT"), ("fail", "RuntimeError: planted")],
)
def test_failures_are_seen(target: str, reason: str, tiny_weights: Path) -> None:
    inputs = [b"good", b"bad", b"good"]
    failure = sandbox.run(f"tests.support.sandbox:{target}", inputs, b"good", tiny_weights, seconds=1)
    assert failure is not None
    assert failure.number == 1
    assert reason in failure.reason
    assert sandbox.run(f"tests.support.sandbox:{target}", [b"good"], b"good", tiny_weights, seconds=1) is None


@pytest.mark.parametrize("target", ["fuzz_container", "fuzz_plugin"])
def test_targets_may_stand_behind_other_lines(target: str) -> None:
    """As OSS-Fuzz measures coverage."""
    source = (SUPPORT / f"{target}.py").read_text(encoding="utf-8")
    compile(f"import atexit\n{source}", target, "exec")


def test_the_build_for_oss_fuzz(tmp_path: Path, tiny_weights: Path) -> None:
    """With what its image has replaced by what only writes down how it was called."""
    tools, out = tmp_path / "tools", tmp_path / "out"
    tools.mkdir()
    out.mkdir()
    for name in ("pip3", "compile_python_fuzzer"):
        (tools / name).write_text(f'#!/bin/sh\necho {name} "$@" >>"$OUT/calls"\n')
        (tools / name).chmod(0o755)
    (tools / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (tools / "python3").chmod(0o755)
    environment = {**os.environ, "OUT": str(out), "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))
    build = SUPPORT / "oss-fuzz" / "build.sh"
    subprocess.run(["bash", build], env=environment, check=True)
    calls = (out / "calls").read_text().splitlines()
    assert [call.split()[0] for call in calls] == ["pip3", "compile_python_fuzzer", "compile_python_fuzzer"]
    for target, count in (("fuzz_container", 5), ("fuzz_plugin", 3)):
        with zipfile.ZipFile(out / f"{target}_seed_corpus.zip") as seeds:
            assert len(seeds.namelist()) == count
        assert '"TILE"' in (out / f"{target}.dict").read_text()
        assert (out / f"{target}.options").exists()
