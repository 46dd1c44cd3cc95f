"""`stylekit studio` as a process: how it starts, and how it ends."""

import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

httpx = pytest.importorskip("httpx", reason="httpx is not installed")

from stylekit.studio.folder import private_folder  # noqa: E402

from .conftest import PATIENCE, Browser, environment, studio_process  # noqa: E402


def folders(home):
    studio = home / "cache" / "studio"
    return list(studio.iterdir()) if studio.exists() else []


def run(home, *options, **more):
    return subprocess.run(
        [sys.executable, "-m", "stylekit", "studio", "--no-open", *options],
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        **more,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_it_and_leaves_nothing(tmp_path, make_photo, name):
    make_photo(30, 20).save(tmp_path / "a.png")
    home = tmp_path / "home"
    with studio_process(home) as (process, url):
        browser = Browser(url)
        browser.listen()  # a stream that never ends by itself
        assert browser.upload("a.png", (tmp_path / "a.png").read_bytes()).status_code == 201
        assert len(folders(home)) == 1
        process.send_signal(getattr(signal, name))
        _, errors = process.communicate(timeout=PATIENCE)
        browser.close()
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert errors.splitlines()[-1] == "error: Interrupted."
    assert list(home.rglob("*.png")) == []
    assert folders(home) == []


def test_what_a_killed_one_left_is_deleted_by_the_next_but_not_what_is_in_use(tmp_path):
    with studio_process(tmp_path) as (process, _):
        process.kill()
        process.wait(PATIENCE)
        (killed,) = folders(tmp_path)
        with studio_process(tmp_path):
            (running,) = folders(tmp_path)
            assert running != killed
            with studio_process(tmp_path):
                assert running in folders(tmp_path)


def test_the_folder_of_a_studio_that_is_just_starting_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEKIT_HOME", str(tmp_path))
    starting = tmp_path / "cache" / "studio" / "0123456789abcdef"
    starting.mkdir(parents=True)  # its lock comes next
    with private_folder():
        assert starting.is_dir()


def test_a_port_that_is_taken_is_said(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run(tmp_path, "--port", str(port))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"error: Cannot listen on 127.0.0.1, port {port}: address already in use.",
        "hint: Choose another --port, or omit --port to use a free port.",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--port", "70000"], "--port must be between 0 and 65535, not 70000."),
        (["--listen", "example.org"], "--listen must be an IP address of this machine, not 'example.org'."),
        (["--max-pixels", "0"], "--max-pixels must be 1 or more, not 0."),
    ],
)
def test_invalid_options_are_refused(tmp_path, options, message):
    done = run(tmp_path, *options)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == f"error: {message}"


def test_other_machines_are_let_in_only_when_asked_and_with_a_warning(tmp_path):
    with studio_process(tmp_path, "--listen", "0.0.0.0", "--json") as (process, _):
        for line in process.stderr:
            if line.startswith("warning:"):
                break
        assert "other machines can reach this page" in line
    with studio_process(tmp_path) as (process, url):
        port = int(url.partition("/?")[0].rpartition(":")[2])
        listening = [each.laddr for each in psutil.Process(process.pid).net_connections() if each.status == "LISTEN"]
        assert [(address.ip, address.port) for address in listening] == [("127.0.0.1", port)]


def test_without_the_extra_the_line_that_installs_it_is_said():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['uvicorn', 'starlette'])); "
        "from stylekit.cli.app import run; sys.exit(run(['studio']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: uvicorn is not installed; it is part of the extra 'studio'.",
        "hint: pip install 'neural-stylekit[studio]'",
    ]


def test_the_help_imports_no_server(tmp_path):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "stylekit", "studio", "--help"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    modules = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in modules
    assert not modules & {"starlette", "uvicorn", "anyio", "numpy", "PIL", "onnxruntime"}


def test_two_hundred_requests_at_once(tmp_path, make_photo):
    make_photo(1200, 900).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    with studio_process(tmp_path / "home") as (process, url):
        browser = Browser(url)
        browser.http = httpx.Client(
            headers=browser.http.headers,
            cookies=browser.http.cookies,
            timeout=PATIENCE,
            trust_env=False,
            limits=httpx.Limits(max_connections=None),
            verify=False,
        )
        barrier = threading.Barrier(200)

        def ask(number):
            barrier.wait()
            if number % 2:
                return browser.call("GET", "api/state").status_code
            return browser.upload(f"{number}.png", content).status_code

        before = memory(process)
        with ThreadPoolExecutor(200) as threads:
            statuses = list(threads.map(ask, range(200)))
        assert set(statuses) <= {200, 201}
        assert memory(process) - before < 400_000_000
        assert len(browser.call("GET", "api/state").json()["photos"]) == 100
        assert browser.upload("one-more.png", content).status_code == 422
        browser.close()


def memory(process):
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    return sum(each.memory_info().rss for each in family)
