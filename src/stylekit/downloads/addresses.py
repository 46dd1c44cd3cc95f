"""Check the URLs of files to download, and expand `hf://` URLs."""

import ipaddress
import re
import socket
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from stylekit.errors import DownloadError

HUGGING_FACE = "https://huggingface.co"
# URL parsers interpret these characters differently, so they may disagree on the host.
_AMBIGUOUS = re.compile(r"[\s\x00-\x1f\x7f\\]")
_HUGGING_FACE_PATH = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@([\w.-]+))?/(.+)")


def is_url(text: str) -> bool:
    """Return whether a string looks like a URL, such as `https://…` or `hf://…`."""
    return "://" in text


def is_loopback(url: str) -> bool:
    """Return whether a URL's host is a loopback address, however it is written. Host names are not resolved."""
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
    """Parse a host as an IP address, however it is written; return None for a host name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))  # 127.1, 2130706433, 0x7f.1
        except (OSError, ValueError):
            return None
    return getattr(address, "ipv4_mapped", None) or address


def plain_url(url: str, *, allow_loopback: bool = True) -> str:
    """Check a URL and expand `hf://`.

    Args:
        url: `https://…`, or `hf://user/repo[@revision]/file` for a file on Hugging Face. `http://…` is allowed only if
            the host is this machine.
        allow_loopback: Whether the host may be this machine. Pass false for a redirect from a remote server.

    Returns:
        The URL to request from a server.

    Raises:
        DownloadError: If the URL is invalid or not allowed.
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
            "Write Hugging Face files as hf://user/repo/file or hf://user/repo@revision/file.",
        )
    return url


def file_at(url: str) -> PurePosixPath:
    """Return the path in a URL, with percent-encoding decoded."""
    return PurePosixPath(unquote(urlsplit(url).path))
