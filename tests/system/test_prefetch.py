"""Results computed before they are used: in order, within bounds, and cancelled when they are not needed."""

import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from stylekit.system.prefetch import buffered, prefetch
from stylekit.system.processes import WorkerPool

PATIENCE = 10  # seconds after which a thread stops waiting for another one


def test_results_come_in_the_order_of_the_items_however_long_each_takes():
    def slow_at_first(item):
        time.sleep(0.02 if item < 2 else 0)
        return item * item

    results = prefetch(slow_at_first, range(8), workers=4, buffer=6)
    assert list(results) == [0, 1, 4, 9, 16, 25, 36, 49]


@pytest.mark.parametrize("number", [0, 1, 3, 4, 5])
def test_every_item_is_computed_once_whether_they_are_fewer_or_more_than_the_buffer_holds(number):
    done = []
    assert list(prefetch(lambda item: done.append(item) or item, range(number), workers=2, buffer=4)) == [
        *range(number)
    ]
    assert sorted(done) == [*range(number)]


def test_workers_run_at_the_same_time():
    meeting = threading.Barrier(3)
    results = prefetch(lambda item: meeting.wait(PATIENCE) and item, range(3), workers=3, buffer=3)
    assert len(list(results)) == 3


@pytest.mark.parametrize("buffer", [0, 1, 5])
def test_no_more_items_are_taken_than_the_one_in_use_and_those_in_the_buffer(buffer):
    taken = []
    items = (taken.append(number) or number for number in itertools.count())
    results = prefetch(lambda item: item, items, workers=2, buffer=buffer)
    assert taken == []  # nothing is computed before the first result is requested
    for used in range(4):
        assert next(results) == used
        assert len(taken) == used + 1 + buffer
    results.close()


def test_the_buffer_holds_no_more_than_the_largest_weight_unless_it_is_a_single_result():
    taken = []
    items = (taken.append(item) or item for item in [60, 30, 50, 30, 500, 10])
    results = prefetch(lambda item: item, items, workers=1, buffer=9, weight=lambda item: item, max_weight=100)
    # Beyond the one in use, the buffer holds 30 and 50; 50 and 30; 30; 500; 10. The last item taken waits for room.
    assert [(result, len(taken)) for result in results] == [(60, 4), (30, 5), (50, 5), (30, 6), (500, 6), (10, 6)]


def test_an_exception_is_raised_in_place_of_its_result():
    def fail_at_two(item):
        if item == 2:
            raise LookupError("two")
        return item

    got: list[int] = []
    with pytest.raises(LookupError, match="two"):
        got.extend(itertools.islice(prefetch(fail_at_two, range(9), workers=3, buffer=9), 2))
        for result in prefetch(fail_at_two, range(9), workers=3, buffer=9):
            got.append(result)
    assert got == [0, 1, 0, 1]


def test_an_exception_of_the_items_is_raised_after_the_results_before_it():
    def items():
        yield from range(3)
        raise LookupError("no more")

    results = prefetch(lambda item: item, items(), workers=2, buffer=5)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(LookupError, match="no more"):
        next(results)


def test_closing_early_cancels_what_has_not_started_and_waits_for_what_has():
    started, release, finished = [], threading.Event(), []

    def work(item):
        started.append(item)
        if item:
            release.wait(PATIENCE)
        finished.append(item)
        return item

    results = prefetch(work, range(6), workers=1, buffer=4)
    assert next(results) == 0
    threading.Timer(0.3, release.set).start()  # once the rest has been cancelled
    results.close()
    assert started == finished
    assert started in ([0], [0, 1])  # one that may have started is waited for, 2 to 4 never start


@pytest.mark.parametrize("leave", ["exhausted", "closed", "consumer fails", "function fails"])
def test_no_thread_outlives_the_results(leave):
    before = set(threading.enumerate())

    def work(item):
        if leave == "function fails" and item == 3:
            raise LookupError
        return item

    def consume():
        results = prefetch(work, range(20), workers=4, buffer=4)
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


