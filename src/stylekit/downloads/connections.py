"""Connections that check the progress of a download whenever they wait for bytes.

A timeout in `requests` limits a single wait, not a whole response. A server that sends its headers or the size of a
chunk one byte at a time would therefore never exceed a timeout.
"""

import http.client
import io
from collections.abc import Callable
from functools import partial
from typing import Any

import requests.adapters
import urllib3


class CheckedAdapter(requests.adapters.HTTPAdapter):
    """An adapter for `requests` that calls a function before each wait for bytes, in headers and bodies alike.

    Args:
        check: Called before each wait. An exception that this function raises ends the response.
    """

    def __init__(self, check: Callable[[], None]) -> None:
        super().__init__()
        self._check = check

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> urllib3.HTTPConnectionPool:
        """Return the pool of connections for a request."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = partial(self._connection, type(pool).ConnectionCls)
        return pool  # type: ignore[no-any-return]

    def _connection(self, make: Callable[..., Any], **settings: Any) -> Any:
        connection = make(**settings)
        connection.response_class = partial(_CheckedResponse, self._check)
        return connection


class _CheckedResponse(http.client.HTTPResponse):
    """A response that calls a function before each wait for bytes."""

    def __init__(self, check: Callable[[], None], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fp = io.BufferedReader(_CheckedStream(self.fp.detach(), check))


class _CheckedStream(io.RawIOBase):
    """The bytes of a socket; each read calls a function first."""

    def __init__(self, stream: io.RawIOBase, check: Callable[[], None]) -> None:
        self._stream = stream
        self._check = check

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._check()
        return self._stream.readinto(buffer)

    def close(self) -> None:
        self._stream.close()
        super().close()
