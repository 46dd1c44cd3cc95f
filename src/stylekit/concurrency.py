"""Work done ahead of its use."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def prefetch(
    function: Callable[[_Item], _Result], items: Iterable[_Item], *, workers: int, ahead: int
) -> Iterator[_Result]:
    """Yield `function(item)` for each item in order, computed by worker threads while earlier results are in use.

    Args:
        function: what to do; an exception it raises comes out where its result would have.
        items: what to do it with.
        workers: number of threads.
        ahead: how many results are held or worked on beyond the one in use.
    """
    with ThreadPoolExecutor(workers) as pool:
        pending: deque[Future[_Result]] = deque()
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
