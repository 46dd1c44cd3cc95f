"""A download is there whole and checked, or not at all."""

import email.utils
import hashlib
import random
import socket
import time
from types import SimpleNamespace

import pytest
import requests

from local_server import Page
from stylekit.downloads.download import fetch
from stylekit.errors import ChecksumMismatch, DownloadError

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
    """Seconds between tries, noted instead of waited."""
    noted = []
    monkeypatch.setattr("stylekit.downloads.download.time", SimpleNamespace(sleep=noted.append, time=time.time))
    return noted


@pytest.fixture
def broken_off(server, target):
    """The address of a download that a server broke off; its part was kept."""
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
    """The byte from which on a request wants the file."""
    return int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))


def assert_whole(target, content=CONTENT):
    assert sha256(target.read_bytes()) == sha256(content)
    assert files_in(target.parent) == [target.name]


def test_a_file_is_fetched_into_a_folder_that_is_made(server, target):
    fetch(server.put("/a.bin", CONTENT), target, sha256=SHA256)
    assert_whole(target)
    assert "Range" not in server.requests[0].headers


def test_a_file_whose_hash_is_not_known_is_fetched_anew_each_time(server, target):
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
    assert {total for _, total in seen} == {len(CONTENT)}
    assert done[-1] == len(CONTENT)


@pytest.mark.parametrize("offline", [True, False])
def test_a_file_that_is_there_already_is_not_fetched(server, target, monkeypatch, offline):
    monkeypatch.setenv("STYLEKIT_OFFLINE", str(int(offline)))
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    fetch(server.put("/a.bin", b"other"), target, sha256=SHA256)
    assert server.asked == []
    assert_whole(target)


def test_a_corrupt_file_is_fetched_anew(server, target):
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT[:-1])
    fetch(server.put("/a.bin", CONTENT), target, sha256=SHA256)
    assert_whole(target)


def test_what_has_another_hash_is_not_kept_and_both_hashes_are_named(server, target):
    url = server.put("/a.bin", OTHER, etag='"one"')
    with pytest.raises(ChecksumMismatch) as caught:
        fetch(url, target, sha256=SHA256)
    for part in (url, SHA256, sha256(OTHER)):
        assert part in caught.value.message
    assert files_in(target.parent) == []
    assert len(server.requests) == 1


def test_a_wrong_download_leaves_the_file_that_was_there(server, target):
    target.parent.mkdir(parents=True)
    target.write_bytes(b"of an older version")
    with pytest.raises(ChecksumMismatch):
        fetch(server.put("/a.bin", OTHER), target, sha256=SHA256)
    assert_whole(target, b"of an older version")


@pytest.mark.parametrize("cut", [*CUTS, len(CONTENT) - 1])
def test_a_broken_download_goes_on_where_it_broke(server, target, cut):
    fetch(server.put_all("/a.bin", page(cut_after=cut), page()), target, sha256=SHA256)
    assert_whole(target)
    first, second = server.requests
    assert "Range" not in first.headers
    assert cut - PIECE < start_of(second) <= cut
    assert second.headers["If-Range"] == '"one"'
    assert server.sent < len(CONTENT) + PIECE


@pytest.mark.parametrize("cut", CUTS)
def test_a_later_call_goes_on_where_the_last_one_broke(server, target, cut):
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
    assert len(kept) < seen[0][0] <= seen[-1][0] == seen[0][1] == len(CONTENT)


def test_a_connection_that_breaks_again_and_again_gets_there_as_long_as_each_try_brings_something(server, target):
    fetch(server.put("/a.bin", CONTENT, etag='"one"', cut_after=2 * PIECE), target, sha256=SHA256)
    assert_whole(target)
    assert len(server.requests) > 6
    starts = [start_of(request) for request in server.requests]
    assert starts == sorted(set(starts))


def test_a_connection_that_brings_nothing_is_given_up(server, target, waits):
    with pytest.raises(DownloadError) as caught:
        fetch(server.put("/a.bin", CONTENT, etag='"one"', cut_after=0), target, sha256=SHA256)
    assert not isinstance(caught.value, ChecksumMismatch)
    assert server.address in caught.value.message
    assert len(server.requests) == len(waits) + 1 == 5
    assert files_in(target.parent) == []


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"weak"'}], ids=["none", "weak"])
def test_without_a_validator_a_broken_download_begins_anew(server, target, headers):
    fetch(
        server.put_all("/a.bin", Page(CONTENT, headers=headers, cut_after=CUTS[0]), Page(CONTENT, headers=headers)),
        target,
        sha256=SHA256,
    )
    assert_whole(target)
    assert [start_of(request) for request in server.requests] == [0, 0]


