"""The stream of images through a job: bounds, order, and only what fails is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import count

import pytest

from sam2_adapter.jobs.stream import Bounds, Ready, Steps, stream, stream_without_model


class Doubling(Steps[int, int, int, int]):
    """Adds nothing, doubles, and notes what it was asked for. Items of `failing` fail in the step of that name."""

    def __init__(self, failing: dict[int, str] | None = None, memory: int = 100) -> None:
        self.failing = failing or {}
        self.memory = memory
        self.batches: list[list[int]] = []
        self.stored: list[int] = []
        self.threads: dict[str, set[str]] = {"predict": set(), "store": set()}

    def _fail(self, item: int, step: str) -> None:
        if self.failing.get(item) == step:
            raise ValueError(f"{item} cannot {step}")

    def fetch(self, item: int) -> int | Ready[int]:
        self._fail(item, "fetch")
        return Ready(-item) if self.failing.get(item) == "ready" else item

    def encode(self, fetched: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(fetched))
        if len(fetched) > self.memory:
            raise MemoryError
        for item in fetched:
            self._fail(item, "encode")
        return [10 * item for item in fetched]

    def predict(self, item: int, fetched: int, encoded: int) -> int:
        self._fail(item, "predict")
        assert (fetched, encoded) == (item, 10 * item)
        self.threads["predict"].add(threading.current_thread().name)
        return 2 * item

    def store(self, item: int, found: int) -> int:
        self._fail(item, "store")
        self.threads["store"].add(threading.current_thread().name)
        self.stored.append(item)
        return found


BOUNDS = [Bounds(), Bounds(batch_size=4), Bounds(3, 8, 4, 8, 20), Bounds(under_way=1)]


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
def test_outcomes_come_in_order(bounds: Bounds) -> None:
    steps = Doubling()
    outcomes = list(stream(range(30), steps, bounds))
    assert [(outcome.item, outcome.stored, outcome.error) for outcome in outcomes] == [
        (i, 2 * i, None) for i in range(30)
    ]
    assert max(map(len, steps.batches)) == bounds.batch_size
    assert sorted(steps.stored) == list(range(30))


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
def test_what_fails_costs_only_itself(bounds: Bounds) -> None:
    failing = {3: "fetch", 8: "encode", 9: "encode", 14: "predict", 19: "store"}
    outcomes = list(stream(range(25), Doubling(failing), bounds))
    assert {outcome.item: str(outcome.error) for outcome in outcomes if outcome.error} == {
        item: f"{item} cannot {step}" for item, step in failing.items()
    }
    assert [o.stored for o in outcomes] == [None if i in failing else 2 * i for i in range(25)]


def test_what_needs_no_model_keeps_its_turn() -> None:
    steps = Doubling({1: "ready", 2: "ready", 5: "ready"})
    outcomes = list(stream(range(7), steps, Bounds(batch_size=3)))
    assert [outcome.stored for outcome in outcomes] == [0, -1, -2, 6, 8, -5, 12]
    assert [item for batch in steps.batches for item in batch] == [0, 3, 4, 6]
    assert steps.stored == list(range(7))


def test_a_batch_without_enough_memory_is_halved_and_stays_so(caplog: pytest.LogCaptureFixture) -> None:
    steps = Doubling(memory=3)
    outcomes = list(stream(range(24), steps, Bounds(batch_size=8)))
    assert [outcome.stored for outcome in outcomes] == [2 * item for item in range(24)]
    assert list(map(len, steps.batches)) == [8, 4] + [2] * 12
    assert "going on with 2 images at a time" in caplog.text


def test_an_image_that_is_too_large_by_itself_fails_alone() -> None:
    outcomes = list(stream(range(4), Doubling(memory=0), Bounds(batch_size=4)))
    assert [type(outcome.error) for outcome in outcomes] == [MemoryError] * 4


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
def test_items_without_end_are_taken_as_they_are_needed(bounds: Bounds) -> None:
    steps = Doubling()
    taken = []

    def items() -> object:
        for item in count():
            taken.append(item)
            yield item

    with closing(stream(items(), steps, bounds)) as outcomes:
        for outcome, _ in zip(outcomes, range(5), strict=False):
            most = max(bounds.under_way or 3 * bounds.batch_size, bounds.batch_size)
            assert len(taken) <= outcome.item + most
    done = len(steps.stored)
    time.sleep(0.05)
    assert len(steps.stored) == done  # nothing goes on in the background


def test_one_after_the_other_when_asked() -> None:
    steps, log = Doubling(), []
    steps.fetch = lambda item: log.append(("fetch", item)) or item
    for outcome in stream(range(3), steps, Bounds(under_way=1)):
        log.append(("done", outcome.item))
    assert log == [(what, item) for item in range(3) for what in ("fetch", "done")]


def test_threads() -> None:
    steps = Doubling()
    list(stream(range(20), steps, Bounds()))
    assert steps.threads["predict"] == {"model_0"}
    assert len(steps.threads["store"]) == 1
    many = Doubling()
    many.store = lambda item, found: time.sleep(0.002) or many.threads["store"].add(threading.current_thread().name)
    list(stream(range(20), many, Bounds(predictors=3, storers=4, under_way=20)))
    assert all(name.startswith("predict") for name in many.threads["predict"])
    assert len(many.threads["store"]) > 1


def test_work_without_a_model_comes_in_order_bounded_and_an_error_costs_its_item() -> None:
    started = []

    def work(number: int) -> int:
        started.append(number)
        if number % 100 == 1:
            raise ValueError(f"{number} fails")
        return 2 * number

    with closing(stream_without_model(range(1000), work, threads=4, under_way=32)) as outcomes:
        first = [next(outcomes) for _ in range(3)]
        assert [(outcome.item, outcome.stored, str(outcome.error)) for outcome in first] == [
            (0, 0, "None"),
            (1, None, "1 fails"),
            (2, 4, "None"),
        ]
        assert len(started) <= 3 + 32
        assert [outcome.stored for outcome in outcomes if outcome.error is None] == [
            2 * number for number in range(3, 1000) if number % 100 != 1
        ]


def test_a_long_step_is_told_that_nothing_more_is_wanted() -> None:
    is_stopped, has_begun = threading.Event(), threading.Event()

    class Searching(Doubling):
        def predict(self, item: int, fetched: int, encoded: int) -> int:
            if item:
                has_begun.set()
                assert is_stopped.wait(20), "it is waited for without a word"
                raise InterruptedError
            return item

        def stop(self) -> None:
            is_stopped.set()

    steps = Searching()

    def items() -> Iterator[int]:
        yield from range(2)
        assert has_begun.wait(20)
        # Ctrl-C comes while the stream itself is at work.
        raise KeyboardInterrupt

    outcomes = stream(items(), steps, Bounds(under_way=2))
    assert next(outcomes).stored == 0
    with pytest.raises(KeyboardInterrupt):
        next(outcomes)
    assert is_stopped.is_set()
    assert steps.stored == [0]


class Large(Doubling):
    """Items of 10 bytes each, about which nothing is known before they are fetched, or all."""

    def __init__(self, *, is_known: bool) -> None:
        super().__init__()
        self.is_known = is_known
        self.fetched = 0
        self.most_ahead = 0

    def num_bytes(self, item: int, fetched: int | None = None) -> int:
        return 10 if self.is_known or fetched is not None else 0

    def fetch(self, item: int) -> int | Ready[int]:
        self.fetched += 1
        self.most_ahead = max(self.most_ahead, self.fetched - len(self.stored))
        return super().fetch(item)

    def store(self, item: int, found: int) -> int:
        time.sleep(0.002)
        return super().store(item, found)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_large_items_are_fetched_as_far_ahead_as_their_bytes_allow(batch_size: int) -> None:
    bounds = Bounds(batch_size, fetchers=4, under_way=20, most_bytes=60)
    free, known, unknown = Doubling(), Large(is_known=True), Large(is_known=False)
    for steps in (free, known, unknown):
        assert [outcome.stored for outcome in stream(range(40), steps, bounds)] == [2 * i for i in range(40)]
    assert known.most_ahead <= 6 + batch_size
    assert unknown.most_ahead <= 6 + 4 + batch_size, "each fetcher may have begun"


def test_an_item_larger_than_the_bound_is_done_alone() -> None:
    steps = Large(is_known=True)
    assert len(list(stream(range(10), steps, Bounds(fetchers=4, under_way=8, most_bytes=5)))) == 10
    assert steps.most_ahead <= 2


def test_work_without_a_model_is_bounded_by_bytes() -> None:
    working, most = 0, 0
    lock = threading.Lock()

    def work(item: int) -> int:
        nonlocal working, most
        with lock:
            working += 1
            most = max(most, working)
        time.sleep(0.005)
        with lock:
            working -= 1
        return item

    done = stream_without_model(range(20), work, threads=8, under_way=8, num_bytes=lambda _: 2**30)
    assert [outcome.stored for outcome in done] == list(range(20))
    assert most <= 3, "two fill the bound, and the oldest one may always be done"


def test_a_stream_that_is_left_while_items_wait_for_room_ends() -> None:
    with closing(stream(count(), Large(is_known=True), Bounds(fetchers=4, under_way=16, most_bytes=15))) as outcomes:
        assert next(outcomes).stored == 0
