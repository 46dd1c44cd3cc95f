"""Fetching a file: streamed, checked by its SHA-256, moved into place."""

import hashlib
import os
from pathlib import Path

import requests

from stylekit.errors import ChecksumMismatch, DownloadError
from stylekit.paths import atomic_write, clear_stale, file_hash

_CHUNK_BYTES = 1 << 20
_TIMEOUT_SECONDS = (10, 60)  # to connect, and between two pieces


def fetch(url: str, sha256: str, destination: Path) -> None:
    """Download a file unless it is there already.

    Args:
        url: where it lies.
        sha256: its hash in hexadecimal.
        destination: where it is to be; a file already there with this hash is taken as it is.

    Raises:
        ChecksumMismatch: if what came is not what was expected; nothing is kept.
        DownloadError: if it cannot be had.
    """
    if destination.is_file() and file_hash(destination) == sha256:
        return
    if os.environ.get("STYLEKIT_OFFLINE") == "1":
        raise DownloadError("STYLEKIT_OFFLINE=1 forbids the network.", "Unset it to download.")
    clear_stale(destination.parent)
    try:
        with requests.get(
            url, stream=True, timeout=_TIMEOUT_SECONDS, headers={"Accept-Encoding": "identity"}
        ) as answer:
            answer.raise_for_status()
            _store(answer, sha256, destination)
    except requests.RequestException as error:
        raise DownloadError(f"{url} cannot be fetched: {_reason(error)}.", "Is there a network connection?") from None
    except OSError as error:
        raise DownloadError(
            f"{destination} cannot be written: {error.strerror}.", "Is there room in the cache?"
        ) from None


def _store(answer: requests.Response, sha256: str, destination: Path) -> None:
    digest = hashlib.sha256()
    with atomic_write(destination) as temporary:
        with temporary.open("wb") as file:
            for chunk in answer.iter_content(_CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != sha256:
            raise ChecksumMismatch(
                f"{answer.url} has the SHA-256 {digest.hexdigest()}, not {sha256}; it was thrown away.",
                "Try again later; if it stays so, the file was replaced and should not be trusted.",
            )


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    return {"ConnectionError": "no connection", "SSLError": "no trusted connection"}.get(
        type(error).__name__, "the connection timed out" if isinstance(error, requests.Timeout) else str(error)
    )
