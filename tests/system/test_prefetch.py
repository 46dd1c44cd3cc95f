"""Work ahead of its use: in order, within bounds, and gone when it is no longer wanted."""

import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from stylekit.system.prefetch import prefetch

PATIENCE = 10  # seconds after which a thread that waits for another one gives up


def test_results_come_in_the_order_of_the_items_however_long_each_takes():
    def slow_at_first(item):
        time.sleep(0.02 if item < 2 else 0)
        return item * item

    results = prefetch(slow_at_first, range(8), workers=4, ahead=6)
    assert list(results) == [0, 1, 4, 9, 16, 25, 36, 49]


@pytest.mark.parametrize("number", [0, 1, 3, 4, 5])
def test_every_item_is_done_once_whether_there_are_fewer_or_more_than_are_held_ahead(number):
    done = []
    assert list(prefetch(lambda item: done.append(item) or item, range(number), workers=2, ahead=4)) == [*range(number)]
    assert sorted(done) == [*range(number)]


def test_workers_work_at_the_same_time():
    meeting = threading.Barrier(3)
    results = prefetch(lambda item: meeting.wait(PATIENCE) and item, range(3), workers=3, ahead=3)
    assert len(list(results)) == 3


@pytest.mark.parametrize("ahead", [0, 1, 5])
def test_no_more_items_are_taken_than_the_one_in_use_and_those_ahead(ahead):
    taken = []
    items = (taken.append(number) or number for number in itertools.count())
    results = prefetch(lambda item: item, items, workers=2, ahead=ahead)
    assert taken == []  # nothing is done before the first result is asked for
    for used in range(4):
        assert next(results) == used
        assert len(taken) == used + 1 + ahead
    results.close()


def test_no_more_is_worked_on_than_may_weigh_so_much_unless_it_is_a_single_one():
    taken = []
    items = (taken.append(item) or item for item in [60, 30, 50, 30, 500, 10])
    results = prefetch(lambda item: item, items, workers=1, ahead=9, weight=lambda item: item, most_weight=100)
    # Beyond the one in use there are 30 and 50; 50 and 30; 30; 500; 10. The last one taken waits until there is room.
    assert [(result, len(taken)) for result in results] == [(60, 4), (30, 5), (50, 5), (30, 6), (500, 6), (10, 6)]


def test_an_exception_comes_out_where_its_result_would_have():
    def fail_at_two(item):
        if item == 2:
            raise LookupError("two")
        return item

    got = []
    with pytest.raises(LookupError, match="two"):
        got.extend(itertools.islice(prefetch(fail_at_two, range(9), workers=3, ahead=9), 2))
        for result in prefetch(fail_at_two, range(9), workers=3, ahead=9):
            got.append(result)
    assert got == [0, 1, 0, 1]


def test_an_exception_of_the_items_comes_out_after_the_results_before_it():
    def items():
        yield from range(3)
        raise LookupError("no more")

    results = prefetch(lambda item: item, items(), workers=2, ahead=5)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(LookupError, match="no more"):
        next(results)


def test_closing_early_cancels_what_has_not_begun_and_waits_for_what_has():
    begun, release, finished = [], threading.Event(), []

    def work(item):
        begun.append(item)
        if item:
            release.wait(PATIENCE)
        finished.append(item)
        return item

    results = prefetch(work, range(6), workers=1, ahead=4)
    assert next(results) == 0
    threading.Timer(0.3, release.set).start()  # once the rest has been cancelled
    results.close()
    assert begun == finished
    assert begun in ([0], [0, 1])  # the one that may have begun is waited for, 2 to 4 never begin


@pytest.mark.parametrize("leave", ["exhausted", "closed", "consumer fails", "function fails"])
def test_no_thread_outlives_the_results(leave):
    before = set(threading.enumerate())

    def work(item):
        if leave == "function fails" and item == 3:
            raise LookupError
        return item

    def consume():
        results = prefetch(work, range(20), workers=4, ahead=4)
        for result in results:
            if result == 2 and leave == "closed":
                results.close()
                return
            if result == 2 and leave == "consumer fails":
                raise LookupError

    if "fails" in leave:
        with pytest.raises(LookupError):
            consume()
    else:
        consume()
    assert set(threading.enumerate()) <= before


