"""`apply --watch` as a process of its own: it is started, gets files and a signal, and ends."""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.image_material import read_image

needs_watchfiles = pytest.mark.skipif(
    subprocess.run([sys.executable, "-c", "import watchfiles"], check=False, capture_output=True).returncode != 0,
    reason="the extra watch is not installed",
)
needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to a single process")


@pytest.fixture
def inbox(tmp_path):
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


@pytest.fixture
def photo(tmp_path, make_photo):
    make_photo(40, 30, seed=1).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"


@pytest.fixture
def watching(inbox, tmp_path, style_path):
    """Start `apply --watch`, and wait until it watches."""

    @contextmanager
    def start(*options):
        command = [
            sys.executable,
            "-m",
            "stylekit",
            "apply",
            inbox,
            "-s",
            style_path,
            "-o",
            tmp_path / "out",
            "--watch",
        ]
        process = subprocess.Popen(
            [*map(str, command), *map(str, options)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            assert process.stderr is not None
            while not (line := process.stderr.readline()).startswith("Watching "):
                assert line, "it has ended"
            yield process
        finally:
            process.kill()
            process.communicate()

    return start


def result(process):
    """Wait for the path of a result."""
    return process.stdout.readline().rstrip("\n")


@needs_watchfiles
@needs_signals
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_watch_paints_until_a_signal_and_resumes(watching, inbox, photo, tmp_path, signal_number):
    with watching("--verbose") as process:
        for name in ("a", "b"):
            shutil.copy(photo, inbox / f"{name}.jpg")
            assert result(process) == str(tmp_path / "out" / f"{name}-small.jpg")
            assert read_image(tmp_path / "out" / f"{name}-small.jpg").size == (40, 30)
        process.send_signal(signal_number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert errors.startswith("2 done in ")
    shutil.copy(photo, inbox / "c.jpg")
    with watching() as process:
        assert result(process) == str(tmp_path / "out" / "c-small.jpg")
        process.send_signal(signal_number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "1 done, 2 skipped in " in errors


@needs_watchfiles
@needs_signals
def test_a_watch_that_is_interrupted_at_work_leaves_whole_files(watching, inbox, tmp_path, make_photo):
    make_photo(700, 500).save(tmp_path / "large.jpg")
    with watching() as process:
        for number in range(30):
            shutil.copy(tmp_path / "large.jpg", inbox / f"{number}.jpg")
        result(process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in errors
    made = list((tmp_path / "out").iterdir())
    assert 1 <= len(made) < 30
    for path in made:
        assert read_image(path).size == (700, 500)


@needs_watchfiles
@needs_signals
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a pipe shows when a line of the report is written")
def test_the_report_has_a_line_for_each_file_and_the_document_comes_at_the_end(watching, inbox, photo, tmp_path):
    os.mkfifo(tmp_path / "report.jsonl")
    (inbox / "bad.jpg").write_text("no photo")
    os.utime(inbox / "bad.jpg", (0, 0))
    with (
        os.fdopen(os.open(tmp_path / "report.jsonl", os.O_RDWR)) as report,
        watching("--json", "--report", tmp_path / "report.jsonl") as process,
    ):
        shutil.copy(photo, inbox / "a.jpg")
        lines = [json.loads(report.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 3
    assert sorted((Path(line["source"]).name, line["status"]) for line in lines) == [
        ("a.jpg", "done"),
        ("bad.jpg", "failed"),
    ]
    document = json.loads(output)
    assert document["files"] == lines
    assert (document["done"], document["failed"]) == (1, 1)
    assert "error" not in document


@needs_watchfiles
@needs_signals
def test_a_new_version_without_overwrite_is_announced(watching, inbox, photo, make_photo):
    with watching() as process:
        shutil.copy(photo, inbox / "a.jpg")
        result(process)
        make_photo(50, 30).save(inbox / "a.jpg")
        line = process.stderr.readline()
    assert line == f"skipped {inbox / 'a.jpg'}: already painted (--overwrite paints it again)\n"


@needs_watchfiles
def test_a_folder_that_is_removed_ends_the_watch(watching, inbox):
    with watching() as process:
        inbox.rmdir()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.splitlines()[-2:] == [
        f"error: {inbox} was removed, renamed or unmounted.",
        "hint: Restore it and run the same command again; existing results are skipped.",
    ]


@needs_watchfiles
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["PHOTO"], 2, "--watch needs folders, but PHOTO is not a folder."),
        (["INBOX", "gone"], 1, "gone does not exist."),
        (["-"], 2, "--watch needs folders, not standard input or a pipe."),
        (["INBOX", "--dry-run"], 2, "--watch and --dry-run contradict each other."),
        (["INBOX", "--show"], 2, "--watch and --show contradict each other."),
        (["INBOX", "-o", "-"], 2, "Only a single image can be written to standard output."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_watch_that_makes_no_sense_is_refused(stylekit, inbox, photo, arguments, code, message):
    places = {"PHOTO": str(photo), "INBOX": str(inbox)}
    actual, output, errors = stylekit("apply", *(places.get(word, word) for word in arguments), "--watch")
    assert (actual, output) == (code, "")
    assert f"error: {message.replace('PHOTO', str(photo))}" in errors.splitlines()


def test_several_processes_cannot_watch(stylekit, inbox, monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    code, _, errors = stylekit("apply", inbox, "--watch")
    assert code == 2
    assert "error: --watch works only in a single process." in errors.splitlines()


def test_without_the_extra_the_line_that_installs_it_is_printed(inbox):
    code = "import sys; sys.modules['watchfiles'] = None; from stylekit.cli.app import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "apply", str(inbox), "--watch"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2:] == [
        "error: watchfiles is not installed; it is part of the extra 'watch'.",
        "hint: pip install 'neural-stylekit[watch]'",
    ]
