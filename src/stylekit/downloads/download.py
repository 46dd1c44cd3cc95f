"""Downloads: resumed, retried, checked, moved into place; or one clear reason why not.

While a download is under way it lies beside its destination as a hidden `.part` file named by a hash of the URL,
with the server's validator (ETag or date) in a second file. A later process goes on from there, as long as the server
still has the same file.
"""

import contextlib
import email.utils
import hashlib
import os
import random
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urljoin

import requests

from stylekit.downloads.addresses import plain_url
from stylekit.errors import ChecksumMismatch, DownloadError
from stylekit.system.files import file_hash
from stylekit.system.locks import ending, locked, writing

# Bytes that are there, and of how many; None where the server does not say.
Progress = Callable[[int, int | None], None]

_CHUNK_BYTES = 1 << 16
_TIMEOUT_SECONDS = (10, 30)  # to connect, and between two pieces
_RETRIES = 4  # tries in a row that may bring nothing
_LONGEST_WAIT_SECONDS = 60.0
_MOST_REDIRECTS = 10
_BUSY = (408, 429, 500, 502, 503, 504)


def fetch(
    url: str,
    destination: Path,
    *,
    sha256: str = "",
    most_bytes: int | None = None,
    on_progress: Progress = lambda done, total: None,
) -> None:
    """Download a file, unless it is there already.

    Args:
        url: see `addresses.plain_url`. Redirects are followed to addresses of the same kind only.
        destination: where the file is to be; one already there with this hash is taken as it is.
        sha256: the file's hash in hexadecimal; empty where it is not known, and the file is fetched anew.
        most_bytes: a longer file is refused.
        on_progress: called after each piece.

    Raises:
        ChecksumMismatch: if what came is not what was expected; nothing is kept.
        DownloadError: if it cannot be had; kept is, at most, a part that the next call goes on from.
    """
    if _is_there(destination, sha256):
        return
    address = plain_url(url)
    if os.environ.get("STYLEKIT_OFFLINE", "0") not in ("", "0"):
        raise DownloadError(f"{url} is not fetched: STYLEKIT_OFFLINE forbids the network.", "Unset it to download.")
    with locked(destination):
        if not _is_there(destination, sha256):  # another process may have fetched it meanwhile
            _Transfer(address, destination, sha256, most_bytes, on_progress).run()


def _is_there(destination: Path, sha256: str) -> bool:
    return bool(sha256) and destination.is_file() and file_hash(destination) == sha256


