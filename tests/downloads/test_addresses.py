"""Files are downloaded from https, Hugging Face and this machine only."""

import pytest

from stylekit.downloads.addresses import is_loopback, is_url, plain_url
from stylekit.errors import DownloadError

HASH = "9a267ba8540fba8fb12bc78f3770e0fd9c923c56"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, True) for text in ["https://a.org/b", "hf://a/b/c", "http://a.org", "ftp://a.org/b", "file:///b"]),
        *((text, False) for text in ["candy", "./candy.pth", "C:\\candy.pth", "", "a:b", "https:/a.org/b"]),
    ],
)
def test_a_url_has_a_scheme(text, expected):
    assert is_url(text) is expected


@pytest.mark.parametrize(
    "url",
    [
        *("https://example.org/a.onnx", "https://example.org:8443/a?b=c#d", "HTTPS://EXAMPLE.ORG/a"),
        *("http://127.0.0.1:8000/a", "http://127.1.2.3/a", "http://localhost/a", "http://[::1]:8000/a"),
    ],
)
def test_https_and_this_machine_stay_as_they_are(url):
    assert plain_url(url) == url


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("hf://user/repo/a.onnx", "user/repo/resolve/main/a.onnx"),
        ("hf://user/repo/dir/deep/a.onnx", "user/repo/resolve/main/dir/deep/a.onnx"),
        ("hf://user/repo@v1.5/a.onnx", "user/repo/resolve/v1.5/a.onnx"),
        (f"hf://user/repo@{HASH}/dir/a.onnx", f"user/repo/resolve/{HASH}/dir/a.onnx"),
        ("hf://my-user/my.repo_2/a.onnx", "my-user/my.repo_2/resolve/main/a.onnx"),
        ("hf://user/repo/a b?c#d%.onnx", "user/repo/resolve/main/a%20b%3Fc%23d%25.onnx"),
        ("hf://user/repo/mail@home.onnx", "user/repo/resolve/main/mail%40home.onnx"),
    ],
)
def test_hf_stands_for_a_file_on_hugging_face(url, path):
    assert plain_url(url) == f"https://huggingface.co/{path}"


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.org/a", "http://10.0.0.1/a", "http://0.0.0.0/a", "http://[2001:db8::1]/a"),
        *("file:///etc/passwd", "file://localhost/etc/passwd", "ftp://127.0.0.1/a", "ssh://127.0.0.1/a"),
        *("data:text/plain,a", "candy", "", "https://", "https:///a", "//example.org/a", "https://[::1/a"),
        *("hf://user/repo", "hf://user/repo/", "hf://user", "hf://", "hf://user/repo@/a"),
    ],
)
def test_any_other_url_is_refused(url):
    with pytest.raises(DownloadError, match="only https:// and hf://") as caught:
        plain_url(url)
    assert url in caught.value.message


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1@example.org/a", "http://localhost:80@example.org/a", "http://example.org/@127.0.0.1"),
        *("http://127.0.0.1.example.org/a", "http://localhost.example.org/a", "http://example.org?@127.0.0.1/a"),
        *("http://example.org#@127.0.0.1/a", "http://example.org\\@127.0.0.1/a"),
    ],
)
def test_another_host_cannot_pass_for_this_machine(url):
    with pytest.raises(DownloadError):
        plain_url(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        *((url, True) for url in ["http://127.0.0.1:8000/a", "https://localhost/a", "http://[::1]/a"]),
        *((url, False) for url in ["https://example.org/a", "http://127.0.0.1.example.org/a", "https://[::1/a", "a"]),
    ],
)
def test_what_a_remote_server_names_may_not_be_on_this_machine(url, expected):
    assert is_loopback(url) is expected
    if expected:
        with pytest.raises(DownloadError):
            plain_url(url, allow_loopback=False)


def test_a_url_with_whitespace_says_so():
    with pytest.raises(DownloadError, match="contains whitespace") as caught:
        plain_url("https://example.org/a b.onnx")
    assert "%20" in caught.value.hint


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost.", "LOCALHOST", "a.localhost", "127.0.0.1", "127.0.0.1.", "127.1", "2130706433"),
        *("0x7f.1", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]"),
    ],
)
def test_this_machine_is_recognized_in_any_notation(host):
    assert is_loopback(f"https://{host}/style.safetensors")


@pytest.mark.parametrize("host", ["example.org", "localhost.example.org", "10.0.0.1", "8.8.8.8", "[2001:db8::1]", "a"])
def test_other_hosts_are_not_taken_for_this_machine(host):
    assert not is_loopback(f"https://{host}/style.safetensors")
