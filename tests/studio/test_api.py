"""Uploads, previews, downloads and command lines, as a page asks for them."""

import http.client
import io
import shlex
import zipfile
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("httpx", reason="httpx is not installed")

from stylekit.cli.app import run
from stylekit.images.recipes import read_recipe
from stylekit.studio import photos
from stylekit.studio.choices import _quoted_for_windows
from stylekit.studio.decoding import Decoder
from stylekit.styles.locations import bundled_styles_dir

from .conftest import PAGE, PATIENCE, Browser


@pytest.fixture
def photo(make_photo):
    """A JPEG with metadata."""
    image, buffer = make_photo(120, 90), io.BytesIO()
    exif = image.getexif()
    exif[0x010F] = "A camera"
    exif[0x0112] = 6  # turned
    image.save(buffer, "JPEG", exif=exif, dpi=(300, 300))
    return buffer.getvalue()


def png(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def add(browser, name, content, kind="photos"):
    answer = browser.upload(name, content, kind)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def by_command(command, folder, files):
    """Run a command line in a folder of files, and return what it wrote."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        words = shlex.split(command)
        assert words[0] == "stylekit"
        assert run(words[1:]) == 0
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in files}


CHOICES: dict[str, dict[str, Any]] = {
    "plain": {"styles": [{"style": "udnie"}]},
    "every option": {"styles": [{"style": "great-wave"}], "strength": 0.35, "stroke_size": 1.41, "keep_colors": True},
    "blend": {"styles": [{"style": "udnie", "share": 0.7}, {"style": "the-scream", "share": 0.3}]},
    "equal blend": {"styles": [{"style": "udnie", "share": 0.5}, {"style": "the-scream", "share": 0.5}], "strength": 0},
}


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
def test_a_download_is_what_the_command_makes_byte_for_byte(browser, photo, tmp_path, choice):
    id = add(browser, "my photo's.jpg", photo)
    name, content, command = browser.download([id], **choice)
    made = by_command(command, tmp_path / "work", {"my photo's.jpg": photo})
    assert made == {name: content}
    with Image.open(io.BytesIO(content)) as result:
        assert result.size == (90, 120)  # upright
        assert result.getexif()[0x010F] == "A camera"
    (tmp_path / "copy.jpg").write_bytes(content)
    assert '"styles"' in (read_recipe(tmp_path / "copy.jpg") or "")


def test_other_formats_too(browser, make_photo, tmp_path):
    transparent = make_photo(80, 60).convert("RGBA")
    transparent.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, 80).astype(np.uint8), (60, 1))))
    gif = io.BytesIO()
    make_photo(50, 40).save(gif, "GIF")
    files = {"-a.png": png(transparent), "still.gif": gif.getvalue(), "Large.TIFF": png(make_photo(40, 50))}
    for number, (name, content) in enumerate(files.items()):
        id = add(browser, name, content)
        result, painted, command = browser.download([id], **CHOICES["plain"])
        assert by_command(command, tmp_path / str(number), {name: content}) == {result: painted}


def test_a_painting_is_painted_again_and_the_command_says_so(browser, photo, tmp_path):
    name, painted, command = browser.download([add(browser, "lion.jpg", photo)], **CHOICES["plain"])
    assert "--again" not in command
    again, twice, command = browser.download([add(browser, name, painted)], **CHOICES["plain"])
    assert "--again" in command
    assert by_command(command, tmp_path / "work", {name: painted}) == {again: twice}


def test_a_style_file_that_was_dropped_in(browser, photo, tmp_path):
    weights = (bundled_styles_dir() / "bridge.safetensors").read_bytes()
    answer = browser.upload("my own.safetensors", weights, "styles")
    assert answer.status_code == 201
    assert answer.json()["title"] == "Bridge"
    styles = browser.call("GET", "api/state").json()["styles"]
    assert styles[0] == answer.json()
    name, content, command = browser.download(
        [add(browser, "lion.jpg", photo)], styles=[{"style": answer.json()["id"]}]
    )
    made = by_command(command, tmp_path / "work", {"lion.jpg": photo, "my own.safetensors": weights})
    assert made == {name: content}


def test_several_photos_come_as_a_zip(browser, photo, make_photo, tmp_path):
    files = {"a.jpg": photo, "b.png": png(make_photo(60, 50)), "a.png": png(make_photo(50, 60))}
    ids = [add(browser, name, content) for name, content in files.items()]
    name, content, command = browser.download(ids, **CHOICES["plain"])
    assert name == "udnie.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        zipped = {entry: archive.read(entry) for entry in archive.namelist()}
    assert by_command(command, tmp_path / "work", files) == zipped


def test_photos_of_one_name_are_numbered_even_while_both_are_uploaded(tmp_path):
    uploads = photos.Photos(tmp_path, Decoder(1))
    first = uploads.begin("IMG_1.jpg", 1)
    assert [uploads.begin("IMG_1.jpg", 1).name for _ in range(2)] == ["IMG_1-2.jpg", "IMG_1-3.jpg"]
    uploads.discard(first)
    assert uploads.begin("IMG_1.jpg", 1).name == "IMG_1.jpg"


@pytest.mark.parametrize(
    ("word", "quoted"),
    [
        ("udnie:0.7", "udnie:0.7"),
        ("my photo's.jpg", '"my photo\'s.jpg"'),
        ("a&calc.jpg", '"a&calc.jpg"'),
        ("a$(calc)`.jpg", '"a`$(calc)``.jpg"'),
        ("\u201cmoon\u201d.jpg", '"`\u201cmoon`\u201d.jpg"'),  # PowerShell takes them for quotation marks
    ],
)
def test_commands_are_quoted_for_windows(word, quoted):
    assert _quoted_for_windows(word) == quoted


def test_photos_of_one_name_are_numbered(browser, photo):
    first, second = (browser.upload("IMG_1.jpg", photo).json()["name"] for _ in range(2))
    assert (first, second) == ("IMG_1.jpg", "IMG_1-2.jpg")


@pytest.mark.parametrize(
    ("given", "cleaned"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ("a\0b.jpg", "a_b.jpg"),
        ("", "photo"),
        ("..", "photo"),
        ("é 1.JPG", "é 1.JPG"),
    ],
)
def test_names_are_harmless(given, cleaned):
    assert photos.clean_name(given) == cleaned


def test_a_name_without_end_is_shortened():
    name = photos.clean_name("é" * 5000 + ".jpeg")
    assert name.endswith("é.jpeg")
    assert len(name.encode()) < 200


def test_previews_come_as_events_and_are_kept(browser, photo):
    id = add(browser, "lion.jpg", photo)
    wants = [{"photo": id, "choice": {"styles": [{"style": name}]}, "size": "small"} for name in ("udnie", "bridge")]
    answer = browser.want(*wants).json()
    assert len(set(answer["keys"])) == 2
    for key in answer["keys"]:
        browser.event(type="painted", key=key)
        with Image.open(io.BytesIO(browser.call("GET", f"api/previews/{key}").content)) as image:
            assert image.size == (90, 120)
    assert [event["key"] for event in browser.want(*wants).json()["ready"]] == answer["keys"]


def test_strength_needs_no_new_preview_but_everything_else_does(browser, photo):
    id = add(browser, "lion.jpg", photo)
    changes: list[dict[str, Any]] = [{}, {"strength": 0.5}, {"stroke_size": 2.0}, {"keep_colors": True}]
    wants = [{"photo": id, "choice": {**CHOICES["plain"], **change}, "size": "small"} for change in changes]
    keys = browser.want(*wants).json()["keys"]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_what_is_no_longer_wanted_is_dropped(browser, make_photo):
    id = add(browser, "large.png", png(make_photo(900, 700)))
    names = [style["id"] for style in browser.call("GET", "api/state").json()["styles"]]
    wants = [
        {"photo": id, "choice": {"styles": [{"style": name}], "stroke_size": 0.5}, "size": "large"} for name in names
    ]
    dropped = browser.want(*wants).json()["keys"]
    kept = browser.want({"photo": id, "choice": CHOICES["plain"], "size": "small"}).json()["keys"]
    browser.event(type="painted", key=kept[0])
    ready = [key for key in dropped if browser.call("GET", f"api/previews/{key}").status_code == 200]
    assert len(ready) <= 1  # one that was in the network already


def test_a_download_that_waits_is_cancelled_at_once(browser, make_photo):
    id = add(browser, "large.png", png(make_photo(900, 700)))
    body = {"photos": [id], "choice": {**CHOICES["plain"], "stroke_size": 0.2}, "page": PAGE}
    first, second = (browser.call("POST", "api/exports", json=body).json()["id"] for _ in range(2))
    browser.event(type="export", id=first, state="painting")
    browser.call("DELETE", f"api/exports/{second}")
    browser.call("DELETE", f"api/exports/{first}")
    assert [browser.event(state="cancelled")["id"] for _ in range(2)] == [second, first]


def test_a_download_can_be_cancelled(browser, make_photo):
    ids = [add(browser, f"{number}.png", png(make_photo(400, 300, seed=number))) for number in range(6)]
    body = {"photos": ids, "choice": {**CHOICES["plain"], "stroke_size": 0.2}, "page": PAGE}
    id = browser.call("POST", "api/exports", json=body).json()["id"]
    browser.event(type="export", id=id, state="painting")
    assert browser.call("DELETE", f"api/exports/{id}").status_code == 204
    event = browser.event(type="export", id=id, state="cancelled")
    assert event["done"] < 6
    assert browser.call("GET", f"api/exports/{id}").json() == event
    assert browser.call("GET", f"api/exports/{id}/file").status_code == 409


def test_a_broken_photo_says_what_is_wrong_and_leaves_nothing(browser, photo, address, tmp_path):
    answer = browser.upload("broken.jpg", b"\xff\xd8 no photo at all")
    assert answer.status_code == 422
    assert answer.json()["error"]["message"].startswith("broken.jpg is not a readable image")
    assert browser.upload("empty.jpg", b"").status_code == 422
    assert browser.call("GET", "api/state").json()["photos"] == []
    assert add(browser, "fine.jpg", photo)


def test_what_the_studio_does_not_paint_is_said_with_the_command_that_does(browser, make_photo):
    frames = io.BytesIO()
    make_photo(20, 20).save(frames, "GIF", save_all=True, append_images=[make_photo(20, 20, seed=1)])
    painting = png(make_photo(40, 40))
    for name, content, kind, command in [
        ("clip.mp4", b"video", "photos", "stylekit apply clip.mp4"),
        ("cat.gif", frames.getvalue(), "photos", "stylekit apply cat.gif"),
        ("monet.png", painting, "styles", "stylekit train monet.png"),
        ("old.pth", b"pickle", "styles", "stylekit styles import old.pth"),
    ]:
        answer = browser.upload(name, content, kind)
        assert answer.status_code == 422
        assert command in answer.json()["error"]["hint"]
    for content in (b"", b"x" * 100, painting):
        assert browser.upload("fake.safetensors", content, "styles").status_code == 422


def test_too_many_pixels_are_refused_before_they_are_decoded(browser):
    bomb = png(Image.new("1", (20_000, 20_000)))
    answer = browser.upload("bomb.png", bomb)
    assert answer.status_code == 422
    assert "over the limit of 200,000,000" in answer.json()["error"]["message"]


def test_too_many_bytes_are_refused_before_they_are_read(browser):
    headers = {**browser.http.headers, "Content-Length": str(photos.MOST_PHOTO_BYTES + 1)}
    headers["Cookie"] = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.http.cookies.jar)
    connection = http.client.HTTPConnection(browser.root.removeprefix("http://"), timeout=PATIENCE)
    connection.request("POST", f"{browser.base.removeprefix(browser.root)}api/photos", headers=headers)
    assert connection.getresponse().status == 413
    connection.close()
    answer = browser.call("POST", "api/photos", content=iter([b"no", b"length"]))
    assert answer.status_code == 413
    assert browser.call("POST", "api/command", content=b" " * 300_000).status_code == 413


def test_an_upload_that_is_larger_than_it_says_is_refused(browser, address, photo):
    headers = {
        "Authorization": f"Bearer {address.url.partition('token=')[2]}",
        "Content-Length": "10",
        "Transfer-Encoding": "chunked",
    }
    connection = http.client.HTTPConnection(browser.root.removeprefix("http://"), timeout=PATIENCE)
    path = f"{browser.base.removeprefix(browser.root)}api/photos?name=a.jpg"
    connection.request("POST", path, b"%x\r\n%b\r\n0\r\n\r\n" % (len(photo), photo), headers)
    assert connection.getresponse().status == 413
    connection.close()
    assert browser.call("GET", "api/state").json()["photos"] == []


def test_an_upload_that_cannot_be_written_is_said(browser, photo, monkeypatch, tmp_path):
    monkeypatch.setattr(photos.Photos, "begin", lambda self, name, size: tmp_path / "missing" / "folder" / name)
    answer = browser.upload("a.jpg", photo)
    assert answer.status_code == 409
    assert answer.json()["error"]["message"].startswith("Cannot write ")


def test_too_many_photos_are_refused(browser, photo, monkeypatch):
    monkeypatch.setattr(photos, "MOST_PHOTOS", 1)
    add(browser, "a.jpg", photo)
    assert browser.upload("b.jpg", photo).status_code == 422
    monkeypatch.setattr(photos, "MOST_PHOTOS", 9)
    monkeypatch.setattr(photos, "MOST_BYTES", 2 * len(photo) - 1)
    assert browser.upload("b.jpg", photo).status_code == 422


def test_a_photo_that_is_removed_is_deleted(browser, photo, tmp_path):
    id = add(browser, "a.jpg", photo)
    assert browser.call("GET", f"api/photos/{id}/image").headers["content-type"] == "image/jpeg"
    assert browser.call("DELETE", f"api/photos/{id}").status_code == 204
    assert browser.call("GET", f"api/photos/{id}/image").status_code == 404
    assert browser.call("DELETE", f"api/photos/{id}").status_code == 404


BAD = {
    "unknown style": {"styles": [{"style": "undie"}]},
    "path as style": {"styles": [{"style": "/etc/passwd"}]},
    "no style": {"styles": []},
    "too many styles": {"styles": [{"style": "udnie"}] * 5},
    "strength": {"styles": [{"style": "udnie"}], "strength": 2},
    "stroke size": {"styles": [{"style": "udnie"}], "stroke_size": 0.01},
    "share": {"styles": [{"style": "udnie", "share": -1}, {"style": "bridge"}]},
    "type": {"styles": "udnie"},
    "unknown field": {"styles": [{"style": "udnie"}], "output": "/tmp/x"},
}


@pytest.mark.parametrize("choice", BAD.values(), ids=BAD)
def test_invalid_choices_are_refused(browser, photo, choice):
    id = add(browser, "a.jpg", photo)
    want = browser.want({"photo": id, "choice": choice, "size": "small"})
    export = browser.call("POST", "api/exports", json={"photos": [id], "choice": choice})
    for answer in (want, export):
        assert answer.status_code in (409, 422)
        assert answer.json()["error"]["message"]


def test_a_page_that_does_not_listen_wants_nothing(browser):
    assert browser.want(page="fedcba9876543210" * 2).status_code == 409
    assert browser.call("GET", "api/events", params={"page": "../x"}).status_code == 422


def test_a_page_that_reloads_finds_its_photos(browser, photo, address):
    id = add(browser, "a.jpg", photo)
    other = Browser(address.url)
    assert [each["id"] for each in other.call("GET", "api/state").json()["photos"]] == [id]
    other.close()


def test_only_this_user_may_read_the_uploads_and_a_removed_photo_is_deleted(browser, photo, home):
    id = add(browser, "a.jpg", photo)
    (folder,) = (path for path in (home / "cache" / "studio").iterdir() if path.is_dir())
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / id / "a.jpg").read_bytes() == photo
    browser.call("DELETE", f"api/photos/{id}")
    assert not (folder / id).exists()
    browser.upload("broken.jpg", photo[:100])
    assert list(folder.rglob("broken.jpg")) == []
