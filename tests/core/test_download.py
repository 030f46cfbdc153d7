"""Downloads from a real HTTP server that drops, stalls, truncates, lies, and from none at all."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agvae.weights import download
from agvae.weights.download import DownloadError, fetch
from tests.support.helpers import files_of_at_most
from tests.support.http_server import Reply, Server, serving

CONTENT = hashlib.shake_256(b"weights").digest(1 << 20)
SIZE = len(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HALF = Reply(drop_after=SIZE // 2)
FETCH = """
import pathlib, signal, sys
from agvae.weights import download
signal.signal(signal.SIGINT, signal.default_int_handler)  # what started the tests may ignore it
download.PAUSE = 0.01
try:
    download.fetch(sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(CONTENT) as server:
        yield server


@pytest.fixture
def url(server: Server) -> str:
    return f"{server.origin}/m.safetensors"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache" / "m.safetensors"


@pytest.fixture
def part(target: Path) -> Path:
    return target.with_name("m.safetensors.part")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxies from outside, and no long waits."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(download, "PAUSE", 0.001)


def get(url: str, target: Path) -> None:
    fetch(url, target, SIZE, SHA256)


def start_process(url: str, target: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FETCH, url, str(target), str(SIZE), SHA256]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*")}


class TestGoodServers:
    def test_the_file_appears_and_nothing_else_but_a_lock(self, server: Server, url: str, target: Path) -> None:
        get(url, target)
        assert target.read_bytes() == CONTENT
        assert names(target.parents[1]) <= {"cache", target.name, f"{target.name}.lock"}
        assert server.requests == [("/m.safetensors", "")]

    def test_a_file_that_is_there_is_not_asked_for(self, server: Server, url: str, target: Path) -> None:
        target.write_bytes(CONTENT)
        get(url, target)
        assert server.requests == []

    def test_a_damaged_file_that_is_there_is_replaced(self, url: str, target: Path) -> None:
        target.write_bytes(CONTENT[:-1])
        get(url, target)
        assert target.read_bytes() == CONTENT

    @pytest.mark.parametrize("reply", [Reply(length=0), Reply(chunked=True), Reply(chunked=True, block=1000)])
    def test_without_content_length(self, reply: Reply, server: Server, url: str, target: Path) -> None:
        server.replies = [reply]
        get(url, target)
        assert target.read_bytes() == CONTENT

    def test_redirects_are_followed_with_the_range(self, server: Server, url: str, target: Path, part: Path) -> None:
        part.write_bytes(CONTENT[:1000])
        server.replies = [Reply(302, headers={"Location": "../a"}), Reply(308, headers={"Location": "/b"}), Reply()]
        get(url, target)
        assert target.read_bytes() == CONTENT
        assert server.requests == [(path, "bytes=1000-") for path in ("/m.safetensors", "/a", "/b")]


class TestResuming:
    def test_after_drops_no_byte_is_asked_for_twice(self, server: Server, url: str, target: Path) -> None:
        server.replies = [Reply(drop_after=100_000), Reply(drop_after=200_000), Reply(drop_after=1), Reply()]
        get(url, target)
        assert target.read_bytes() == CONTENT
        assert [asked for _, asked in server.requests] == ["", "bytes=100000-", "bytes=300000-", "bytes=300001-"]
        patience = time.monotonic() + 10
        while server.sent < SIZE and time.monotonic() < patience:  # its thread counts a block after it has sent it
            time.sleep(0.01)
        assert server.sent == SIZE

    def test_after_a_stall(self, server: Server, url: str, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(download, "STALL_TIMEOUT", 0.3)
        server.replies = [Reply(stall_after=100_000), Reply()]
        start = time.monotonic()
        get(url, target)
        assert target.read_bytes() == CONTENT
        assert server.requests[1][1] == "bytes=100000-"
        assert time.monotonic() - start >= download.STALL_TIMEOUT

    @pytest.mark.parametrize(
        "raw", [b"", b"HTTP/1.1 200", b"\x00\xff" * 100, b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000]
    )
    def test_after_no_answer_or_half_of_one(self, raw: bytes, server: Server, url: str, target: Path) -> None:
        server.replies = [Reply(raw=raw), HALF, Reply(raw=raw), Reply()]
        get(url, target)
        assert target.read_bytes() == CONTENT
        assert server.requests[-1][1] == f"bytes={SIZE // 2}-"

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    def test_after_a_passing_error_of_the_server(self, status: int, server: Server, url: str, target: Path) -> None:
        server.replies = [Reply(status), HALF, Reply(status), Reply()]
        get(url, target)
        assert target.read_bytes() == CONTENT
        assert [asked for _, asked in server.requests] == ["", "", f"bytes={SIZE // 2}-", f"bytes={SIZE // 2}-"]

    def test_progress_allows_any_number_of_drops(
        self, server: Server, url: str, target: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(download, "PROGRESS", 60_000)
        server.replies = [Reply(drop_after=60_000)]
        get(url, target)
        assert target.read_bytes() == CONTENT
        assert len(server.requests) == -(-SIZE // 60_000)

    def test_without_much_progress_attempts_end_and_the_next_call_goes_on(
        self, server: Server, url: str, target: Path
    ) -> None:
        server.replies = [Reply(drop_after=1000)]
        with pytest.raises(DownloadError, match=f"4000 of {SIZE} bytes came"):
            get(url, target)
        assert len(server.requests) == download.ATTEMPTS == 4
        assert not target.exists()
        server.replies = [Reply()]
        get(url, target)
        assert target.read_bytes() == CONTENT
        assert server.requests[4:] == [("/m.safetensors", "bytes=4000-")]

    @pytest.mark.parametrize("chunked", [False, True])
    def test_without_content_length_a_short_answer_is_continued(
        self, chunked: bool, server: Server, url: str, target: Path
    ) -> None:
        server.replies = [Reply(length=0, chunked=chunked, drop_after=5000), Reply()]
        get(url, target)
        assert target.read_bytes() == CONTENT
        assert server.requests[1][1] == "bytes=5000-"

    def test_ignored_ranges_start_anew(self, server: Server, url: str, target: Path) -> None:
        server.replies = [HALF, Reply(ranges=False, drop_after=1000), Reply(ranges=False)]
        get(url, target)
        assert target.read_bytes() == CONTENT
        assert [asked for _, asked in server.requests] == ["", f"bytes={SIZE // 2}-", "bytes=1000-"]

    @pytest.mark.parametrize(
        "answer",
        [f"bytes 5-{SIZE - 1}/{SIZE}", "bytes 5-", "bytes */1048576", "junk", "", f"bytes -1-5/{SIZE}", "bytes ٣-5/*"],
    )
    def test_a_wrong_content_range_starts_anew(
        self, answer: str, server: Server, url: str, target: Path, part: Path
    ) -> None:
        part.write_bytes(CONTENT[:1000])
        server.replies = [Reply(headers={"Content-Range": answer.encode().decode("latin-1")}), Reply()]
        get(url, target)
        assert target.read_bytes() == CONTENT
        assert [asked for _, asked in server.requests] == ["bytes=1000-", ""]

    def test_a_range_from_the_start_is_used(self, server: Server, url: str, target: Path, part: Path) -> None:
        part.write_bytes(b"x" * 1000)
        whole = Reply(status=206, headers={"Content-Range": f"bytes 0-{SIZE - 1}/*"})
        server.replies = [whole]
        get(url, target)
        assert target.read_bytes() == CONTENT
        assert len(server.requests) == 1

    def test_a_range_that_cannot_be_had_starts_anew(self, server: Server, url: str, target: Path, part: Path) -> None:
        part.write_bytes(CONTENT[:1000])
        server.replies = [Reply(416, headers={"Content-Type": "text/html"}), Reply()]
        get(url, target)
        assert target.read_bytes() == CONTENT

    @pytest.mark.parametrize("length", [1, SIZE // 2, SIZE - 1, SIZE])
    def test_a_part_with_wrong_bytes_is_thrown_away(
        self, length: int, server: Server, url: str, target: Path, part: Path
    ) -> None:
        part.write_bytes(bytes(length))
        get(url, target)
        assert target.read_bytes() == CONTENT
        assert not part.exists()
        assert server.requests[-1][1] == ""

    def test_a_part_that_is_too_long_is_thrown_away(self, server: Server, url: str, target: Path, part: Path) -> None:
        part.write_bytes(CONTENT + b"x")
        get(url, target)
        assert target.read_bytes() == CONTENT
        assert server.requests == [("/m.safetensors", "")]

    def test_a_complete_part_needs_no_server(self, server: Server, url: str, target: Path, part: Path) -> None:
        part.write_bytes(CONTENT)
        get(url, target)
        assert target.read_bytes() == CONTENT
        assert server.requests == []


class TestBadServers:
    def test_wrong_bytes_get_one_fresh_try(self, server: Server, url: str, target: Path) -> None:
        server.replies = [Reply(content=CONTENT[::-1]), Reply()]
        get(url, target)
        assert target.read_bytes() == CONTENT

    def test_wrong_bytes_twice_are_an_error_and_leave_nothing(self, server: Server, url: str, target: Path) -> None:
        server.replies = [Reply(content=CONTENT[::-1])]
        with pytest.raises(DownloadError, match=r"another file in its place \(the SHA-256"):
            get(url, target)
        assert len(server.requests) == 2
        assert names(target.parent) <= {f"{target.name}.lock"}

    @pytest.mark.parametrize("length", [SIZE - 1, SIZE + 1, 1, 10**15])
    def test_another_length_is_refused_at_once(self, length: int, server: Server, url: str, target: Path) -> None:
        server.replies = [Reply(length=length)]
        with pytest.raises(DownloadError, match=f"a file of {length} bytes in its place, not of {SIZE}"):
            get(url, target)
        assert len(server.requests) == 1

    def test_another_length_in_a_range_is_refused_at_once(
        self, server: Server, url: str, target: Path, part: Path
    ) -> None:
        part.write_bytes(CONTENT[:1000])
        server.replies = [Reply(content=CONTENT + b"x")]
        with pytest.raises(DownloadError, match=f"a file of {SIZE + 1} bytes"):
            get(url, target)
        assert len(server.requests) == 1

    @pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit on file sizes here")
    @pytest.mark.parametrize("content", [CONTENT, bytes(1000)])
    def test_never_more_than_the_size_is_written(self, content: bytes, server: Server, url: str, target: Path) -> None:
        server.replies = [Reply(content=content, length=0, endless=True)]
        with files_of_at_most(SIZE):
            if content == CONTENT:
                get(url, target)  # what follows the right bytes is not looked at
                assert target.read_bytes() == CONTENT
            else:
                with pytest.raises(DownloadError, match="another file"):
                    get(url, target)

    def test_too_little_for_ever(self, server: Server, url: str, target: Path) -> None:
        server.replies = [Reply(content=CONTENT[:1000], length=0, ranges=False)]
        with pytest.raises(DownloadError, match="ended early"):
            get(url, target)
        assert len(server.requests) <= 2 * download.ATTEMPTS

    def test_a_drip_is_given_up(
        self, server: Server, url: str, target: Path, part: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(download, "GRACE", 0.5)
        monkeypatch.setattr(download, "MIN_RATE", 1e9)
        server.replies = [Reply(block=1, pause=0.02, drop_after=200)]
        start = time.monotonic()
        with pytest.raises(DownloadError, match="too slow"):
            get(url, target)
        assert time.monotonic() - start < 5
        assert CONTENT.startswith(part.read_bytes())

    def test_stalls_end(self, server: Server, url: str, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(download, "STALL_TIMEOUT", 0.05)
        server.replies = [Reply(stall_after=0)]
        with pytest.raises(DownloadError, match="timed out"):
            get(url, target)
        assert len(server.requests) == download.ATTEMPTS

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 204, 304, 299])
    def test_refusals_are_told_at_once(self, status: int, server: Server, url: str, target: Path) -> None:
        server.replies = [Reply(status)]
        with pytest.raises(DownloadError, match=f"the server answers {status}"):
            get(url, target)
        assert len(server.requests) == 1

    @pytest.mark.parametrize("length", [None, 0])
    def test_a_login_page_is_called_one(self, length: int | None, server: Server, url: str, target: Path) -> None:
        page = Reply(content=b"<html>log in", length=length, headers={"Content-Type": "Text/HTML; charset=utf-8"})
        server.replies = [Reply(302, headers={"Location": "/login"}), page]
        with pytest.raises(DownloadError, match=r"a web page came in its place; .*login"):
            get(url, target)
        assert target.name not in names(target.parent)

    def test_redirects_in_a_circle(self, server: Server, url: str, target: Path) -> None:
        server.replies = [Reply(302, headers={"Location": "/m.safetensors"})]
        with pytest.raises(DownloadError, match="30 redirects"):
            get(url, target)
        assert len(server.requests) <= 31

    @pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/m", "http://[", "http://a..b/", "x:y"])
    def test_redirects_to_nowhere(self, location: str, server: Server, url: str, target: Path) -> None:
        server.replies = [Reply(302, headers={"Location": location})]
        with pytest.raises((DownloadError, ValueError)):
            get(url, target)
        assert len(server.requests) == 1

    def test_the_endless_body_of_a_redirect_is_not_read(self, server: Server, url: str, target: Path) -> None:
        server.replies = [Reply(302, headers={"Location": "/there"}, length=0, endless=True), Reply()]
        get(url, target)
        assert target.read_bytes() == CONTENT
        assert server.sent < 50 * SIZE

    def test_compressed_bytes_are_not_decompressed(self, server: Server, url: str, target: Path, part: Path) -> None:
        packed = gzip.compress(bytes(SIZE))
        server.replies = [Reply(content=packed, length=0, ranges=False, headers={"Content-Encoding": "gzip"})]
        with pytest.raises(DownloadError, match="ended early"):
            get(url, target)
        assert len(part.read_bytes()) < SIZE // 2

    def test_what_a_server_says_is_not_printed_as_it_is(self, server: Server, url: str, target: Path) -> None:
        escape = "\x1b[31m"
        server.replies = [Reply(raw=b"\x1b[31m" * 10_000)]
        with pytest.raises(DownloadError, match="the connection failed: ") as caught:
            get(url, target)
        assert escape not in str(caught.value)
        assert len(str(caught.value)) < 400
        server.replies = [Reply(404, content=b"\x1b[31m", headers={"Content-Type": escape, "Server": escape})]
        with pytest.raises(DownloadError) as caught:
            get(url, target)
        assert str(caught.value) == "the server answers 404"


class TestNoServer:
    def test_refused_connections_are_told_at_once(self, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(download, "PAUSE", -1.0)  # to sleep is an error
        with serving(CONTENT) as closed:
            url = f"{closed.origin}/m"
        with pytest.raises(DownloadError, match=r"(?i)refused"):
            get(url, target)

    def test_unknown_hosts_are_told_at_once(self, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Fault injection: the resolver's answer where there is no network."""

        def unknown(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(download, "PAUSE", -1.0)  # to sleep is an error
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        with pytest.raises(DownloadError, match=r"Failed to resolve 'weights\.invalid'"):
            get("http://weights.invalid/m", target)

    def test_a_server_that_is_gone_in_the_middle(self, server: Server, url: str, target: Path, part: Path) -> None:
        part.write_bytes(CONTENT[:1000])
        with serving(CONTENT) as closed:
            gone = f"{closed.origin}/m"
        with pytest.raises(DownloadError, match=f"(?i)refused.*1000 of {SIZE} bytes came"):
            get(gone, target)
        get(url, target)
        assert server.requests == [("/m.safetensors", "bytes=1000-")]

    def test_no_certificate(self, server: Server, target: Path) -> None:
        with pytest.raises(DownloadError, match="REQUESTS_CA_BUNDLE"):
            get(f"https://127.0.0.1:{server.server_port}/m", target)

    @pytest.mark.parametrize("address", ["http://[", "http://", "http://a..b/m", "nonsense", "ftp://127.0.0.1/m"])
    def test_no_address(self, address: str, target: Path) -> None:
        with pytest.raises((DownloadError, ValueError)):
            get(address, target)

    def test_a_proxy_that_wants_a_password(self, server: Server, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        server.replies = [Reply(407)]
        monkeypatch.setenv("http_proxy", server.origin)
        monkeypatch.setenv("https_proxy", server.origin)
        with pytest.raises(DownloadError, match="the proxy answers 407"):
            get("http://weights.invalid/m", target)
        with pytest.raises(DownloadError, match=r"407.*HTTPS_PROXY"):
            get("https://weights.invalid/m", target)
        assert [path for path, _ in server.requests] == ["http://weights.invalid/m", "weights.invalid:443"]

    def test_a_proxy_that_is_not_there(self, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with serving(CONTENT) as closed:
            monkeypatch.setenv("http_proxy", closed.origin.replace("//", "//user:secret@"))
        with pytest.raises(DownloadError, match=r"(?i)refused.*HTTP_PROXY") as caught:
            get("http://weights.invalid/m", target)
        assert "secret" not in str(caught.value)

    def test_a_proxy_that_works(self, server: Server, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("http_proxy", server.origin)
        get("http://weights.invalid/m", target)
        assert target.read_bytes() == CONTENT


class TestDisk:
    @pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit on file sizes here")
    def test_a_file_that_cannot_be_written_whole_is_not_left_behind(self, url: str, target: Path) -> None:
        with files_of_at_most(SIZE // 2):
            with pytest.raises(OSError, match="File too large") as caught:
                get(url, target)
            assert caught.value.errno == errno.EFBIG
            assert names(target.parent) <= {f"{target.name}.lock"}

    def test_a_full_disk(self, url: str, target: Path, part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Fault injection: what the system says when the disk is full."""

        def full(*_: object) -> None:
            part.write_bytes(CONTENT[:10])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(download, "_append", full)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            get(url, target)
        assert not part.exists()

    def test_another_error_of_the_system_keeps_the_bytes(
        self, target: Path, part: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        part.write_bytes(CONTENT[:1000])
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(target.parent / "none"))
        with pytest.raises(OSError, match="certificate"):
            get("https://weights.invalid/m", target)
        assert part.read_bytes() == CONTENT[:1000]

    @pytest.mark.skipif(not hasattr(os, "seteuid"), reason="no users here")
    def test_a_folder_without_leave_to_write(self, server: Server, url: str, tmp_path: Path) -> None:
        folder = tmp_path / "read-only"
        folder.mkdir(mode=0o555)
        me = os.geteuid()
        try:
            if me == 0:  # nobody forbids root
                os.seteuid(65534)
            with pytest.raises(PermissionError):
                get(url, folder / "m")
        finally:
            os.seteuid(me)
        assert names(folder) == set()
        assert server.requests == []

    def test_a_file_in_the_place_of_the_folder(self, url: str, target: Path) -> None:
        target.parent.rmdir()
        target.parent.write_bytes(b"mine")
        with pytest.raises(FileExistsError):
            get(url, target)
        assert target.parent.read_bytes() == b"mine"

    def test_a_missing_folder_is_made(self, url: str, target: Path) -> None:
        get(url, target.parent / "a" / "b" / "m")
        assert (target.parent / "a" / "b" / "m").read_bytes() == CONTENT

    @pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="links can be told from files only when they are opened")
    def test_links_are_not_written_through(self, url: str, target: Path, part: Path, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.write_bytes(b"mine")
        part.symlink_to(outside)
        with pytest.raises(OSError, match="part"):
            get(url, target)
        get(url, target)
        assert target.read_bytes() == CONTENT
        assert outside.read_bytes() == b"mine"

    @pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="links can be told from files only when they are opened")
    def test_a_link_in_the_place_of_the_lock_is_refused(self, url: str, target: Path, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.write_bytes(b"mine")
        target.with_name(f"{target.name}.lock").symlink_to(outside)
        with pytest.raises(OSError, match="lock"):
            get(url, target)
        assert outside.read_bytes() == b"mine"

    def test_a_link_in_the_place_of_the_file_is_replaced(self, url: str, target: Path, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.write_bytes(b"mine")
        target.symlink_to(outside)
        get(url, target)
        assert target.read_bytes() == CONTENT
        assert not target.is_symlink()
        assert outside.read_bytes() == b"mine"


class TestSeveralAtOnce:
    def test_ten_processes_download_once(self, server: Server, url: str, target: Path) -> None:
        server.replies = [Reply(stall_after=SIZE // 2), Reply()]
        processes = [start_process(url, target) for _ in range(10)]
        try:
            wait_for(lambda: server.sent == SIZE // 2)
            assert not target.exists()
            time.sleep(1)  # so that the others come to wait
            server.wakes.set()
            errors = [process.communicate(timeout=60)[1] for process in processes]
        finally:
            for process in processes:
                process.kill()
        assert [process.returncode for process in processes] == [0] * 10, errors
        assert target.read_bytes() == CONTENT
        assert [asked for _, asked in server.requests] == ["", f"bytes={SIZE // 2}-"]

    def test_threads_download_once(self, server: Server, url: str, target: Path) -> None:
        server.replies = [Reply(pause=0.01)]
        errors: list[Exception] = []

        def work() -> None:
            try:
                get(url, target)
                assert target.read_bytes() == CONTENT
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert len(server.requests) == 1

    @pytest.mark.parametrize("how", ["SIGKILL", "SIGINT", "SIGTERM"])
    def test_a_process_that_dies_leaves_its_bytes_and_no_lock(
        self, how: str, server: Server, url: str, target: Path, part: Path
    ) -> None:
        server.replies = [Reply(stall_after=SIZE // 2), Reply()]
        first = start_process(url, target)
        try:
            wait_for(lambda: part.exists() and part.stat().st_size >= SIZE // 4)
            first.send_signal(getattr(signal, how, signal.SIGTERM))
            assert first.wait(30) != 0
        finally:
            first.kill()
            first.communicate()
        assert not target.exists()
        get(url, target)
        assert target.read_bytes() == CONTENT
        match = re.fullmatch(r"bytes=(\d+)-", server.requests[1][1])
        assert match
        assert int(match[1]) >= SIZE // 4

    def test_waiting_for_another_process_ends(
        self, server: Server, url: str, target: Path, part: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server.replies = [Reply(stall_after=SIZE // 2)]
        other = start_process(url, target)
        try:
            wait_for(part.exists)
            monkeypatch.setattr(download, "GRACE", 0.1)
            monkeypatch.setattr(download, "MIN_RATE", 1e9)
            with pytest.raises(DownloadError, match="another process"):
                get(url, target)
        finally:
            other.kill()
            other.communicate()


class TestProgress:
    def test_no_bar_without_a_terminal(self, url: str, target: Path) -> None:
        process = start_process(url, target)
        assert process.communicate(timeout=60)[1] == ""
        assert target.exists()

    def test_a_bar_on_a_terminal(self, url: str, target: Path, part: Path) -> None:
        fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
        part.write_bytes(CONTENT[: SIZE // 2])
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        command = [sys.executable, "-c", FETCH, url, str(target), str(SIZE), SHA256]
        process = subprocess.Popen(command, stderr=follower)
        os.close(follower)
        shown = b""
        try:
            while block := os.read(leader, 4096):
                shown += block
        except OSError:  # how Linux says that the other end is closed
            pass
        finally:
            os.close(leader)
        assert process.wait(60) == 0
        assert b"m.safetensors" in shown
        assert b"100%" in shown
        assert b"1.05M/1.05M" in shown


def test_a_failure_leaves_no_connection_and_no_file_open(
    server: Server, url: str, target: Path, recwarn: pytest.WarningsRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "STALL_TIMEOUT", 0.3)
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("no list of open files here")
    server.replies = [Reply(404), Reply(stall_after=100), Reply(content=CONTENT[::-1])]
    before = len(list(folder.iterdir()))
    with pytest.raises(DownloadError):
        get(url, target)
    with pytest.raises(DownloadError):
        get(url, target)
    wait_for(lambda: len(list(folder.iterdir())) <= before + 1)  # the server's end of a stalled connection
    assert [str(w.message) for w in recwarn if issubclass(w.category, ResourceWarning)] == []
