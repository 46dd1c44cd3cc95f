"""Styles are pulled into the cache whole and verified, from catalogs and URLs, or not at all."""

import dataclasses
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest

from stylekit.errors import StyleFileError
from stylekit.networks import architecture
from stylekit.styles.importers import import_weights
from stylekit.styles.locations import downloaded_styles_dir, own_styles_dir
from stylekit.styles.onnx_import import read_onnx
from stylekit.styles.style_file import StyleFile, StyleMetadata, load_style_file, save_style_file
from stylekit.system.paths import cache_dir
from tests.local_server import Page, time_with

PIECE = 1 << 16


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch):
    monkeypatch.setattr("stylekit.downloads.transfer.time", time_with(lambda seconds: None))


@pytest.fixture(autouse=True)
def bundled(tmp_path, monkeypatch):
    """A folder that stands for the one of the bundled styles; the package's catalog is empty."""
    folder = tmp_path / "bundled"
    folder.mkdir()
    (folder / "catalog.json").write_text(json.dumps({"format": "stylekit-catalog-1", "styles": []}))
    monkeypatch.setattr("stylekit.styles.catalog._BUILT_IN", folder / "catalog.json")
    monkeypatch.setattr("stylekit.styles.locations._BUNDLED", folder)
    return folder


@pytest.fixture(scope="module")
def large_file(tmp_path_factory):
    """The bytes of a style file of many pieces."""
    random = np.random.default_rng(0)
    config = {"channels": 64, "blocks": 2}
    shapes = architecture("fast").parameter_shapes(config)
    weights = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    path = tmp_path_factory.mktemp("large") / "large.safetensors"
    save_style_file(StyleFile(StyleMetadata(name="large", network="fast", network_config=config), weights), path)
    return path.read_bytes()


@pytest.fixture
def small_file(style_path):
    """The bytes of a tiny style file."""
    return style_path.read_bytes()


@pytest.fixture
def publish(server, monkeypatch):
    """Put files of styles on the server, list them in the environment's catalog, and return the files' URLs."""

    def put(pages=None, /, sha256=None, **files):
        entries = []
        for name, content in files.items():
            path = f"/files/{name}.safetensors"
            server.put_all(path, *(pages or [Page(content, etag='"one"')]))
            digest = sha256 or hashlib.sha256(content).hexdigest()
            entries.append({"name": name, "url": path, "sha256": digest, "size": len(content), "artist": "Hokusai"})
        catalog = json.dumps({"format": "stylekit-catalog-1", "styles": entries})
        monkeypatch.setenv("STYLEKIT_CATALOG", server.put("/catalog.json", catalog.encode()))
        return [f"{server.address}/files/{name}.safetensors" for name in files]

    return put


