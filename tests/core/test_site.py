"""What the docs site makes of pages beside what mkdocs does."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "docs" / "site_hooks.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<td>+0.1 %</td>", "<td>+0.1\xa0%</td>"),
        ("<p>20 ms of 768 x 512 pixels</p>", "<p>20\xa0ms of 768\xa0x\xa0512\xa0pixels</p>"),
        ("<td>36.0 / 23.0</td>", "<td>36.0\xa0/\xa023.0</td>"),
        ("<p>2 seasons, 3 mice</p>", "<p>2 seasons, 3 mice</p>"),
        ("<p><code>-q 3 %</code></p>", "<p><code>-q 3 %</code></p>"),
        ('<pre class="a">\n1 s\n</pre>', '<pre class="a">\n1 s\n</pre>'),
    ],
)
def test_numbers_stay_with_their_units(hooks: ModuleType, text: str, shown: str) -> None:
    assert hooks.on_page_content(text) == shown


def test_long_names_in_tables_break_between_words(hooks: ModuleType) -> None:
    code = "<code>tests/test_api.py::test_one_of_many</code>"
    broken = "<code>tests/<wbr>test_api.py::<wbr>test_one_<wbr>of_<wbr>many</code>"
    assert hooks.on_page_content(f"<p>{code}</p>") == f"<p>{code}</p>"
    assert hooks.on_page_content(f"<table><td>{code}</td></table>") == f"<table><td>{broken}</td></table>"


def test_links_out_of_the_folder_lead_to_the_repository(hooks: ModuleType) -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_uri="arrays.md"))
    config = SimpleNamespace(repo_url="https://example.org/agvae")
    text = "[a](pillow.md#options), [b](../README.md#more), [c](../examples), [d](https://example.org), [e](#here)"
    links = "[b](https://example.org/agvae/blob/main/README.md#more), [c](https://example.org/agvae/tree/main/examples)"
    shown = f"[a](pillow.md#options), {links}, [d](https://example.org), [e](#here)"
    assert hooks.on_page_markdown(text, page, config) == shown


def test_links_between_files_of_the_repository_lead_somewhere() -> None:
    """Those within the site are checked where it is built."""
    broken = []
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "weights").rglob("*.md")]
    for page in pages:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            if re.match("[a-z]+:", link) or target.suffix == ".png":  # an sdist has no pictures
                continue
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append(f"{page.relative_to(ROOT)}: {link}")
    assert broken == []


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
