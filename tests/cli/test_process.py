"""What the shell leaves to a process: closed streams, readers that exit, other encodings, patterns, early Ctrl-C."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stylekit.cli.console import Output
from stylekit.cli.process import expand_patterns
from tests.image_material import read_image

BASH = shutil.which("bash") or ""
UNREADABLE_IN_ASCII = ("写真.png", "🦁.png")

needs_bash = pytest.mark.skipif(not BASH, reason="bash is missing")
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is missing")


@pytest.fixture
def folder(tmp_path, make_photo, style_path, monkeypatch):
    """Return a working folder with a photo, `lion.png`, and a style, `small.safetensors`."""
    make_photo().save(tmp_path / "lion.png")
    shutil.copy(style_path, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shell(command, **environment):
    """Run a command line in bash, in which `$S` is stylekit and `$A` stylizes the photo."""
    stylekit = f"{sys.executable} -m stylekit"
    known = {"S": stylekit, "A": f"{stylekit} apply lion.png -s small.safetensors -o out.png"}
    return subprocess.run(
        [BASH, "-o", "pipefail", "-c", command],
        env={**os.environ, **known, **environment},
        capture_output=True,
        check=False,
    )


@needs_bash
@pytest.mark.parametrize(
    "redirection",
    [">&-", "2>&-", "<&-", "<&- >&- 2>&-", pytest.param("2>/dev/full", marks=needs_full)],
)
def test_photos_are_stylized_although_a_stream_is_closed_or_full(folder, redirection):
    done = shell(f"$A {redirection}")
    assert (done.returncode, done.stderr) == (0, b"")
    assert read_image("out.png").size == (64, 48)
    assert done.stdout == (b"" if ">&-" in redirection.replace("2>&-", "") else b"out.png\n")


@needs_bash
@needs_full
def test_results_whose_names_cannot_be_printed_are_written_all_the_same(folder, make_photo):
    make_photo(seed=1).save("bear.png")
    done = shell("$S apply lion.png bear.png -s small.safetensors -o out >/dev/full")
    assert done.returncode == 1
    assert b"error: Cannot write to standard output: No space left on device." in done.stderr.splitlines()
    assert b"Traceback" not in done.stderr
    assert len(list(Path("out").iterdir())) == 2


@needs_bash
@pytest.mark.parametrize("command", ["styles list", "styles list --json", "-h", "--version", "apply -h"])
def test_a_reader_that_exits_early_is_not_an_error(command):
    for reader in ("head -1", "true"):
        done = shell(f"$S {command} | {reader}")
        assert (done.returncode, done.stderr) == (0, b"")


@needs_bash
def test_an_image_that_its_reader_does_not_take_is_an_error(folder, make_photo):
    make_photo(600, 500).save("lion.png")  # more than a pipe holds
    done = shell("$S apply lion.png -s small.safetensors -o - | true")
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: The program reading standard output exited")


@needs_bash
@pytest.mark.parametrize("encoding", [{"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}], ids=["C", "ASCII"])
def test_names_beyond_the_encoding_of_the_locale_are_read_written_and_printed(folder, encoding):
    for name in UNREADABLE_IN_ASCII:
        shutil.copy("lion.png", name)
    done = shell(f"$S apply {' '.join(UNREADABLE_IN_ASCII)} -s small.safetensors -o out", **encoding)
    assert done.returncode == 0, done.stderr
    results = [f"out/{Path(name).stem}-small.png" for name in UNREADABLE_IN_ASCII]
    assert done.stdout.decode().splitlines() == results
    assert all(Path(result).is_file() for result in results)


@needs_bash
def test_a_working_folder_that_was_deleted_is_one_clear_error(folder):
    for photos in ("../lion.png", "../lion.png ../small.safetensors"):
        done = shell(f"mkdir gone; cd gone; rmdir ../gone; $S apply {photos} -s udnie")
        first, *_ = done.stderr.splitlines()
        assert done.returncode == 1
        assert b"Traceback" not in done.stderr
        assert first in (b"error: The working folder no longer exists.", b"error: ../lion.png does not exist.")
    done = shell(f"mkdir gone; cd gone; rmdir ../gone; $S apply {folder}/lion.png -s udnie -o {folder}/out.png")
    assert done.returncode == 0, done.stderr


@needs_bash
@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="/dev/fd is missing")
@pytest.mark.parametrize(
    ("command", "results"),
    [
        ("$S apply <(cat lion.png) -s small.safetensors -o out.png", ["out.png"]),
        ("cat lion.png | $S apply /dev/stdin -s small.safetensors -o out.png", ["out.png"]),
        ("$S apply /dev/stdin -s small.safetensors -o out.png < lion.png", ["out.png"]),
        ("cp lion.png ./-; $S apply ./- -s small.safetensors -o out.png < /dev/null", ["out.png"]),
        (
            "printf '%s\\n' - > list; cp lion.png ./-; $S apply --files-from list -s small.safetensors -o o.png",
            ["o.png"],
        ),
        (
            "mkfifo pipe.png; cat lion.png > pipe.png & $S apply pipe.png -s small.safetensors -o new/",
            ["new/pipe-small.png"],
        ),
    ],
)
def test_pipes_are_inputs_like_files(folder, command, results):
    done = shell(command)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().splitlines() == results
    assert [read_image(result).size for result in results] == [(64, 48)]


@needs_bash
def test_a_pipe_needs_an_output(folder):
    done = shell("$S apply <(cat lion.png) -s small.safetensors")
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: A photo from standard input or a pipe needs an output.\n")


@needs_bash
def test_pipes_are_inputs_of_an_optimization_too(folder):
    done = shell("$S gatys <(cat lion.png) - -o out.png --size 32 --steps 1 --loss-network compact < lion.png")
    assert done.returncode == 0, done.stderr
    assert read_image("out.png").size == (32, 24)


def test_standard_input_that_is_a_terminal_is_not_waited_for(folder, stylekit, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    code, _, errors = stylekit("apply", "-", "-o", "out.png")
    assert code == 2
    assert "error: Standard input is a terminal." in errors.splitlines()


def test_names_cannot_control_the_terminal(monkeypatch, capsys):
    name = "lion\x1b[31m\n.jpg"
    Output().result(name)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    Output().result(name)
    Output(verbose=True).detail(name)
    out, err = capsys.readouterr()
    assert out == f"{name}\nlion\ufffd[31m\ufffd.jpg\n"
    assert err == "lion\ufffd[31m\ufffd.jpg\n"


def test_names_in_a_live_bar_cannot_control_the_terminal(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    with Output().bar("images", "{name}") as bar:
        bar.start(2)
        bar.advance(name="lion\x1b[31m.jpg")
    assert "lion\ufffd[31m.jpg" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expanded"),
    [
        (["apply", "*.jpg", "-s", "udnie"], ["apply", "a [1].jpg", "a.jpg", "b.jpg", "-s", "udnie"]),
        (["?.jpg"], ["a.jpg", "b.jpg"]),
        (["photos/*.png"], [str(Path("photos", "c.png"))]),
        (["a [1]*.jpg"], ["a [1].jpg"]),
        (["*.gif"], ["*.gif"]),
        (["a [1].jpg"], ["a [1].jpg"]),
        (["--output=*.jpg"], ["--output=*.jpg"]),
        (["https://example.org/a?b"], ["https://example.org/a?b"]),
    ],
)
def test_patterns_are_expanded_for_shells_that_do_not(tmp_path, monkeypatch, arguments, expanded):
    (tmp_path / "photos").mkdir()
    for name in ("a.jpg", "b.jpg", "a [1].jpg", "photos/c.png"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert list(expand_patterns(arguments)) == expanded


_INTERRUPTED_IMPORT = """
import os, signal, sys, time

def interrupted():
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000):
        time.sleep(0.01)

class Dying:
    def __del__(self):
        interrupted()

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            {action}

sys.meta_path.insert(0, Interrupting())
from stylekit.cli import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT")
@pytest.mark.parametrize(
    "action",
    [
        "interrupted()",
        "\n            try: interrupted()\n            except KeyboardInterrupt: raise ImportError('half loaded')",
        "\n            try: interrupted()\n            except KeyboardInterrupt: raise AttributeError('no')",
        "Dying(); [time.sleep(0.01) for _ in range(1000)]",
    ],
    ids=["raised", "import error", "attribute error", "lost in a callback"],
)
@pytest.mark.parametrize("module", ["typer", "stylekit.apply.run"])
def test_an_early_interruption_prints_no_traceback(folder, module, action):
    code = _INTERRUPTED_IMPORT.format(module=module, action=action)
    command = [sys.executable, "-c", code, "apply", "lion.png", "-s", "small.safetensors"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr in ("", "error: Interrupted.\n")
