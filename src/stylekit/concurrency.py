"""Work done ahead of its use."""

import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from typing import Generic, TypeVar, cast

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def prefetch(
    function: Callable[[_Item], _Result],
    items: Iterable[_Item],
    *,
    workers: int,
    ahead: int,
    on_death: Callable[[_Item], _Result] | None = None,
) -> Generator[_Result]:
    """Yield `function(item)` for each item in order, computed by workers while earlier results are in use.

    Args:
        function: what to do; an exception it raises comes out where its result would have.
        items: what to do it with.
        workers: how many do it at once.
        ahead: how many results are held or worked on beyond the one in use.
        on_death: makes the workers processes, and gives the result where one dies of an item. The function and its
            items and results must be such that they can be pickled. None makes the workers threads.
    """
    pool = _Threads(function, workers) if on_death is None else _Processes(function, workers, on_death)
    pending: deque[tuple[_Item, Future[_Result]]] = deque()
    try:
        for item in items:
            pending.append((item, pool.submit(item)))
            if len(pending) > ahead:
                yield pool.result(*pending.popleft())
        while pending:
            yield pool.result(*pending.popleft())
    finally:
        pool.close()


def ahead(items: Iterable[_Item], number: int) -> Generator[_Item]:
    """Yield items as they come, made by a thread of their own while earlier ones are in use.

    Args:
        items: they, and exceptions too, come out in order.
        number: how many may wait for their use.
    """
    source = iter(items)
    end = object()
    with contextlib.closing(
        prefetch(lambda _: next(source, end), itertools.repeat(None), workers=1, ahead=number)
    ) as results:
        for item in results:
            if item is end:
                return
            yield cast(_Item, item)


class _Threads(Generic[_Item, _Result]):
    """Workers that are threads."""

    def __init__(self, function: Callable[[_Item], _Result], workers: int) -> None:
        self._function = function
        self._workers = workers
        self._pool = self._new_pool()

    def _new_pool(self) -> Executor:
        return ThreadPoolExecutor(self._workers)

    def submit(self, item: _Item) -> Future[_Result]:
        """Have an item worked on."""
        return self._pool.submit(self._function, item)

    def result(self, item: _Item, future: Future[_Result]) -> _Result:
        """Wait for an item's result."""
        return future.result()

    def close(self) -> None:
        """Give up what has not begun, and wait for what has."""
        self._pool.shutdown(cancel_futures=True)


class _Processes(_Threads[_Item, _Result]):
    """Workers that are processes, which may die.

    The death of one takes the whole pool with it, and all that was in it, and does not tell whose fault it was. So the
    pool is made anew, and each item that was in it is tried once more in a pool of its own.
    """

    def __init__(
        self, function: Callable[[_Item], _Result], workers: int, on_death: Callable[[_Item], _Result]
    ) -> None:
        super().__init__(function, workers)
        self._on_death = on_death

    def _new_pool(self) -> Executor:
        from concurrent.futures import ProcessPoolExecutor  # costs 15 ms, and a single photo needs none

        # Not by fork: it would copy the locks of threads that the copy does not have.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._workers, context, initializer=_begin_worker)

    def submit(self, item: _Item) -> Future[_Result]:
        try:
            return super().submit(item)
        except BrokenExecutor:
            self._pool = self._new_pool()
            return super().submit(item)

    def result(self, item: _Item, future: Future[_Result]) -> _Result:
        try:
            return future.result()
        except BrokenExecutor:
            with self._new_pool() as alone:
                try:
                    return alone.submit(self._function, item).result()
                except BrokenExecutor:
                    return self._on_death(item)


def _begin_worker() -> None:
    """Leave interrupts to the process that this one works for, and do not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
