"""`ByteBoundedCache`: values in memory, bounded in bytes, expiring, shared by threads; and locks by key."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple


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
    used_at: float


class ByteBoundedCache:
    """Values by key. The one used longest ago makes room; one that nobody used for some time goes. Safe between threads."""

    def __init__(
        self, max_bytes: int, max_idle_s: float = math.inf, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Hold at most `max_bytes`, no value longer than `max_idle_s` seconds after its last use by `clock`."""
        self.max_bytes, self.max_idle_s = max_bytes, max_idle_s
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()  # the one used longest ago first
        self._num_bytes = self._peak_bytes = self._evicted = self._expired = 0

    def get(self, key: Hashable) -> Any | None:
        """The value of a key, which counts as a use; `None` where there is none."""
        with self._lock:
            self._expire()
            kept = self._kept.get(key)
            if kept is None:
                return None
            self._kept[key] = replace(kept, used_at=self._clock())
            self._kept.move_to_end(key)
            return kept.value

    def put(self, key: Hashable, value: Any, num_bytes: int) -> None:
        """Keep a value in place of an earlier one; a value larger than the limit is not kept."""
        with self._lock:
            self._expire()
            self._remove(key)
            if num_bytes > self.max_bytes:
                return
            while self._num_bytes + num_bytes > self.max_bytes:
                self._remove(next(iter(self._kept)))
                self._evicted += 1
            self._kept[key] = _Kept(value, num_bytes, self._clock())
            self._num_bytes += num_bytes
            self._peak_bytes = max(self._peak_bytes, self._num_bytes)

    @property
    def statistics(self) -> CacheStatistics:
        """What the cache holds and has done so far."""
        with self._lock:
            self._expire()
            return CacheStatistics(len(self._kept), self._num_bytes, self._peak_bytes, self._evicted, self._expired)

    def _expire(self) -> None:
        oldest = self._clock() - self.max_idle_s
        while self._kept and (first := next(iter(self._kept.items())))[1].used_at < oldest:
            self._remove(first[0])
            self._expired += 1

    def _remove(self, key: Hashable) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._num_bytes -= kept.num_bytes


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