# --- Processes, which may die of an item


def die_of_three(item):
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return item, os.getpid()


def died(item):
    return item, "died"


def test_a_process_that_dies_of_an_item_costs_only_that_item():
    results = list(prefetch(die_of_three, range(8), workers=2, ahead=4, on_crash=died))
    assert [item for item, _ in results] == [*range(8)]
    assert [item for item, worker in results if worker == "died"] == [3]
    assert os.getpid() not in [worker for _, worker in results]


def die_amid_the_result_of_three(item):
    if item == 3:
        Connection._send = send_half_and_die
    return item, bytes(1_000_000)


def send_half_and_die(self, buffer):
    os.write(self._handle, bytes(memoryview(buffer)[:1000]))
    if len(buffer) > 1000:
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(sys.platform == "win32", reason="there, pipes are written to otherwise")
def test_a_process_that_dies_while_it_hands_over_a_result_costs_only_that(monkeypatch):
    results = list(prefetch(die_amid_the_result_of_three, range(6), workers=2, ahead=4, on_crash=died))
    assert [item for item, result in results if result == "died"] == [3]
    assert [item for item, result in results if len(result) == 1_000_000] == [0, 1, 2, 4, 5]


def fail_at_two(item):
    if item == 2:
        raise LookupError("two")
    if item == 3:
        raise MemoryError
    return item, item


def test_an_exception_of_a_process_comes_out_with_where_it_came_from():
    results = prefetch(fail_at_two, range(4), workers=1, ahead=1, on_crash=died)
    assert [next(results), next(results)] == [(0, 0), (1, 1)]
    with pytest.raises(LookupError, match="two") as caught:
        next(results)
    assert "in fail_at_two" in caught.value.__notes__[0]


def test_too_little_memory_in_a_process_costs_only_that_item():
    assert list(prefetch(fail_at_two, [1, 3, 4], workers=1, ahead=1, on_crash=died)) == [(1, 1), (3, "died"), (4, 4)]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no groups of processes")
def test_an_interrupt_from_the_terminal_is_for_this_process_alone(tmp_path):
    """The others hear of it too, above all while they are starting."""
    code = """
import sys, time
sys.path.insert(0, sys.argv[1])
from test_prefetch import die_of_three, died
from stylekit.system.prefetch import prefetch
if __name__ == "__main__":
    try:
        print(list(prefetch(die_of_three, range(3), workers=1, ahead=2, on_crash=died)))
    except KeyboardInterrupt:
        print("interrupted", flush=True)
else:
    print("starting", flush=True)
    time.sleep(1)
"""
    script = tmp_path / "script.py"
    script.write_text(code)
    command = [sys.executable, str(script), str(Path(__file__).parent)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout.readline() == "starting\n"
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60) == ("interrupted\n", "")


def test_no_process_outlives_the_results():
    results = prefetch(die_of_three, range(50), workers=2, ahead=2, on_crash=died)
    assert next(results)[0] == 0
    results.close()
    assert multiprocessing.active_children() == []


def test_no_process_outlives_the_one_that_it_works_for(tmp_path):
    code = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from test_prefetch import die_of_three, died
from stylekit.system.prefetch import prefetch
if __name__ == "__main__":
    results = prefetch(die_of_three, range(3), workers=1, ahead=2, on_crash=died)
    print(next(results)[1], flush=True)
    os.kill(os.getpid(), 9)
"""
    script = tmp_path / "script.py"
    script.write_text(code)
    command = [sys.executable, str(script), str(Path(__file__).parent)]
    worker = int(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    for _ in range(100 * PATIENCE):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        if "Z" in Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2][:3]:
            return  # dead, and nobody asks for it
        time.sleep(0.01)
    pytest.fail("the worker is still there")
