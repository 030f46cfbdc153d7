"""The scripts of the release workflow, which runs nowhere before there is a repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHANGES = "# Changelog\n\n## [0.3.0] - 2027-02-01\n\n- new\n\n## [0.2.0] - 2027-01-01\n\n- old\n"
INFORMATION = "Name: agvae\nVersion: 0.2.0\nProject-URL: Source, https://github.com/{owner}/agvae\n"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the scripts are for GNU tools, as on the runner")


def run(step: str, folder: Path, tag: str = "v0.2.0") -> int:
    """The exit status of a step of release.yml, with bash as on the runner."""
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    (script,) = re.findall(rf"- name: {step}[^\n]*\n +run: \|\n((?: {{10}}.*\n)+)", text)
    script = re.sub("^ {10}", "", script, flags=re.MULTILINE)
    command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=os.environ | {"GITHUB_REF_NAME": tag}, timeout=60).returncode


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    files = {"PKG-INFO": INFORMATION.format(owner=getattr(request, "param", "somebody")), "CHANGELOG.md": CHANGES}
    (tmp_path / "dist").mkdir()
    with tarfile.open(tmp_path / "dist" / "agvae-0.2.0.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
            archive.add(tmp_path / name, f"agvae-0.2.0/{name}")
    return tmp_path


def test_a_release_is_published_under_its_tag(folder: Path) -> None:
    assert run("refuse addresses", folder) == 0
    assert run("refuse addresses", folder, "v0.2.1") != 0


@pytest.mark.parametrize("folder", ["OWNER"], indirect=True)
def test_a_release_whose_addresses_were_not_filled_in_is_refused(folder: Path) -> None:
    assert run("refuse addresses", folder) != 0


def test_the_draft_says_what_the_change_log_says_of_the_version(folder: Path) -> None:
    assert run("what the change log", folder) == 0
    assert (folder / "notes").read_text(encoding="utf-8").strip() == "- old"
    assert run("what the change log", folder, "v0.4.0") != 0
