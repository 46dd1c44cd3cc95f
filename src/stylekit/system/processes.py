"""Processes that work for threads, and may die of it."""

import multiprocessing
import signal
import traceback
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Generic, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Processes(Generic[_Item, _Result]):
    """Has a function done by processes, as many as threads call at the same time.

    Each talks to its caller alone, so that its death, be it in the middle of a result, is seen there and costs nobody
    else anything.

    Args:
        function: what to do. It, its items and its results must be such that they can be pickled.
        on_crash: gives the result where a process dies of an item.
    """

    def __init__(self, function: Callable[[_Item], _Result], on_crash: Callable[[_Item], _Result]) -> None:
        self._function = function
        self._on_death = on_crash
        self._idle: deque[_Process[_Item, _Result]] = deque()

    def __call__(self, item: _Item) -> _Result:
        try:
            process = self._idle.pop()
        except IndexError:
            process = _Process(self._function)
        try:
            result, error = process.do(item)
        except (EOFError, OSError, MemoryError):  # it has ended, in the middle of a message or before, or is too much
            process.end()
            return self._on_death(item)
        self._idle.append(process)
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        """End all processes; none may be at work."""
        for process in self._idle:
            process.end()


class _Process(Generic[_Item, _Result]):
    """A process that does a function for its caller."""

    def __init__(self, function: Callable[[_Item], _Result]) -> None:
        # Not by fork: it would copy the locks of threads that the copy does not have.
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(function, other), daemon=True)
        _leave_interrupts()
        self._process.start()
        other.close()  # the process holds the only one, so that its death closes the connection

    def do(self, item: _Item) -> tuple[_Result, Exception | None]:
        """Have an item worked on, and wait for its result, or the exception that came instead."""
        self._connection.send(item)
        if self._connection not in wait([self._connection, self._process.sentinel]):
            raise EOFError
        answer: tuple[_Result, Exception | None] = self._connection.recv()
        return answer

    def end(self) -> None:
        """End it, if it has not ended."""
        self._connection.close()
        self._process.kill()
        self._process.join()


def _leave_interrupts() -> None:
    """Have processes that this thread starts never see an interrupt, not even before they can say so themselves.

    On a terminal, Ctrl-C goes to them too, and is this process's to handle.
    """
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        from multiprocessing.resource_tracker import ensure_running

        ensure_running()  # with the first process otherwise, and then it would undo the mask
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _serve(function: Callable[[_Item], _Result], connection: Connection) -> None:
    """Do a function for whoever is at the other end, until that closes."""
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
                error.add_note(traceback.format_exc())  # the other end would not see where it came from
                answer = None, error
            connection.send(answer)
    except (EOFError, OSError, MemoryError):
        return
