"""A downloaded file is whole and verified, or it is not there at all."""

import contextlib
import email.utils
import errno
import hashlib
import itertools
import random
import socket
import threading
import time
from types import SimpleNamespace

import pytest
import requests

from stylekit.downloads.download import fetch
from stylekit.errors import ChecksumMismatch, DownloadError
from tests.local_server import Page, time_with

PIECE = 1 << 16
CONTENT = random.Random(0).randbytes(20 * PIECE - 777)
OTHER = random.Random(1).randbytes(18 * PIECE + 99)
CUTS = random.Random(2).sample(range(PIECE, len(CONTENT)), 6)
BUSY = Page(b"busy", 503)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


SHA256 = sha256(CONTENT)


def page(content=CONTENT, etag='"one"', **settings):
    return Page(content, etag=etag, **settings)


@pytest.fixture
def target(tmp_path):
    """The file to download to; its folder does not exist yet."""
    return tmp_path / "cache" / "styles" / "mine.bin"


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """The seconds between tries, recorded instead of waited for."""
    noted: list[float] = []
    monkeypatch.setattr("stylekit.downloads.transfer.time", time_with(noted.append))
    return noted


@pytest.fixture
def interrupted(server, target):
    """The URL of a download that the server interrupted, with its part kept."""
    url = server.put_all("/a.bin", page(cut_after=CUTS[0]), BUSY)
    with pytest.raises(DownloadError):
        fetch(url, target, sha256=SHA256)
    server.requests.clear()
    return url


def files_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def part_in(folder):
    (part,) = folder.glob(".*.part")
    return part


def start_of(request):
    """The position in the file at which a requested range starts."""
    return int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))


def assert_whole(target, content=CONTENT):
    assert sha256(target.read_bytes()) == sha256(content)
    assert files_in(target.parent) == [target.name]


def test_a_missing_folder_is_created_for_the_file(server, target):
    fetch(server.put("/a.bin", CONTENT), target, sha256=SHA256)
    assert_whole(target)
    assert "Range" not in server.requests[0].headers


def test_a_file_of_unknown_hash_is_downloaded_each_time(server, target):
    url = server.put_all("/a.bin", page(), page(OTHER))
    fetch(url, target)
    assert_whole(target)
    fetch(url, target)
    assert_whole(target, OTHER)


def test_progress_goes_up_to_the_length(server, target):
    seen = []
    fetch(server.put("/a.bin", CONTENT), target, on_progress=lambda *progress: seen.append(progress))
    done = [done for done, _ in seen]
    assert len(done) > 3
    assert done == sorted(done)
    assert seen[0] == (0, None)  # before the server is asked
    assert {total for _, total in seen[1:]} == {len(CONTENT)}
    assert done[-1] == len(CONTENT)


@pytest.mark.parametrize("offline", [True, False])
def test_an_existing_file_is_not_downloaded(server, target, monkeypatch, offline):
    monkeypatch.setenv("STYLEKIT_OFFLINE", str(int(offline)))
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    fetch(server.put("/a.bin", b"other"), target, sha256=SHA256)
    assert server.asked == []
    assert_whole(target)


def test_a_corrupt_file_is_downloaded_again(server, target):
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT[:-1])
    fetch(server.put("/a.bin", CONTENT), target, sha256=SHA256)
    assert_whole(target)


def test_a_file_with_another_hash_is_deleted_and_both_hashes_are_named(server, target):
    url = server.put("/a.bin", OTHER, etag='"one"')
    with pytest.raises(ChecksumMismatch) as caught:
        fetch(url, target, sha256=SHA256)
    for part in (url, SHA256, sha256(OTHER)):
        assert part in caught.value.message
    assert files_in(target.parent) == []
    assert len(server.requests) == 1


def test_a_wrong_download_leaves_the_existing_file_alone(server, target):
    target.parent.mkdir(parents=True)
    target.write_bytes(b"of an older version")
    with pytest.raises(ChecksumMismatch):
        fetch(server.put("/a.bin", OTHER), target, sha256=SHA256)
    assert_whole(target, b"of an older version")


@pytest.mark.parametrize("cut", [*CUTS, len(CONTENT) - 1])
def test_an_interrupted_download_resumes_where_it_stopped(server, target, cut):
    fetch(server.put_all("/a.bin", page(cut_after=cut), page()), target, sha256=SHA256)
    assert_whole(target)
    first, second = server.requests
    assert "Range" not in first.headers
    assert cut - PIECE < start_of(second) <= cut
    assert second.headers["If-Range"] == '"one"'
    assert server.sent < len(CONTENT) + PIECE


