"""Restrict access to pages that the studio itself served, in a browser that presented the token.

Any web page can send requests to 127.0.0.1. With DNS rebinding, where the domain of a page resolves to 127.0.0.1, such
requests are even same-origin. Each request must therefore name this server as its host, come from a page of this server
if it comes from a page at all, and carry a secret. The secret is in the URL only once, and is exchanged for a cookie
that scripts cannot read. Browsers send cookies to every port of a host, so the cookie is limited to a path that no
other server knows.
"""

import hmac
import ipaddress
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_SAFE_METHODS = ("GET", "HEAD")

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",  # the browser's cache would write photos to disk
}


def _new_secret() -> str:
    return secrets.token_urlsafe(32)


@dataclass
class Keys:
    """The secrets of one run of the studio.

    Attributes:
        token: Gives a browser or a script access.
        launch: Gives access only once, because other users can see this token in the browser's command line.
        cookie: The value of the cookie that the browser receives in exchange for a token.
        place: The path that contains all pages of the studio.
    """

    token: str = field(default_factory=_new_secret)
    launch: str = field(default_factory=_new_secret)
    cookie: str = field(default_factory=_new_secret)
    place: str = field(default_factory=lambda: secrets.token_urlsafe(9))

    def open_with(self, token: str) -> bool:
        """Return whether a token from a URL gives the browser access."""
        if self.launch and _equal(token, self.launch):
            self.launch = ""
            return True
        return _equal(token, self.token)


def _equal(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), secret.encode())


def allowed_hosts(listen: str, port: int) -> frozenset[str] | None:
    """Return the hosts by which requests may address a server; None allows the address of any network interface.

    Args:
        listen: The IP address that the server is listening on.
        port: The server's port.
    """
    address = ipaddress.ip_address(listen)
    if address.is_unspecified:
        return None
    names = {*_LOOPBACK_NAMES, f"[{address}]" if address.version == 6 else str(address)}
    return frozenset(f"{name}:{port}" for name in names)


class Guard:
    """Passes only permitted requests on to an app, and adds headers to all responses.

    Args:
        app: The app to protect.
        keys: The secrets of this run.
        hosts: The hosts, with the port, by which requests may address the server; see `allowed_hosts`.
        port: The server's port.
    """

    def __init__(self, app: ASGIApp, keys: Keys, hosts: Iterable[str] | None, port: int) -> None:
        """Wrap the app."""
        self._app = app
        self._keys = keys
        self._hosts = None if hosts is None else frozenset(hosts)
        self._port = port
        self._cookie_name = f"stylekit-studio-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or pass it on to the app."""
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        response = self._judge(scope)
        await (response or self._app)(scope, receive, send_with_headers)

    def _judge(self, scope: Scope) -> Response | None:
        """Return the response to a rejected request; None if the request is permitted."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_host(host):
            return refusal(403, "Unknown host name.", "Open the address that the terminal shows.")
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return refusal(403, "Pages of other origins may not use the studio.")
        if scope["path"] == "/":
            return self._enter(scope)
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return refusal(403, "Pages of other origins may not use the studio.")
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if _equal(bearer, self._keys.token):
            return None
        if not _equal(self._cookie(headers), self._keys.cookie):
            return refusal(403, "The token is missing.", "Open the address that the terminal shows.")
        if scope["method"] not in _SAFE_METHODS and origin is None:
            return refusal(403, "The request does not name the page that it comes from.")
        return None

    def _enter(self, scope: Scope) -> Response:
        """Exchange the token in a URL for a cookie."""
        token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["method"] != "GET" or not self._keys.open_with(token):
            words = "The token is missing. Open the address that `stylekit studio` shows in the terminal.\n"
            return PlainTextResponse(words, 403)
        place = f"/{self._keys.place}/"
        response = RedirectResponse(place, 303)
        response.set_cookie(self._cookie_name, self._keys.cookie, path=place, httponly=True, samesite="strict")
        return response

    def _is_host(self, host: str) -> bool:
        if not re.search(r":\d+$", host):
            host += ":80"  # browsers omit the default port
        if self._hosts is not None:
            return host in self._hosts
        name, _, port = host.rpartition(":")
        if port != str(self._port):
            return False
        try:  # DNS rebinding works only with names, not with IP addresses
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return name == "localhost"
        return True

    def _cookie(self, headers: Headers) -> str:
        # `SimpleCookie` fails at malformed cookies, which other servers on this machine may have set
        return cookie_parser(headers.get("cookie", "")).get(self._cookie_name, "")


def refusal(status: int, message: str, hint: str = "") -> JSONResponse:
    """Return an error as JSON, as `--json` prints it."""
    return JSONResponse({"error": {"message": message, "hint": hint}}, status)
