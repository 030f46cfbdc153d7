"""What people read first: links that lead somewhere, addresses to fill in, and workflows that run what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
NOX = (ROOT / "noxfile.py").read_text(encoding="utf-8")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PAGES = sorted(
    path
    for folder in (".", "docs", "docs/*", "weights", "weights/*", ".github", "examples")
    for path in ROOT.glob(f"{folder}/*.md")
)


def prose(path: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^( *)```.*?^\1```$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """Of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"https?://|mailto:", link):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_versions_agree() -> None:
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.*)$", text, re.M) == re.findall(r'^version = "(.*)"$', PROJECT, re.M)


def test_the_owner_is_missing_in_no_address_or_in_all() -> None:
    """So that the one edit that RELEASING.md names is enough."""
    files = [ROOT / name for name in ("CITATION.cff", "SECURITY.md", "pyproject.toml", "mkdocs.yml")]
    files += (ROOT / ".github").rglob("*.*")
    text = "".join(path.read_text(encoding="utf-8") for path in files if path.exists())
    owners = re.findall(r"github\.com/([\w-]+)/agvae\b", text) + re.findall(r"//([\w-]+)\.github\.io/", text)
    assert len(owners) > 7
    assert len(set(owners)) == 1


def test_workflows_test_what_is_supported() -> None:
    versions = re.findall(r"Python :: (3\.\d+)", PROJECT)
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    (named,) = re.findall(r"python: \[(.*)\]", text)
    assert named == ", ".join(f'"{version}"' for version in versions)
    systems = re.findall(r"\{system: (\w+)-latest, python: \"(.*)\"\}", text)
    ends = (versions[0], versions[-1])
    assert systems == [(system, version) for system in ("macos", "windows") for version in ends]


def test_workflows_run_sessions_that_are_there_and_all_of_them() -> None:
    sessions = set(re.findall(r"^@nox\.session.*\ndef (\w+)", NOX, re.MULTILINE))
    text = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    (matrix,) = re.findall(r"session: \[(.*)\]", text)
    lines = re.findall(r"run: nox -s ([a-z_ ]+)$", text, re.MULTILINE)
    assert {*matrix.split(", "), *(name for line in lines for name in line.split())} == sessions


def test_the_display_of_the_workflow_is_that_of_nox() -> None:
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    (line,) = re.findall(r"--no-install-recommends (.*?)\n      - ", text, re.DOTALL)
    (names,) = re.findall(r"LIBRARIES = \[(.*?)\]", NOX, re.DOTALL)
    assert set(line.replace("\\", "").split()) == set(re.findall(r'"(.*?)"', names))


def test_actions_are_pinned_and_permissions_are_least() -> None:
    for path in WORKFLOWS:
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"uses: (?!\S+@[0-9a-f]{40}  # v[\d.]+$).*", text, re.MULTILINE) == [], path
        assert "\npermissions:\n  contents: read\n" in text, path
        assert text.count("timeout-minutes:") == text.count("runs-on:"), path
