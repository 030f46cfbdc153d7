"""The templates in `files`, filled: values are escaped, styles and programs are put in."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

_FILES = files("agvae.pages") / "files"


def pieces(template: str, **values: Any) -> Iterator[str]:
    """The text of a template with these values, piece by piece; what a generator among them gives is asked for then."""
    return _environment().get_template(template).generate(**values)


def printable(name: str) -> str:
    """A name of a file with its bytes that are no text, and characters that would not show, in notation."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def data_url(kind: str, data: bytes) -> Markup:
    """An address that holds a picture, the file of which is of that kind."""
    return Markup(f"data:image/{kind};base64,{base64.b64encode(data).decode()}")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_read), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals["inline"] = lambda name: Markup(_read(name))
    return environment


def _read(name: str) -> str:
    return (_FILES / name).read_text(encoding="utf-8")
