"""Work done ahead of its use."""

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
    ahead: int,
    weight: Callable[[_Item], int] = lambda item: 0,
    most_weight: int = 0,
    on_crash: Callable[[_Item], _Result] | None = None,
) -> Generator[_Result]:
    """Yield `function(item)` for each item in order, computed by workers while earlier results are in use.

    Args:
        function: what to do; an exception it raises comes out where its result would have.
        items: what to do it with; an exception of theirs comes out after the results before it.
        workers: how many do it at once.
        ahead: how many results are held or worked on beyond the one in use.
        weight: what an item's result will take.
        most_weight: what all that is held or worked on beyond the one in use may take, unless it is a single result.
        on_crash: makes the workers processes, and gives the result where one dies of an item. The function and its
            items and results must be such that they can be pickled. None makes the workers threads.
    """
    with ExitStack() as stack:
        work: Callable[[_Item], _Result] = function
        if on_crash is not None:
            from stylekit.system.processes import Processes  # costs 15 ms, and a single photo needs none

            work = stack.enter_context(closing(Processes(function, on_crash)))
        pool = ThreadPoolExecutor(workers)
        stack.callback(pool.shutdown, cancel_futures=True)
        pending: deque[tuple[int, Future[_Result]]] = deque()
        failures: list[Exception] = []
        for item in _until_failure(items, failures):
            added = weight(item)
            while len(pending) > 1 and sum(w for w, _ in islice(pending, 1, None)) + added > most_weight:
                yield pending.popleft()[1].result()
            pending.append((added, pool.submit(work, item)))
            if len(pending) > ahead:
                yield pending.popleft()[1].result()
        while pending:
            yield pending.popleft()[1].result()
        if failures:
            raise failures[0]


def _until_failure(items: Iterable[_Item], failures: list[Exception]) -> Iterator[_Item]:
    """Pass items on; an exception instead of one ends them, and is kept for after what came before it."""
    try:
        yield from items
    except Exception as error:
        failures.append(error)


def ahead(items: Iterable[_Item], number: int) -> Generator[_Item]:
    """Yield items as they come, made by a thread of their own while earlier ones are in use.

    Args:
        items: they, and exceptions too, come out in order.
        number: how many may wait for their use.
    """
    source = iter(items)
    end = object()
    with closing(prefetch(lambda _: next(source, end), repeat(None), workers=1, ahead=number)) as results:
        for item in results:
            if item is end:
                return
            yield cast(_Item, item)
