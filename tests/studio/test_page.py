"""The page in Chromium: what a user does, and what they see.

`STYLEKIT_SCREENSHOTS=docs/images` makes the pictures of the page in docs/studio.md.
"""

import contextlib
import http.server
import io
import os
import re
import shlex
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylekit.cli.app import run
from stylekit.styles.locations import bundled_styles_dir

from .conftest import PATIENCE, find_browser, studio_process

WIDTHS = {"wide": {"width": 1280, "height": 860}, "phone": {"width": 390, "height": 844}}
STYLES = len(list(bundled_styles_dir().glob("*.safetensors")))
SCREENSHOTS = os.environ.get("STYLEKIT_SCREENSHOTS")


@pytest.fixture(scope="module")
def chromium():
    executable = find_browser()
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def url(chromium, tmp_path_factory):
    """The address of a studio that the tests of this module share; each leaves it empty."""
    with studio_process(tmp_path_factory.mktemp("studio")) as (_, url):
        yield url


class Screen:
    """A page of the studio in a browser."""

    def __init__(self, chromium, url, width="wide", scheme="light", **more):
        self.context = chromium.new_context(viewport=WIDTHS[width], color_scheme=scheme, **more)
        self.context.set_default_timeout(PATIENCE * 1000)
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.cdp = self.context.new_cdp_session(self.page)
        self.page.goto(url)

    def __getitem__(self, selector):
        return self.page.locator(selector)

    def expect(self, selector):
        from playwright.sync_api import expect

        return expect(self.page.locator(selector))

    def js(self, expression):
        """Evaluate an expression, which the page's policy forbids Playwright to do."""
        answer = self.cdp.send(
            "Runtime.evaluate", {"expression": expression, "returnByValue": True, "awaitPromise": True}
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def drop(self, *paths, at="body"):
        """Drop files, as from a file manager."""
        box = self[at].bounding_box()
        point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + min(box["height"] / 2, 300)}
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.cdp.send("Input.dispatchDragEvent", {"type": kind, **point, "data": data})

    def all_painted(self):
        self.expect("#grid button.tile img[src]").to_have_count(STYLES)
        self.expect("#grid .waiting").to_have_count(0)

    def large_painted(self):
        self.expect("#detail .busy").to_be_hidden()
        self.expect("#after[src]").to_be_visible()

    def keep(self, name, **more):
        if SCREENSHOTS:
            self.page.screenshot(path=Path(SCREENSHOTS) / f"{name}.jpg", type="jpeg", quality=88, **more)

    def remove_photos(self):
        if self["#back"].is_visible():
            self["#back"].click()
        while self["#strip .remove"].count():
            count = self["#strip .remove"].count()
            self["#strip .remove"].first.click(force=True)
            self.expect("#strip .remove").to_have_count(count - 1)


@pytest.fixture
def screen(chromium, url):
    screen = Screen(chromium, url)
    yield screen
    screen.remove_photos()
    screen.context.close()


@pytest.fixture
def photo(tmp_path, make_photo):
    """A JPEG with metadata, of a size that is quickly painted."""
    try:
        image = Image.open(Path(__file__).parents[2] / "docs" / "images" / "harbour.jpg")
        image.thumbnail((1280, 1280) if SCREENSHOTS else (400, 400))
    except FileNotFoundError:  # in an installed copy
        image = make_photo(640, 480)
    exif = image.getexif()
    exif[0x010F] = "A camera"
    image.save(tmp_path / "harbor at dawn.jpg", exif=exif)
    return tmp_path / "harbor at dawn.jpg"


def set_range(screen, selector, value):
    """Move a slider by the keyboard, as a user may."""
    slider = screen[selector]
    slider.focus()
    slider.fill(str(value))


