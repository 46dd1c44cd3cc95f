"""Announcements of downloads: what is about to be downloaded, how large it is, and where it goes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stylekit.downloads.download import OnProgress


@dataclass(frozen=True)
class Download:
    """A download that is about to start.

    Attributes:
        name: What is downloaded, in a word or two.
        size: Its size in bytes.
        path: The file that it becomes, which may be smaller.
    """

    name: str
    size: int
    path: Path


# Called before a download starts; what it returns is called with the bytes so far, and in all if known.
OnDownload = Callable[[Download], OnProgress]


def ignore_download(download: Download) -> OnProgress:
    """Return a function that ignores a download's progress."""
    return lambda done, total: None


def announced(download: Download, on_download: OnDownload) -> OnProgress:
    """Return a progress function that announces the download at its first call."""
    show: OnProgress | None = None

    def announce_and_show(done: int, total: int | None) -> None:
        nonlocal show
        if show is None:
            show = on_download(download)
        show(done, total)

    return announce_and_show
