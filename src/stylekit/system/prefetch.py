"""Results computed before they are used, by threads or worker processes."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
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
    on_crash: Callable[[_Item], _Result] | None = None,
) -> Generator[_Result]:
    """Yield `function(item)` for each item in order, computed by workers while earlier results are in use.

    An exception of `function` is raised in place of its result, one of `items` after the results before it.

    Args:
        function: What to compute.
        items: What to compute it from.
        workers: How many results are computed at the same time.
        buffer: How many results, finished or not, are held beyond the one in use.
        weight: The cost of holding an item's result, such as its size.
        max_weight: The largest total weight of the results held beyond the one in use; a single result may exceed it.
        on_crash: Makes the workers processes instead of threads, and returns the result of an item that crashed its
            process. The function, items and results must be picklable.
    """
    with ExitStack() as stack:
        compute: Callable[[_Item], _Result] = function
        if on_crash is not None:
            from stylekit.system.processes import WorkerPool  # costs 15 ms, and a single photo does not need it

            compute = stack.enter_context(closing(WorkerPool(function, on_crash)))
        threads = ThreadPoolExecutor(workers)
        stack.callback(threads.shutdown, cancel_futures=True)
        pending: deque[tuple[int, Future[_Result]]] = deque()
        failures: list[Exception] = []
        for item in _until_failure(items, failures):
            added = weight(item)
            while len(pending) > 1 and sum(w for w, _ in islice(pending, 1, None)) + added > max_weight:
                yield pending.popleft()[1].result()
            pending.append((added, threads.submit(compute, item)))
            if len(pending) > buffer:
                yield pending.popleft()[1].result()
        while pending:
            yield pending.popleft()[1].result()
        if failures:
            raise failures[0]


def _until_failure(items: Iterable[_Item], failures: list[Exception]) -> Iterator[_Item]:
    """Yield items; store an exception of theirs, so that the results before it come first."""
    try:
        yield from items
    except Exception as error:
        failures.append(error)


def buffered(items: Iterable[_Item], size: int) -> Generator[_Item]:
    """Yield items as they come, made by a thread of their own while earlier ones are in use.

    Args:
        items: What to iterate over; its exceptions are raised in their place.
        size: How many items may wait for their use.
    """
    source = iter(items)
    end = object()
    with closing(prefetch(lambda _: next(source, end), repeat(None), workers=1, buffer=size)) as results:
        for item in results:
            if item is end:
                return
            yield cast(_Item, item)