@pytest.fixture
def start():
    """Start a command as a process; all are killed at the end of the test."""
    processes = []

    def begin(*args, before=(), **environment):
        command = [*before, sys.executable, "-m", "stylekit", *map(str, args)]
        environment = {**os.environ, **environment}
        pipe = subprocess.PIPE
        processes.append(subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def cached(name):
    return downloaded_styles_dir() / f"{name}.safetensors"


def files_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def styles_and_downloads():
    return files_in(downloaded_styles_dir()) + files_in(cache_dir() / "downloads")


def files_asked(server):
    return [request for request in server.requests if request.path.startswith("/files/")]


def wait_until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def parts(suffix=".part"):
    return [path for path in (cache_dir() / "downloads").glob(f".*{suffix}") if path.stat().st_size > 0]


def own(name, style):
    save_style_file(style, own_styles_dir() / f"{name}.safetensors")


def test_a_style_is_pulled_from_a_catalog_and_its_path_printed(stylekit, server, publish, small_file):
    (url,) = publish(wave=small_file)
    code, out, err = stylekit("styles", "pull", "wave")
    assert (code, out) == (0, f"{cached('wave')}\n")
    assert err.startswith("Downloading wave, ")
    metadata = load_style_file(cached("wave")).metadata
    assert (metadata.name, metadata.artist) == ("wave", "Hokusai")
    assert metadata.downloaded == {"url": url, "sha256": hashlib.sha256(small_file).hexdigest()}
    assert styles_and_downloads() == ["wave.safetensors"]


def test_an_intact_style_is_not_pulled_twice(stylekit, server, publish, small_file):
    publish(wave=small_file)
    for _ in range(2):
        assert stylekit("styles", "pull", "wave")[:2] == (0, f"{cached('wave')}\n")
    assert len(files_asked(server)) == 1


def test_a_pulled_style_is_available_offline(stylekit, publish, small_file, monkeypatch):
    publish(wave=small_file)
    stylekit("styles", "pull", "wave")
    monkeypatch.setenv("STYLEKIT_OFFLINE", "1")
    assert stylekit("styles", "pull", "wave")[0] == 0


def test_offline_nothing_new_is_pulled(stylekit, server, publish, small_file, monkeypatch):
    publish(wave=small_file)
    stylekit("styles", "list")
    monkeypatch.setenv("STYLEKIT_OFFLINE", "1")
    code, _, err = stylekit("styles", "pull", "wave")
    assert code == 1
    assert "STYLEKIT_OFFLINE" in err
    assert files_asked(server) == []


def damage_weights(content):
    return content[:-1] + bytes([content[-1] ^ 1])


def cut(content):
    return content[:100]


def empty(content):
    return b""


@pytest.mark.parametrize("damage", [damage_weights, cut, empty])
def test_a_corrupt_style_in_the_cache_is_pulled_again(stylekit, server, publish, small_file, damage):
    publish(wave=small_file)
    stylekit("styles", "pull", "wave")
    cached("wave").write_bytes(damage(cached("wave").read_bytes()))
    with pytest.raises(StyleFileError):
        load_style_file(cached("wave"))
    assert stylekit("styles", "pull", "wave")[0] == 0
    assert load_style_file(cached("wave")).metadata.name == "wave"
    assert len(files_asked(server)) == 2


def test_a_style_that_its_catalog_has_replaced_is_pulled_again(stylekit, publish, small_file, large_file):
    publish(wave=small_file)
    stylekit("styles", "pull", "wave")
    publish(wave=large_file)
    assert stylekit("styles", "pull", "wave")[0] == 0
    assert load_style_file(cached("wave")).metadata.network_config["channels"] == 64


@pytest.mark.parametrize("where", ["own", "bundled"])
def test_an_available_style_is_not_pulled(stylekit, server, publish, small_style, small_file, bundled, where):
    publish(wave=small_file)
    path = (own_styles_dir() if where == "own" else bundled) / "wave.safetensors"
    save_style_file(small_style, path)
    assert stylekit("styles", "pull", "wave") == (0, f"{path}\n", "wave is already available.\n")
    assert files_asked(server) == []


def test_a_wrong_hash_leaves_nothing(stylekit, publish, small_file):
    publish(wave=small_file, sha256="0" * 64)
    code, out, err = stylekit("styles", "pull", "wave")
    assert (code, out) == (1, "")
    assert "0" * 64 in err
    assert hashlib.sha256(small_file).hexdigest() in err
    assert styles_and_downloads() == []


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (Page(status=404), "404"),
        (Page(status=403), "403"),
        (Page(status=429, headers={"Retry-After": "3600"}), "429"),
        (Page(status=500), "500"),
        (Page(b"<html>"), "web page"),
        (Page(b"version https://git-lfs.github.com/spec/v1\n"), "Git LFS"),
        (Page(bytes(10**6)), "larger than"),
        (Page(b"short"), "SHA-256"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_download_that_fails_is_one_clear_line_and_leaves_nothing(stylekit, publish, small_file, page, message):
    publish([page], wave=small_file)
    code, out, err = stylekit("styles", "pull", "wave", "--quiet")
    first, *rest = err.splitlines()
    assert (code, out) == (1, "")
    assert first.startswith("error: ")
    assert message in first
    assert [line.split()[0] for line in rest] == ["hint:"]
    assert styles_and_downloads() == []


def test_a_file_that_is_not_a_style_is_deleted_and_its_url_named(stylekit, server):
    url = server.put("/files/wave.safetensors", b"no style")
    code, _, err = stylekit("styles", "pull", url)
    assert code == 1
    assert f"{url} is corrupt, or not a safetensors file" in err
    assert str(cache_dir()) not in err
    assert styles_and_downloads() == []


@pytest.mark.parametrize(("good", "bad", "code"), [(2, 0, 0), (1, 1, 3), (0, 2, 1)])
def test_the_exit_code_says_whether_all_some_or_none_were_pulled(
    stylekit, server, publish, small_file, good, bad, code
):
    wanted = [f"style-{number}" for number in range(good + bad)]
    publish(**dict.fromkeys(wanted, small_file))
    for name in wanted[good:]:
        server.put(f"/files/{name}.safetensors", status=404)
    actual, out, err = stylekit("styles", "pull", *wanted, "--quiet")
    assert actual == code
    assert out.splitlines() == [str(cached(name)) for name in wanted[:good]]
    failed = [line for line in err.splitlines() if line.startswith("failed ")]
    assert [line.split(":")[0] for line in failed] == [f"failed {name}" for name in wanted[good:]]
    assert all("404" in line for line in failed)
    assert styles_and_downloads() == [f"{name}.safetensors" for name in wanted[:good]]


def test_an_unknown_name_among_others_fails_alone(stylekit, publish, small_file):
    publish(wave=small_file)
    code, out, err = stylekit("styles", "pull", "wave", "wvae")
    assert (code, out) == (3, f"{cached('wave')}\n")
    assert "failed wvae: Unknown style 'wvae'." in err.splitlines()
    assert "hint: Did you mean wave?" in err.splitlines()


def test_the_json_document_says_what_was_pulled_and_what_failed(stylekit, publish, small_file):
    publish(wave=small_file)
    code, out, _ = stylekit("styles", "pull", "wave", "nobody", "--json")
    assert code == 3
    document = json.loads(out)
    assert document["pulled"] == {"wave": str(cached("wave"))}
    assert list(document["failed"]) == ["nobody"]
    code, out, _ = stylekit("styles", "pull", "nobody", "--json")
    assert (code, json.loads(out)["error"]["type"]) == (1, "StyleNotFound")


def test_all_remote_styles_are_pulled_at_once(stylekit, publish, small_file):
    publish(**{f"style-{number}": small_file for number in range(6)})
    code, out, _ = stylekit("styles", "pull", "--all")
    assert code == 0
    assert out.splitlines() == [str(cached(f"style-{number}")) for number in range(6)]


def test_a_style_named_twice_is_pulled_once(stylekit, server, publish, small_file):
    publish(wave=small_file)
    assert stylekit("styles", "pull", "wave", "wave", "--all")[:2] == (0, f"{cached('wave')}\n")
    assert len(files_asked(server)) == 1


@pytest.mark.parametrize(
    "args",
    [
        ["--all", "--name", "c"],
        ["a", "b", "--sha256", "0" * 64],
        ["a", "b", "--name", "c"],
        ["a", "--name", "c"],
        ["a", "--sha256", "0" * 64],
        ["https://example.org/a.safetensors", "--name", "Bad Name"],
        ["https://example.org/a.safetensors", "--name", "../a"],
        ["https://example.org/My%20Style.safetensors"],
        ["https://example.org/a.zip"],
        ["https://example.org/"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(stylekit, args):
    code, out, err = stylekit("styles", "pull", *args)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")


@pytest.mark.parametrize("url", ["http://example.org/a.onnx", "file:///etc/a.onnx", "ftp://127.0.0.1/a.onnx"])
def test_an_unsafe_url_is_refused(stylekit, url):
    code, _, err = stylekit("styles", "pull", url)
    assert code == 1
    assert "only https:// and hf://" in err


@pytest.mark.parametrize("name", ["../wave", "..", "/tmp/wave", "styles/wave", "wave/../../x", ".wave", "a\0b", ""])
def test_a_name_cannot_leave_the_cache(stylekit, publish, small_file, name):
    publish(wave=small_file)
    code, _, err = stylekit("styles", "pull", name)
    assert code in (1, 2)
    assert err.startswith("error: ")
    assert styles_and_downloads() == []


@pytest.mark.parametrize("path", ["/%2e%2e%2f%2e%2e%2fwave", "/a/..%2F..%2Fwave", "/a%2f%2ftmp%2fwave"])
def test_the_path_of_a_url_cannot_leave_the_cache(stylekit, server, small_file, path, tmp_path):
    server.next_page = lambda path: Page(small_file)
    code, out, _ = stylekit("styles", "pull", f"{server.address}{path}.safetensors")
    assert (code, out) == (0, f"{cached('wave')}\n")
    assert styles_and_downloads() == ["wave.safetensors"]


@pytest.mark.parametrize("path", ["/..%5c..%5cwave.safetensors", "/%00wave.safetensors", "/...safetensors"])
def test_the_path_of_a_url_that_is_not_a_style_name_is_refused(stylekit, server, path):
    code, _, _ = stylekit("styles", "pull", server.address + path)
    assert code == 2
    assert server.asked == []


def test_a_style_is_pulled_from_a_url_under_its_files_name(stylekit, server, small_file):
    url = server.put("/files/my-wave.safetensors?download=true", small_file)
    assert stylekit("styles", "pull", url)[:2] == (0, f"{cached('my-wave')}\n")
    assert load_style_file(cached("my-wave")).metadata.downloaded["url"] == url


def test_a_style_from_a_url_can_be_named_and_its_hash_checked(stylekit, server, small_file):
    url = server.put("/files/My Wave.safetensors".replace(" ", "%20"), small_file)
    digest = hashlib.sha256(small_file).hexdigest()
    assert stylekit("styles", "pull", url, "--name", "wave", "--sha256", digest.upper())[0] == 0
    assert load_style_file(cached("wave")).metadata.name == "wave"
    code, _, err = stylekit("styles", "pull", url, "--name", "other", "--sha256", "0" * 64)
    assert code == 1
    assert digest in err
    assert styles_and_downloads() == ["wave.safetensors"]


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("hf://user/repo/wave.safetensors", "/user/repo/resolve/main/wave.safetensors"),
        ("hf://user/repo@v1/dir/wave.safetensors", "/user/repo/resolve/v1/dir/wave.safetensors"),
    ],
)
def test_a_style_is_pulled_from_hugging_face(stylekit, server, small_file, monkeypatch, address, path):
    monkeypatch.setattr("stylekit.downloads.addresses.HUGGING_FACE", server.address)
    url = server.put(path, small_file)
    assert stylekit("styles", "pull", address)[:2] == (0, f"{cached('wave')}\n")
    assert load_style_file(cached("wave")).metadata.downloaded["url"] == url


@pytest.mark.parametrize("where", ["own", "bundled"])
@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "by force"])
def test_a_style_that_another_would_hide_cannot_be_pulled(
    stylekit, server, small_style, small_file, bundled, where, force
):
    save_style_file(small_style, (own_styles_dir() if where == "own" else bundled) / "wave.safetensors")
    url = server.put("/files/wave.safetensors", small_file)
    code, _, err = stylekit("styles", "pull", url, *force)
    assert code == 2
    assert "A local style named wave would take precedence" in err
    assert server.asked == []


def test_a_style_pulled_from_elsewhere_is_replaced_by_force_only(stylekit, server, small_file, large_file):
    first, second = server.put("/a/wave.safetensors", small_file), server.put("/b/wave.safetensors", large_file)
    assert stylekit("styles", "pull", first)[0] == 0
    before = cached("wave").read_bytes()
    code, _, err = stylekit("styles", "pull", second)
    assert code == 2
    assert f"was pulled from {first}" in err
    assert cached("wave").read_bytes() == before
    assert stylekit("styles", "pull", second, "--force")[0] == 0
    assert load_style_file(cached("wave")).metadata.downloaded["url"] == second


def test_a_style_is_pulled_again_from_the_same_url(stylekit, server, small_file, large_file):
    url = server.put_all("/files/wave.safetensors", Page(small_file), Page(large_file))
    assert stylekit("styles", "pull", url)[0] == 0
    assert stylekit("styles", "pull", url)[0] == 0
    assert load_style_file(cached("wave")).metadata.network_config["channels"] == 64


def test_a_further_catalog_can_be_named(stylekit, server, small_file):
    url = server.put("/files/wave.safetensors", small_file)
    entry = {"name": "sea", "url": url, "sha256": hashlib.sha256(small_file).hexdigest(), "size": len(small_file)}
    catalog = server.put("/other.json", json.dumps({"format": "stylekit-catalog-1", "styles": [entry]}).encode())
    assert stylekit("styles", "pull", "sea")[0] == 1
    assert stylekit("styles", "pull", "sea", "--catalog", catalog)[:2] == (0, f"{cached('sea')}\n")


def test_info_describes_remote_and_cached_styles(stylekit, publish, small_file):
    (url,) = publish(wave=small_file)
    digest = hashlib.sha256(small_file).hexdigest()
    remote = json.loads(stylekit("styles", "info", "wave", "--json")[1])
    assert (remote["where"], remote["url"], remote["sha256"], remote["artist"]) == ("remote", url, digest, "Hokusai")
    stylekit("styles", "pull", "wave")
    local = json.loads(stylekit("styles", "info", "wave", "--json")[1])
    assert (local["where"], local["path"], local["artist"]) == ("cached", str(cached("wave")), "Hokusai")
    assert local["downloaded"] == {"url": url, "sha256": digest}
    assert local["file_sha256"] == hashlib.sha256(cached("wave").read_bytes()).hexdigest()
    lines = [
        *stylekit("styles", "info", "wave")[1].splitlines(),
        *stylekit("styles", "info", "wave", "-v")[1].splitlines(),
    ]
    assert ["painter", "Hokusai"] in [line.split() for line in lines]
    assert ["path", str(cached("wave"))] in [line.split() for line in lines]


def test_info_on_nobody_is_an_error(stylekit):
    code, out, err = stylekit("styles", "info", "nobody")
    assert (code, out) == (1, "")
    assert "Unknown style 'nobody'" in err


def test_a_cached_style_is_removed_and_remote_again(stylekit, publish, small_file):
    publish(wave=small_file)
    stylekit("styles", "pull", "wave")
    assert stylekit("styles", "remove", "wave") == (0, f"{cached('wave')}\n", "")
    assert not cached("wave").exists()
    code, _, err = stylekit("styles", "remove", "wave")
    assert code == 1
    assert "'wave' is neither one of your styles nor a downloaded style" in err


def test_an_own_style_is_removed_only_with_yes(stylekit, small_style):
    own("mine", small_style)
    code, _, err = stylekit("styles", "remove", "mine")
    assert code == 2
    assert "--yes" in err
    assert files_in(own_styles_dir()) == ["mine.safetensors"]
    assert stylekit("styles", "remove", "mine", "--yes")[0] == 0
    assert files_in(own_styles_dir()) == []


def test_a_bundled_style_stays(stylekit, small_style, bundled):
    save_style_file(small_style, bundled / "small.safetensors")
    assert stylekit("styles", "remove", "small", "--yes")[0] == 2
    assert files_in(bundled) == ["catalog.json", "small.safetensors"]


def test_path_prints_the_file_of_a_style_and_the_folders_of_all(stylekit, publish, small_file):
    publish(wave=small_file)
    assert stylekit("styles", "path") == (0, f"{own_styles_dir()}\n{downloaded_styles_dir()}\n", "")
    code, _, err = stylekit("styles", "path", "wave")
    assert code == 1
    assert "styles pull wave" in err
    stylekit("styles", "pull", "wave")
    assert stylekit("styles", "path", "wave") == (0, f"{cached('wave')}\n", "")


@pytest.fixture
def photo(tmp_path, make_photo):
    make_photo(16, 16).save(tmp_path / "lion.jpg")
    return tmp_path / "lion.jpg"


def test_apply_says_how_to_get_a_remote_style(stylekit, server, publish, small_file, photo):
    publish(wave=small_file)
    code, out, err = stylekit("apply", photo, "--style", "wave")
    assert (code, out) == (1, "")
    assert "The style wave is not downloaded yet." in err
    assert "stylekit styles pull wave" in err
    assert "--pull" in err
    assert files_asked(server) == []


def test_apply_pulls_a_remote_style_if_asked_to(stylekit, server, publish, small_file, photo):
    publish(wave=small_file)
    for _ in range(2):
        code, out, _ = stylekit("apply", photo, "--style", "wave", "--pull", "--overwrite")
        assert (code, out) == (0, f"{photo.with_name('lion-wave.jpg')}\n")
    assert len(files_asked(server)) == 1


def test_two_processes_that_pull_the_same_style_fetch_it_once(server, publish, start, large_file):
    publish([Page(large_file, delay=0.01)], wave=large_file)
    processes = [start("styles", "pull", "wave") for _ in range(2)]
    results = [(process.communicate(timeout=20), process.returncode) for process in processes]
    assert [(out, code) for (out, _), code in results] == [(f"{cached('wave')}\n", 0)] * 2
    assert len(files_asked(server)) == 1
    assert styles_and_downloads() == ["wave.safetensors"]


def test_an_interrupted_pull_leaves_a_part_that_the_next_one_resumes(server, publish, start, stylekit, large_file):
    publish([Page(large_file, etag='"one"', stall_after=5 * PIECE), Page(large_file, etag='"one"')], wave=large_file)
    process = start("styles", "pull", "wave")
    wait_until(parts)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=5)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert sorted(Path(name).suffix for name in styles_and_downloads()) == [".etag", ".part"]
    kept = parts()[0].stat().st_size

    assert stylekit("styles", "pull", "wave")[0] == 0
    request = files_asked(server)[-1]
    assert (request.headers["Range"], request.headers["If-Range"]) == (f"bytes={kept}-", '"one"')
    assert request.sent == len(large_file) - kept
    assert styles_and_downloads() == ["wave.safetensors"]