@pytest.mark.parametrize("cut", CUTS)
def test_a_later_call_resumes_where_the_last_one_stopped(server, target, cut):
    url = server.put_all("/a.bin", page(cut_after=cut), BUSY)
    with pytest.raises(DownloadError, match="503"):
        fetch(url, target, sha256=SHA256)
    kept = part_in(target.parent).read_bytes()
    assert CONTENT.startswith(kept)
    assert len(files_in(target.parent)) == 2

    server.requests.clear()
    seen = []
    fetch(server.put_all("/a.bin", page()), target, sha256=SHA256, on_progress=lambda *progress: seen.append(progress))
    assert_whole(target)
    (request,) = server.requests
    assert start_of(request) == len(kept) > cut - PIECE
    assert request.headers["If-Range"] == '"one"'
    assert server.sent == len(CONTENT) - len(kept)
    assert len(kept) < seen[1][0] <= seen[-1][0] == seen[1][1] == len(CONTENT)


def test_a_connection_that_keeps_breaking_succeeds_if_each_try_makes_progress(server, target):
    fetch(server.put("/a.bin", CONTENT, etag='"one"', cut_after=2 * PIECE), target, sha256=SHA256)
    assert_whole(target)
    assert len(server.requests) > 6
    starts = [start_of(request) for request in server.requests]
    assert starts == sorted(set(starts))


def test_a_connection_without_any_bytes_is_given_up(server, target, waits):
    with pytest.raises(DownloadError) as caught:
        fetch(server.put("/a.bin", CONTENT, etag='"one"', cut_after=0), target, sha256=SHA256)
    assert not isinstance(caught.value, ChecksumMismatch)
    assert server.address in caught.value.message
    assert len(server.requests) == len(waits) + 1 == 5
    assert files_in(target.parent) == []


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"weak"'}], ids=["none", "weak"])
def test_without_a_validator_an_interrupted_download_starts_over(server, target, headers):
    fetch(
        server.put_all("/a.bin", Page(CONTENT, headers=headers, cut_after=CUTS[0]), Page(CONTENT, headers=headers)),
        target,
        sha256=SHA256,
    )
    assert_whole(target)
    assert [start_of(request) for request in server.requests] == [0, 0]


def test_without_a_validator_no_part_is_kept(server, target):
    with pytest.raises(DownloadError, match=r"connection"):
        fetch(server.put("/a.bin", CONTENT, cut_after=CUTS[0]), target, sha256=SHA256)
    assert files_in(target.parent) == []


