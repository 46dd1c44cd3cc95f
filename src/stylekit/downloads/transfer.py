"""A single download: resumed, retried and verified.

A partial download is a hidden `.part` file beside its destination, named after a hash of the URL. A second file stores
the server's validator (ETag or date). A later process resumes the partial download if the server's file is unchanged.
"""

import contextlib
import hashlib
import logging
import random
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from stylekit.downloads.addresses import is_loopback, plain_url
from stylekit.downloads.connections import CheckedAdapter
from stylekit.downloads.download import OnProgress
from stylekit.downloads.responses import content_length, kind_of_page, retry_after, validator
from stylekit.errors import ChecksumMismatch, DownloadError
from stylekit.system.files import file_hash, writing
from stylekit.system.locks import finally_do
from stylekit.system.paths import OTHER_HOME

_LOGGER = logging.getLogger(__name__)
_PIECE_BYTES = 1 << 16
_BEGINNING_BYTES = 64  # enough to recognize a web page or a Git LFS pointer
_TIMEOUT_SECONDS = (10, 30)  # for connecting, and for each wait for bytes
_PROGRESS_BYTES = 1 << 16  # fewer bytes do not count as progress: some servers send one byte at a time
_STALL_SECONDS = 300.0  # without progress, over all attempts
_RETRIES = 4  # failed attempts in a row without progress
_LONGEST_WAIT_SECONDS = 60.0
_MOST_REDIRECTS = 10
_BUSY = (408, 429, 500, 502, 503, 504)