@pytest.mark.parametrize("settings", [{"delay": 0.02}, {"stall_after": 3 * PIECE + 100}], ids=["slow", "silent"])
def test_several_pulls_are_interrupted_at_once(server, publish, start, large_file, settings):
    names = [f"style-{number}" for number in range(6)]
    publish([Page(large_file, etag='"one"', **settings)], **dict.fromkeys(names, large_file))
    process = start("styles", "pull", *names)
    wait_until(lambda: len(parts()) == 4 and server.sent > 4 * 3 * PIECE)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=4)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert {Path(name).suffix for name in styles_and_downloads()} == {".etag", ".part"}


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(publish, start, large_file):
    publish(wave=large_file)
    unmeasured = ["env", "-u", "COVERAGE_PROCESS_CONFIG"]  # coverage's own file would be too large
    limited = [*unmeasured, "sh", "-c", 'ulimit -f 400 && exec "$@"', "sh"]
    process = start("styles", "pull", "wave", "--quiet", before=limited)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, "")
    assert err.startswith("error: Cannot write ") and "Free some disk space, or set STYLEKIT_HOME" in err
    assert "Traceback" not in err
    assert styles_and_downloads() == []


@pytest.fixture
def without_privileges():
    """What to put before a command so that a folder's permissions hold for it."""
    if os.geteuid() != 0:
        return []
    prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    works = shutil.which("setpriv") and subprocess.run([*prefix, "true"], capture_output=True, check=False)
    if not works or works.returncode != 0:
        pytest.skip("permissions mean nothing to root, and setpriv, which could give its powers up, does not work")
    return prefix


