"""Reading the headers and the beginning of a server's response."""

import email.utils
import time

import requests


def validator(response: requests.Response) -> str:
    """Return an ETag or date that changes whenever the file changes; empty if the server sends none, or a weak ETag."""
    etag = response.headers.get("ETag", "")
    return "" if etag.startswith("W/") else etag or response.headers.get("Last-Modified", "")


def content_length(response: requests.Response) -> int | None:
    """Return the size of the response's body in bytes; None if the server does not send it."""
    length = response.headers.get("Content-Length", "")
    is_encoded = response.headers.get("Content-Encoding", "identity") != "identity"
    return int(length) if length.isdecimal() and not is_encoded else None


def retry_after(response: requests.Response) -> float | None:
    """Return how many seconds the server asks to wait; None if the header is missing or invalid."""
    value = response.headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def kind_of_page(beginning: bytes) -> str:
    """Return the kind of a page that a server sent in place of a file, such as `web page`; empty for any other body."""
    if beginning.startswith(b"version https://git-lfs.github.com/spec/"):
        return "Git LFS pointer"
    return "web page" if beginning.lstrip().lower().startswith((b"<!doctype html", b"<html")) else ""
