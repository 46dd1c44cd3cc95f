"""Announce downloads before they start, with their size and destination."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stylekit.downloads.download import OnProgress


@dataclass(frozen=True)
class Download:
    """A download that is about to start.

    Attributes:
        name: A short name for the download.
        size: The size of the download in bytes.
        path: The final file, which may be smaller than the download.
    """

    name: str
    size: int
    path: Path


# Called before a download starts. Returns a function that is called with the bytes downloaded so far and, if known, the
# total number of bytes.
OnDownload = Callable[[Download], OnProgress]


def ignore_download(download: Download) -> OnProgress:
    """Ignore the announcement of a download, and return a function that ignores its progress."""
    return lambda done, total: None


def announced(download: Download, on_download: OnDownload) -> OnProgress:
    """Return a progress function that announces a download when it is first called."""
    show: OnProgress | None = None

    def announce_and_show(done: int, total: int | None) -> None:
        nonlocal show
        if show is None:
            show = on_download(download)
        show(done, total)

    return announce_and_show
