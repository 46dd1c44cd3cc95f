"""Only https, this machine and Hugging Face are asked for files."""

import pytest

from stylekit.downloads.addresses import is_url, plain_url
from stylekit.errors import DownloadError

HASH = "9a267ba8540fba8fb12bc78f3770e0fd9c923c56"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, True) for text in ["https://a.org/b", "hf://a/b/c", "http://a.org", "ftp://a.org/b", "file:///b"]),
        *((text, False) for text in ["candy", "./candy.pth", "C:\\candy.pth", "", "a:b", "https:/a.org/b"]),
    ],
)
def test_an_address_has_a_scheme(text, expected):
    assert is_url(text) is expected


@pytest.mark.parametrize(
    "url",
    [
        *("https://example.org/a.onnx", "https://example.org:8443/a?b=c#d", "HTTPS://EXAMPLE.ORG/a"),
        *("http://127.0.0.1:8000/a", "http://127.1.2.3/a", "http://localhost/a", "http://[::1]:8000/a"),
    ],
)
def test_https_and_this_machine_are_taken_as_they_are(url):
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
def test_hf_stands_for_a_file_of_hugging_face(url, path):
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
def test_any_other_address_is_refused(url):
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
def test_a_foreign_host_cannot_pass_for_this_machine(url):
    with pytest.raises(DownloadError):
        plain_url(url)
