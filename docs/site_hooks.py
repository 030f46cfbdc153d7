"""For mkdocs: links from the pages to files outside of this folder lead to the repository."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).parents[1]


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """The text with links as GitHub has them, of which those that leave the folder become addresses."""
    folder = PurePosixPath("docs", page.file.src_uri).parent

    def replaced(match: re.Match[str]) -> str:
        name, _, anchor = match[1].partition("#")
        target = (ROOT / folder / name).resolve()
        if re.match(r"[a-z]+:|#", match[1]) or target.is_relative_to(ROOT / "docs"):
            return match[0]
        kind = "tree" if target.is_dir() else "blob"
        address = f"{config.repo_url}/{kind}/main/{target.relative_to(ROOT).as_posix()}"
        return f"]({address}{'#' if anchor else ''}{anchor})"

    return re.sub(r"\]\(([^)\s]+)\)", replaced, markdown)