@pytest.fixture
def read_only_cache(server, publish, small_file):
    """Make the cache read-only until the test ends."""
    folders = [cache_dir(), cache_dir() / "styles", cache_dir() / "downloads", cache_dir() / "catalogs"]

    def protect():
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        for folder in folders:
            folder.chmod(0o555)

    yield protect
    for folder in folders:
        if folder.exists():
            folder.chmod(0o755)


def test_a_read_only_cache_is_one_clear_error(server, start, small_file, read_only_cache, without_privileges):
    url = server.put("/files/wave.safetensors", small_file)
    read_only_cache()
    process = start("styles", "pull", url, before=without_privileges)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (1, "")
    assert f"error: Cannot write {cached('wave')}: Permission denied." in err
    assert "STYLEKIT_HOME" in err


def test_a_style_in_a_read_only_cache_is_available(
    stylekit, start, publish, small_file, tmp_path, read_only_cache, without_privileges
):
    publish(wave=small_file)
    stylekit("styles", "pull", "wave")
    read_only_cache()
    process = start("styles", "pull", "wave", before=without_privileges)
    out, _ = process.communicate(timeout=10)
    assert (process.returncode, out) == (0, f"{cached('wave')}\n")


@pytest.fixture
def named_graph(published):
    """A graph that kept the names of the weights."""
    return published().model()


