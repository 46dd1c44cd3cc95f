"""A web server on this machine, for the tests of what is downloaded."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import sleep  # the real one, whatever a test puts in the place of `time.sleep`

_PIECE_BYTES = 1 << 14


@dataclass
class Page:
    """What the server answers.

    Attributes:
        body: the whole file.
        status: of an answer that brings the whole file.
        headers: besides length, ETag and range; None leaves out one of those.
        etag: the file's ETag, quotes included.
        honours_range: whether a part is sent where one is asked for.
        honours_if_range: whether the whole file is sent instead where it is not the one that is asked for.
        cut_after: bytes after which the connection is closed.
        stall_after: bytes after which nothing more comes.
        delay: seconds before each piece of 16 KiB.
    """

    body: bytes = field(default=b"", repr=False)
    status: int = 200
    headers: dict[str, str | None] = field(default_factory=dict)
    etag: str | None = None
    honours_range: bool = True
    honours_if_range: bool = True
    cut_after: int | None = None
    stall_after: int | None = None
    delay: float = 0.0

    def answer(self, asked: dict[str, str]) -> tuple[int, dict[str, str | None], bytes]:
        """Return status, headers and body for a request's headers."""
        status, headers, body = self.status, {"ETag": self.etag}, self.body
        wanted = re.fullmatch(r"bytes=(\d+)-", asked.get("Range", ""))
        if wanted and status == 200 and self.honours_range and self._is_meant(asked.get("If-Range")):
            start = int(wanted[1])
            status, body = (206, body[start:]) if start < len(body) else (416, b"")
            headers["Content-Range"] = f"bytes {start}-{len(self.body) - 1}/{len(self.body)}"
        return status, {"Content-Length": str(len(body)), **headers, **self.headers}, body

    def _is_meant(self, validator: str | None) -> bool:
        return not (validator and self.honours_if_range) or validator in (self.etag, self.headers.get("Last-Modified"))


@dataclass
class Request:
    """What the server was asked for, and how many bytes of a body it has sent."""

    path: str
    headers: dict[str, str]
    sent: int = 0


@dataclass
class LocalServer:
    """The server's address, its pages by path (answered in succession, the last one for ever), and what was asked."""

    address: str
    pages: dict[str, list[Page]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def asked(self) -> list[str]:
        """The paths that were asked for."""
        return [request.path for request in self.requests]

    @property
    def sent(self) -> int:
        """Bytes of all bodies together."""
        return sum(request.sent for request in self.requests)

    def put(self, path: str, body: bytes = b"", **page) -> str:
        """Place a page and return its URL."""
        return self.put_all(path, Page(body, **page))

    def put_all(self, path: str, *pages: Page) -> str:
        """Place pages that are answered one after the other, and return their URL."""
        self.pages[path] = list(pages)
        return self.address + path

    def next_page(self, path: str) -> Page:
        """Return what is answered now."""
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
            status, headers, body = page.answer(request.headers)
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
            for start in range(0, len(body), _PIECE_BYTES):
                sleep(page.delay)
                piece = body[start : start + _PIECE_BYTES]
                request.sent += len(piece)  # before, so that whoever has it all finds it counted
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
