"""Serves the live page on this machine alone, and computes what it asks for with the installed NumPy.

The reader's own code runs here, so only a page that this server has sent may ask: the address holds a token, and a
request of another host or origin is refused.
"""

import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from . import engine
from ..trace import data as trace

PAGE = Path(__file__).parent / "page"
KINDS = {".svg": "image/svg+xml", ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8"}
HOST = "127.0.0.1"
LARGEST = 2**21  # bytes of a request
WAIT = 10.0  # seconds that a request may take to arrive
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
          "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
INLINE = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"  # of a page that is one file
ALONE = {"check", "hint"}  # sections that compute in a process of their own


class Server(ThreadingHTTPServer):
    """A server of the page; `address` is what to open. Raises OSError for a port that is taken."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int = 0):
        super().__init__((HOST, port), Handler)
        self.token = secrets.token_urlsafe(16)
        self.computing = threading.Lock()
        self.judging = threading.Semaphore(2)

    @property
    def address(self) -> str:
        """With the token, which the page sends with every request."""
        return f"http://{HOST}:{self.server_address[1]}/?token={self.token}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is none of the reader's business."""


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    server: Server
    timeout = WAIT

    def log_message(self, *args: Any) -> None:
        """Nothing is logged."""

    def do_GET(self) -> None:
        """The files of the page."""
        name = urlsplit(self.path).path.lstrip("/") or "index.html"
        if not self.allowed():
            return
        if name == "trace.html":
            self.send(200, trace.page().encode(), KINDS[".html"], INLINE)
            return
        file = PAGE / name
        if "/" in name or file.suffix not in KINDS or not file.is_file():
            self.reply(404, {"error": "there is no such page"})
            return
        self.send(200, file.read_bytes(), KINDS[file.suffix])

    def do_POST(self) -> None:
        """What a section asks for."""
        if not self.allowed():
            return
        url = urlsplit(self.path)
        given = parse_qs(url.query).get("token", [""])[0]
        if not secrets.compare_digest(given.encode(), self.server.token.encode()):
            self.reply(403, {"error": "this address is of an earlier start: open the one that maml-numpy live prints"})
            return
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or int(length) > LARGEST:
            self.reply(413, {"error": f"a request must say its length, {LARGEST // 2**20} MB at most"})
            return
        try:
            asked = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError, TimeoutError):
            self.reply(400, {"error": "the request is not JSON"})
            return
        name, begun = url.path.lstrip("/"), time.perf_counter()
        with self.server.judging if name in ALONE else self.server.computing:
            try:
                found = engine.answer(name, asked)
            except Exception as error:  # the page stays alive, whatever is wrong
                found = {"error": f"this cannot be computed ({type(error).__name__}: {str(error):.120})"}
        self.reply(400 if "error" in found else 200, {**found, "ms": 1e3 * (time.perf_counter() - begun)})

    def allowed(self) -> bool:
        """Whether the request is for this server, from its own page; if not, it is answered."""
        here = f"{HOST}:{self.server.server_address[1]}"
        origin, site = self.headers.get("Origin"), self.headers.get("Sec-Fetch-Site", "same-origin")
        if self.headers.get("Host") == here and origin in (None, f"http://{here}") and site in ("same-origin", "none"):
            return True
        self.reply(403, {"error": "only the page of this server may ask; open the address that maml-numpy live prints"})
        return False

    def reply(self, status: int, found: Any) -> None:
        """Send JSON. Another status than 200 ends the connection where a body may be left unread."""
        if status in (403, 413):
            self.close_connection = True
        self.send(status, json.dumps(found).encode(), "application/json")

    def send(self, status: int, body: bytes, kind: str, policy: str = POLICY) -> None:
        """Send headers and body in one write: two would wait for each other, 40 ms."""
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store"),
                            ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"),
                            ("Content-Security-Policy", policy)):
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        lines: Any = vars(self).pop("_headers_buffer")
        self.wfile.write(b"".join(lines) + b"\r\n" + body)