@pytest.fixture
def graph(named_graph, johnson_weights):
    """The same graph with names that say nothing, and its tensors in another order, as other exporters write it."""
    generic = {name: f"onnx::Conv_{number}" for number, name in enumerate(sorted(johnson_weights))}
    for node in named_graph.graph.node:
        node.input[:] = [generic.get(name, name) for name in node.input]
    tensors = list(named_graph.graph.initializer)
    del named_graph.graph.initializer[:]
    for tensor in tensors:
        tensor.name = generic.get(tensor.name, tensor.name)
    named_graph.graph.initializer.extend(sorted(tensors, key=lambda tensor: tensor.name))
    return named_graph


def written(model, path):
    path.write_bytes(model.SerializeToString())
    return path


def assert_same(weights, expected):
    assert weights.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(weights[name], array, strict=True)


def kernels(model):
    return [node.input[1] for node in model.graph.node if node.op_type == "Conv"]


def tensor_of(model, name):
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def test_a_graph_that_kept_its_names_is_imported_by_them(named_graph, johnson_weights, tmp_path):
    assert_same(read_onnx(written(named_graph, tmp_path / "a.onnx"), "wave").weights, johnson_weights)


def test_a_graph_of_other_names_is_imported_by_the_order_of_its_nodes(graph, johnson_weights, tmp_path):
    style = import_weights(written(graph, tmp_path / "a.onnx"), "wave")
    assert (style.metadata.name, style.metadata.network) == ("wave", "johnson")
    assert_same(style.weights, johnson_weights)


