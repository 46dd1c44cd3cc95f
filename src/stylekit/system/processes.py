"""Run tasks in worker processes that threads call. A crash affects only a single task."""

import contextlib
import multiprocessing
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Generic, TypeVar

_MAX_SECONDS = 600.0  # for an item; a worker that takes longer counts as crashed

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class WorkerPool(Generic[_Item, _Result]):
    """A callable that runs a function in worker processes, with one worker for each concurrent thread.

    A worker that takes ten minutes for an item is stopped, and counts as crashed.

    Each worker has a separate connection to the calling thread, so a worker that crashes, even while sending a result,
    does not affect the others.

    Args:
        function: The function to run. The function, its argument and its results must be picklable.
        on_crash: Returns the result for an item that crashed its worker.
    """

    def __init__(self, function: Callable[[_Item], _Result], on_crash: Callable[[_Item], _Result]) -> None:
        self._function = function
        self._on_crash = on_crash
        self._idle: deque[_Worker[_Item, _Result]] = deque()

    def __call__(self, item: _Item) -> _Result:
        """Return `function(item)`, computed by an idle or new worker, or raise its exception."""
        try:
            worker = self._idle.pop()
        except IndexError:
            worker = _Worker(self._function)
        try:
            result, error = worker.run(item)
        except (EOFError, OSError, MemoryError):  # the worker crashed or is stuck, or its answer is too large
            worker.stop()
            return self._on_crash(item)
        self._idle.append(worker)
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        """Stop all workers, which must be idle."""
        for worker in self._idle:
            worker.stop()


class _Worker(Generic[_Item, _Result]):
    """A process that calls a function for one caller at a time."""

    def __init__(self, function: Callable[[_Item], _Result]) -> None:
        # "fork" would copy locks that other threads hold, and nothing would release the copies.
        context = multiprocessing.get_context("spawn")
        self._connection, worker_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(function, worker_end), daemon=True)
        with _interrupts_blocked():
            self._process.start()
        worker_end.close()  # now only the process holds this end, so the connection closes when the process ends

    def run(self, item: _Item) -> tuple[_Result, Exception | None]:
        """Return the result of the function for an item, or the exception that it raised.

        Returns:
            The result, and None; or None, and the exception.

        Raises:
            EOFError: If the process ended, or takes too long.
            OSError: If the process ended while it received the item or sent the result.
            MemoryError: If the result is too large.
        """
        self._connection.send(item)
        if self._connection not in wait([self._connection, self._process.sentinel], _MAX_SECONDS):
            raise EOFError
        answer: tuple[_Result, Exception | None] = self._connection.recv()
        return answer

    def stop(self) -> None:
        """Kill the process if it has not ended."""
        self._connection.close()
        self._process.kill()
        self._process.join()


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Start processes that ignore SIGINT from their first instruction on.

    Ctrl-C in a terminal sends SIGINT to worker processes too, but only the main process must handle it.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing.resource_tracker import ensure_running

    ensure_running()  # otherwise the first process would start the tracker, which resets the mask
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _serve(function: Callable[[_Item], _Result], connection: Connection) -> None:
    """Receive items, call a function for each, and send its results back, until the connection closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        while True:
            item = connection.recv()
            answer: tuple[_Result | None, Exception | None]
            try:
                answer = function(item), None
            except MemoryError:
                raise
            except Exception as error:
                error.add_note(traceback.format_exc())  # pickling drops the traceback
                answer = None, error
            connection.send(answer)
    except (EOFError, OSError, MemoryError):
        return
