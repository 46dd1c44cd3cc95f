"""A web server on this machine, for tests of downloads."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace


def time_with(sleep: Callable[[float], None]) -> SimpleNamespace:
    """Return a stand-in for the module `time` with another `sleep`."""
    return SimpleNamespace(sleep=sleep, time=time.time, monotonic=time.monotonic)


@dataclass
class Page:
    """A response of the server.

    Attributes:
        body: The whole file.
        status: The status of a response with the whole file.
        headers: Headers besides length, ETag and range; None omits one of those.
        etag: The file's ETag, quotes included.
        honors_range: Whether a range is sent when one is requested.
        honors_if_range: Whether the whole file is sent instead when the requested one is another.
        cut_after: Bytes after which the connection is closed.
        stall_after: Bytes after which nothing more is sent.
        delay: Seconds before each piece.
        piece_bytes: The bytes of a piece.
    """

    body: bytes = field(default=b"", repr=False)
    status: int = 200
    headers: dict[str, str | None] = field(default_factory=dict)
    etag: str | None = None
    honors_range: bool = True
    honors_if_range: bool = True
    cut_after: int | None = None
    stall_after: int | None = None
    delay: float = 0.0
    piece_bytes: int = 1 << 14

    def respond(self, request: dict[str, str]) -> tuple[int, dict[str, str | None], bytes]:
        """Return status, headers and body for a request's headers."""
        status, headers, body = self.status, {"ETag": self.etag}, self.body
        requested = re.fullmatch(r"bytes=(\d+)-", request.get("Range", ""))
        if requested and status == 200 and self.honors_range and self._is_meant(request.get("If-Range")):
            start = int(requested[1])
            status, body = (206, body[start:]) if start < len(body) else (416, b"")
            headers["Content-Range"] = f"bytes {start}-{len(self.body) - 1}/{len(self.body)}"
        return status, {"Content-Length": str(len(body)), **headers, **self.headers}, body

    def _is_meant(self, validator: str | None) -> bool:
        return not (validator and self.honors_if_range) or validator in (self.etag, self.headers.get("Last-Modified"))


@dataclass
class Request:
    """A request to the server, and the bytes of the body sent in response."""

    path: str
    headers: dict[str, str]
    sent: int = 0


@dataclass
class LocalServer:
    """The server's address, its pages by path (sent one after another, the last one repeatedly), and the requests."""

    address: str
    pages: dict[str, list[Page]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def asked(self) -> list[str]:
        """The requested paths."""
        return [request.path for request in self.requests]

    @property
    def sent(self) -> int:
        """The bytes sent of all bodies."""
        return sum(request.sent for request in self.requests)

    def put(self, path: str, body: bytes = b"", **page) -> str:
        """Add a page and return its URL."""
        return self.put_all(path, Page(body, **page))

    def put_all(self, path: str, *pages: Page) -> str:
        """Add pages that are sent one after another, and return their URL."""
        self.pages[path] = list(pages)
        return self.address + path

    def next_page(self, path: str) -> Page:
        """Return the page to send now."""
        pages = self.pages.get(path, [Page(b"not here", 404)])
        return pages.pop(0) if len(pages) > 1 else pages[0]


@contextmanager
def serve() -> Iterator[LocalServer]:
    """Serve on a free port of 127.0.0.1 until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            request = Request(self.path, dict(self.headers))
            local.requests.append(request)
            page = local.next_page(self.path)
            status, headers, body = page.respond(request.headers)
            with suppress(ConnectionError):
                self.send_response(status)
                for name, value in headers.items():
                    if value is not None:
                        self.send_header(name, value)
                self.end_headers()
                self._send(body, page, request)

        def _send(self, body, page, request):
            limits = [limit for limit in (page.cut_after, page.stall_after) if limit is not None]
            body = body[: min(limits, default=len(body))]
            for start in range(0, len(body), page.piece_bytes):
                time.sleep(page.delay)
                piece = body[start : start + page.piece_bytes]
                request.sent += len(piece)  # before sending, so that a client that has all of it sees it counted
                self.wfile.write(piece)
            if page.stall_after is not None:
                local.closing.wait(60)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    local = LocalServer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield local
    finally:
        local.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
