"""What is written in prose: the Markdown files of the folder `prose`."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).with_name("prose")


def read(name: str, **values: object) -> str:
    """A text without the newline at its end; `{key}` in it becomes the value of that name."""
    content = (FOLDER / f"{name}.md").read_text(encoding="utf-8").rstrip("\n")
    return content.format(**values) if values else content


def read_sections(name: str) -> dict[str, str]:
    """The sections of a text, each in one line, by their headings of the second level."""
    _, *parts = re.split(r"^## (.+)\n", read(name), flags=re.MULTILINE)
    return {heading: " ".join(body.split()) for heading, body in zip(parts[::2], parts[1::2], strict=True)}