def test_weights_in_constant_nodes_are_found(graph, johnson_weights, tmp_path):
    first = kernels(graph)[0]
    tensor = tensor_of(graph, first)
    graph.graph.node.insert(0, onnx.helper.make_node("Constant", [], [first], value=tensor))
    graph.graph.initializer.remove(tensor)
    assert_same(read_onnx(written(graph, tmp_path / "a.onnx"), "wave").weights, johnson_weights)


def test_a_graph_is_pulled_as_a_style(stylekit, server, graph, johnson_weights):
    url = server.put("/files/wave-9.onnx", graph.SerializeToString())
    assert stylekit("styles", "pull", url, "--name", "wave")[:2] == (0, f"{cached('wave')}\n")
    style = load_style_file(cached("wave"))
    assert_same(style.weights, johnson_weights)
    assert (style.metadata.network, style.metadata.source) == ("johnson", url)
    assert styles_and_downloads() == ["wave.safetensors"]


def with_another_convolution(model):
    convolution = next(node for node in model.graph.node if node.op_type == "Conv")
    model.graph.node.append(convolution)


def without_norms(model):
    for node in model.graph.node:
        if node.op_type == "InstanceNormalization":
            node.op_type = "Identity"


def with_another_shape(model):
    tensor = tensor_of(model, kernels(model)[3])
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.zeros((64, 128, 3, 3), np.float32), tensor.name))


