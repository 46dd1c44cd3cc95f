"""Studios to talk to: one in a thread of this process, and ones in processes of their own."""

import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra studio is not installed")
httpx = pytest.importorskip("httpx", reason="httpx is not installed")

PAGE = "0123456789abcdef" * 2
PLAIN = {"trust_env": False, "verify": False}  # for httpx: no proxies, and no certificates, whose reading takes long
PATIENCE = 120  # seconds; machines that run tests are busy


class Browser:
    """What a page does, without a browser: a cookie, its requests, and its events."""

    def __init__(self, url):
        self.root = url.partition("/?")[0]
        limits = httpx.Limits(max_keepalive_connections=0)  # no socket is left open
        self.http = httpx.Client(headers={"Origin": self.root}, timeout=PATIENCE, limits=limits, **PLAIN)
        self.entered = self.http.get(url)
        self.base = self.root + self.entered.headers.get("location", "/")
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()
        self._stack = contextlib.ExitStack()

    def call(self, method, path, **more):
        return self.http.request(method, self.base + path, **more)

    def upload(self, name, content, kind="photos"):
        return self.call("POST", f"api/{kind}", params={"name": name}, content=content)

    def listen(self, page=PAGE):
        """Receive events in a thread, from when this returns."""
        stream = self._stack.enter_context(self.http.stream("GET", f"{self.base}api/events", params={"page": page}))
        lines = stream.iter_lines()
        assert next(lines) == "event: hello"

        def read():
            with contextlib.suppress(httpx.HTTPError, httpx.StreamError):
                for line in lines:
                    if line.startswith("data: {"):
                        self.events.put(json.loads(line.removeprefix("data: ")))

        threading.Thread(target=read, daemon=True).start()

    def event(self, **expected):
        """Wait for an event that has these values, and return it."""
        while True:
            event = self.events.get(timeout=PATIENCE)
            if expected.items() <= event.items():
                return event

    def want(self, *wants, page=PAGE):
        return self.call("PUT", "api/wants", json={"page": page, "wants": list(wants)})

    def download(self, photos, page=PAGE, **choice):
        """Have photos painted; returns the file's name and content, and the command line that is shown."""
        answer = self.call("POST", "api/exports", json={"photos": photos, "choice": choice, "page": page})
        assert answer.status_code == 202, answer.text
        id, command = answer.json()["id"], answer.json()["command"]
        while (event := self.event(type="export", id=id))["state"] not in ("done", "failed", "cancelled"):
            pass
        assert event["state"] == "done", event
        file = self.call("GET", f"api/exports/{id}/file")
        assert file.status_code == 200
        return event["name"], file.content, command

    def close(self):
        self.http.close()
        self._stack.close()


@contextlib.contextmanager
def studio_in_thread(home):
    from stylekit.config.studio import StudioConfig
    from stylekit.studio.server import serve

    addresses: queue.Queue[Any] = queue.Queue()
    servers: list[Any] = []
    failures: list[BaseException] = []

    def run():
        try:
            serve(StudioConfig(), on_ready=addresses.put, on_server=servers.append)
        except BaseException as error:
            failures.append(error)
            addresses.put(None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STYLEKIT_HOME", str(home))
        thread = threading.Thread(target=run)
        thread.start()
        address = addresses.get(timeout=PATIENCE)
    assert not failures, failures
    try:
        yield address
    finally:
        servers[0].should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Where the studio that the tests of a module share keeps its files."""
    return tmp_path_factory.mktemp("studio")


@pytest.fixture(scope="module")
def address(home):
    """The address of the studio that the tests of a module share."""
    with studio_in_thread(home) as address:
        yield address


@pytest.fixture
def browser(address):
    """A page that is open and listens."""
    browser = Browser(address.url)
    browser.listen()
    yield browser
    for photo in browser.call("GET", "api/state").json()["photos"]:
        browser.call("DELETE", f"api/photos/{photo['id']}")
    browser.close()


def environment(home):
    return {**os.environ, "STYLEKIT_HOME": str(home), "PYTHONUNBUFFERED": "1"}


@contextlib.contextmanager
def studio_process(home, *options):
    """A studio in a process of its own; yields the process and its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stylekit", "studio", "--no-open", *options],
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, process.communicate()
        yield process, url
    finally:
        process.kill()
        process.communicate()


def find_browser():
    """Return Chromium's path, or skip, or fail where it is required."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    missing = "Chromium is not installed (apt-get install chromium)" if found is None else ""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        missing = "playwright is not installed"
    if missing and os.environ.get("STYLEKIT_REQUIRE_BROWSER"):
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    assert found is not None
    return Path(found)
