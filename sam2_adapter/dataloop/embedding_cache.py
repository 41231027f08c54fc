"""Encoded images in memory, for prompts that come one after another: bounded in bytes, expiring, shared by threads.

    item ─▶ same stamp as before? ─▶ kept
              └▶ same bytes as before? ─▶ kept
                   └▶ encode, keep

A stamp is what the platform says about an item; it changes also when only an annotation does, so that the content
decides before an image is encoded again. Requests for one item wait for each other, and images are encoded one at a
time: one encoding occupies the whole device.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sam2_adapter.dataloop.reading import download_bytes
from sam2_adapter.images.read import read_image
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor


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

    def __init__(self, max_bytes: int, max_idle_s: float, clock: Callable[[], float] = time.monotonic) -> None:
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


@dataclass(frozen=True, eq=False)
class EncodedItem:
    """An encoded item of the platform.

    Attributes:
        embedding: its image, encoded.
        content_sha256: hex digest of the file that was encoded.
        stamp: what the platform said about the item then.
    """

    embedding: ImageEmbedding
    content_sha256: str
    stamp: Hashable


class ItemEncoder:
    """Items to embeddings, each content encoded once while the cache holds it; safe between threads."""

    def __init__(self, predictor: Predictor, cache: ByteBoundedCache) -> None:
        """Encode with `predictor` and keep the results in `cache`, which may hold other values, too."""
        self._predictor, self._cache = predictor, cache
        self._encoding = threading.Lock()
        self._locks = _KeyedLocks()
        self.num_encoded = 0
        """Images that were encoded so far."""

    def encode(self, item: Any) -> EncodedItem:
        """The encoded image of `item` (`dl.Item`, as fetched for this request).

        Raises:
            UnansweredError: the image could not be downloaded.
            ImageError: it cannot be read.
        """
        key, stamp = ("item", item.id), _stamp(item)
        with self._locks.holding(item.id):
            kept: EncodedItem | None = self._cache.get(key)
            if kept is not None and stamp is not None and kept.stamp == stamp:
                return kept
            data = download_bytes(item)
            digest = hashlib.sha256(data).hexdigest()
            if kept is not None and kept.content_sha256 == digest:
                encoded = replace(kept, stamp=stamp)
            else:
                encoded = EncodedItem(self._embed(data, item.filename), digest, stamp)
            self._cache.put(key, encoded, embedding_bytes(encoded.embedding))
            return encoded

    def _embed(self, data: bytes, name: str) -> ImageEmbedding:
        image = read_image(data, name=name)
        with self._encoding:
            self.num_encoded += 1
            return self._predictor.embed([image])[0]


def embedding_bytes(embedding: ImageEmbedding) -> int:
    """Memory that the tensors of an embedding take."""
    encoded = embedding.encoded
    return sum(tensor.nbytes for tensor in (encoded.image_embedding, *encoded.high_res_features))


def _stamp(item: Any) -> Hashable | None:
    """What changes with an item; `None` where the platform does not say when it was changed."""
    updated_at = item.updated_at
    size = (item.metadata.get("system") or {}).get("size")
    return None if not updated_at else (str(updated_at), size)


class _KeyedLocks:
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
