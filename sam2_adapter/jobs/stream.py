"""One bounded stream for many images: fetch ahead, predict, store behind, in order; only the item that fails is lost.

    items ─▶ fetch (threads, ahead) ─▶ encode a batch, predict each image ─▶ store (threads, behind) ─▶ outcomes

Local folders, the workers of a cluster and jobs of the platform supply the steps; this module supplies the order, the bounds and what
happens when something goes wrong:

- At most `Bounds.under_way` items are in memory, so that memory does not grow with their number, and fewer where they are large: what was
  fetched takes `Bounds.most_bytes` and one batch beyond that.
- An error in any step becomes the outcome of that item; the others go on.
- A batch that runs out of memory is encoded in halves, and the batches after it are as small.
- Left early, the stream finishes what has begun and drops the rest.

    class Steps(stream.Steps[Path, Image, Found, int]): ...

    with closing(stream(paths, Steps(), Bounds(batch_size=4))) as outcomes:
        for outcome in outcomes:
            print(outcome.item, outcome.error or outcome.stored)
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

from sam2_adapter.jobs.memory_bound import MemoryBound, Room
from sam2_adapter.models.engines.base import is_out_of_memory

logger = logging.getLogger(__name__)

# Batches under way: one is fetched, one is in the model, one is stored.
_BATCHES_UNDER_WAY = 3

Item = TypeVar("Item")
Fetched = TypeVar("Fetched")
Found = TypeVar("Found")
Stored = TypeVar("Stored")


@dataclass(frozen=True)
class Ready(Generic[Found]):
    """What `Steps.fetch` returns for an item that needs no model: `found` goes to `Steps.store` in its turn."""

    found: Found


class Steps(ABC, Generic[Item, Fetched, Found, Stored]):
    """What is done with every item. Where a step raises, only this item fails. All may be called from many threads."""

    @abstractmethod
    def fetch(self, item: Item) -> Fetched | Ready[Found]:
        """Get the image and what else is needed for it; called ahead, for several items at the same time."""

    @abstractmethod
    def encode(self, fetched: Sequence[Fetched]) -> Sequence[Any]:
        """Encode a batch in one call of the model; one result per entry, in order. An error of several is tried again in parts."""

    @abstractmethod
    def predict(self, item: Item, fetched: Fetched, encoded: Any) -> Found:
        """Make the answer for one item of what `encode` returned for it."""

    @abstractmethod
    def store(self, item: Item, found: Found) -> Stored:
        """Write the answer; called in the order of the items, by one thread or, with `Bounds.storers`, by several."""

    def num_bytes(self, item: Item, fetched: Fetched | None = None) -> int:
        """Memory that the image of an item takes: what is known before it is fetched, 0 for nothing; and what it is afterwards."""
        return 0

    def stop(self) -> None:
        """Told once when nothing more is wanted, before what is under way is waited for: a long step may end early with an error."""


@dataclass(frozen=True)
class Outcome(Generic[Item, Stored]):
    """What became of one item: either `stored` or `error` says it.

    Attributes:
        item: the item.
        stored: what `Steps.store` returned.
        error: why it failed.
        seconds: time of its own steps after encoding; of an item that failed, until it did.
    """

    item: Item
    stored: Stored | None
    error: Exception | None
    seconds: float


@dataclass(frozen=True)
class Bounds:
    """How much is done at a time.

    Attributes:
        batch_size: items in one call of `encode`, at least 1.
        fetchers: threads that fetch.
        predictors: threads that predict; 0 takes the one that encodes, as is best where both fill all cores.
        storers: threads that store; with 1, items are stored one after the other, in order.
        under_way: most items fetched, predicted or stored at a time; `None` for three batches.
        most_bytes: most memory for what is fetched and not stored yet, as `Steps.num_bytes` counts it; the oldest batch may go beyond it.
    """

    batch_size: int = 1
    fetchers: int = 2
    predictors: int = 0
    storers: int = 1
    under_way: int | None = None
    most_bytes: int = 2 * 2**30


def stream(
    items: Iterable[Item], steps: Steps[Item, Fetched, Found, Stored], bounds: Bounds
) -> Generator[Outcome[Item, Stored], None, None]:
    """Take every item through all steps, yielding what became of each, in order; see the top of this module.

    Args:
        items: may be without end; taken as they are needed.
        steps: what is done with an item.
        bounds: how much is done at a time.
    """
    remaining = iter(items)
    under_way: deque[Future[Outcome[Item, Stored]]] = deque()
    most = max(bounds.under_way or _BATCHES_UNDER_WAY * bounds.batch_size, bounds.batch_size)
    pipeline = _Pipeline(steps, bounds)
    try:
        while True:
            while len(under_way) + bounds.batch_size <= most:
                batch = list(islice(remaining, bounds.batch_size))
                if not batch:
                    break
                under_way += pipeline.submit(batch)
            if not under_way:
                return
            yield under_way.popleft().result()
    finally:
        pipeline.stop()


class _Work(Steps[Item, Any, Stored, Stored]):
    """One step for items that need no model."""

    def __init__(self, work: Callable[[Item], Stored], num_bytes: Callable[[Item], int]) -> None:
        self._work = work
        self._num_bytes = num_bytes

    def num_bytes(self, item: Item, fetched: Any = None) -> int:
        return self._num_bytes(item) if fetched is None else 0

    def fetch(self, item: Item) -> Ready[Stored]:
        return Ready(self._work(item))

    def encode(self, fetched: Sequence[Any]) -> Sequence[Any]:
        return fetched

    def predict(self, item: Item, fetched: Any, encoded: Any) -> Stored:
        raise AssertionError("every item is ready")

    def store(self, item: Item, found: Stored) -> Stored:
        return found


def stream_without_model(
    items: Iterable[Item],
    work: Callable[[Item], Stored],
    *,
    threads: int,
    under_way: int,
    num_bytes: Callable[[Item], int] = lambda _: 0,
) -> Generator[Outcome[Item, Stored], None, None]:
    """As `stream`, of items that need one step of work and no model, such as downloads.

    Args:
        items: may be without end; taken as they are needed.
        work: what is done with an item; called for several at the same time. What it returns is `Outcome.stored`.
        threads: that work.
        under_way: most items worked on ahead of the one whose outcome is asked for.
        num_bytes: memory that the work on an item takes, see `Bounds.most_bytes`.
    """
    return stream(items, _Work(work, num_bytes), Bounds(fetchers=threads, under_way=under_way))


@dataclass(frozen=True)
class _Failed:
    """Stands for the result of a step that has failed."""

    error: Exception


class _Pipeline(Generic[Item, Fetched, Found, Stored]):
    """Threads for every step; each step waits for the one before it."""

    def __init__(self, steps: Steps[Item, Fetched, Found, Stored], bounds: Bounds) -> None:
        self._steps = steps
        self._at_once = bounds.batch_size
        self._num_batches = 0
        self._memory = MemoryBound(bounds.most_bytes)
        self._fetchers = ThreadPoolExecutor(bounds.fetchers, thread_name_prefix="fetch")
        self._model = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._predictors = (
            ThreadPoolExecutor(bounds.predictors, thread_name_prefix="predict") if bounds.predictors else self._model
        )
        self._storers = ThreadPoolExecutor(bounds.storers, thread_name_prefix="store")

    def submit(self, batch: Sequence[Item]) -> Iterator[Future[Outcome[Item, Stored]]]:
        """Start the work on a batch; one outcome per item."""
        number = self._num_batches
        self._num_batches += 1
        self._memory.begin_batch(number, len(batch))
        rooms = [Room(self._memory, number) for _ in batch]
        fetching = [self._fetchers.submit(self._fetch, item, room) for item, room in zip(batch, rooms, strict=True)]
        encoding = self._model.submit(self._encode_batch, fetching)
        for index, item in enumerate(batch):
            predicting = self._predictors.submit(self._predict, item, fetching[index], encoding, index)
            yield self._storers.submit(self._store, item, predicting, rooms[index])

    def stop(self) -> None:
        """Drop what has not begun, and wait for what has."""
        self._steps.stop()
        self._memory.stop()
        pools = (self._storers, self._predictors, self._model, self._fetchers)
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in reversed(pools):
            pool.shutdown(wait=True)

    def _fetch(self, item: Item, room: Room) -> Fetched | Ready[Found] | _Failed:
        try:
            room.take(self._steps.num_bytes(item))
            fetched = self._steps.fetch(item)
            room.correct(0 if isinstance(fetched, Ready) else self._steps.num_bytes(item, fetched))
            return fetched
        except Exception as error:
            return _Failed(error)

    def _encode_batch(self, fetching: Sequence[Future[Fetched | Ready[Found] | _Failed]]) -> list[Any]:
        """Encode what could be fetched and needs it; `None` stands for the others."""
        fetched = [future.result() for future in fetching]
        encoded = iter(self._encode([entry for entry in fetched if not isinstance(entry, Ready | _Failed)]))
        return [None if isinstance(entry, Ready | _Failed) else next(encoded) for entry in fetched]

    def _encode(self, fetched: Sequence[Fetched]) -> list[Any]:
        encoded: list[Any] = []
        while len(encoded) < len(fetched):
            part = fetched[len(encoded) : len(encoded) + self._at_once]
            try:
                encoded += self._steps.encode(part)
            except Exception as error:
                encoded += self._encode_again(part, error)
        return encoded

    def _encode_again(self, part: Sequence[Fetched], error: Exception) -> list[Any]:
        if len(part) == 1:
            return [_Failed(error)]
        if is_out_of_memory(error):
            self._at_once = max(1, len(part) // 2)
            logger.warning("Out of memory: going on with %d images at a time.", self._at_once)
            return self._encode(part)
        return [result for entry in part for result in self._encode([entry])]

    def _predict(
        self, item: Item, fetching: Future[Fetched | Ready[Found] | _Failed], encoding: Future[list[Any]], index: int
    ) -> tuple[Found | _Failed, float]:
        started = time.perf_counter()
        fetched = fetching.result()
        if isinstance(fetched, _Failed):
            return fetched, 0.0
        if isinstance(fetched, Ready):
            return fetched.found, 0.0
        encoded = encoding.result()[index]
        if isinstance(encoded, _Failed):
            return encoded, 0.0
        try:
            return self._steps.predict(item, fetched, encoded), time.perf_counter() - started
        except Exception as error:
            return _Failed(error), time.perf_counter() - started

    def _store(
        self, item: Item, predicting: Future[tuple[Found | _Failed, float]], room: Room
    ) -> Outcome[Item, Stored]:
        try:
            return self._stored(item, *predicting.result())
        finally:
            room.leave()

    def _stored(self, item: Item, found: Found | _Failed, seconds: float) -> Outcome[Item, Stored]:
        started = time.perf_counter()
        if not isinstance(found, _Failed):
            try:
                return Outcome(item, self._steps.store(item, found), None, seconds + time.perf_counter() - started)
            except Exception as error:
                found = _Failed(error)
        return Outcome(item, None, found.error, seconds + time.perf_counter() - started)
