"""Addresses of servers: as messages may show them, and as they are asked for.

User names, passwords, queries (signatures, tokens) and fragments are nobody's business but the server's.
"""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit, urlunsplit

_PATH = re.compile(r"(?:[A-Za-z]:)?[\\/](?![\\/])|[.~]")
"""How a path begins that cannot be meant as an address."""
_URL = re.compile(r"[a-z][a-z0-9+.-]+(://|::)", re.IGNORECASE)
_SERVER = re.compile(r"(?:[\w.-]+|\[[\dA-Fa-f:.]+\])(?::\d{0,5})?")
_HIDDEN = "..."


def public(address: str) -> str:
    """An address or a path without what may be secret in it, however it is written."""
    text = address.strip()
    if _PATH.match(text):
        return text
    scheme, mark, rest = text.rpartition("://") if text.count("://") == 1 else ("", "", text)
    before, at, after = rest.rpartition("@")
    shown = re.split(r"[?#]", after)[0]
    server = re.split(r"[\\/]", shown)[0]
    doubtful = re.search(r"[:%]", server) and not _SERVER.fullmatch(server)
    if re.search(r"[?#]", before) or doubtful:
        return scheme + mark + _HIDDEN
    if at and (not mark or re.search(r"[\\/]", before)):
        shown = f"{_HIDDEN}@{shown}"
    return scheme + mark + shown


def is_url(text: str) -> bool:
    """Whether a name is an address, or a chain of them as fsspec takes it, and not that of a file."""
    return bool(_URL.match(text)) and not os.path.lexists(text)


def join(address: str, file: str) -> str:
    """The address of a file in the folder at an address, whose query it keeps.

    Raises:
        ValueError: not an address, or part of a password may be taken for the name of a server or for a path; the
            message holds nothing of it.
    """
    try:
        parts = urlsplit(address.strip())
        sound = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # whose text and whose context quote it
        sound = False
    else:
        behind = urlunsplit(parts._replace(scheme="", netloc=""))
        sound = sound and "\\" not in address and not re.search(r":.*@", behind, re.DOTALL)
    if not sound:
        msg = "it is not an address (a password in one needs %2F for /, %3F for ?, %23 for #, %40 for @ and %25 for %)"
        raise ValueError(msg)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{file}", fragment=""))