def test_a_date_is_a_validator_too(server, target):
    dated: dict[str, str | None] = {"Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
    pages = Page(CONTENT, headers=dated, cut_after=CUTS[0]), Page(CONTENT, headers=dated)
    fetch(server.put_all("/a.bin", *pages), target, sha256=SHA256)
    assert_whole(target)
    assert server.requests[1].headers["If-Range"] == dated["Last-Modified"]
    assert start_of(server.requests[1]) > 0


def test_a_server_without_ranges_sends_the_whole_file_again(server, target):
    pages = page(cut_after=CUTS[0]), page(honors_range=False)
    fetch(server.put_all("/a.bin", *pages), target, sha256=SHA256)
    assert_whole(target)
    assert start_of(server.requests[1]) > 0
    assert server.sent == CUTS[0] + len(CONTENT)


def test_a_file_that_changed_between_two_tries_is_downloaded_as_it_is_now(server, target):
    pages = page(cut_after=CUTS[0]), page(OTHER, '"two"', cut_after=CUTS[1]), page(OTHER, '"two"')
    fetch(server.put_all("/a.bin", *pages), target, sha256=sha256(OTHER))
    assert_whole(target, OTHER)
    assert [request.headers.get("If-Range") for request in server.requests] == [None, '"one"', '"two"']


def test_a_file_that_changed_between_two_calls_is_downloaded_as_it_is_now(server, target, interrupted):
    server.put("/a.bin", OTHER, etag='"two"')
    fetch(interrupted, target, sha256=sha256(OTHER))
    assert_whole(target, OTHER)
    assert [request.headers.get("If-Range") for request in server.requests] == ['"one"']


def test_two_files_are_never_joined_even_if_the_server_ignores_if_range(server, target):
    pages = page(cut_after=CUTS[0]), page(OTHER, '"two"', honors_if_range=False)
    fetch(server.put_all("/a.bin", *pages), target)
    assert_whole(target, OTHER)


@pytest.mark.parametrize("content_range", ["bytes 0-9/10", "bytes 7-99/100", "bytes */100", "nonsense", None])
def test_another_range_than_requested_is_not_used(server, target, interrupted, content_range):
    wrong = page(status=206, headers={"Content-Range": content_range})
    server.put_all("/a.bin", wrong, page())
    fetch(interrupted, target)
    assert_whole(target)
    first, second = server.requests
    assert start_of(first) > 0 == start_of(second)


def test_a_server_that_sends_only_wrong_ranges_is_given_up(server, target):
    url = server.put("/a.bin", CONTENT, status=206, headers={"Content-Range": "bytes 5-9/10"})
    with pytest.raises(DownloadError, match="did not send the requested range"):
        fetch(url, target, sha256=SHA256)
    assert files_in(target.parent) == []


def test_a_part_longer_than_the_file_is_deleted(server, target, interrupted):
    server.put("/a.bin", b"short", etag='"one"')
    fetch(interrupted, target, sha256=sha256(b"short"))
    assert_whole(target, b"short")
    assert [start_of(request) > 0 for request in server.requests] == [True, False]


def test_a_part_corrupted_on_disk_is_downloaded_again_once(server, target, interrupted):
    part = part_in(target.parent)
    part.write_bytes(b"x" + part.read_bytes()[1:])
    server.put_all("/a.bin", page())
    fetch(interrupted, target, sha256=SHA256)
    assert_whole(target)
    assert [start_of(request) > 0 for request in server.requests] == [True, False]


def test_a_resumed_download_with_the_wrong_hash_starts_over_only_once(server, target, interrupted):
    server.put_all("/a.bin", page())
    with pytest.raises(ChecksumMismatch):
        fetch(interrupted, target, sha256=sha256(OTHER))
    assert len(server.requests) == 2
    assert files_in(target.parent) == []


def test_a_part_without_its_validator_is_not_resumed(server, target, interrupted):
    (validator,) = target.parent.glob(".*.etag")
    validator.unlink()
    server.put_all("/a.bin", page())
    fetch(interrupted, target, sha256=SHA256)
    assert_whole(target)
    assert [start_of(request) for request in server.requests] == [0]


def test_two_urls_share_no_part(server, target, interrupted):
    fetch(server.put("/b.bin", OTHER, etag='"one"'), target, sha256=sha256(OTHER))
    assert sha256(target.read_bytes()) == sha256(OTHER)
    assert "Range" not in server.requests[0].headers


@pytest.mark.parametrize("status", [404, 410, 401, 403])
def test_a_servers_refusal_is_one_clear_error_with_its_status(server, target, status):
    url = server.put("/a.bin", b"<html>", status=status)
    with pytest.raises(DownloadError, match=str(status)) as caught:
        fetch(url, target, sha256=SHA256)
    assert url in caught.value.message
    assert caught.value.hint
    assert len(server.requests) == 1
    assert files_in(target.parent) == []


def test_a_refusal_after_an_interruption_leaves_nothing(server, target, interrupted):
    server.put("/a.bin", status=404)
    with pytest.raises(DownloadError, match="404"):
        fetch(interrupted, target, sha256=SHA256)
    assert files_in(target.parent) == []


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again_after_growing_waits(server, target, waits, status):
    busy = Page(b"busy", status)
    fetch(server.put_all("/a.bin", busy, busy, page()), target, sha256=SHA256)
    assert_whole(target)
    assert len(waits) == 2
    assert 0 < waits[0] < waits[1] < 5


def test_a_server_that_stays_busy_is_given_up(server, target, waits):
    with pytest.raises(DownloadError, match="500"):
        fetch(server.put("/a.bin", status=500), target, sha256=SHA256)
    assert len(server.requests) == len(waits) + 1 == 5
    assert sum(waits) < 60
    assert files_in(target.parent) == []


def test_the_wait_that_a_server_asks_for_is_kept(server, target, waits):
    fetch(server.put_all("/a.bin", Page(b"", 429, {"Retry-After": "7"}), page()), target, sha256=SHA256)
    assert_whole(target)
    assert waits == [7]


def test_a_server_may_ask_to_wait_until_a_date(server, target, waits):
    date = email.utils.formatdate(time.time() + 20, usegmt=True)
    fetch(server.put_all("/a.bin", Page(b"", 503, {"Retry-After": date}), page()), target, sha256=SHA256)
    assert_whole(target)
    assert 15 < waits[0] <= 20


@pytest.mark.parametrize("value", ["", "soon", "-5", "1.5", "Wed, 21 Oct 2015 07:28:00 GMT", "soon GMT"])
def test_an_invalid_wait_becomes_a_short_one(server, target, waits, value):
    fetch(server.put_all("/a.bin", Page(b"", 429, {"Retry-After": value}), page()), target, sha256=SHA256)
    assert_whole(target)
    assert 0 <= waits[0] < 2


def test_a_server_that_asks_for_too_long_a_wait_is_given_up(server, target, waits):
    with pytest.raises(DownloadError, match="429") as caught:
        fetch(server.put("/a.bin", status=429, headers={"Retry-After": "3600"}), target, sha256=SHA256)
    assert "3600" in caught.value.hint
    assert (waits, len(server.requests)) == ([], 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(server, target, status):
    server.put("/b.bin", CONTENT)
    fetch(server.put("/a.bin", status=status, headers={"Location": "/b.bin"}), target, sha256=SHA256)
    assert_whole(target)
    assert server.asked == ["/a.bin", "/b.bin"]


def test_an_interruption_after_a_redirect_is_resumed_there(server, target):
    server.put_all("/b.bin", page(cut_after=CUTS[0]), page())
    fetch(server.put("/a.bin", status=302, headers={"Location": "/b.bin"}), target, sha256=SHA256)
    assert_whole(target)
    assert server.asked == ["/a.bin", "/b.bin"] * 2
    assert start_of(server.requests[3]) > 0


def test_a_redirect_to_https_is_followed_and_its_certificate_checked(server, target):
    location = server.address.replace("http:", "https:") + "/b.bin"
    with pytest.raises(DownloadError, match="certificate cannot be verified"):
        fetch(server.put("/a.bin", status=302, headers={"Location": location}), target, sha256=SHA256)


@pytest.mark.parametrize(
    "location", ["http://example.org/b.bin", "//example.org/b.bin", "file:///etc/passwd", "ftp://a"]
)
def test_a_redirect_to_an_unsafe_url_is_refused(server, target, location):
    url = server.put("/a.bin", status=302, headers={"Location": location})
    with pytest.raises(DownloadError, match="only https:// and hf://"):
        fetch(url, target, sha256=SHA256)
    assert server.asked == ["/a.bin"]
    assert files_in(target.parent) == []


@pytest.fixture
def remote(server, monkeypatch):
    """Let `https://example.org` stand for the server on this machine."""
    get = requests.Session.get

    def request(session, url, **settings):
        return get(session, url.replace("https://example.org", server.address), **settings)

    monkeypatch.setattr(requests.Session, "get", request)


@pytest.mark.usefixtures("remote")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_remote_server_cannot_redirect_to_this_machine(server, target, scheme):
    server.put("/private", b"secret")
    location = server.address.replace("http:", f"{scheme}:") + "/private"
    server.put("/a.bin", status=302, headers={"Location": location})
    with pytest.raises(DownloadError, match="only https:// and hf://"):
        fetch("https://example.org/a.bin", target)
    assert server.asked == ["/a.bin"]


@pytest.mark.usefixtures("remote")
def test_a_remote_server_can_redirect_to_https(server, target):
    server.put("/a.bin", status=302, headers={"Location": "https://example.org/b.bin"})
    server.put("/b.bin", CONTENT)
    fetch("https://example.org/a.bin", target, sha256=SHA256)
    assert_whole(target)


def test_a_redirect_to_an_invalid_url_is_one_clear_error(server, target):
    with pytest.raises(DownloadError):
        fetch(server.put("/a.bin", status=302, headers={"Location": "https://[::1/b.bin"}), target, sha256=SHA256)


def test_redirects_in_a_circle_end(server, target):
    server.put("/b.bin", status=302, headers={"Location": "/a.bin"})
    with pytest.raises(DownloadError, match="too many redirects"):
        fetch(server.put("/a.bin", status=302, headers={"Location": "/b.bin"}), target, sha256=SHA256)
    assert len(server.requests) <= 20
    assert files_in(target.parent) == []


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (CONTENT, {"Content-Type": "text/html; charset=utf-8"}),
        (b"<!DOCTYPE html><html><body>Sign in", {}),
        (b"\n  <HTML lang=en>", {"Content-Type": "application/octet-stream"}),
    ],
    ids=["by type", "by content", "by content, typed as a file"],
)
def test_a_web_page_is_not_taken_for_the_file(server, target, content, headers):
    with pytest.raises(DownloadError, match="web page"):
        fetch(server.put("/a.bin", content, headers=headers), target)
    assert files_in(target.parent) == []


