"""`EncodedSources`: images to embeddings for prompts that come one after another, each image encoded once.

    source ─▶ same stamp as before? ─▶ kept
                └▶ same content as before? ─▶ kept
                     └▶ decode, encode, keep

A source is where an image comes from, such as a file or an item of a labelling tool; its stamp is what changes with it.
A stamp may change without the image, because an annotation was added: the content decides before an image is encoded
again. Requests for one source wait for each other. Images are decoded and encoded one at a time, since one encoding
occupies the whole device and one decoded image is enough to hold.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sam2_adapter.embeddings.cache import ByteBoundedCache, KeyedLocks
from sam2_adapter.embeddings.keys import image_key, num_bytes
from sam2_adapter.images.read import read_image
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor

# What a remembered source takes: its stamp and two digests.
_SOURCE_BYTES = 500


@dataclass(frozen=True, eq=False)
class EncodedSource:
    """The encoded image of a source.

    Attributes:
        embedding: the image, encoded.
        content_sha256: hex digest of the file that was encoded.
    """

    embedding: ImageEmbedding
    content_sha256: str


@dataclass(frozen=True)
class _Known:
    stamp: Hashable | None
    content_sha256: str
    key: str


class EncodedSources:
    """Encodes each image once while the cache holds it; safe between threads."""

    def __init__(self, predictor: Predictor, cache: ByteBoundedCache) -> None:
        """Encode with `predictor` and keep the results in `cache`, which may hold other values, too."""
        self._predictor, self._cache = predictor, cache
        self._encoding = threading.Lock()
        self._locks = KeyedLocks()
        self.num_encoded = 0
        """Images that were encoded so far."""

    def encode(
        self, source: Hashable, fetch: Callable[[], bytes], *, name: str, stamp: Hashable | None = None
    ) -> EncodedSource:
        """The encoded image of a source.

        Args:
            source: identity of the place that the image comes from.
            fetch: gives the content of the image file; called only where it is needed.
            name: what to call the image in messages.
            stamp: what changes with the source; `None` where nothing tells, so that the content is looked at each time.

        Raises:
            ImageError: the image cannot be read.
        """
        with self._locks.holding(source):
            known: _Known | None = self._cache.get(("source", source))
            if known is not None and stamp is not None and known.stamp == stamp:
                kept = self._kept(known.key)
                if kept is not None:
                    return EncodedSource(kept, known.content_sha256)
            content = fetch()
            digest = hashlib.sha256(content).hexdigest()
            embedding, key = None, ""
            if known is not None and known.content_sha256 == digest:
                embedding, key = self._kept(known.key), known.key
            if embedding is None:
                embedding, key = self._encoded(lambda: read_image(content, name=name))
            self._cache.put(("source", source), _Known(stamp, digest, key), _SOURCE_BYTES)
            return EncodedSource(embedding, digest)

    def encode_pixels(self, image: npt.NDArray[np.uint8]) -> ImageEmbedding:
        """The encoded image of pixels, uint8 RGB H x W x 3 in 0..255."""
        return self._encoded(lambda: image)[0]

    def _kept(self, key: str) -> ImageEmbedding | None:
        kept: ImageEmbedding | None = self._cache.get(("embedding", key))
        return kept

    def _encoded(self, read: Callable[[], npt.NDArray[np.uint8]]) -> tuple[ImageEmbedding, str]:
        with self._encoding:
            image = read()
            key = image_key(image)
            embedding = self._kept(key)
            if embedding is None:
                self.num_encoded += 1
                embedding = self._predictor.embed([image])[0]
                self._cache.put(("embedding", key), embedding, num_bytes(embedding.encoded))
            return embedding, key
