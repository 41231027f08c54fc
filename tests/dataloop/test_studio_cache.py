"""The cache of encoded images: its limit, its order, its expiry, under one thread and under ten."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dataloop.adapting import configuration, disk_image

KEYS = "abcdef"
STEPS = st.lists(st.tuples(st.sampled_from(["get", "put", "wait"]), st.sampled_from(KEYS), st.integers(1, 60)))


def _cache(max_bytes=100, max_idle_s=10.0, clock=lambda: 0.0):
    from sam2_adapter.dataloop.embedding_cache import ByteBoundedCache

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
    assert cache.statistics.num_bytes == sum(kept.num_bytes for kept in cache._kept.values())


@pytest.mark.parametrize("room_for", [0, 2.5])
def test_a_service_with_little_room_answers_all_the_same(platform, dl, room_for):
    from sam2_adapter.dataloop.embedding_cache import embedding_bytes
    from sam2_adapter.dataloop.studio import StudioService

    size = embedding_bytes(StudioService(configuration=configuration())._predictor.embed([disk_image()])[0])
    service = StudioService(configuration=configuration(), cache_bytes=int(room_for * size))
    dataset = platform.dataset()
    items = [platform.item(dataset, disk_image(), f"/{n}.png") for n in range(5)]

    def click(item):
        return service.predict_interactive_editing(dl, item, [{"x": 80, "y": 60}])

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(click, items * 4))
    assert len(set(answers)) == 1
    assert 5 <= service.num_encoded <= 20
    assert service.cache_statistics.peak_bytes <= int(room_for * size)
