"""URLs of files: which are safe to download from, and what `hf://` stands for."""

import ipaddress
import re
import socket
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from stylekit.errors import DownloadError

HUGGING_FACE = "https://huggingface.co"
# Programs disagree on what these mean in a URL, and so on the host that it names.
_AMBIGUOUS = re.compile(r"[\s\x00-\x1f\x7f\\]")
_HUGGING_FACE_PATH = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@([\w.-]+))?/(.+)")


def is_url(text: str) -> bool:
    """Return whether a text is meant as a URL: `https://…`, `hf://…`."""
    return "://" in text


def is_loopback(url: str) -> bool:
    """Return whether a URL names a host on this machine, in any notation; names are not resolved."""
    host = _host(url)
    address = _address(host)
    if address is None:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a host is written as; None for a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))  # 127.1, 2130706433, 0x7f.1
        except (OSError, ValueError):
            return None
    return getattr(address, "ipv4_mapped", None) or address


def plain_url(url: str, *, allow_loopback: bool = True) -> str:
    """Return the `https://` URL of a file.

    Args:
        url: `https://…`, or `hf://user/repo[@revision]/file` for a file on Hugging Face. `http://` is taken for hosts
            on this machine.
        allow_loopback: Whether the host may be this machine. What a remote server names may not.

    Raises:
        DownloadError: If the URL is not one of these.
    """
    if match := _HUGGING_FACE_PATH.fullmatch(url):
        repository, revision, file = match.groups()
        return f"{HUGGING_FACE}/{repository}/resolve/{revision or 'main'}/{quote(file)}"
    if _AMBIGUOUS.search(url):
        raise DownloadError(
            f"Invalid URL {url!r}: it contains whitespace, backslashes or control characters.", "Write a space as %20."
        )
    try:
        parts = urlsplit(url)
        loopback = is_loopback(url)
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and loopback)
        is_safe = is_safe and bool(parts.hostname) and (allow_loopback or not loopback)
        address = _address(_host(url))
        is_safe = is_safe and (address is None or not address.is_unspecified)
    except ValueError:
        is_safe = False
    if not is_safe:
        raise DownloadError(
            f"Invalid URL {url!r}: only https:// and hf:// URLs are downloaded.",
            "A file on Hugging Face is hf://user/repo/file, or hf://user/repo@revision/file.",
        )
    return url


def file_at(url: str) -> PurePosixPath:
    """Return the path that a plain URL names, its percent-encoding decoded."""
    return PurePosixPath(unquote(urlsplit(url).path))