class _BrokenError(Exception):
    """A transfer that broke through no fault of the file: what has come of it is kept.

    Args:
        reason: why.
        wait: seconds after which another try is worth it; None leaves that to the number of tries so far.
        cure: what the user has to do before any further try makes sense; empty where waiting may do.
    """

    def __init__(self, reason: str, *, wait: float | None = None, cure: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait
        self.cure = cure


class _Transfer:
    """One file on its way."""

    def __init__(self, url: str, destination: Path, sha256: str, most_bytes: int | None, on_progress: Progress) -> None:
        self.url = url
        self.destination = destination
        self.sha256 = sha256
        self.most_bytes = most_bytes
        self.on_progress = on_progress
        name = hashlib.sha256(f"{url} {destination.name}".encode()).hexdigest()[:32]
        self.part = destination.parent / f".{name}.part"
        self.validator = destination.parent / f".{name}.etag"
        self.session = requests.Session()

    def run(self) -> None:
        """Fetch the file, however often the connection breaks."""
        try:
            with ending(self._discard_useless), self.session:
                if not self._is_complete():
                    resumed = self._have() > 0
                    self._complete()
                    if resumed and self.sha256 and not self._is_complete():  # what was there was no good
                        self._discard()
                        self._complete()
                self._check_hash()
                with writing(self.destination):
                    self.part.replace(self.destination)
                self._discard()
        except _BrokenError as error:
            cure = error.cure or "Is there a network connection? Try again later."
            kept = " What has come is kept, and gone on with." if self._have() else ""
            raise self._error(error.reason, cure + kept) from None
        except DownloadError:
            self._discard()
            raise

    def _is_complete(self) -> bool:
        """Whether all is there already, as after an end just before the move into place."""
        return bool(self.sha256) and self._have() > 0 and file_hash(self.part) == self.sha256

    def _complete(self) -> None:
        failures = 0
        while True:
            before = self._have()
            try:
                return self._try()
            except _BrokenError as error:
                failures = 1 if self._have() > before else failures + 1
                wait = 2.0 ** (failures - 2) * random.uniform(1, 1.2) if error.wait is None else error.wait
                if wait > _LONGEST_WAIT_SECONDS:
                    error.cure = f"The server asks to wait {wait:.0f} s; try again then."
                if failures > _RETRIES or error.cure:
                    raise
                time.sleep(wait)

    def _have(self) -> int:
        """How many bytes are there to go on from; none without the server's word for what they belong to."""
        return self.part.stat().st_size if self.part.is_file() and self.validator.is_file() else 0

    def _discard(self) -> None:
        for file in (self.part, self.validator):
            with contextlib.suppress(OSError):
                file.unlink()

    def _discard_useless(self) -> None:
        if not self._have():
            self._discard()

    def _error(self, reason: str, hint: str) -> DownloadError:
        return DownloadError(f"{self.url} cannot be fetched: {reason}.", hint)

    def _check_hash(self) -> None:
        if self.sha256 and (found := file_hash(self.part)) != self.sha256:
            raise ChecksumMismatch(
                f"{self.url} has the SHA-256 {found}, not {self.sha256}; it was thrown away.",
                "Try again later; if it stays so, the file was replaced and should not be trusted.",
            )

    def _try(self) -> None:
        have = self._have()
        headers = {"Accept-Encoding": "identity"}  # a compressed answer could not be resumed
        if have:
            headers |= {"Range": f"bytes={have}-", "If-Range": self.validator.read_text()}
        with self._get(headers) as answer:
            self._check_status(answer)
            start = self._start(answer, have)
            total = self._total(answer, start)
            self._check_room(start, total)
            self._receive(answer, start, total)

    def _get(self, headers: dict[str, str]) -> requests.Response:
        url = self.url
        for _ in range(_MOST_REDIRECTS):
            with self._transport_errors():
                answer = self.session.get(
                    url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS, allow_redirects=False
                )
            target = self.session.get_redirect_target(answer)
            if target is None:
                return answer
            answer.close()
            url = plain_url(urljoin(url, target))
        raise self._error("it leads from one address to the next", "Look for another address.")

    @contextlib.contextmanager
    def _transport_errors(self) -> Iterator[None]:
        try:
            yield
        except requests.exceptions.SSLError:
            raise _BrokenError(
                "the connection is not to be trusted",
                cure="Behind a company's proxy, set REQUESTS_CA_BUNDLE to its file.",
            ) from None
        except requests.exceptions.ProxyError:
            raise _BrokenError("the proxy refuses", cure="Look at HTTPS_PROXY and NO_PROXY.") from None
        except requests.Timeout:
            raise _BrokenError("the connection timed out") from None
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            raise _BrokenError("no connection, or a broken one") from None
        except (requests.RequestException, ValueError) as error:
            raise self._error(str(error), "Is the address right?") from None

    def _check_status(self, answer: requests.Response) -> None:
        status = answer.status_code
        said = f"the server answers {status} {answer.reason}".rstrip()
        if status == 416:  # what is there is longer than the file
            self._discard()
            raise _BrokenError(said, wait=0)
        if status in _BUSY:
            raise _BrokenError(said, wait=_retry_after(answer))
        if status in (401, 403):
            raise _BrokenError(said, cure="The file is not public; ask its owner.")
        if status in (404, 410):
            raise self._error(said, "Is the address right? The file may have moved.")
        if status not in (200, 206):
            raise _BrokenError(said, cure="Try again later.")
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            raise _BrokenError("a web page came, not a file", cure="Use the address of the file itself.")

    def _start(self, answer: requests.Response, have: int) -> int:
        """Where in the file the answer begins: from what is there on, or, with another file or a plain server, at 0."""
        if answer.status_code == 206:
            fits = have and re.match(rf"bytes {have}-", answer.headers.get("Content-Range", ""))
            if fits and _validator(answer) in ("", self.validator.read_text()):
                return have
            self._discard()
            raise _BrokenError("the server sends another part than was asked for", wait=0)
        self._discard()
        if validator := _validator(answer):
            with writing(self.validator):
                self.validator.write_text(validator)
        return 0

    def _total(self, answer: requests.Response, start: int) -> int | None:
        length = answer.headers.get("Content-Length", "")
        encoded = answer.headers.get("Content-Encoding", "identity") != "identity"
        return start + int(length) if length.isdecimal() and not encoded else None

    def _check_room(self, start: int, total: int | None) -> None:
        if total is None:
            return
        self._check_length(total)
        free = shutil.disk_usage(self.part.parent).free
        if total - start > free:
            raise _BrokenError(
                f"it needs {(total - start) / 1e6:.0f} MB and {free / 1e6:.0f} MB are free",
                cure="Make room, or set STYLEKIT_HOME to a folder on another disk.",
            )

    def _check_length(self, length: int) -> None:
        if self.most_bytes is not None and length > self.most_bytes:
            raise self._error(f"it is longer than {self.most_bytes} bytes", "Is it the right file?")

    def _receive(self, answer: requests.Response, start: int, total: int | None) -> None:
        done = start
        with writing(self.part), self.part.open("ab" if start else "wb") as file, self._transport_errors():
            for piece in answer.iter_content(_CHUNK_BYTES):
                if done == 0:
                    self._check_beginning(piece)
                done += len(piece)
                self._check_length(done)
                file.write(piece)
                self.on_progress(done, total)
        if total is not None and done < total:
            raise _BrokenError("the connection broke")

    def _check_beginning(self, piece: bytes) -> None:
        if piece.startswith(b"version https://git-lfs.github.com/spec/"):
            raise self._error("a Git LFS pointer came, not the file", "Use the address of the file itself.")
        if piece[:64].lstrip().lower().startswith((b"<!doctype html", b"<html")):
            raise self._error("a web page came, not a file", "Use the address of the file itself.")


def _validator(answer: requests.Response) -> str:
    """What tells the file from a later one of its address; empty where the server says nothing of use."""
    etag = answer.headers.get("ETag", "")
    return "" if etag.startswith("W/") else etag or answer.headers.get("Last-Modified", "")


def _retry_after(answer: requests.Response) -> float | None:
    """Seconds that the server asks to wait; None where it does not say."""
    value = answer.headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
