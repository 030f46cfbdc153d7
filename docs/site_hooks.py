"""For mkdocs: links to files outside of this folder lead to the repository, and lines break where they may."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).parents[1]
_CODE_OR_TAG = r"<pre\b.*?</pre>|<code\b.*?</code>|<[^>]*>"
_UNITS = r"%|[km]?s|min|[kKMG]i?B|dB|bpp|bits?|bytes|pixels|megapixels|MP|Mpixel|kMAC|[MG]MAC/s"


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


def on_page_content(html: str, **_: Any) -> str:
    """The page with numbers that stay with their units, and long names in tables that break between their words."""
    unbroken = re.sub(
        rf"({_CODE_OR_TAG})|(?<=\d) (?=(?:{_UNITS})(?!\w))|(?<=\d) [x/] (?=\d)",
        lambda match: match[1] or match[0].replace(" ", "\N{NO-BREAK SPACE}"),
        html,
        flags=re.DOTALL,
    )

    def broken(table: re.Match[str]) -> str:
        return re.sub(
            r"(?<=<code>)[^<]{20,}(?=</code>)",
            lambda code: re.sub(r"(::|(?<!\btest)_|/|\.(?!py\b))(?=\w)", r"\1<wbr>", code[0]),
            table[0],
        )

    return re.sub(r"<table>.*?</table>", broken, unbroken, flags=re.DOTALL)