def test_a_git_lfs_pointer_is_not_taken_for_the_file(server, target):
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA256}\nsize {len(CONTENT)}\n"
    with pytest.raises(DownloadError, match="Git LFS pointer"):
        fetch(server.put("/a.bin", pointer.encode()), target)
    assert files_in(target.parent) == []


@pytest.mark.parametrize("headers", [{}, {"Content-Length": None}], ids=["length sent", "length not sent"])
def test_a_file_that_is_too_long_is_refused(server, target, headers):
    url = server.put("/a.bin", CONTENT, headers=headers, etag='"one"')
    with pytest.raises(DownloadError, match=f"larger than {len(CONTENT) - 1} bytes"):
        fetch(url, target, most_bytes=len(CONTENT) - 1)
    assert files_in(target.parent) == []
    fetch(url, target, most_bytes=len(CONTENT))
    assert_whole(target)


def test_a_file_larger_than_the_free_space_is_not_started(server, target, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(total=10**9, free=len(CONTENT) - 1))
    with pytest.raises(DownloadError, match="only 1 MB are free") as caught:
        fetch(server.put("/a.bin", CONTENT), target, sha256=SHA256)
    assert "STYLEKIT_HOME" in caught.value.hint
    assert files_in(target.parent) == []


def unknown_usage(path):
    raise OSError(errno.ENOSYS, "Function not implemented")