def test_buffered_items_come_in_order_and_exceptions_in_their_place():
    def items():
        yield from range(3)
        raise LookupError("no more")

    results = buffered(items(), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(LookupError, match="no more"):
        next(results)
    assert list(buffered([], 2)) == []


# --- Worker processes, which an item may crash


def crash_on_three(item):
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return item, os.getpid()


def crashed(item):
    return item, "crashed"


def test_an_item_that_crashes_its_worker_fails_alone():
    with closing(WorkerPool(crash_on_three, crashed)) as pool:
        results = list(prefetch(pool, range(8), workers=2, buffer=4))
    assert [item for item, _ in results] == [*range(8)]
    assert [item for item, worker in results if worker == "crashed"] == [3]
    assert os.getpid() not in [worker for _, worker in results]


def hang_at_three(item):
    if item == 3:
        threading.Event().wait()
    return item, item


def test_an_item_that_blocks_its_worker_fails_alone(monkeypatch):
    monkeypatch.setattr("stylekit.system.processes._MAX_SECONDS", 5.0)
    with closing(WorkerPool(hang_at_three, crashed)) as pool:
        results = [pool(item) for item in (1, 3, 4)]
    assert results == [(1, 1), (3, "crashed"), (4, 4)]


def crash_amid_the_result_of_three(item):
    if item == 3:
        Connection._send = send_half_and_crash  # type: ignore[attr-defined]  # private
    return item, bytes(1_000_000)


def send_half_and_crash(self, buffer):
    os.write(self._handle, bytes(memoryview(buffer)[:1000]))
    if len(buffer) > 1000:
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows writes to pipes in another way")
def test_a_worker_that_crashes_while_it_sends_a_result_fails_alone(monkeypatch):
    with closing(WorkerPool(crash_amid_the_result_of_three, crashed)) as pool:
        results = list(prefetch(pool, range(6), workers=2, buffer=4))
    assert [item for item, result in results if result == "crashed"] == [3]
    assert [item for item, result in results if len(result) == 1_000_000] == [0, 1, 2, 4, 5]


def fail_at_two(item):
    if item == 2:
        raise LookupError("two")
    if item == 3:
        raise MemoryError
    return item, item


def test_an_exception_of_a_worker_is_raised_with_its_traceback():
    with closing(WorkerPool(fail_at_two, crashed)) as pool:
        results = prefetch(pool, range(4), workers=1, buffer=1)
        assert [next(results), next(results)] == [(0, 0), (1, 1)]
        with pytest.raises(LookupError, match="two") as caught:
            next(results)
    assert "in fail_at_two" in caught.value.__notes__[0]


def test_an_item_that_takes_too_much_memory_fails_alone():
    with closing(WorkerPool(fail_at_two, crashed)) as pool:
        results = list(prefetch(pool, [1, 3, 4], workers=1, buffer=1))
    assert results == [(1, 1), (3, "crashed"), (4, 4)]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups")
def test_an_interrupt_from_the_terminal_is_for_the_main_process_alone(tmp_path):
    """The terminal sends it to the workers too, even while they start."""
    code = """
import sys, time
sys.path.insert(0, sys.argv[1])
from test_prefetch import crash_on_three, crashed
from stylekit.system.processes import WorkerPool
if __name__ == "__main__":
    try:
        print(WorkerPool(crash_on_three, crashed)(1))
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
    assert process.stdout is not None
    assert process.stdout.readline() == "starting\n"
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60) == ("interrupted\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal masks")
def test_the_main_thread_can_be_interrupted_after_it_has_started_a_worker():
    with closing(WorkerPool(crash_on_three, crashed)) as pool:
        assert pool(1)[0] == 1
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_no_worker_outlives_the_pool():
    with (
        closing(WorkerPool(crash_on_three, crashed)) as pool,
        closing(prefetch(pool, range(50), workers=2, buffer=2)) as results,
    ):
        assert next(results)[0] == 0
    assert multiprocessing.active_children() == []


def test_no_worker_outlives_the_main_process(tmp_path):
    code = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from test_prefetch import crash_on_three, crashed
from stylekit.system.processes import WorkerPool
if __name__ == "__main__":
    print(WorkerPool(crash_on_three, crashed)(0)[1], flush=True)
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
            return  # a zombie
        time.sleep(0.01)
    pytest.fail("the worker is still running")
