"""Worker processes driven by threads; a crash costs only its own task."""

import contextlib
import multiprocessing
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Generic, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class WorkerPool(Generic[_Item, _Result]):
    """A function that runs in worker processes: as many as there are threads that call it at the same time.

    Each worker talks to its caller alone, so that its crash, even in the middle of a result, affects no other.

    Args:
        function: What the workers do. It, its items and its results must be picklable.
        on_crash: Returns the result of an item that crashed its worker.
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
        except (EOFError, OSError, MemoryError):  # it crashed before or during its answer, or the answer is too large
            worker.stop()
            return self._on_crash(item)
        self._idle.append(worker)
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        """Stop all workers. None may be running."""
        for worker in self._idle:
            worker.stop()


class _Worker(Generic[_Item, _Result]):
    """A process that calls a function for one caller at a time."""

    def __init__(self, function: Callable[[_Item], _Result]) -> None:
        # Not "fork", which would copy the locks of threads without the threads.
        context = multiprocessing.get_context("spawn")
        self._connection, worker_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(function, worker_end), daemon=True)
        with _interrupts_blocked():
            self._process.start()
        worker_end.close()  # the process has the only copy, so that its end closes the connection

    def run(self, item: _Item) -> tuple[_Result, Exception | None]:
        """Return the function's result for an item, and the exception that it raised instead, if any.

        Raises:
            EOFError, OSError: If the process ended.
            MemoryError: If the result is too large.
        """
        self._connection.send(item)
        if self._connection not in wait([self._connection, self._process.sentinel]):
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
    """Block SIGINT in the processes that are started in the block, from their first instruction on.

    Ctrl-C on a terminal reaches them too, but is for the main process to handle.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing.resource_tracker import ensure_running

    ensure_running()  # the first process would start it, and that resets the mask
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _serve(function: Callable[[_Item], _Result], connection: Connection) -> None:
    """Call a function for each item that comes, and send the result back, until the connection closes."""
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
                error.add_note(traceback.format_exc())  # the traceback does not survive pickling
                answer = None, error
            connection.send(answer)
    except (EOFError, OSError, MemoryError):
        return