def with_external_data(model):
    tensor = tensor_of(model, kernels(model)[0])
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def without_a_tensor(model):
    model.graph.initializer.remove(tensor_of(model, kernels(model)[0]))


def with_a_cut_tensor(model):
    tensor = tensor_of(model, kernels(model)[0])
    tensor.raw_data = tensor.raw_data[:-4]


def with_an_unknown_type(model):
    tensor_of(model, kernels(model)[0]).data_type = 99


def with_text(model):
    tensor = tensor_of(model, kernels(model)[0])
    kind = onnx.TensorProto.STRING
    tensor.CopyFrom(onnx.TensorProto(name=tensor.name, data_type=kind, dims=[1], string_data=[b"text"]))


def with_what_is_not_finite(model):
    tensor = tensor_of(model, kernels(model)[0])
    array = np.full(tuple(tensor.dims), np.nan, np.float32)
    tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (with_another_convolution, "not a johnson network: it has 17 Conv nodes, not 16"),
        (without_norms, "not a johnson network: it has 0 InstanceNormalization nodes, not 15"),
        (with_another_shape, r"res1\.conv1\.conv2d\.weight has shape"),
        (with_external_data, "stores its weights in external files"),
        (without_a_tensor, "without readable weights"),
        (with_a_cut_tensor, "without readable weights"),
        (with_an_unknown_type, "without readable weights"),
        (with_text, r"conv1\.conv2d\.weight"),
        (with_what_is_not_finite, "not finite"),
    ],
)
def test_another_graph_is_refused_with_its_reason(graph, tmp_path, change, reason):
    change(graph)
    with pytest.raises(StyleFileError, match=reason) as caught:
        import_weights(written(graph, tmp_path / "a.onnx"), "wave")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("length", [0, 1, 1000, -1000])
def test_a_corrupt_graph_is_refused(graph, tmp_path, length):
    (tmp_path / "a.onnx").write_bytes(graph.SerializeToString()[:length])
    with pytest.raises(StyleFileError):
        import_weights(tmp_path / "a.onnx", "wave")


def test_a_refused_graph_is_named_by_its_address_and_not_kept(stylekit, server, graph):
    with_external_data(graph)
    url = server.put("/files/wave.onnx", graph.SerializeToString())
    code, _, err = stylekit("styles", "pull", url)
    assert code == 1
    assert f"error: {url} stores its weights in external files." in err
    assert styles_and_downloads() == []


def test_a_style_keeps_the_credits_of_its_file_where_the_catalog_has_none(stylekit, publish, small_style, tmp_path):
    titled = dataclasses.replace(small_style.metadata, title="The Wave", artist="somebody")
    save_style_file(StyleFile(titled, small_style.weights), tmp_path / "wave.safetensors")
    publish(wave=(tmp_path / "wave.safetensors").read_bytes())
    stylekit("styles", "pull", "wave")
    metadata = load_style_file(cached("wave")).metadata
    assert (metadata.title, metadata.artist) == ("The Wave", "Hokusai")


# --- What a review found


def test_a_cached_style_that_no_catalog_has_is_available(stylekit, server, small_file):
    stylekit("styles", "pull", server.put("/wave.safetensors", small_file))
    assert stylekit("styles", "pull", "wave") == (0, f"{cached('wave')}\n", "wave is already available.\n")


def test_one_file_may_be_several_styles_pulled_at_once(stylekit, publish, small_file):
    names = [f"s{number}" for number in range(8)]
    (url, *_) = publish(**dict.fromkeys(names, small_file))
    catalog = json.loads(json.dumps({"format": "stylekit-catalog-1", "styles": []}))
    digest = hashlib.sha256(small_file).hexdigest()
    catalog["styles"] = [{"name": name, "url": url, "sha256": digest, "size": len(small_file)} for name in names]
    path = downloaded_styles_dir().parent / "one.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(catalog))
    assert stylekit("styles", "pull", *names, "--catalog", path)[0] == 0
    assert all(load_style_file(cached(name)) for name in names)


def test_pickles_are_never_pulled(stylekit, server):
    code, _, err = stylekit("styles", "pull", server.put("/wave.pth", b"..."))
    assert code == 2
    assert "styles import" in err
    assert server.requests == []


@pytest.mark.parametrize("sha256", ["", "abc", "g" * 64])
def test_an_invalid_hash_is_refused_before_any_work(stylekit, server, small_file, sha256):
    code, _, err = stylekit("styles", "pull", server.put("/wave.safetensors", small_file), "--sha256", sha256)
    assert code == 2
    assert "Invalid --sha256" in err
    assert server.requests == []