def test_from_a_dropped_photo_to_a_download_that_the_copied_command_makes_too(screen, photo, tmp_path, monkeypatch):
    screen.expect("#welcome").to_be_visible()
    screen.drop(photo)
    screen.expect("#overview-title").to_have_text(photo.name)
    screen.all_painted()
    drag = "dispatchEvent(new DragEvent('dragstart', { bubbles: true, cancelable: true }))"
    assert screen.js(f"document.querySelector('#grid img').{drag}") is False  # else it could be dropped as a photo
    screen.expect("#grid [data-style=udnie] .by").to_have_text("Francis Picabia, 1913")
    screen.expect("#status").to_have_text(re.compile(rf"painted in {STYLES} styles"))
    screen.keep("studio-grid")

    screen["[data-style=great-wave]"].focus()
    screen.page.keyboard.press("Enter")
    screen.expect("#detail-title").to_be_focused()
    assert screen.js("scrollY") == 0
    screen.large_painted()
    screen.keep("studio-style")
    first = screen["#after"].get_attribute("src")
    set_range(screen, "#split", 80)
    assert screen.js("getComputedStyle(document.getElementById('after')).clipPath") == "inset(0px 0px 0px 80%)"
    set_range(screen, "#strength", 60)
    assert screen.js("getComputedStyle(document.getElementById('after')).opacity") == "0.6"
    screen["#stroke-auto"].uncheck()
    set_range(screen, "#stroke", 0.5)
    screen.expect("#stroke-value").to_have_text("1.41 ×")
    screen["#keep-colors"].check()
    screen["#blend"].select_option("the-scream")
    set_range(screen, "#share", 30)
    screen.expect("#command").to_have_text(
        "stylekit apply 'harbor at dawn.jpg' --style great-wave:0.7 --style the-scream:0.3 --blend "
        "--strength 0.6 --stroke-size 1.41 --keep-colors"
    )
    screen.large_painted()
    assert screen["#after"].get_attribute("src") != first

    with screen.page.expect_download() as started:
        screen["#download"].click()
    downloaded = started.value
    screen.expect("#exports li").to_have_count(0)
    monkeypatch.chdir(tmp_path)
    assert run(shlex.split(screen["#command"].text_content())[1:]) == 0
    assert downloaded.suggested_filename == "harbor at dawn-great-wave-the-scream-70-30.jpg"
    made = (tmp_path / downloaded.suggested_filename).read_bytes()
    assert Path(downloaded.path()).read_bytes() == made
    with Image.open(io.BytesIO(made)) as image:
        assert image.getexif()[0x010F] == "A camera"

    screen.page.keyboard.press("Escape")
    screen.expect("#grid [data-style=great-wave]").to_be_focused()
    assert screen.errors == []


def test_strength_can_be_changed_before_the_painting_has_come(screen, photo):
    screen.drop(photo)
    screen["[data-style=udnie]"].click()
    set_range(screen, "#strength", 60)
    screen.large_painted()
    screen.expect("#compare[data-ready]").to_be_visible()


def test_twenty_photos_a_broken_one_and_a_cancelled_download(screen, make_photo, tmp_path):
    for number in range(20):
        make_photo(320, 240, seed=number).save(tmp_path / f"{number:02}.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no photo at all")
    screen["#first-files"].set_input_files(sorted(tmp_path.glob("*.jpg")))
    screen.expect("#strip button.pick").to_have_count(20)
    screen.expect(".notice").to_contain_text("broken.jpg is not a readable image.")
    screen["#strip button.pick"].nth(7).click()
    screen.expect("#overview-title").to_have_text(screen["#strip button.pick"].nth(7).get_attribute("title"))
    screen.all_painted()
    screen["[data-style=udnie]"].click()
    screen.large_painted()
    downloads: list[object] = []
    screen.page.on("download", lambda download: downloads.append(download))  # noqa: PLW0108 - needs a function
    with screen.page.expect_request("**/api/exports") as started:
        screen["#download-all"].click()
    shown = [item.get_attribute("data-photo") for item in screen["#strip li"].all()]
    assert started.value.post_data_json["photos"] == shown  # although they arrive in another order
    screen.expect("#exports li").to_contain_text("of 20")
    screen["#exports button"].click()
    screen.expect("#exports li").to_have_count(0)
    assert downloads == []


def test_a_hundred_megapixels(screen, tmp_path):
    rows, columns = np.mgrid[0:8700:4, 0:11600:4]
    small = np.stack([rows % 251, columns % 241, (rows + columns) % 239], axis=-1).astype(np.uint8)
    Image.fromarray(small).resize((11600, 8700)).save(tmp_path / "huge.jpg")
    screen["#first-files"].set_input_files(tmp_path / "huge.jpg")
    screen.expect("#overview-about").to_contain_text("11,600 × 8,700 pixels")
    screen.expect("#grid button.tile img[src]").not_to_have_count(0)


def test_a_painting_cannot_be_a_style_yet_and_the_page_says_what_can_be_done(screen, photo, make_photo, tmp_path):
    make_photo(50, 40).save(tmp_path / "monet.png")
    screen.drop(photo)
    screen.expect(".tile.add").to_be_visible()
    screen[".tile.add input"].set_input_files(tmp_path / "monet.png")
    screen.expect(".notice").to_contain_text("stylekit train monet.png")
    screen[".notice button"].click()
    screen.expect(".notice").to_have_count(0)


def test_a_photo_can_be_pasted(screen, photo):
    screen.drop(photo)
    screen.expect("#grid .tile img[src*=photos]").to_have_count(1)
    screen.js(
        "fetch(document.querySelector('#grid .tile img').src).then((answer) => answer.blob()).then((blob) => {"
        " const clipboardData = new DataTransfer(); clipboardData.items.add(new File([blob], 'image.jpg'));"
        " document.dispatchEvent(new ClipboardEvent('paste', { clipboardData })); })"
    )
    screen.expect("#strip button.pick").to_have_count(2)
    assert screen["#strip button.pick"].nth(1).get_attribute("title") == "image.jpg"


