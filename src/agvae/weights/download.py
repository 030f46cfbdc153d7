"""One file over HTTP, of known size and SHA-256: resumed, bounded, and there whole or not at all.

Beside the file that it is to make, `fetch` keeps two more: `.part` has the bytes that came so far, be it in another
process, and `.lock` lets one process or thread at a time download; the system frees the lock of a process that dies.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from agvae.errors import DownloadError as DownloadError
from agvae.progress import checkpoint

if TYPE_CHECKING:
    from requests import Response
    from tqdm import tqdm

CONNECT_TIMEOUT, STALL_TIMEOUT = 10.0, 30.0
"""Seconds to wait for a connection, and for the next bytes."""
GRACE, MIN_RATE = 60.0, 2**14
"""A download lasts GRACE seconds at most, and one second more for every MIN_RATE bytes of the file."""
ATTEMPTS, PROGRESS = 4, 2**20
"""It ends after so many attempts in a row of which none brought PROGRESS bytes."""
PAUSE = 0.5
"""Seconds before the second attempt; each one after it waits twice as long."""

_BLOCK = 2**16
_PART_IS_NO_USE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ELOOP)
"""Errors after which the part is removed: a disk that ran full is not left full, a link is not followed."""
_SHORT = (errno.ENOMEM, errno.EMFILE, errno.ENFILE)
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", re.ASCII)
_KEPT = " ({} of {} bytes came; another call goes on from there)"
_PROXY_HINT = "; HTTPS_PROXY and HTTP_PROXY name proxies, as http://user:password@host:port"
_CERTIFICATE_HINT = "; where a proxy opens encrypted traffic, REQUESTS_CA_BUNDLE must name a file with its certificate"
_QUOTES = re.compile(r"[/:@'\"]")
"""What a message has that quotes an address or a header."""
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)


class _BrokenOff(Exception):
    """An attempt ended early; another may get further."""


class _WrongPart(_BrokenOff):
    """The server does not go on where the part ends."""


def is_intact(path: Path, size: int, sha256: str) -> bool:
    """Whether a file is there, has `size` bytes and this SHA-256 (64 hexadecimal digits).

    Raises:
        OSError: that cannot be said, since memory or file descriptors are short.
    """
    try:
        if path.stat().st_size != size:
            return False
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) in _SHORT:
            raise
        return False
    return digest.hexdigest() == sha256


def fetch(url: str, target: Path, size: int, sha256: str) -> None:
    """Download to `target` unless it is there by now; its folder is made if it is missing.

    Bytes that came before a failure are kept for the next call, unless they are wrong or the disk is full.

    Raises:
        DownloadError: no connection, or a server that answers with anything but the file.
        OSError: the folder cannot be written to.
        ValueError: not an address.
    """
    from filelock import FileLock, Timeout

    seconds = GRACE + size / MIN_RATE
    part = target.with_name(f"{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{target}.lock", timeout=seconds):
            if is_intact(target, size, sha256):
                return
            deadline = time.monotonic() + seconds
            for _ in range(2):  # the part may be that of a broken download, so wrong bytes get a second chance
                _complete(url, part, size, deadline)
                if is_intact(part, size, sha256):
                    os.replace(part, target)  # noqa: PTH105
                    return
                part.unlink()
    except Timeout as error:
        msg = f"another process has not finished downloading it within {seconds:.0f} seconds"
        raise DownloadError(msg) from error
    except OSError as error:
        if error.errno in _PART_IS_NO_USE:
            part.unlink(missing_ok=True)
        raise
    msg = "the server has another file in its place (the SHA-256 is not the registered one)"
    raise DownloadError(msg)


def _complete(url: str, part: Path, size: int, deadline: float) -> None:
    """Append to the part until it has its size."""
    from tqdm import tqdm

    quiet = sys.stderr is None or not sys.stderr.isatty()
    with (
        open(part, "ab", opener=_open_no_link) as file,
        tqdm(desc=part.stem, total=size, unit="B", unit_scale=True, disable=quiet) as bar,
    ):
        failures = 0
        while (start := file.tell()) != size:
            if start > size:
                _restart(file)
            try:
                _append(url, file, size, deadline, bar)
            except _BrokenOff as error:
                failures = 1 if file.tell() - start >= PROGRESS else failures + 1
                if failures == ATTEMPTS:
                    msg = f"{error}{_KEPT.format(file.tell(), size)}"
                    raise DownloadError(msg) from error
                time.sleep(PAUSE * 2 ** (failures - 1))


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _restart(file: IO[bytes]) -> None:
    file.seek(0)
    file.truncate()


def _append(url: str, file: IO[bytes], size: int, deadline: float, bar: tqdm[Any]) -> None:
    """Ask for the bytes that are missing, and write them as they come."""
    import requests
    from urllib3.exceptions import HTTPError

    start = file.tell()
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        with _answer(url, headers) as response:
            position = _first_byte(response, start, size)
            while position < size:
                block = response.raw.read1(min(size - position, _BLOCK), decode_content=False)
                if not block:
                    msg = "the answer ended early"
                    raise _BrokenOff(msg)
                if position != file.tell():
                    _restart(file)
                file.write(block)
                position += len(block)
                bar.update(position - bar.n)
                checkpoint(len(block))
                if time.monotonic() > deadline:
                    msg = f"too slow{_KEPT.format(position, size)}"
                    raise DownloadError(msg)
    except _WrongPart:
        _restart(file)
        raise
    except (requests.RequestException, HTTPError, ValueError) as error:
        failure = _failure(error, resumed=start > 0)
    else:
        return
    raise failure  # here, since what it comes from holds addresses with passwords


def _answer(url: str, headers: dict[str, str]) -> Response:
    """The beginning of an answer; raises RequestException, or ValueError for an address that is none."""
    import requests

    timeout, hooks = (CONNECT_TIMEOUT, STALL_TIMEOUT), {"response": _drop_redirect_body}
    try:
        return requests.get(url, headers=headers, stream=True, timeout=timeout, hooks=hooks)
    except TypeError:  # for a proxy with a user and no host
        msg = "a proxy's address is not a valid one: it has no host"
        raise ValueError(msg) from None


def _failure(error: Exception, resumed: bool) -> Exception:
    """What to raise in place of an error of the HTTP client."""
    import requests
    from urllib3.exceptions import MaxRetryError

    if isinstance(error, ValueError | requests.TooManyRedirects):
        return DownloadError(_explain(error))
    if not resumed and any(isinstance(cause, MaxRetryError) for cause in error.args):
        return DownloadError(f"no connection: {_explain(error)}")
    return _BrokenOff(f"the connection failed: {_explain(error)}")


def _drop_redirect_body(response: Response, **_: object) -> None:
    """Close a redirect before requests reads its body, which may be endless."""
    if response.is_redirect:
        response.close()


def _first_byte(response: Response, start: int, size: int) -> int:
    """Where in the file the bytes of a response begin: `start`, or 0."""
    status, headers = response.status_code, response.headers
    sent = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "")) if status == 206 else None
    total = headers.get("Content-Length", "") if status == 200 else sent[2] if sent else ""
    if status == 407:
        msg = f"the proxy answers 407: it wants a user name and a password{_PROXY_HINT}"
        raise DownloadError(msg)
    if status >= 500 or status in (408, 425, 429):
        msg = f"the server answers {status}"
        raise _BrokenOff(msg)
    if status not in (200, 206, 416 if start else 200):
        msg = f"the server answers {status}"
        raise DownloadError(msg)
    if status != 200 and (sent is None or int(sent[1]) not in (0, start)):
        msg = "the server answers with another part than was asked for"
        raise _WrongPart(msg)
    if headers.get("Content-Type", "").lower().startswith("text/html"):
        msg = "a web page came in its place; is there a proxy or a network that wants a login?"
        raise DownloadError(msg)
    if _NUMBER.fullmatch(total) and int(total) != size:
        msg = f"the server has a file of {int(total)} bytes in its place, not of {size}"
        raise DownloadError(msg)
    return int(sent[1]) if sent else 0


def _explain(error: BaseException) -> str:
    """The innermost cause of an error, which may quote the server, and what may help."""
    from requests.exceptions import ProxyError, SSLError

    cause = error
    while inner := [e for e in (getattr(cause, "reason", None), *cause.args) if isinstance(e, Exception)]:
        cause = inner[0]
    if isinstance(error, ValueError) and _QUOTES.search(str(error)):
        return f"its address, or that of a proxy or of a redirect, is not a valid one{_PROXY_HINT}"
    text = "".join(c if c.isprintable() else " " for c in str(cause)[:200]).strip() or type(cause).__name__
    hint = _PROXY_HINT if isinstance(error, ProxyError) else _CERTIFICATE_HINT if isinstance(error, SSLError) else ""
    return text + hint
