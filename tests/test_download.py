"""A download is there whole and checked, or not at all."""

import hashlib
import socket

import pytest
import requests

from local_server import serve
from stylekit.download import fetch
from stylekit.errors import ChecksumMismatch, DownloadError

CONTENT = bytes(range(256)) * 5000  # more than one piece
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as local:
        yield local


@pytest.fixture
def folder(tmp_path):
    """The folder to download into; it does not exist yet."""
    return tmp_path / "cache" / "styles"


def files_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_file_is_fetched_into_a_folder_that_is_made(server, folder):
    fetch(server.put("/a.bin", CONTENT), SHA256, folder / "mine.bin")
    assert (folder / "mine.bin").read_bytes() == CONTENT
    assert files_in(folder) == ["mine.bin"]


def test_a_redirection_is_followed(server, folder):
    server.put("/b.bin", CONTENT)
    fetch(server.put("/a.bin", status=302, headers={"Location": "/b.bin"}), SHA256, folder / "mine.bin")
    assert (folder / "mine.bin").read_bytes() == CONTENT
    assert server.asked == ["/a.bin", "/b.bin"]


@pytest.mark.parametrize("offline", [True, False])
def test_a_file_that_is_there_already_is_not_fetched(server, tmp_path, monkeypatch, offline):
    if offline:
        monkeypatch.setenv("STYLEKIT_OFFLINE", "1")
    (tmp_path / "mine.bin").write_bytes(CONTENT)
    fetch(server.put("/a.bin", b"other"), SHA256, tmp_path / "mine.bin")
    assert server.asked == []
    assert (tmp_path / "mine.bin").read_bytes() == CONTENT


def test_a_corrupt_file_is_fetched_anew(server, tmp_path):
    (tmp_path / "mine.bin").write_bytes(CONTENT[:-1])
    fetch(server.put("/a.bin", CONTENT), SHA256, tmp_path / "mine.bin")
    assert (tmp_path / "mine.bin").read_bytes() == CONTENT


def test_what_has_another_hash_is_not_kept_and_both_hashes_are_named(server, folder):
    other = hashlib.sha256(b"other").hexdigest()
    url = server.put("/a.bin", b"other")
    with pytest.raises(ChecksumMismatch) as caught:
        fetch(url, SHA256, folder / "mine.bin")
    for part in (url, SHA256, other):
        assert part in caught.value.message
    assert files_in(folder) == []


def test_a_wrong_download_leaves_the_file_that_was_there(server, tmp_path):
    (tmp_path / "mine.bin").write_bytes(b"of an older version")
    with pytest.raises(ChecksumMismatch):
        fetch(server.put("/a.bin", b"other"), SHA256, tmp_path / "mine.bin")
    assert (tmp_path / "mine.bin").read_bytes() == b"of an older version"
    assert files_in(tmp_path) == ["mine.bin"]


@pytest.mark.parametrize("status", [404, 403])
def test_a_servers_refusal_is_one_clear_error_with_its_status(server, folder, status):
    url = server.put("/a.bin", b"<html>", status=status)
    with pytest.raises(DownloadError, match=str(status)) as caught:
        fetch(url, SHA256, folder / "mine.bin")
    assert url in caught.value.message
    assert files_in(folder) == []


def test_a_connection_that_breaks_leaves_nothing(server, folder):
    url = server.put("/a.bin", CONTENT[:1000], headers={"Content-Length": str(len(CONTENT)), "Connection": "close"})
    with pytest.raises(DownloadError) as caught:
        fetch(url, SHA256, folder / "mine.bin")
    assert not isinstance(caught.value, ChecksumMismatch)
    assert url in caught.value.message
    assert files_in(folder) == []


def test_a_refused_connection_is_one_clear_error(folder, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(DownloadError, match="no connection") as caught:
        fetch(f"http://127.0.0.1:{port}/a.bin", SHA256, folder / "mine.bin")
    assert "\n" not in caught.value.message
    assert not folder.exists()


@pytest.mark.parametrize("error", [requests.ConnectTimeout, requests.ReadTimeout])
def test_a_timeout_is_called_one(folder, monkeypatch, error):
    def stall(*arguments, timeout, **settings):
        assert timeout is not None
        raise error("...")

    monkeypatch.setattr(requests, "get", stall)
    monkeypatch.setattr(requests.Session, "get", stall)
    with pytest.raises(DownloadError, match="timed out"):
        fetch("http://127.0.0.1:1/a.bin", SHA256, folder / "mine.bin")


def test_offline_means_offline(server, folder, monkeypatch):
    monkeypatch.setenv("STYLEKIT_OFFLINE", "1")
    with pytest.raises(DownloadError, match="STYLEKIT_OFFLINE"):
        fetch(server.put("/a.bin", CONTENT), SHA256, folder / "mine.bin")
    assert server.asked == []
    assert not folder.exists()


def test_a_folder_that_cannot_be_written_to_is_one_clear_error(server, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DownloadError, match="cannot be written") as caught:
        fetch(server.put("/a.bin", CONTENT), SHA256, tmp_path / "file" / "mine.bin")
    assert str(tmp_path / "file") in caught.value.message
    assert files_in(tmp_path) == ["file"]
