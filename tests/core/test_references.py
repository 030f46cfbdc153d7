"""What docstrings name by author and year is in docs/REFERENCES.md, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEY = re.compile(r"((?:[A-ZÉ]\w+, )*[A-ZÉ]\w+(?: et al\.| and [A-ZÉ]\w+)) ((?:19|20)\d\d)\b")


def test_every_key_has_its_reference_and_every_reference_is_named() -> None:
    table = (ROOT / "docs" / "REFERENCES.md").read_text(encoding="utf-8")
    known = set(re.findall(r"^\| ([^|]+ (?:19|20)\d\d) \|", table, re.MULTILINE))
    assert len(known) > 10
    text = " ".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "src").rglob("*.py")))
    named = {f"{authors} {year}".removeprefix("PCHIP, ") for authors, year in KEY.findall(" ".join(text.split()))}
    assert named == known
