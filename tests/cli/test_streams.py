"""Standard input and output, lists of photos, and reports."""

import errno
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.image_material import read_image


@pytest.fixture
def photo(tmp_path, make_photo):
    make_photo().save(tmp_path / "lion.png")
    return tmp_path / "lion.png"


def piped(arguments, data=b""):
    command = [sys.executable, "-m", "stylekit", "apply", *map(str, arguments)]
    return subprocess.run(command, input=data, capture_output=True, check=False)


def test_a_photo_is_piped_through_as_png(photo, style_path, tmp_path):
    result = piped(["-", "-o", "-", "-s", style_path], photo.read_bytes())
    assert (result.returncode, result.stderr) == (0, b"")
    image = Image.open(io.BytesIO(result.stdout))
    assert image.format == "PNG"
    piped([photo, "-o", tmp_path / "file.png", "-s", style_path])
    np.testing.assert_array_equal(np.asarray(image), np.asarray(Image.open(tmp_path / "file.png")))


def test_the_format_on_standard_output_can_be_chosen(photo, style_path):
    result = piped([photo, "-o", "-", "-s", style_path, "--format", "jpg"])
    assert Image.open(io.BytesIO(result.stdout)).format == "JPEG"


def test_standard_input_goes_to_a_file(photo, style_path, tmp_path):
    result = piped(["-", "-o", tmp_path / "out.webp", "-s", style_path], photo.read_bytes())
    assert result.stdout.decode().strip() == str(tmp_path / "out.webp")
    assert read_image(tmp_path / "out.webp").size == (64, 48)


@pytest.mark.parametrize(
    ("data", "arguments", "code", "message"),
    [
        (b"", ["-", "-o", "-"], 1, "standard input is empty"),
        (b"not an image", ["-", "-o", "-"], 1, "standard input is not a readable image"),
        (b"", ["-"], 2, "needs an output"),
        (b"", ["-", "lion.png", "-o", "-"], 2, "Only a single image can be written"),
        (b"", [".", "-o", "-"], 2, "Only a single image can be written"),
        (b"", ["lion.png", "-o", "-", "--json"], 2, "both the image and --json"),
        (b"", [], 2, "No input was given"),
        (b"", ["--files-from", "gone.txt"], 2, "Cannot read --files-from gone.txt: No such file"),
        (b"", ["lion.png", "--report", "gone/report.jsonl"], 2, "Cannot write gone/report.jsonl"),
        (b"", ["lion.png", "--report", "lion.png"], 2, "the name of an image or a video"),
    ],
)
def test_a_wrong_stream_is_one_clear_line(data, arguments, code, message, photo, style_path, monkeypatch):
    monkeypatch.chdir(photo.parent)
    result = piped([*arguments, "-s", style_path], data)
    errors = result.stderr.decode()
    assert result.returncode == code
    assert message in errors
    assert len(errors.splitlines()) <= 2
    if "--json" not in arguments:
        assert result.stdout == b""


def test_a_dry_run_sends_nothing(photo, style_path):
    result = piped([photo, "-o", "-", "-s", style_path, "--dry-run"])
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_inputs_come_from_a_list_or_standard_input(photo, style_path, tmp_path, make_photo):
    make_photo(seed=1).save(tmp_path / "löwe 2.png")
    names = f"{photo}\n\n{tmp_path / 'löwe 2.png'}\r\n"
    (tmp_path / "list.txt").write_bytes(names.encode())
    for source, data in ((tmp_path / "list.txt", b""), ("-", names.encode())):
        out = tmp_path / ("out" if data else "out too")
        result = piped(["--files-from", source, "-o", out, "-s", style_path], data)
        assert result.returncode == 0, result.stderr
        assert sorted(path.name for path in out.iterdir()) == ["lion-small.png", "löwe 2-small.png"]


def test_names_in_a_list_end_only_at_line_feeds(tmp_path):
    from stylekit.cli.streams import read_list

    names = ["a\u2028b.png", "c\x0bd.png", "e\x85f.png", " g .png"]
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(names).encode() + b"\n\r\n")
    assert [str(path) for path in read_list(tmp_path / "list.txt")] == names


def test_standard_input_that_cannot_be_copied_is_one_clear_line(photo, style_path, tmp_path, stylekit, monkeypatch):
    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(photo.read_bytes())))
    code, _, errors = stylekit("apply", "-", "-o", tmp_path / "out.png", "-s", style_path)
    assert code == 1
    assert errors.startswith("error: Cannot copy standard input to ")
    assert "No space left on device" in errors
    assert len(errors.splitlines()) == 2


def test_the_report_has_a_line_for_each_photo_and_grows(photo, style_path, tmp_path, stylekit):
    (tmp_path / "bad.png").write_bytes(b"")
    arguments = ["apply", str(photo), str(tmp_path / "bad.png"), "-s", str(style_path), "-o", str(tmp_path / "out")]
    assert stylekit(*arguments, "--report", str(tmp_path / "report.jsonl"))[0] == 3
    lines = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert [(line["source"], line["status"]) for line in lines] == [
        (str(photo), "done"),
        (str(tmp_path / "bad.png"), "failed"),
    ]
    assert (lines[0]["width"], lines[0]["height"]) == (64, 48)
    assert lines[0]["seconds"] > 0
    assert "empty" in lines[1]["reason"]
    stylekit(*arguments, "--report", str(tmp_path / "report.jsonl"))
    statuses = [json.loads(line)["status"] for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert statuses == ["done", "failed", "skipped", "failed"]


@pytest.mark.parametrize(("name", "reason"), [("bad.png", "empty"), ("lion.png", "already exists")])
def test_the_report_has_a_line_for_a_single_photo_that_fails(photo, style_path, tmp_path, stylekit, name, reason):
    (tmp_path / "bad.png").write_bytes(b"")
    (tmp_path / "lion-small.png").write_bytes(b"mine")
    code, _, errors = stylekit("apply", tmp_path / name, "-s", style_path, "--report", tmp_path / "report.jsonl")
    assert (code, len(errors.splitlines())) == (1, 2)
    assert errors.startswith("error: ")
    (line,) = (json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines())
    assert (line["source"], line["status"]) == (str(tmp_path / name), "failed")
    assert reason in line["reason"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is missing")
def test_a_report_on_a_full_disk_is_one_clear_line(photo, style_path, tmp_path):
    result = piped([photo, "-o", tmp_path / "out.png", "-s", style_path, "--report", "/dev/full"])
    errors = result.stderr.decode()
    assert result.returncode == 1
    assert errors.startswith("error: Cannot write /dev/full: No space left on device.")
    assert len(errors.splitlines()) == 2
