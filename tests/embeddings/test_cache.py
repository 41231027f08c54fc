"""The cache of encoded images: its limit, its order, its expiry, under one thread and under ten."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from sam2_adapter.embeddings.cache import ByteBoundedCache, KeyedLocks

KEYS = "abcdef"
STEPS = st.lists(st.tuples(st.sampled_from(["get", "put", "wait"]), st.sampled_from(KEYS), st.integers(1, 60)))


def _cache(max_bytes=100, max_idle_s=10.0, clock=lambda: 0.0):
    return ByteBoundedCache(max_bytes, max_idle_s, clock)


def test_the_value_used_longest_ago_makes_room():
    cache = _cache()
    for key in "abc":
        cache.put(key, key.upper(), 30)
    assert cache.get("a") == "A"
    cache.put("d", "D", 40)
    assert [cache.get(key) for key in "abcd"] == ["A", None, "C", "D"]
    assert cache.statistics == (3, 100, 100, 1, 0)


def test_a_value_larger_than_the_limit_is_not_kept_and_costs_no_other():
    cache = _cache()
    cache.put("a", 1, 100)
    cache.put("b", 2, 101)
    assert (cache.get("a"), cache.get("b")) == (1, None)


def test_a_value_expires_after_its_last_use():
    now = [0.0]
    cache = _cache(clock=lambda: now[0])
    cache.put("a", 1, 10)
    cache.put("b", 2, 10)
    now[0] = 8
    assert cache.get("a") == 1
    now[0] = 15
    assert (cache.get("a"), cache.get("b")) == (1, None)
    now[0] = 30
    assert cache.statistics == (0, 0, 20, 0, 2)


@given(STEPS)
def test_the_cache_holds_what_a_simple_list_would_hold(steps):
    now = [0.0]
    cache = _cache(clock=lambda: now[0])
    expected: list[tuple[str, int, float]] = []  # key, size, last use; the oldest use first
    for action, key, size in steps:
        if action == "wait":
            now[0] += size / 10
        expected = [entry for entry in expected if now[0] - entry[2] <= 10]
        found = [entry for entry in expected if entry[0] == key]
        if action == "get":
            assert cache.get(key) == (found[0][1] if found else None)
            expected = [e for e in expected if e[0] != key] + [(key, e[1], now[0]) for e in found]
        if action == "put":
            cache.put(key, size, size)
            expected = [e for e in expected if e[0] != key]
            while sum(e[1] for e in expected) + size > 100:
                expected.pop(0)
            expected.append((key, size, now[0]))
        statistics = cache.statistics
        assert (statistics.entries, statistics.num_bytes) == (len(expected), sum(e[1] for e in expected))
        assert statistics.peak_bytes <= 100


def test_ten_threads_never_push_the_cache_over_its_limit():
    cache = _cache(max_bytes=1000, max_idle_s=1e9)

    def work(seed):
        rng = random.Random(seed)
        largest = 0
        for _ in range(2000):
            key = rng.randrange(40)
            if rng.random() < 0.5:
                cache.put(key, key, rng.randrange(1, 200))
            else:
                assert cache.get(key) in (None, key)
            largest = max(largest, cache.statistics.num_bytes)
        return largest

    with ThreadPoolExecutor(10) as pool:
        assert max(pool.map(work, range(10))) <= 1000
    assert 900 < cache.statistics.peak_bytes <= 1000
    assert cache.statistics.num_bytes == sum(kept.num_bytes for kept in cache._table.values())


def test_a_value_without_expiry_stays():
    now = [0.0]
    cache = ByteBoundedCache(100, clock=lambda: now[0])
    cache.put("a", 1, 10)
    now[0] = 1e12
    assert cache.get("a") == 1


def test_only_users_of_one_key_wait_for_each_other():
    locks, busy, most = KeyedLocks(), dict.fromkeys("ab", 0), []

    def work(key):
        with locks.holding(key):
            busy[key] += 1
            most.append(busy[key])
            time.sleep(0.001)
            busy[key] -= 1

    with locks.holding("a"), ThreadPoolExecutor(10) as pool:
        list(pool.map(work, "b" * 20))
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(work, "ab" * 20))
    assert max(most) == 1
    assert not locks._locks
