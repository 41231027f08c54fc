"""A bound on the memory of what is fetched ahead."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from sam2_adapter.jobs.memory_bound import MemoryBound, Room


def test_who_wants_more_waits_until_enough_is_let_go() -> None:
    bound = MemoryBound(100)
    for number in range(3):
        bound.begin_batch(number, 1)
    first, second, third = (Room(bound, batch) for batch in range(3))
    first.take(60)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(second.take, 50)
        assert not _is_done(waiting)
        first.correct(40)
        waiting.result(5)
        later = pool.submit(third.take, 30)
        assert not _is_done(later)
        second.leave()
        later.result(5)


def test_the_oldest_batch_gets_what_it_needs() -> None:
    bound = MemoryBound(100)
    bound.begin_batch(0, 3)
    bound.begin_batch(1, 1)
    oldest = [Room(bound, 0) for _ in range(3)]
    for room in oldest:
        room.take(1000)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(Room(bound, 1).take, 1000)
        for room in oldest:
            assert not _is_done(waiting)
            room.leave()
        waiting.result(5)


def test_nobody_waits_once_it_is_stopped() -> None:
    bound = MemoryBound(0)
    for number in range(4):
        bound.begin_batch(number, 1)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(Room(bound, 3).take, 10) for _ in range(2)]
        assert not _is_done(waiting[0])
        bound.stop()
        for one in waiting:
            one.result(5)


def _is_done(future: object) -> bool:
    threading.Event().wait(0.05)
    return future.done()  # type: ignore[attr-defined, no-any-return]
