"""`ByteBoundedCache`: values in memory, bounded in bytes, expiring, shared by threads; and locks by key."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from cachetools import TLRUCache


class CacheStatistics(NamedTuple):
    """What a cache has done so far.

    Attributes:
        entries: how many values it holds.
        num_bytes: their size.
        peak_bytes: the largest size it ever had.
        evicted: values that went for lack of room.
        expired: values that went because of their age.
    """

    entries: int
    num_bytes: int
    peak_bytes: int
    evicted: int
    expired: int


@dataclass(frozen=True)
class _Kept:
    value: Any
    num_bytes: int


class _Table(TLRUCache[Hashable, _Kept]):
    """The values, the one used longest ago first; counts those that make room."""

    evicted = 0

    def popitem(self) -> tuple[Hashable, _Kept]:
        self.evicted += 1
        return super().popitem()


class ByteBoundedCache:
    """Values by key. The one used longest ago makes room; one that nobody used for some time goes. Safe between threads."""

    def __init__(
        self, max_bytes: int, max_idle_s: float = math.inf, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Hold at most `max_bytes`, no value longer than `max_idle_s` seconds after its last use by `clock`."""
        self.max_bytes, self.max_idle_s = max_bytes, max_idle_s
        self._lock = threading.Lock()
        self._table = _Table(
            max_bytes,
            # A value that is used as its time ends is still there.
            ttu=lambda _key, _kept, now: math.nextafter(now + max_idle_s, math.inf),
            timer=clock,
            getsizeof=lambda kept: kept.num_bytes,
        )
        self._peak_bytes = self._expired = 0

    def get(self, key: Hashable) -> Any | None:
        """The value of a key, which counts as a use; `None` where there is none."""
        with self._lock:
            self._expire()
            kept = self._table.get(key)
            if kept is None:
                return None
            self._table[key] = kept  # its time begins again
            return kept.value

    def put(self, key: Hashable, value: Any, num_bytes: int) -> None:
        """Keep a value in place of an earlier one; a value larger than the limit is not kept."""
        with self._lock:
            self._expire()
            self._table.pop(key, None)
            if num_bytes <= self.max_bytes:
                self._table[key] = _Kept(value, num_bytes)
                self._peak_bytes = max(self._peak_bytes, int(self._table.currsize))

    @property
    def statistics(self) -> CacheStatistics:
        """What the cache holds and has done so far."""
        with self._lock:
            self._expire()
            held = len(self._table), int(self._table.currsize)
            return CacheStatistics(*held, self._peak_bytes, self._table.evicted, self._expired)

    def _expire(self) -> None:
        self._expired += len(self._table.expire())


class KeyedLocks:
    """A lock for every key that is in use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[Hashable, tuple[threading.Lock, int]] = {}

    @contextmanager
    def holding(self, key: Hashable) -> Iterator[None]:
        """Hold the lock of a key."""
        with self._lock:
            lock, users = self._locks.get(key, (threading.Lock(), 0))
            self._locks[key] = lock, users + 1
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, users = self._locks[key]
                if users == 1:
                    del self._locks[key]
                else:
                    self._locks[key] = lock, users - 1
