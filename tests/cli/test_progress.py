"""Progress: bars that fit 80 columns, count from where a training resumed, and say what takes long."""

import logging
import re

import pytest

from stylekit.cli.console import Output, duration
from stylekit.cli.progress import live_bar
from stylekit.cli.train_printer import Printer
from stylekit.training.train import StepReport
from tests.local_server import time_with

STEP = {"step": 12, "steps": 300, "width": 512, "height": 341, "total": 1.5, "content": 0.5, "style": 0.0625}
GATYS = "{width} x {height} px  step {step}/{steps}  total {total:.3f}  content {content:.3f}  style {style:.4f}"


@pytest.fixture
def terminal(monkeypatch, capsys):
    """Make standard error a terminal of 80 columns, and return a function that returns the lines that it showed."""
    monkeypatch.setattr(Output, "animated", True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")

    def shown():
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().err).replace("\r", "\n").splitlines()

    return shown


def test_a_bar_of_80_columns_holds_percent_and_time_left_and_cuts_the_losses(terminal):
    with live_bar("", GATYS) as bar:
        bar.start(1)
        bar.update(0.25, **STEP)
    last = [line for line in terminal() if "%" in line][-1]
    assert re.search(r" 25 % \S+ 512 x 341 px  step 12/300  total 1.500", last)
    assert last.rstrip().endswith("…")
    assert max(map(len, [last])) <= 80


def test_a_long_name_does_not_push_the_bar_out(terminal):
    with live_bar("images", "{name}") as bar:
        bar.start(20)
        bar.advance(name="a photo with a very long name " * 4)
    last = [line for line in terminal() if "images/s" in line][-1]
    assert "1/20" in last
    assert len(last) <= 80


def test_a_resumed_training_counts_from_where_it_was(terminal):
    console = Output()
    with console.bar("steps", "total {total:.3f}") as bar:
        printer = Printer(console, bar, patient=False)
        printer.show(StepReport(61, 100, 1.0, 0.5, 0.1, 0.1, 300.0))
    assert "61/100" in "\n".join(terminal())


def test_steps_of_an_earlier_session_say_nothing_about_the_time_left(capsys):
    console = Output()
    with console.bar("steps", "") as bar:
        printer = Printer(console, bar, patient=False)
        for step in range(61, 101):
            printer.show(StepReport(step, 100, 1.0, 0.5, 0.1, 0.1, 3000.0 + 2 * (step - 60)))
    first, second, *_ = capsys.readouterr().err.splitlines()
    assert first.startswith("step 65/100  0:50:10, 0:01:10 left  total")
    assert second.startswith("step 70/100  0:50:20, 0:01:00 left  total")


def test_comparing_styles_shows_how_far_it_is(terminal):
    console = Output()
    with console.bar("steps", "total {total:.3f}") as bar:
        printer = Printer(console, bar, patient=False)
        printer.show_comparison(3, 12)
        shown = "\n".join(terminal())
        assert "3/12" in shown
        assert "styles/s" in shown
        assert "0/?" not in shown
        printer.show(StepReport(1, 100, 1.0, 0.5, 0.1, 0.1, 1.0))
    assert "styles/s" not in terminal()[-1]


def test_a_download_says_that_it_tries_again(stylekit, monkeypatch):
    pytest.importorskip("requests")
    waits: list[float] = []
    monkeypatch.setattr("stylekit.downloads.transfer.time", time_with(waits.append))
    code, _, errors = stylekit("styles", "pull", "http://127.0.0.1:9/wave.safetensors", "--name", "wave")
    assert code == 1
    *notes, error, _ = errors.splitlines()
    assert len(notes) == len(waits) == 4
    assert notes[0] == "127.0.0.1: the connection failed; trying again in 1 s …"
    assert error.startswith("error: Cannot download http://127.0.0.1:9/wave.safetensors: the connection failed")
    assert logging.getLogger("stylekit.downloads").handlers == []


def test_times_are_hours_minutes_and_seconds():
    assert [duration(seconds) for seconds in (0.4, 185, 7199.9)] == ["0:00:00", "0:03:05", "2:00:00"]