@pytest.mark.parametrize("usage", [unknown_usage, lambda path: SimpleNamespace(total=0, free=0)], ids=["error", "zero"])
def test_a_folder_that_does_not_report_its_free_space_is_written_to(server, target, monkeypatch, usage):
    monkeypatch.setattr("shutil.disk_usage", usage)
    fetch(server.put("/a.bin", CONTENT), target, sha256=SHA256)
    assert_whole(target)


def test_a_server_that_goes_silent_is_asked_for_the_rest(server, target, monkeypatch):
    monkeypatch.setattr("stylekit.downloads.transfer._TIMEOUT_SECONDS", (1, 0.2))
    fetch(server.put_all("/a.bin", page(stall_after=CUTS[0]), page()), target, sha256=SHA256)
    assert_whole(target)
    assert start_of(server.requests[1]) > CUTS[0] - PIECE


def test_a_server_that_stays_silent_is_given_up(server, target, monkeypatch):
    monkeypatch.setattr("stylekit.downloads.transfer._TIMEOUT_SECONDS", (1, 0.1))
    with pytest.raises(DownloadError, match="connection"):
        fetch(server.put("/a.bin", CONTENT, etag='"one"', stall_after=10), target, sha256=SHA256)
    assert len(server.requests) == 5


@pytest.fixture
def fast_clock(monkeypatch):
    """A clock that advances by twenty seconds each time it is read."""
    monkeypatch.setattr("stylekit.downloads.transfer.time.monotonic", itertools.count(step=20).__next__)


@pytest.mark.usefixtures("fast_clock")
def test_a_server_that_sends_a_byte_at_a_time_is_given_up_and_the_part_kept(server, target):
    url = server.put("/a.bin", CONTENT, etag='"one"', piece_bytes=1, delay=0.01)
    with pytest.raises(DownloadError, match=r"only \d+ bytes of the file arrived") as caught:
        fetch(url, target, sha256=SHA256)
    assert "will be resumed" in caught.value.hint
    assert len(server.requests) == 1
    server.put_all("/a.bin", page())
    fetch(url, target, sha256=SHA256)
    assert start_of(server.requests[1]) > 0
    assert_whole(target)


BEFORE_A_CHUNK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n1;"
DRIPS = {
    "status": b"HTTP/1.1 200 O",
    "headers": b"HTTP/1.1 200 OK\r\nX-Long: ",
    "informational responses": b"HTTP/1.1 100 Continue\r\nX-Long: ",
    "chunk size": BEFORE_A_CHUNK,
}


