"""Compute results in threads before they are needed."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice, repeat
from typing import TypeVar, cast

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def prefetch(
    function: Callable[[_Item], _Result],
    items: Iterable[_Item],
    *,
    workers: int,
    buffer: int,
    weight: Callable[[_Item], int] = lambda item: 0,
    max_weight: int = 0,
) -> Generator[_Result]:
    """Yield `function(item)` for each item, in order. Workers compute results while earlier ones are in use.

    An exception that `function` raises for an item is raised in place of that item's result. An exception raised while
    iterating over `items` is raised after the results of all earlier items.

    Args:
        function: The function to call for each item; a `processes.WorkerPool` computes in worker processes.
        items: The items.
        workers: The number of results to compute at the same time.
        buffer: The number of results, finished or not, to hold in addition to the one in use.
        weight: Returns the cost of holding the result of an item, such as its size.
        max_weight: The largest total weight of the results to hold in addition to the one in use. A single result may
            exceed this limit.
    """
    threads = ThreadPoolExecutor(workers)
    try:
        pending: deque[tuple[int, Future[_Result]]] = deque()
        failures: list[Exception] = []
        for item in _until_failure(items, failures):
            added = weight(item)
            while len(pending) > 1 and sum(w for w, _ in islice(pending, 1, None)) + added > max_weight:
                yield pending.popleft()[1].result()
            pending.append((added, threads.submit(function, item)))
            if len(pending) > buffer:
                yield pending.popleft()[1].result()
        while pending:
            yield pending.popleft()[1].result()
        if failures:
            raise failures[0]
    finally:
        threads.shutdown(cancel_futures=True)


def _until_failure(items: Iterable[_Item], failures: list[Exception]) -> Iterator[_Item]:
    """Yield items until an exception is raised while iterating over them, and store the exception."""
    try:
        yield from items
    except Exception as error:
        failures.append(error)


def buffered(items: Iterable[_Item], size: int) -> Generator[_Item]:
    """Yield the items of an iterable that a separate thread iterates over, while earlier items are in use.

    Args:
        items: The iterable. An exception raised while iterating is raised again after all earlier items.
        size: The largest number of items that may wait to be used.
    """
    source = iter(items)
    end = object()
    with closing(prefetch(lambda _: next(source, end), repeat(None), workers=1, buffer=size)) as results:
        for item in results:
            if item is end:
                return
            yield cast(_Item, item)
