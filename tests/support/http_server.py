"""A real HTTP server on the loopback interface that serves one file, well or badly."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Reply:
    """How the server answers a request.

    Attributes:
        status: instead of 200 or 206.
        raw: these bytes and nothing else, not even a status line.
        ranges: heed the header Range.
        content: instead of the file.
        length: Content-Length, by default that of the body; 0 for none.
        chunked: send blocks with Transfer-Encoding: chunked, and no Content-Length.
        headers: to send besides or instead.
        drop_after: close the connection after so many bytes of the body.
        stall_after: fall silent after so many bytes of the body, and close the connection when the server `wakes`.
        pause: seconds before every block.
        block: bytes sent at once.
        endless: repeat the body up to 128 MiB.
    """

    status: int | None = None
    raw: bytes | None = None
    ranges: bool = True
    content: bytes | None = None
    length: int | None = None
    chunked: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    drop_after: int | None = None
    stall_after: int | None = None
    pause: float = 0.0
    block: int = 1 << 16
    endless: bool = False


class Server(ThreadingHTTPServer):
    """Answers with `replies` one by one, with the last of them from then on.

    Attributes:
        requests: (path, header Range or "") of every request so far.
        sent: bytes of all bodies so far.
        wakes: ends all stalls once it is set.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.replies = [Reply()]
        self.requests: list[tuple[str, str]] = []
        self.sent = 0
        self.wakes = threading.Event()
        self.closing = False
        self._turn = threading.Lock()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def next_reply(self, path: str, asked: str) -> Reply:
        with self._turn:
            self.requests.append((path, asked))
            return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that close early are no concern of the server."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        reply = self.server.next_reply(self.path, asked)
        self.close_connection = True
        if reply.raw is not None:
            self.wfile.write(reply.raw)
            return
        content = self.server.content if reply.content is None else reply.content
        match = re.fullmatch(r"bytes=(\d+)-", asked) if reply.ranges and reply.status is None else None
        start = int(match[1]) if match else 0
        body = content[start:]
        headers = {"Content-Type": "application/octet-stream"}
        if match:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if reply.chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif reply.length != 0:
            headers["Content-Length"] = str(len(body) if reply.length is None else reply.length)
        self.send_response(reply.status or (206 if match else 200))
        for name, value in {**headers, **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self._send(reply, body)

    do_CONNECT = do_GET

    def _send(self, reply: Reply, body: bytes) -> None:
        position = 0
        ends = [n for n in (reply.drop_after, reply.stall_after) if n is not None]
        end = min([len(body), *ends])
        while not self.server.closing and position < (2**27 if reply.endless else end):
            time.sleep(reply.pause)
            first = position % len(body) if reply.endless else position
            block = body[first : min(first + reply.block, len(body) if reply.endless else end)]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if reply.chunked else block)
            position += len(block)
            self.server.sent += len(block)
        if reply.chunked and position == len(body):
            self.wfile.write(b"0\r\n\r\n")
        if reply.stall_after is not None:
            self.server.wakes.wait(60)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(content: bytes) -> Iterator[Server]:
    """A server that runs for as long as the context."""
    with Server(content) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.closing = True
            server.wakes.set()
            server.shutdown()
            thread.join()
