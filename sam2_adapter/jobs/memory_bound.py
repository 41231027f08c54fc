"""A bound on the memory of what is fetched ahead: who wants to fetch more waits until enough was let go.

Batches have numbers. The oldest one that is not through always gets what it needs, since nothing would be let go before it is complete.
"""

from __future__ import annotations

import threading


class MemoryBound:
    """Counts the bytes that are held, and lets threads wait for room."""

    def __init__(self, most_bytes: int) -> None:
        """Let this much be held, and what the oldest batch needs."""
        self._most = most_bytes
        self._held = 0
        self._left: dict[int, int] = {}
        self._is_stopped = False
        self._changed = threading.Condition()

    def begin_batch(self, number: int, count: int) -> None:
        """There is another batch, of so many items."""
        with self._changed:
            self._left[number] = count

    def end_item(self, batch: int) -> None:
        """An item of a batch is through; when all of them are, the next batch may be the oldest."""
        with self._changed:
            self._left[batch] -= 1
            if not self._left[batch]:
                del self._left[batch]
                self._changed.notify_all()

    def stop(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def take(self, num_bytes: int, batch: int) -> None:
        """Wait for room, and take it."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_stopped or batch <= min(self._left) or self._held + num_bytes <= self._most
            )
            self._held += num_bytes

    def change(self, num_bytes: int) -> None:
        """What is held is more than was thought or, below 0, less."""
        with self._changed:
            self._held += num_bytes
            self._changed.notify_all()


class Room:
    """What one item takes of a `MemoryBound`."""

    def __init__(self, bound: MemoryBound, batch: int) -> None:
        """Take nothing yet, as part of a batch."""
        self._bound = bound
        self._batch = batch
        self._num_bytes = 0

    def take(self, num_bytes: int) -> None:
        """Wait for room, and take it."""
        self._bound.take(num_bytes, self._batch)
        self._num_bytes = num_bytes

    def correct(self, num_bytes: int) -> None:
        """It takes so much instead."""
        self._bound.change(num_bytes - self._num_bytes)
        self._num_bytes = num_bytes

    def leave(self) -> None:
        """The item is through."""
        self.correct(0)
        self._bound.end_item(self._batch)
