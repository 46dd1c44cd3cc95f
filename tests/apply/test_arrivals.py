"""Which files are complete and new, on a clock of the test's own."""

import math
import os
import time

import pytest

from stylekit.apply.arrivals import Arrivals

HOUR = 3600


class Clock:
    """The time of the tests: files that are written get the current one."""

    def __init__(self):
        self.now = time.time()

    def monotonic(self):
        return self.now

    def time(self):
        return self.now

    def write(self, path, content, *, age=0.0):
        path.write_bytes(content)
        os.utime(path, (self.now - age, self.now - age))


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("stylekit.apply.arrivals.time", clock)
    return clock


@pytest.fixture
def watched(clock):
    """Arrivals after a first look at folders without files."""
    arrivals = Arrivals()
    arrivals.take([])
    return arrivals


def test_old_files_of_the_first_look_are_taken_at_once(clock, tmp_path):
    clock.write(tmp_path / "old.jpg", b"x")
    clock.now += HOUR
    arrivals = Arrivals()
    assert arrivals.take([tmp_path / "old.jpg"]) == {tmp_path / "old.jpg"}
    assert arrivals.take([tmp_path / "old.jpg"]) == set()


def test_a_file_that_was_just_written_is_waited_for_in_the_first_look_too(clock, tmp_path):
    clock.write(tmp_path / "fresh.jpg", b"x", age=HOUR)  # like a copy that keeps times: only its ctime is new
    arrivals = Arrivals()
    assert arrivals.take([tmp_path / "fresh.jpg"]) == set()
    assert arrivals.due == clock.now + 1
    clock.now += 1
    assert arrivals.take([tmp_path / "fresh.jpg"]) == {tmp_path / "fresh.jpg"}
    assert arrivals.due == math.inf


def test_a_growing_file_is_complete_a_second_after_its_last_change(clock, watched, tmp_path):
    path = tmp_path / "a.jpg"
    for size in range(1, 5):
        clock.write(path, b"x" * size)
        assert watched.take([path]) == set()
        clock.now += 0.9
    assert watched.take([path]) == set()
    clock.now = watched.due
    assert watched.take([path]) == {path}


def test_copied_times_do_not_make_a_new_file_complete(clock, watched, tmp_path):
    clock.write(tmp_path / "a.jpg", b"x", age=HOUR)
    assert watched.take([tmp_path / "a.jpg"]) == set()
    clock.now += 1
    assert watched.take([tmp_path / "a.jpg"]) == {tmp_path / "a.jpg"}


def test_an_empty_file_is_not_complete_until_it_is_filled(clock, watched, tmp_path):
    path = tmp_path / "a.jpg"
    clock.write(path, b"")
    watched.take([path])
    assert watched.due == math.inf
    clock.now += HOUR
    assert watched.take([path]) == set()
    clock.write(path, b"x")
    watched.take([path])
    clock.now += 1
    assert watched.take([path]) == {path}


def take(arrivals, clock, path):
    """Take a file that has just been written."""
    arrivals.take([path])
    clock.now += 1
    assert arrivals.take([path]) == {path}


def test_a_file_is_new_again_when_it_changes_or_returns(clock, watched, tmp_path):
    path = tmp_path / "a.jpg"
    clock.write(path, b"x")
    take(watched, clock, path)
    clock.write(path, b"y")
    take(watched, clock, path)
    path.unlink()
    assert watched.take([path]) == set()
    clock.write(path, b"y", age=1)
    take(watched, clock, path)


def test_a_file_that_fails_when_it_has_just_arrived_is_taken_once_more(clock, watched, tmp_path):
    path = tmp_path / "a.jpg"
    clock.write(path, b"x")
    arrived = clock.now
    take(watched, clock, path)
    assert watched.wait_longer(path)
    assert watched.wait_longer(path)  # in the second style
    assert watched.due == arrived + 10
    clock.now = arrived + 9
    assert watched.take([path]) == set()
    clock.now = arrived + 10
    assert watched.take([path]) == {path}
    assert not watched.wait_longer(path)
    assert watched.take([path]) == set()


def test_a_file_that_fails_long_after_its_arrival_has_failed(clock, watched, tmp_path):
    path = tmp_path / "a.jpg"
    clock.write(path, b"x")
    take(watched, clock, path)
    clock.now += HOUR
    assert not watched.wait_longer(path)


def test_the_failure_of_a_file_that_was_deleted_or_replaced_does_not_count(clock, watched, tmp_path):
    path = tmp_path / "a.jpg"
    clock.write(path, b"x")
    take(watched, clock, path)
    clock.now += HOUR
    clock.write(path, b"xy")
    assert watched.wait_longer(path)
    path.unlink()
    assert watched.wait_longer(path)