def test_without_a_validator_nothing_is_kept_of_a_broken_download(server, target):
    with pytest.raises(DownloadError, match=r"connection"):
        fetch(server.put("/a.bin", CONTENT, cut_after=CUTS[0]), target, sha256=SHA256)
    assert files_in(target.parent) == []


def test_a_date_is_a_validator_too(server, target):
    dated = {"Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
    pages = Page(CONTENT, headers=dated, cut_after=CUTS[0]), Page(CONTENT, headers=dated)
    fetch(server.put_all("/a.bin", *pages), target, sha256=SHA256)
    assert_whole(target)
    assert server.requests[1].headers["If-Range"] == dated["Last-Modified"]
    assert start_of(server.requests[1]) > 0


def test_a_server_that_knows_no_ranges_sends_the_whole_file_again(server, target):
    pages = page(cut_after=CUTS[0]), page(honours_range=False)
    fetch(server.put_all("/a.bin", *pages), target, sha256=SHA256)
    assert_whole(target)
    assert start_of(server.requests[1]) > 0
    assert server.sent == CUTS[0] + len(CONTENT)


def test_a_file_that_changed_between_two_tries_is_fetched_as_it_is_now(server, target):
    pages = page(cut_after=CUTS[0]), page(OTHER, '"two"', cut_after=CUTS[1]), page(OTHER, '"two"')
    fetch(server.put_all("/a.bin", *pages), target, sha256=sha256(OTHER))
    assert_whole(target, OTHER)
    assert [request.headers.get("If-Range") for request in server.requests] == [None, '"one"', '"two"']


def test_a_file_that_changed_between_two_calls_is_fetched_as_it_is_now(server, target, broken_off):
    server.put("/a.bin", OTHER, etag='"two"')
    fetch(broken_off, target, sha256=sha256(OTHER))
    assert_whole(target, OTHER)
    assert [request.headers.get("If-Range") for request in server.requests] == ['"one"']


def test_two_files_are_never_joined_even_where_the_server_takes_no_heed_of_if_range(server, target):
    pages = page(cut_after=CUTS[0]), page(OTHER, '"two"', honours_if_range=False)
    fetch(server.put_all("/a.bin", *pages), target)
    assert_whole(target, OTHER)


@pytest.mark.parametrize("content_range", ["bytes 0-9/10", "bytes 7-99/100", "bytes */100", "nonsense", None])
def test_another_part_than_was_asked_for_is_not_taken(server, target, broken_off, content_range):
    wrong = page(status=206, headers={"Content-Range": content_range})
    server.put_all("/a.bin", wrong, page())
    fetch(broken_off, target)
    assert_whole(target)
    first, second = server.requests
    assert start_of(first) > 0 == start_of(second)


def test_a_server_that_sends_nothing_but_parts_is_given_up(server, target):
    url = server.put("/a.bin", CONTENT, status=206, headers={"Content-Range": "bytes 5-9/10"})
    with pytest.raises(DownloadError, match="another part than was asked for"):
        fetch(url, target, sha256=SHA256)
    assert files_in(target.parent) == []


def test_a_part_that_is_longer_than_the_file_is_thrown_away(server, target, broken_off):
    server.put("/a.bin", b"short", etag='"one"')
    fetch(broken_off, target, sha256=sha256(b"short"))
    assert_whole(target, b"short")
    assert [start_of(request) > 0 for request in server.requests] == [True, False]


def test_a_part_that_was_corrupted_on_disk_is_fetched_afresh_once(server, target, broken_off):
    part = part_in(target.parent)
    part.write_bytes(b"x" + part.read_bytes()[1:])
    server.put_all("/a.bin", page())
    fetch(broken_off, target, sha256=SHA256)
    assert_whole(target)
    assert [start_of(request) > 0 for request in server.requests] == [True, False]


def test_a_resumed_download_of_the_wrong_hash_is_fetched_afresh_only_once(server, target, broken_off):
    server.put_all("/a.bin", page())
    with pytest.raises(ChecksumMismatch):
        fetch(broken_off, target, sha256=sha256(OTHER))
    assert len(server.requests) == 2
    assert files_in(target.parent) == []


def test_a_part_without_its_validator_is_not_gone_on_from(server, target, broken_off):
    (validator,) = target.parent.glob(".*.etag")
    validator.unlink()
    server.put_all("/a.bin", page())
    fetch(broken_off, target, sha256=SHA256)
    assert_whole(target)
    assert [start_of(request) for request in server.requests] == [0]


def test_two_addresses_share_no_part(server, target, broken_off):
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


def test_a_refusal_after_a_break_leaves_nothing(server, target, broken_off):
    server.put("/a.bin", status=404)
    with pytest.raises(DownloadError, match="404"):
        fetch(broken_off, target, sha256=SHA256)
    assert files_in(target.parent) == []


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again_after_longer_and_longer_waits(server, target, waits, status):
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


def test_a_server_that_asks_to_wait_gets_its_seconds(server, target, waits):
    fetch(server.put_all("/a.bin", Page(b"", 429, {"Retry-After": "7"}), page()), target, sha256=SHA256)
    assert_whole(target)
    assert waits == [7]


def test_a_server_may_ask_to_wait_until_a_date(server, target, waits):
    date = email.utils.formatdate(time.time() + 20, usegmt=True)
    fetch(server.put_all("/a.bin", Page(b"", 503, {"Retry-After": date}), page()), target, sha256=SHA256)
    assert_whole(target)
    assert 15 < waits[0] <= 20


@pytest.mark.parametrize("value", ["", "soon", "-5", "1.5", "Wed, 21 Oct 2015 07:28:00 GMT", "soon GMT"])
def test_a_wait_that_makes_no_sense_is_a_short_one(server, target, waits, value):
    fetch(server.put_all("/a.bin", Page(b"", 429, {"Retry-After": value}), page()), target, sha256=SHA256)
    assert_whole(target)
    assert 0 <= waits[0] < 2


def test_a_server_that_asks_for_too_long_a_wait_is_not_waited_for(server, target, waits):
    with pytest.raises(DownloadError, match="429") as caught:
        fetch(server.put("/a.bin", status=429, headers={"Retry-After": "3600"}), target, sha256=SHA256)
    assert "3600" in caught.value.hint
    assert (waits, len(server.requests)) == ([], 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirection_is_followed(server, target, status):
    server.put("/b.bin", CONTENT)
    fetch(server.put("/a.bin", status=status, headers={"Location": "/b.bin"}), target, sha256=SHA256)
    assert_whole(target)
    assert server.asked == ["/a.bin", "/b.bin"]


def test_a_break_behind_a_redirection_is_resumed_there(server, target):
    server.put_all("/b.bin", page(cut_after=CUTS[0]), page())
    fetch(server.put("/a.bin", status=302, headers={"Location": "/b.bin"}), target, sha256=SHA256)
    assert_whole(target)
    assert server.asked == ["/a.bin", "/b.bin"] * 2
    assert start_of(server.requests[3]) > 0


def test_a_redirection_to_https_is_followed_and_its_certificate_looked_at(server, target):
    location = server.address.replace("http:", "https:") + "/b.bin"
    with pytest.raises(DownloadError, match="not to be trusted"):
        fetch(server.put("/a.bin", status=302, headers={"Location": location}), target, sha256=SHA256)


@pytest.mark.parametrize(
    "location", ["http://example.org/b.bin", "//example.org/b.bin", "file:///etc/passwd", "ftp://a"]
)
def test_a_redirection_to_an_unsafe_address_is_refused(server, target, location):
    url = server.put("/a.bin", status=302, headers={"Location": location})
    with pytest.raises(DownloadError, match="only https:// and hf://"):
        fetch(url, target, sha256=SHA256)
    assert server.asked == ["/a.bin"]
    assert files_in(target.parent) == []


def test_a_redirection_to_no_address_is_one_clear_error(server, target):
    with pytest.raises(DownloadError):
        fetch(server.put("/a.bin", status=302, headers={"Location": "https://[::1/b.bin"}), target, sha256=SHA256)


def test_a_redirection_in_a_circle_ends(server, target):
    server.put("/b.bin", status=302, headers={"Location": "/a.bin"})
    with pytest.raises(DownloadError, match="one address to the next"):
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


@pytest.mark.parametrize("headers", [{}, {"Content-Length": None}], ids=["length told", "length not told"])
def test_a_file_that_is_too_long_is_refused(server, target, headers):
    url = server.put("/a.bin", CONTENT, headers=headers, etag='"one"')
    with pytest.raises(DownloadError, match=f"longer than {len(CONTENT) - 1} bytes"):
        fetch(url, target, most_bytes=len(CONTENT) - 1)
    assert files_in(target.parent) == []
    fetch(url, target, most_bytes=len(CONTENT))
    assert_whole(target)


def test_a_file_for_which_the_disk_is_too_small_is_not_begun(server, target, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=len(CONTENT) - 1))
    with pytest.raises(DownloadError, match="1 MB are free") as caught:
        fetch(server.put("/a.bin", CONTENT), target, sha256=SHA256)
    assert "STYLEKIT_HOME" in caught.value.hint
    assert files_in(target.parent) == []


def test_a_server_that_falls_silent_is_asked_for_the_rest(server, target, monkeypatch):
    monkeypatch.setattr("stylekit.downloads.download._TIMEOUT_SECONDS", (1, 0.2))
    fetch(server.put_all("/a.bin", page(stall_after=CUTS[0]), page()), target, sha256=SHA256)
    assert_whole(target)
    assert start_of(server.requests[1]) > CUTS[0] - PIECE


def test_a_server_that_stays_silent_is_given_up(server, target, monkeypatch):
    monkeypatch.setattr("stylekit.downloads.download._TIMEOUT_SECONDS", (1, 0.1))
    with pytest.raises(DownloadError, match="connection"):
        fetch(server.put("/a.bin", CONTENT, etag='"one"', stall_after=10), target, sha256=SHA256)
    assert len(server.requests) == 5
    assert files_in(target.parent) == []


def test_a_slow_server_is_waited_for_as_long_as_something_comes(server, target, monkeypatch):
    monkeypatch.setattr("stylekit.downloads.download._TIMEOUT_SECONDS", (1, 0.4))
    fetch(server.put("/a.bin", CONTENT[: 8 * PIECE], delay=0.03), target)
    assert_whole(target, CONTENT[: 8 * PIECE])
    assert len(server.requests) == 1


def test_a_refused_connection_is_one_clear_error(target, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(DownloadError, match="no connection") as caught:
        fetch(f"http://127.0.0.1:{port}/a.bin", target, sha256=SHA256)
    assert "\n" not in caught.value.message
    assert files_in(target.parent) == []


@pytest.mark.parametrize("error", [requests.ConnectTimeout, requests.ReadTimeout])
def test_a_timeout_is_called_one(target, monkeypatch, error):
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
def test_an_unsafe_address_is_refused_before_anything_is_written(target, url):
    with pytest.raises(DownloadError, match="only https:// and hf://"):
        fetch(url, target)
    assert not target.parent.exists()


def test_a_folder_that_cannot_be_written_to_is_one_clear_error(server, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DownloadError, match="cannot be written") as caught:
        fetch(server.put("/a.bin", CONTENT), tmp_path / "file" / "mine.bin", sha256=SHA256)
    assert str(tmp_path / "file") in caught.value.message
    assert files_in(tmp_path) == ["file"]


@pytest.mark.parametrize("status", [401, 403, 451])
def test_a_refusal_in_between_costs_no_byte_of_what_is_there(server, target, broken_off, status):
    server.put("/a.bin", status=status)
    with pytest.raises(DownloadError, match=str(status)):
        fetch(broken_off, target, sha256=SHA256)
    server.put_all("/a.bin", page())
    server.requests.clear()
    fetch(broken_off, target, sha256=SHA256)
    assert_whole(target)
    assert start_of(server.requests[0]) > 0


def test_a_part_that_is_complete_is_taken_without_another_byte(server, target, broken_off):
    part_in(target.parent).write_bytes(CONTENT)
    fetch(broken_off, target, sha256=SHA256)
    assert_whole(target)
    assert server.requests == []