def test_a_local_file_is_imported_not_pulled(stylekit, style_path):
    code, _, err = stylekit("styles", "pull", style_path)
    assert code == 2
    assert "stylekit styles import" in err


def test_a_catalog_does_not_replace_a_style_from_a_url(stylekit, server, publish, small_file, large_file):
    stylekit("styles", "pull", server.put("/mine.safetensors", small_file), "--name", "wave")
    before = cached("wave").read_bytes()
    publish(wave=large_file)
    code, _, err = stylekit("styles", "pull", "wave")
    assert code == 2
    assert "--force" in err
    assert cached("wave").read_bytes() == before
    assert stylekit("styles", "pull", "wave", "--force")[0] == 0
    assert cached("wave").read_bytes() != before


def test_a_catalog_is_read_once_for_many_styles(stylekit, server, publish, small_file):
    publish(a=small_file, b=small_file, c=small_file)
    assert stylekit("styles", "pull", "--all")[0] == 0
    assert [request.path for request in server.requests].count("/catalog.json") == 1


@pytest.mark.parametrize("command", [["styles", "list"], ["info", "--no-devices"]])
def test_local_styles_are_listed_without_the_environments_catalog(stylekit, server, monkeypatch, command):
    monkeypatch.setenv("STYLEKIT_CATALOG", f"{server.address}/gone.json")
    code, out, err = stylekit(*command)
    assert code == 0
    assert out
    assert ("gone.json" in err) == (command == ["styles", "list"])


def test_a_misspelled_name_is_reported_even_if_the_catalog_is_missing(stylekit, server, monkeypatch):
    monkeypatch.setenv("STYLEKIT_CATALOG", f"{server.address}/gone.json")
    code, _, err = stylekit("styles", "remove", "wawe")
    assert code == 1
    assert "'wawe' is neither" in err


@pytest.mark.parametrize("command", [["styles", "pull"], ["styles", "remove"], ["styles", "info"], ["styles", "path"]])
def test_a_name_that_is_too_long_is_one_clear_line(stylekit, command):
    code, _, err = stylekit(*command, "a" * 300)
    assert code in (1, 2)
    assert err.startswith("error: ")


def test_a_failure_cannot_command_the_terminal(stylekit, style_path, tmp_path):
    code, _, err = stylekit("styles", "import", tmp_path / "\x1b]0;pwned\x07.onnx", "--name", "x")
    assert code == 1
    assert "\x1b" not in err


def test_an_unused_constant_is_ignored(tmp_path):
    weights = {
        name: np.zeros(shape, np.float32) for name, shape in architecture("johnson").parameter_shapes({}).items()
    }
    model = architecture("johnson").onnx_model({}, weights)
    model.graph.node.append(onnx.NodeProto(op_type="Constant"))
    (tmp_path / "odd.onnx").write_bytes(model.SerializeToString())
    assert read_onnx(tmp_path / "odd.onnx", "odd").weights.keys() == weights.keys()


def test_a_style_from_a_url_may_not_have_the_name_of_one_in_a_catalog(stylekit, server, publish, small_file):
    publish(wave=small_file)
    code, _, err = stylekit("styles", "pull", server.put("/wave.safetensors", small_file))
    assert code == 2
    assert "A catalog already has a style named wave" in err


def test_a_folder_in_the_way_is_noticed_before_the_download(stylekit, server, small_file):
    cached("wave").mkdir(parents=True)
    code, _, err = stylekit("styles", "pull", server.put("/wave.safetensors", small_file))
    assert code == 1
    assert "is a folder" in err
    assert server.requests == []


def test_failures_of_several_keep_their_hints(stylekit, publish, small_file):
    publish(wave=small_file)
    code, out, err = stylekit("styles", "pull", "wawe", "http://example.org/a.onnx", "--json")
    assert code == 1
    assert "Did you mean wave?" in json.loads(out)["failed"]["wawe"]["hint"]
    assert err.count("hint: ") == 2


def test_applying_a_url_says_to_pull_it_first(stylekit, make_photo, tmp_path):
    make_photo().save(tmp_path / "lion.jpg")
    code, _, err = stylekit("apply", tmp_path / "lion.jpg", "-s", "https://example.org/a.onnx")
    assert code == 1
    assert "stylekit styles pull https://example.org/a.onnx" in err


def test_a_cached_style_without_permission_is_reported_and_not_pulled_again(
    stylekit, server, publish, small_file, without_permission
):
    publish(wave=small_file)
    stylekit("styles", "pull", "wave")
    without_permission(cached("wave"))
    code, _, err = stylekit("styles", "pull", "wave")
    assert code == 1
    assert f"error: Cannot read {cached('wave')}: Permission denied." in err
    assert len(files_asked(server)) == 1