def test_a_photo_that_another_tab_removed_can_be_removed_here_too(screen, chromium, url, photo):
    screen.drop(photo)
    screen.expect("#strip button.pick").to_have_count(1)
    other = Screen(chromium, url)
    other.expect("#strip button.pick").to_have_count(1)
    other.remove_photos()
    other.context.close()
    with screen.page.expect_response("**/api/photos/*") as answer:
        screen.remove_photos()
    assert answer.value.status in (204, 404)  # the other tab's request may still be under way
    screen.expect("#welcome").to_be_visible()
    screen.expect(".notice").to_have_count(0)


def test_the_page_survives_a_reload_and_says_when_the_studio_has_ended(chromium, photo, tmp_path):
    with studio_process(tmp_path / "home") as (process, url):
        screen = Screen(chromium, url)
        screen.page.goto(f"{screen.page.url}#udnie")  # without a photo, there is nothing to open
        screen.page.reload()
        screen.drop(photo)
        screen.expect("#strip button.pick").to_have_count(1)
        screen["[data-style=udnie]"].click()
        screen.expect("#detail-title").to_be_visible()
        screen["#back"].click()
        screen.page.reload()
        screen.expect("#overview-title").to_have_text(photo.name)
        process.terminate()
        process.wait(PATIENCE)
        screen.expect("#lost").to_be_visible()
        screen.context.close()


@contextlib.contextmanager
def other_site():
    """A web page of another origin, on this machine; yields its port, and the cookies that it gets."""
    cookies: list[str | None] = []

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            cookies.append(self.headers.get("Cookie"))
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>evil</title>")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, cookies
        server.shutdown()


def test_a_page_of_another_origin_can_neither_read_nor_post_nor_frame(screen, photo):
    screen.drop(photo)
    screen.expect("#strip button.pick").to_have_count(1)
    base = screen.page.url.partition("#")[0]
    with other_site() as (port, cookies):
        evil = screen.context.new_page()
        evil.goto(f"http://127.0.0.1:{port}/")
        attempt = (
            "async ([url, options]) => { try { const answer = await fetch(url, options);"
            " return [answer.type, answer.status, await answer.text()]; } catch (error) { return ['error', 0, '']; } }"
        )
        for path, options in [
            ("api/state", {"credentials": "include"}),
            ("api/state", {"credentials": "include", "mode": "no-cors"}),
            ("api/photos?name=x.jpg", {"credentials": "include", "method": "POST", "body": "x", "mode": "no-cors"}),
            ("api/photos?name=x.jpg", {"credentials": "include", "method": "POST", "body": "x"}),
        ]:
            assert evil.evaluate(attempt, [base + path, options])[1:] == [0, ""]
        loads = (
            "url => new Promise(done => { const image = new Image(); "
            "image.onload = () => done(true); image.onerror = () => done(false); image.src = url; })"
        )
        image = screen["#grid .tile img"].first.get_attribute("src")
        assert evil.evaluate(loads, base + image) is False
        assert set(cookies) == {None}  # although cookies are sent to every port of a host
        evil.close()
    screen.expect("#strip button.pick").to_have_count(1)


def test_axe_finds_nothing_serious_wide_or_narrow_light_or_dark(chromium, url, photo):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    serious = []

    def check(screen, what):
        screen.page.emulate_media(reduced_motion="reduce")
        assert screen.js("document.documentElement.scrollWidth <= innerWidth"), what
        found = axe.Axe().run(screen.page).response
        assert len(found["passes"]) > 10
        for violation in found["violations"]:
            if violation["impact"] in ("serious", "critical"):
                serious.append((what, violation["id"], [node["html"] for node in violation["nodes"]]))

    for width, scheme in [("wide", "light"), ("phone", "dark")]:
        screen = Screen(chromium, url, width, scheme, bypass_csp=True)  # axe is injected
        if width == "wide":  # the other one finds the photo there
            check(screen, (width, scheme, "welcome"))
            screen["#first-files"].set_input_files(photo)
        screen.all_painted()
        check(screen, (width, scheme, "grid"))
        screen["[data-style=udnie]"].click()
        screen.large_painted()
        if width == "phone":
            screen.keep("studio-phone")
        screen["#blend"].select_option("the-scream")
        screen["#photo-files"].set_input_files([__file__])
        screen.expect(".notice").to_be_visible()
        check(screen, (width, scheme, "style"))
        screen[".notice button"].click()
        screen.page.emulate_media(color_scheme="dark" if scheme == "light" else "light")
        check(screen, (width, scheme, "style, the other scheme"))
        if width == "phone":
            screen.remove_photos()
        screen.context.close()
    assert serious == []
