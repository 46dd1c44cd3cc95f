"""`--report` of one process and of several."""

import json
import threading
import time
from pathlib import Path

import pytest

from stylekit.apply.report_file import report_lines
from stylekit.apply.reports import FileReport
from stylekit.errors import ConfigError
from stylekit.system.distributed import ALONE, World


def file(name, status="done", **more):
    return FileReport(Path(f"{name}.jpg"), Path(f"{name}-small.jpg"), "small", status, **more)


def write(path, world, *files, **keywords):
    with report_lines(path, world, **keywords) as write_report:
        for each in files:
            write_report(each)


def statuses(path):
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [(Path(line["source"]).stem, line["status"]) for line in lines]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "report.jsonl"


FIRST, SECOND = (World(rank=rank, size=2, job="night.1/x") for rank in range(2))


def test_one_process_appends_as_it_goes(path):
    write(path, ALONE, file("b"))
    with report_lines(path, ALONE) as write_report:
        write_report(file("a", "failed", reason="damaged"))
        assert statuses(path) == [("b", "done"), ("a", "failed")]


def test_without_a_report_nothing_is_written(tmp_path):
    write(None, FIRST, file("a"))
    assert list(tmp_path.iterdir()) == []


def test_several_processes_make_one_report_in_the_order_of_the_photos(path):
    path.write_text(json.dumps({"source": "earlier.jpg", "status": "done"}) + "\n")
    counts = []
    write(path, SECOND, file("b"), file("d", "skipped"))
    assert len(path.read_text().splitlines()) == 1
    write(path, FIRST, file("a"), file("c", "failed"), on_merged=counts.append)
    assert statuses(path) == [("earlier", "done"), ("a", "done"), ("b", "done"), ("c", "failed"), ("d", "skipped")]
    assert counts == [{"done": 2, "failed": 1, "skipped": 1}]
    assert list(path.parent.iterdir()) == [path]


def test_rank_0_waits_for_the_others(path):
    waiting = threading.Thread(target=write, args=(path, FIRST, file("a")))
    waiting.start()
    time.sleep(0.5)
    assert waiting.is_alive()
    assert not path.exists()
    write(path, SECOND, file("b"))
    waiting.join(timeout=30)
    assert statuses(path) == [("a", "done"), ("b", "done")]


def killed(path, world, *files, half=""):
    """Write these, and half a line more, and end."""
    with pytest.raises(KeyboardInterrupt), report_lines(path, world) as write_report:
        for each in files:
            write_report(each)
        raise KeyboardInterrupt
    (part,) = path.with_name("report.jsonl.parts").glob(f"*-{world.rank}-of-*.jsonl")
    with part.open("a", encoding="utf-8") as lines:
        lines.write(half)


def test_what_was_done_before_a_restart_stays_done_and_what_then_succeeds_has_not_failed(path):
    killed(path, SECOND, file("b"), file("d", "failed"), half='{"source": "f.jp')
    killed(path, FIRST, file("a"))
    write(path, SECOND, file("b", "skipped"), file("d"), file("f"))
    write(path, FIRST, file("a", "skipped"), file("c"))
    assert statuses(path) == [(name, "done") for name in "abcdf"]


def test_a_share_that_is_tried_again_is_waited_for_again(path):
    write(path, SECOND, file("b", "failed"))
    again = report_lines(path, SECOND)
    write_report = again.__enter__()
    waiting = threading.Thread(target=write, args=(path, FIRST, file("a")))
    waiting.start()
    time.sleep(0.5)
    assert waiting.is_alive()
    write_report(file("b"))
    again.__exit__(None, None, None)
    waiting.join(timeout=30)
    assert statuses(path) == [("a", "done"), ("b", "done")]


@pytest.mark.parametrize("world", [ALONE, FIRST, SECOND], ids=["one", "rank 0", "rank 1"])
def test_a_report_that_cannot_be_written_is_one_clear_error(tmp_path, world):
    with pytest.raises(ConfigError, match=r"report\.jsonl cannot be written") as refused:
        write(tmp_path / "gone" / "report.jsonl", world)
    assert "--report" in refused.value.hint