@pytest.mark.usefixtures("fast_clock")
@pytest.mark.parametrize("beginning", DRIPS.values(), ids=DRIPS)
def test_a_server_that_drips_what_comes_before_the_file_is_given_up(target, monkeypatch, beginning):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    ended = threading.Event()

    def drip(listener):
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(beginning)
            while not ended.wait(0.01):
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=[listener])
        thread.start()
        try:
            with pytest.raises(DownloadError, match=r"only \d bytes of the file arrived in \d+ s") as caught:
                fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/a.bin", target, sha256=SHA256)
        finally:
            ended.set()
            thread.join()
    assert caught.value.hint == "Try again later."
    assert files_in(target.parent) == []


def test_a_slow_server_is_waited_for_while_bytes_arrive(server, target, monkeypatch):
    monkeypatch.setattr("stylekit.downloads.transfer._TIMEOUT_SECONDS", (1, 0.4))
    fetch(server.put("/a.bin", CONTENT[: 8 * PIECE], delay=0.03), target)
    assert_whole(target, CONTENT[: 8 * PIECE])
    assert len(server.requests) == 1


def test_a_refused_connection_is_one_clear_error(target, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(DownloadError, match="connection failed") as caught:
        fetch(f"http://127.0.0.1:{port}/a.bin", target, sha256=SHA256)
    assert "\n" not in caught.value.message
    assert files_in(target.parent) == []


@pytest.mark.parametrize("error", [requests.ConnectTimeout, requests.ReadTimeout])
def test_a_timeout_is_reported_as_one(target, monkeypatch, error):
    def stall(*arguments, timeout, **settings):
        assert timeout is not None
        raise error("...")

    monkeypatch.setattr(requests.Session, "get", stall)
    with pytest.raises(DownloadError, match="timed out"):
        fetch("http://127.0.0.1:1/a.bin", target, sha256=SHA256)


@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_offline_means_offline(server, target, monkeypatch, value):
    monkeypatch.setenv("STYLEKIT_OFFLINE", value)
    with pytest.raises(DownloadError, match="STYLEKIT_OFFLINE"):
        fetch(server.put("/a.bin", CONTENT), target, sha256=SHA256)
    assert server.asked == []
    assert not target.parent.exists()


@pytest.mark.parametrize("value", ["", "0"])
def test_offline_can_be_switched_off(server, target, monkeypatch, value):
    monkeypatch.setenv("STYLEKIT_OFFLINE", value)
    fetch(server.put("/a.bin", CONTENT), target, sha256=SHA256)
    assert_whole(target)


@pytest.mark.parametrize("url", ["http://example.org/a.bin", "file:///etc/hostname", "ftp://127.0.0.1/a.bin"])
def test_an_unsafe_url_is_refused_before_anything_is_written(target, url):
    with pytest.raises(DownloadError, match="only https:// and hf://"):
        fetch(url, target)
    assert not target.parent.exists()


def test_a_folder_that_cannot_be_written_to_is_one_clear_error(server, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DownloadError, match="Cannot write") as caught:
        fetch(server.put("/a.bin", CONTENT), tmp_path / "file" / "mine.bin", sha256=SHA256)
    assert str(tmp_path / "file") in caught.value.message
    assert files_in(tmp_path) == ["file"]


@pytest.mark.parametrize("status", [401, 403, 451])
def test_a_refusal_meanwhile_keeps_the_part(server, target, interrupted, status):
    server.put("/a.bin", status=status)
    with pytest.raises(DownloadError, match=str(status)):
        fetch(interrupted, target, sha256=SHA256)
    server.put_all("/a.bin", page())
    server.requests.clear()
    fetch(interrupted, target, sha256=SHA256)
    assert_whole(target)
    assert start_of(server.requests[0]) > 0


def test_a_complete_part_is_used_without_a_request(server, target, interrupted):
    part_in(target.parent).write_bytes(CONTENT)
    fetch(interrupted, target, sha256=SHA256)
    assert_whole(target)
    assert server.requests == []


def test_an_error_of_the_progress_function_is_not_reported_as_a_download_that_cannot_be_written(server, target):
    def show(done, total):
        raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        fetch(server.put("/a.bin", CONTENT, etag='"one"'), target, sha256=SHA256, on_progress=show)


@pytest.mark.parametrize("which", ["file", "part"])
def test_a_file_without_permission_is_reported_and_kept(server, target, interrupted, without_permission, which):
    path = part_in(target.parent)
    if which == "file":
        path = path.rename(target)
    without_permission(path)
    server.put_all("/a.bin", page())
    with pytest.raises(DownloadError, match=f"{path.name}.*Permission denied"):
        fetch(interrupted, target, sha256=SHA256)
    assert path.exists()
    assert server.requests == []
