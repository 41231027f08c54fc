"""News for the pages that are open, as server-sent events. A page that misses some, or comes back, asks for everything again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

# Events that wait for a page that does not read; then it is let go, and comes back by itself.
_MOST_WAITING = 1000
_ALIVE_S = 15.0


class PageNews:
    """Passes events on to all pages; belongs to one event loop."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[str | None]] = set()

    def tell(self, event: dict[str, Any]) -> None:
        """Pass an event on to all pages."""
        text = f"data: {json.dumps(event)}\n\n"
        for waiting in list(self._queues):
            if waiting.qsize() >= _MOST_WAITING:
                self._queues.discard(waiting)
                waiting.put_nowait(None)
            else:
                waiting.put_nowait(text)

    async def stream(self, first: Callable[[], dict[str, Any]]) -> AsyncIterator[str]:
        """The events of one page, from now on, after a first one: how things are by now."""
        waiting: asyncio.Queue[str | None] = asyncio.Queue()
        self._queues.add(waiting)
        try:
            yield f"retry: 1000\ndata: {json.dumps(first())}\n\n"
            while True:
                try:
                    text = await asyncio.wait_for(waiting.get(), _ALIVE_S)
                except TimeoutError:
                    text = ": alive\n\n"
                if text is None:
                    return
                yield text
        finally:
            self._queues.discard(waiting)

    def close(self) -> None:
        """End all streams."""
        for waiting in self._queues:
            waiting.put_nowait(None)
        self._queues.clear()
