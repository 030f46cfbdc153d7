"""A page shown by the browser of whoever runs a program, without a file that stays."""

from __future__ import annotations

import contextlib
import secrets
import threading
import webbrowser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECONDS = 20
"""How long a browser may take to ask for a page."""


def shown(page: bytes | bytearray, seconds: float = SECONDS) -> bool:
    """Have the browser ask this process for a page, once; False if none did.

    It is given to who knows an address that nobody can guess, on this machine alone.  Browsers that may not read all
    files, as those of Snap, can show it, and those on another machine whose ports are forwarded.
    """
    address, given = f"/{secrets.token_urlsafe()}", threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != address:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # of one that changed its mind
                self.wfile.write(page)
                given.set()

        def log_message(self, format: str, *args: object) -> None:
            """Nobody asked for a log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        try:
            opened = webbrowser.open(f"http://127.0.0.1:{server.server_port}{address}")
            return (opened and given.wait(seconds)) or given.is_set()
        finally:
            server.shutdown()
