"""`--report` of one process and of several."""

import json
from pathlib import Path

import pytest

from stylekit.apply.report_file import report_lines
from stylekit.apply.reports import FileReport
from stylekit.errors import ConfigError
from stylekit.system.distributed import ALONE, World


def file(name, status="done", **more):
    return FileReport(Path(f"{name}.jpg"), Path(f"{name}-small.jpg"), "small", status, **more)


def write(path, world, *files):
    with report_lines(path, world) as write_report:
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


def test_without_a_report_file_nothing_is_written(tmp_path):
    write(None, FIRST, file("a"))
    assert list(tmp_path.iterdir()) == []


def test_each_of_several_processes_writes_a_report_of_its_own_and_waits_for_none(path):
    write(path, SECOND, file("b"), file("d", "skipped"))
    assert statuses(path.with_name("report.1.jsonl")) == [("b", "done"), ("d", "skipped")]
    with report_lines(path, FIRST) as write_report:
        write_report(file("a"))
        assert statuses(path.with_name("report.0.jsonl")) == [("a", "done")]
        write_report(file("c", "failed"))
    together = [line for part in sorted(path.parent.glob("report.*.jsonl")) for line in statuses(part)]
    assert together == [("a", "done"), ("c", "failed"), ("b", "done"), ("d", "skipped")]
    assert not path.exists()


@pytest.mark.parametrize("world", [ALONE, SECOND], ids=["one", "rank 1"])
def test_after_a_kill_only_the_unfinished_line_is_lost(path, world):
    part = path if world is ALONE else path.with_name("report.1.jsonl")
    write(path, world, file("a"))
    with part.open("a", encoding="utf-8") as lines:
        lines.write('{"source": "f.jp')
    write(path, world, file("a", "skipped"), file("b"))
    good, bad, *rest = part.read_text(encoding="utf-8").splitlines()
    assert bad == '{"source": "f.jp'
    assert [json.loads(line)["status"] for line in (good, *rest)] == ["done", "skipped", "done"]


@pytest.mark.parametrize("world", [ALONE, FIRST, SECOND], ids=["one", "rank 0", "rank 1"])
def test_a_report_that_cannot_be_written_is_one_clear_error(tmp_path, world):
    with pytest.raises(ConfigError, match=r"Cannot write .*report\.([01]\.)?jsonl") as caught:
        write(tmp_path / "gone" / "report.jsonl", world)
    assert "--report" in caught.value.hint
