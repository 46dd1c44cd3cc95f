"""Download a file so that it is either complete and verified, or missing."""

import os
from collections.abc import Callable
from pathlib import Path

from stylekit.downloads.addresses import plain_url
from stylekit.errors import DownloadError
from stylekit.system.files import file_hash
from stylekit.system.locks import locked
from stylekit.system.paths import OTHER_HOME

# Called with the bytes downloaded so far, and the size of the file; None if the server does not send the size.
OnProgress = Callable[[int, int | None], None]


def fetch(
    url: str,
    destination: Path,
    *,
    sha256: str = "",
    most_bytes: int | None = None,
    on_progress: OnProgress = lambda done, total: None,
) -> None:
    """Download a file, unless it is already there.

    Args:
        url: The URL of the file; see `addresses.plain_url`. Only redirects to `https://` are followed; if the host is
            this machine, also redirects to this machine.
        destination: The file to write. An existing file with the right hash is kept.
        sha256: The expected hash in hexadecimal. If empty, the file is not verified, and is downloaded every time.
        most_bytes: The largest size allowed; None allows any size.
        on_progress: Called before the first request, and after each chunk received.

    Raises:
        ChecksumMismatch: If the downloaded file has a different hash; it is deleted.
        DownloadError: If the file cannot be downloaded. A partial download is kept if a later call can resume it.
    """
    if _is_there(destination, sha256):
        return
    address = plain_url(url)
    if os.environ.get("STYLEKIT_OFFLINE", "0") not in ("", "0"):
        raise DownloadError(f"Cannot download {url}: STYLEKIT_OFFLINE is set.", "Unset STYLEKIT_OFFLINE to download.")
    from stylekit.downloads.transfer import Transfer  # imports requests: 40 ms that most commands do not need

    with locked(destination, DownloadError, OTHER_HOME):
        if not _is_there(destination, sha256):  # another process may have downloaded the file meanwhile
            on_progress(0, None)
            Transfer(address, destination, sha256, most_bytes, on_progress).run()


def _is_there(destination: Path, sha256: str) -> bool:
    try:
        return bool(sha256) and destination.is_file() and file_hash(destination) == sha256
    except OSError as error:
        raise DownloadError(f"Cannot read {destination}: {error.strerror}.", "Check its permissions.") from error
