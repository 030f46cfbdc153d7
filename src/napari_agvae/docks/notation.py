"""Numbers as people write them, in whatever language."""

from __future__ import annotations

import re
import unicodedata

_SIGNS = str.maketrans({"٫": ".", "٬": ",", "。": ".", "、": ",", "−": "-", "\N{RIGHT SINGLE QUOTATION MARK}": "'"})  # noqa: RUF001
_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?")
_BEGUN = re.compile(r"[+-]?[\d.,' _]*(e[+-]?\d*)?")


def parse_number(text: str) -> float | None:
    """The number that a text says, None if it says none.

    One point or comma is the decimal one: "1,5" and "1.500" are 1.5.  Of both kinds the last is, and the others are
    between thousands, as are several of one kind, spaces and apostrophes.  Digits may be those of any script.
    """
    plain = _tidy(text)
    mantissa, exponent, power = plain.partition("e")
    marks = [mark for mark in mantissa if mark in ".,' _"]
    decimal = marks[-1] if marks and marks[-1] in ".," and marks.count(marks[-1]) == 1 else ""
    whole, _, rest = mantissa.rpartition(decimal) if decimal else (mantissa, "", "")
    groups = re.split(r"[.,' _]", whole)
    if len(set(marks) - {decimal}) > 1 or not all(2 <= len(group) <= 3 for group in groups[1:]):
        return None
    plain = "".join(groups) + (f".{rest}" if decimal else "") + exponent + power
    return float(plain) if _PLAIN.fullmatch(plain) else None


def may_become_number(text: str) -> bool:
    """Whether a text may be the beginning of a number, or is one."""
    return bool(_BEGUN.fullmatch(_tidy(text)))


def _tidy(text: str) -> str:
    """In ASCII, as far as that goes, without spaces around it."""
    plain = unicodedata.normalize("NFKC", text).translate(_SIGNS).strip().lower()
    return "".join(str(unicodedata.digit(sign, sign)) for sign in plain)
