"""`--show`: what terminals of each kind are sent, and what is opened where they display no images."""

import base64
import io
import os
import re
import select
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from stylekit.cli.show import _sixel

pty = pytest.importorskip("pty", reason="Windows has no pseudo-terminals")
fcntl = pytest.importorskip("fcntl")
termios = pytest.importorskip("termios")

INLINE = ("KITTY_WINDOW_ID", "TERM_PROGRAM", "LC_TERMINAL", "TMUX", "STY", "DISPLAY", "WAYLAND_DISPLAY")


@pytest.fixture
def workplace(tmp_path, make_photo, style_path, monkeypatch):
    """A folder with a photo and a style."""
    make_photo(200, 100).save(tmp_path / "lion.png")
    shutil.copy(style_path, tmp_path / "small.safetensors")
    monkeypatch.chdir(tmp_path)
    for name in INLINE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return tmp_path


@pytest.fixture
def viewer(tmp_path, monkeypatch):
    """A viewer that writes down what it is to open; its exit status is in `status`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / ("open" if sys.platform == "darwin" else "xdg-open")
    program.write_text(f'#!/bin/sh\necho "$1" >> "{folder}/opened"\nexit $(cat "{folder}/status" || echo 0)\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def in_terminal(*arguments, program=("-m", "stylekit"), answer=b"\x1b[?62;22c", width=1000, **environment):
    """Run a command in a terminal of that many pixels; return its exit status and what the terminal received.

    The terminal answers the question for its abilities.
    """
    terminal, process_side = pty.openpty()
    fcntl.ioctl(process_side, termios.TIOCSWINSZ, np.array([24, 80, width, 480], np.uint16).tobytes())
    process = subprocess.Popen(
        [sys.executable, *program, *map(str, arguments)],
        stdin=process_side,
        stdout=process_side,
        stderr=process_side,
        env={**os.environ, **environment},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - a call to the system, no more
    )
    os.close(process_side)
    received, is_answered = b"", False
    while select.select([terminal], [], [], 120)[0]:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the process has ended
            break
        if not data:
            break
        received += data
        if b"\x1b[c" in received and not is_answered:
            os.write(terminal, answer)
            is_answered = True
    os.close(terminal)
    return process.wait(), received


def apply(**settings):
    return in_terminal("apply", "lion.png", "-s", "small.safetensors", "-q", "--show", **settings)


def test_kitty_gets_a_png_in_chunks_of_a_limited_size(workplace):
    code, received = apply(KITTY_WINDOW_ID="1")
    chunks = re.findall(rb"\x1b_G([^;]*);([^\x1b]*)\x1b\\", received)
    assert code == 0
    assert [keys for keys, _ in chunks] == [b"a=T,f=100,q=2,m=1", *[b"m=1"] * (len(chunks) - 2), b"m=0"]
    assert max(len(chunk) for _, chunk in chunks) == 4096
    image = Image.open(io.BytesIO(base64.b64decode(b"".join(chunk for _, chunk in chunks))))
    assert image.tobytes() == Image.open("lion-small.png").tobytes()


def test_a_wide_image_is_reduced_to_the_terminal(workplace):
    _, received = apply(KITTY_WINDOW_ID="1", width=120)
    data = b"".join(re.findall(rb"\x1b_G[^;]*;([^\x1b]*)\x1b\\", received))
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (120, 60)


@pytest.mark.parametrize("environment", [{"TERM_PROGRAM": "iTerm.app"}, {"LC_TERMINAL": "iTerm2"}])
def test_iterm_gets_a_png(workplace, environment):
    code, received = apply(**environment)
    ((size, data),) = re.findall(rb"\x1b\]1337;File=inline=1;size=(\d+):([^\x07]*)\x07", received)
    png = base64.b64decode(data)
    assert (code, len(png)) == (0, int(size))
    assert Image.open(io.BytesIO(png)).tobytes() == Image.open("lion-small.png").tobytes()


def test_a_terminal_that_answers_that_it_has_sixels_gets_them(workplace):
    code, received = apply(answer=b"\x1b[?62;4;22c")
    (sixels,) = re.findall(rb"\x1bPq.*?\x1b\\", received, re.DOTALL)
    assert code == 0
    assert unsixel(sixels.decode()).shape == (100, 200, 3)


def unsixel(text):
    """Decode sixels, as a terminal does."""
    ((width, height),) = ((int(a), int(b)) for a, b in re.findall(r'^\x1bPq"1;1;(\d+);(\d+)', text))
    palette = {
        int(number): np.array([int(part) for part in parts.split(";")]) * 255 / 100
        for number, parts in re.findall(r"#(\d+);2;(\d+;\d+;\d+)", text)
    }
    image = np.full((-(-height // 6) * 6, width, 3), -1.0)
    for band, lines in enumerate(re.sub(r"^.*?(#\d+[^;#\d])", r"\1", text[:-2], flags=re.DOTALL).split("-")[:-1]):
        for color, data in re.findall(r"#(\d+)([^#$]*)\$", lines):
            runs = re.sub(r"!(\d+)(.)", lambda run: int(run[1]) * run[2], data)
            for x, character in enumerate(runs):
                rows = [row for row in range(6) if (ord(character) - 63) >> row & 1]
                image[[6 * band + row for row in rows], x] = palette[int(color)]
    return image[:height]


def test_sixels_decode_to_the_image(make_photo):
    image = Image.new("RGB", (40, 15), "red")
    image.paste((0, 0, 255), (5, 2, 30, 9))
    assert np.abs(unsixel(_sixel(image)) - np.asarray(image)).max() <= 3
    photo = make_photo(60, 31)
    assert np.abs(unsixel(_sixel(photo)) - np.asarray(photo)).mean() < 12  # of 128 colors
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert np.abs(unsixel(_sixel(clear)) - 255).max() <= 3


@pytest.mark.parametrize("answer", [b"\x1b[?62;22c", b"", b"garbage c"])
def test_other_terminals_open_the_viewer(workplace, viewer, answer):
    code, received = apply(answer=answer, DISPLAY=":0")
    assert code == 0
    assert b"Cannot show" not in received
    assert (viewer / "opened").read_text().split() == [str(workplace / "lion-small.png")]


def test_a_terminal_that_answers_too_late_has_no_abilities(workplace):
    code = "from stylekit.cli import show; show._ANSWER_SECONDS = -1; print(show._abilities())"
    assert in_terminal(program=("-c", code), answer=b"") == (0, b"\x1b[c[]\r\n")


def test_tmux_opens_the_viewer(workplace, viewer):
    assert apply(TMUX="/tmp/tmux", KITTY_WINDOW_ID="1", DISPLAY=":0")[0] == 0
    assert (viewer / "opened").exists()


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS always has a display")
@pytest.mark.parametrize(("display", "status"), [("", "0"), (":0", "3")])
def test_without_a_display_or_a_viewer_that_starts_a_note_says_so(
    workplace, viewer, stylekit, monkeypatch, display, status
):
    monkeypatch.setenv("DISPLAY", display)
    (viewer / "status").write_text(status)
    code, out, err = stylekit("apply", "lion.png", "-s", "small.safetensors", "--show")
    assert (code, out) == (0, "lion-small.png\n")
    assert err == ("Cannot show lion-small.png: the terminal cannot display images, and no viewer could be started.\n")


def test_the_results_of_a_batch_are_shown_up_to_eight(workplace, viewer, stylekit, monkeypatch, make_photo):
    monkeypatch.setenv("DISPLAY", ":0")
    (workplace / "photos").mkdir()
    for number in range(10):
        make_photo(16, 16, number).save(workplace / "photos" / f"{number}.png")
    (workplace / "photos" / "bad.png").write_bytes(b"")
    code, _, err = stylekit("apply", "photos", "-s", "small.safetensors", "--show")
    assert code == 3
    assert "Showing the first 8 of 10 results." in err
    assert len((viewer / "opened").read_text().splitlines()) == 8


def test_standard_output_stays_free_of_images(workplace, stylekit, monkeypatch):
    monkeypatch.setenv("KITTY_WINDOW_ID", "1")  # but no stream is a terminal
    assert stylekit("sheet", "lion.png", "-s", "small.safetensors", "--size", "48", "--show")[1] == "lion-sheet.jpg\n"


def test_a_sheet_is_shown(workplace):
    code, received = in_terminal(
        *("sheet", "lion.png", "-s", "small.safetensors", "--size", "48", "-q", "--show"), KITTY_WINDOW_ID="1"
    )
    assert code == 0
    assert received.startswith(b"lion-sheet.jpg\r\n\x1b_Ga=T,f=100")


def test_a_dry_run_and_standard_output_show_nothing(workplace, viewer, stylekit):
    assert stylekit("apply", "lion.png", "-s", "small.safetensors", "--show", "--dry-run")[0] == 0
    code, _, err = stylekit("apply", "lion.png", "-s", "small.safetensors", "--show", "-o", "-")
    assert (code, "both the image and --show" in err) == (2, True)
    assert not (viewer / "opened").exists()
