"""Addresses of files on the network: which are trusted, and what `hf://` stands for."""

import ipaddress
import re
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from stylekit.errors import DownloadError

HUGGING_FACE = "https://huggingface.co"
# Programs disagree on what these mean in an address, and so on the host that it names.
_AMBIGUOUS = re.compile(r"[\s\x00-\x1f\x7f\\]")
_HUGGING_FACE_PATH = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@([\w.-]+))?/(.+)")


def is_url(text: str) -> bool:
    """Tell whether a text is meant as an address: `https://…`, `hf://…`."""
    return "://" in text


def plain_url(url: str) -> str:
    """Return the https address of a file.

    Args:
        url: `https://…`, `http://` of this machine, or `hf://user/repo[@revision]/file` for Hugging Face.

    Raises:
        DownloadError: if it is none of these.
    """
    if match := _HUGGING_FACE_PATH.fullmatch(url):
        repository, revision, file = match.groups()
        return f"{HUGGING_FACE}/{repository}/resolve/{revision or 'main'}/{quote(file)}"
    try:
        parts = urlsplit(url)
        safe = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or ""))
        safe = safe and bool(parts.hostname)
    except ValueError:
        safe = False
    if _AMBIGUOUS.search(url):
        raise DownloadError(f"{url!r} is not fetched: it holds a blank, or worse.", "Write a blank as %20.")
    if not safe:
        raise DownloadError(
            f"{url!r} is not fetched: only https:// and hf:// addresses are.",
            "Those of Hugging Face are hf://user/repo/file, or hf://user/repo@revision/file.",
        )
    return url


def file_at(url: str) -> PurePosixPath:
    """Return the path of the file that a plain address names, its escapes undone."""
    return PurePosixPath(unquote(urlsplit(url).path))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