class _InterruptedTransfer(Exception):
    """A failure that says nothing about the file itself, so the partial download is kept.

    Args:
        reason: Why the transfer failed.
        wait: Seconds to wait before the next attempt; None uses a wait that grows with each failed attempt.
        remedy: What the user must do before another attempt makes sense; empty to retry automatically.
    """

    def __init__(self, reason: str, *, wait: float | None = None, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait
        self.remedy = remedy


class Transfer:
    """The download of one file.

    Args:
        url: An `https://` URL, or an `http://` URL of this machine.
        destination: The file to write, in an existing folder.
        sha256: The expected hash in hexadecimal; empty if unknown.
        most_bytes: The largest size allowed; None allows any size.
        on_progress: Called after each chunk received.
    """

    def __init__(
        self, url: str, destination: Path, sha256: str, most_bytes: int | None, on_progress: OnProgress
    ) -> None:
        self.url = url
        self.destination = destination
        self.sha256 = sha256
        self.most_bytes = most_bytes
        self.on_progress = on_progress
        name = hashlib.sha256(f"{url} {destination.name}".encode()).hexdigest()[:32]
        self.part = destination.parent / f".{name}.part"
        self.validator = destination.parent / f".{name}.etag"
        self.session = requests.Session()
        for scheme in ("https://", "http://"):
            self.session.mount(scheme, CheckedAdapter(self._check_stall))
        self.stall_start = time.monotonic()
        self.stall_bytes = 0

    def run(self) -> None:
        """Download the file, and move it to its destination.

        Raises:
            ChecksumMismatch: If the downloaded file has a different hash.
            DownloadError: If the file cannot be downloaded.
        """
        try:
            with finally_do(self._discard_useless), self.session:
                if not self._is_complete():
                    resumed = self._resumable_bytes() > 0
                    self._complete()
                    if resumed and self.sha256 and not self._is_complete():  # the earlier part was corrupt
                        self._discard()
                        self._complete()
                self._verify()
                with writing(self.destination, DownloadError, OTHER_HOME):
                    self.part.replace(self.destination)
                self._discard()
        except _InterruptedTransfer as error:
            remedy = error.remedy or "Check the network connection, or try again later."
            kept = " The partial download is kept and will be resumed." if self._resumable_bytes() else ""
            raise self._error(error.reason, remedy + kept) from error
        except DownloadError as error:
            if not isinstance(error.__cause__, PermissionError):  # once permission is granted, the part can be resumed
                self._discard()
            raise

    def _is_complete(self) -> bool:
        """Return whether the partial download is complete, because an earlier process crashed just before moving it."""
        with writing(self.part, DownloadError, OTHER_HOME):
            return bool(self.sha256) and self._resumable_bytes() > 0 and file_hash(self.part) == self.sha256

    def _complete(self) -> None:
        failures = 0
        while True:
            before = self._resumable_bytes()
            try:
                return self._try()
            except _InterruptedTransfer as error:
                failures = 1 if self._resumable_bytes() >= before + _PROGRESS_BYTES else failures + 1
                jitter = random.uniform(1, 1.2)  # noqa: S311 - no secret
                wait = 2.0 ** (failures - 2) * jitter if error.wait is None else error.wait
                if wait > _LONGEST_WAIT_SECONDS:
                    error.remedy = f"The server asks to wait {wait:.0f} s; try again after that."
                if failures > _RETRIES or error.remedy:
                    raise
                if wait:
                    host = urlsplit(self.url).hostname
                    _LOGGER.info("%s: %s; trying again in %.0f s …", host, error.reason, max(1, wait))
                time.sleep(wait)
                self.stall_start += wait

    def _resumable_bytes(self) -> int:
        """Return the size of the partial download; 0 if it has no validator and so cannot be resumed."""
        return self.part.stat().st_size if self.part.is_file() and self._part_validator() else 0

    def _part_validator(self) -> str:
        try:
            return self.validator.read_text()
        except (OSError, ValueError):
            return ""

    def _discard(self) -> None:
        for file in (self.part, self.validator):
            with contextlib.suppress(OSError):
                file.unlink()

    def _discard_useless(self) -> None:
        if not self._resumable_bytes():
            self._discard()

    def _error(self, reason: str, hint: str) -> DownloadError:
        return DownloadError(f"Cannot download {self.url}: {reason}.", hint)

    def _verify(self) -> None:
        if self.sha256 and (actual := file_hash(self.part)) != self.sha256:
            raise ChecksumMismatch(
                f"Checksum mismatch: {self.url} has the SHA-256 {actual}, not {self.sha256}.",
                "Try again later. If this happens again, the file was replaced and should not be trusted.",
            )

    def _try(self) -> None:
        have = self._resumable_bytes()
        headers = {"Accept-Encoding": "identity"}  # a compressed response could not be resumed
        if have:
            headers |= {"Range": f"bytes={have}-", "If-Range": self._part_validator()}
        with self._get(headers) as response:
            self._check_status(response)
            start = self._start(response, have)
            size = content_length(response)
            total = None if size is None else start + size
            self._check_free_space(start, total)
            self._receive(response, start, total)

    def _get(self, headers: dict[str, str]) -> requests.Response:
        url = self.url
        for _ in range(_MOST_REDIRECTS):
            with self._transport_errors():
                response = self.session.get(
                    url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS, allow_redirects=False
                )
            target = self.session.get_redirect_target(response)
            if target is None:
                return response
            response.close()
            url = plain_url(urljoin(url, target), allow_loopback=is_loopback(self.url))
        raise self._error("too many redirects", "Check the URL, or find another one.")

    @contextlib.contextmanager
    def _transport_errors(self) -> Iterator[None]:
        try:
            yield
        except requests.exceptions.SSLError as error:
            raise _InterruptedTransfer(
                "the server's certificate cannot be verified",
                remedy="Behind a corporate proxy, set REQUESTS_CA_BUNDLE to the file with its certificates.",
            ) from error
        except requests.exceptions.ProxyError as error:
            raise _InterruptedTransfer(
                "cannot connect through the proxy", remedy="Check HTTPS_PROXY and NO_PROXY."
            ) from error
        except (requests.Timeout, urllib3.exceptions.ReadTimeoutError) as error:
            raise _InterruptedTransfer("the connection timed out") from error
        except (requests.ConnectionError, urllib3.exceptions.HTTPError) as error:
            raise _InterruptedTransfer("the connection failed") from error
        except (requests.RequestException, ValueError) as error:
            raise self._error(str(error), "Check the URL.") from error

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        reason = f"the server answered {status} {response.reason}".rstrip()
        if status == 416:  # the partial download is longer than the file
            self._discard()
            raise _InterruptedTransfer(reason, wait=0)
        if status in _BUSY:
            raise _InterruptedTransfer(reason, wait=retry_after(response))
        if status in (401, 403):
            raise _InterruptedTransfer(reason, remedy="The file is not public; ask its owner for access.")
        if status in (404, 410):
            raise self._error(reason, "Check the URL; the file may have moved.")
        if status not in (200, 206):
            raise _InterruptedTransfer(reason, remedy="Try again later.")
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise _InterruptedTransfer("the server sent a web page", remedy="Use the URL of the file itself.")

    def _start(self, response: requests.Response, have: int) -> int:
        """Return where in the file the response starts: after the partial download, or at 0 to start over."""
        if response.status_code == 206:
            continues = have and re.match(rf"bytes {have}-", response.headers.get("Content-Range", ""))
            if continues and validator(response) in ("", self._part_validator()):
                return have
            self._discard()
            raise _InterruptedTransfer("the server did not send the requested range", wait=0)
        self._discard()
        if current := validator(response):
            with writing(self.validator, DownloadError, OTHER_HOME):
                self.validator.write_text(current)
        return 0

    def _check_free_space(self, start: int, total: int | None) -> None:
        if total is None:
            return
        self._check_length(total)
        try:
            usage = shutil.disk_usage(self.part.parent)
        except OSError:  # some network folders do not report their free space
            return
        if usage.total > 0 and total - start > usage.free:
            raise _InterruptedTransfer(
                f"it needs {(total - start) / 1e6:.0f} MB of disk space, but only {usage.free / 1e6:.0f} MB are free",
                remedy=f"Free some disk space, or {OTHER_HOME}.",
            )

    def _check_length(self, length: int) -> None:
        if self.most_bytes is not None and length > self.most_bytes:
            raise self._error(f"it is larger than {self.most_bytes} bytes", "Check that the URL is the right one.")

    def _receive(self, response: requests.Response, start: int, total: int | None) -> None:
        done, beginning = start, b""
        with writing(self.part, DownloadError, OTHER_HOME):
            file = self.part.open("ab" if start else "wb", buffering=0)  # so that closing the file cannot fail
        with file:
            while piece := self._read(response):
                if start == 0 and len(beginning) < _BEGINNING_BYTES:
                    beginning += piece
                    if kind := kind_of_page(beginning[:_BEGINNING_BYTES]):
                        raise self._error(f"the server sent a {kind}", "Use the URL of the file itself.")
                done += len(piece)
                self._check_length(done)
                with writing(self.part, DownloadError, OTHER_HOME):
                    rest = memoryview(piece)
                    while rest:
                        rest = rest[file.write(rest) :]
                self.on_progress(done, total)
                self.stall_bytes += len(piece)
                if self.stall_bytes >= _PROGRESS_BYTES:
                    self.stall_start, self.stall_bytes = time.monotonic(), 0
        if total is not None and done < total:
            raise _InterruptedTransfer("the connection was interrupted")

    def _read(self, response: requests.Response) -> bytes:
        """Wait for bytes, and return those that have arrived; empty at the end of the response."""
        with self._transport_errors():
            piece: bytes = response.raw.read1(_PIECE_BYTES, decode_content=True)
            return piece

    def _check_stall(self) -> None:
        """Raise an error if there was no progress for too long, even if single bytes still arrive."""
        seconds = time.monotonic() - self.stall_start
        if seconds > _STALL_SECONDS:
            raise _InterruptedTransfer(
                f"only {self.stall_bytes} bytes of the file arrived in {seconds:.0f} s", remedy="Try again later."
            )
