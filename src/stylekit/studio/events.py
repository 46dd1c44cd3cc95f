"""Send events to the open pages, as server-sent events."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

_MOST_WAITING = 1_000  # events of one page
_MOST_PAGES = 64
_SECONDS_BETWEEN_SIGNS = 15  # of life, which reveal lost connections

Event = dict[str, Any]


class Events:
    """A queue of events for each page, filled from any thread."""

    def __init__(self) -> None:
        """Start without pages."""
        self._queues: dict[str, asyncio.Queue[Event | None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def __contains__(self, page: str) -> bool:
        """Return whether a page is listening."""
        return page in self._queues

    def send(self, page: str, event: Event) -> None:
        """Send an event to a page, if it is listening. Thread-safe."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the server has ended and closed the loop
                self._loop.call_soon_threadsafe(self._put, page, event)

    def open(self, page: str) -> asyncio.Queue[Event | None]:
        """Open a connection to a page and return its queue of events.

        An earlier connection to the same page is closed, and so is the oldest connection if there are too many.
        """
        self._loop = asyncio.get_running_loop()
        self._put(page, None)
        self._queues.pop(page, None)
        while len(self._queues) >= _MOST_PAGES:
            oldest = next(iter(self._queues))
            self._put(oldest, None)
            del self._queues[oldest]
        self._queues[page] = asyncio.Queue(_MOST_WAITING)
        return self._queues[page]

    def close_page(self, page: str, queue: asyncio.Queue[Event | None]) -> bool:
        """Forget a page's queue, and return whether the page has no other connection."""
        if self._queues.get(page) is queue:
            del self._queues[page]
        return page not in self._queues

    def close(self) -> None:
        """End all connections."""
        for page in list(self._queues):
            self._put(page, None)

    def _put(self, page: str, event: Event | None) -> None:
        queue = self._queues.get(page)
        if queue is None:
            return
        while queue.full():  # the page is not reading; after reconnecting, it requests everything again
            queue.get_nowait()
        queue.put_nowait(event)


async def stream(queue: asyncio.Queue[Event | None]) -> AsyncIterator[str]:
    """Yield the events of a queue in the format `text/event-stream`, until the queue returns None."""
    yield "event: hello\ndata: {}\n\n"
    while True:
        try:
            event = await asyncio.wait_for(queue.get(), _SECONDS_BETWEEN_SIGNS)
        except TimeoutError:
            yield ": still here\n\n"
            continue
        if event is None:
            return
        yield f"data: {json.dumps(event)}\n\n"
