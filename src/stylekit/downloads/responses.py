"""What a server's response says about a file."""

import email.utils
import time

import requests


def validator(response: requests.Response) -> str:
    """Return what identifies this version of the file; empty if the server sends no strong validator."""
    etag = response.headers.get("ETag", "")
    return "" if etag.startswith("W/") else etag or response.headers.get("Last-Modified", "")


def content_length(response: requests.Response) -> int | None:
    """Return the bytes of the response's body, or None if the server does not say."""
    length = response.headers.get("Content-Length", "")
    is_encoded = response.headers.get("Content-Encoding", "identity") != "identity"
    return int(length) if length.isdecimal() and not is_encoded else None


def retry_after(response: requests.Response) -> float | None:
    """Return the seconds that the server asks to wait, or None."""
    value = response.headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def kind_of_page(beginning: bytes) -> str:
    """Return what a body is that stands in for a file: `web page`, `Git LFS pointer`; empty for the file itself."""
    if beginning.startswith(b"version https://git-lfs.github.com/spec/"):
        return "Git LFS pointer"
    return "web page" if beginning.lstrip().lower().startswith((b"<!doctype html", b"<html")) else ""
