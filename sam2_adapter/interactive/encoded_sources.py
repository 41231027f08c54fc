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
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations.regions import Region
from sam2_adapter.embeddings.cache import ByteBoundedCache, KeyedLocks
from sam2_adapter.embeddings.keys import image_key, num_bytes
from sam2_adapter.errors import ImageError
from sam2_adapter.images.read import read_image
from sam2_adapter.images.sources import Pixels
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.predict.window import embed_regions
from sam2_adapter.predict.window_plan import WindowRule
from sam2_adapter.predict.windows import WindowedImage

# What a remembered source takes: its stamp and two digests.
_SOURCE_BYTES = 500


@dataclass(frozen=True, eq=False)
class EncodedSource:
    """The encoded image of a source.

    Attributes:
        embedding: the image, encoded.
        content_sha256: hex digest of the file that was encoded.
        windows: regions of the image, for answers at full resolution; `None` where they are not to be had.
    """

    embedding: ImageEmbedding
    content_sha256: str
    windows: SourceWindows | None = None


@dataclass(frozen=True, eq=False)
class SourceWindows:
    """Regions of the image of a source, for `WindowedImage`: read where they are needed, and each encoded once while the cache holds it.

    Attributes:
        original_hw: (height, width) of the image in pixels.
        sources: encodes, and holds the cache.
        content_sha256: of the image file.
        fetch: gives the content of the image file.
        name: what to call the image in messages.
    """

    original_hw: tuple[int, int]
    sources: EncodedSources
    content_sha256: str
    fetch: Callable[[], bytes]
    name: str

    def read(self, region: Region) -> Pixels:
        """The pixels of a region inside the image, uint8 RGB height x width x 3."""
        return region.cut(self.sources.pixels(self))

    def embed(self, regions: Sequence[Region]) -> list[ImageEmbedding]:
        """The encoded regions, in order."""
        return self.sources.encode_regions(self, regions)

    def windowed(self, rule: WindowRule) -> WindowedImage:
        """The image with its windows, to answer prompts by a rule."""
        return WindowedImage(self, rule, self.embed)


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
        """Images and windows that were encoded so far."""

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
                    return self._with_windows(kept, known.content_sha256, fetch, name)
            content = fetch()
            digest = hashlib.sha256(content).hexdigest()
            embedding, key = None, ""
            if known is not None and known.content_sha256 == digest:
                embedding, key = self._kept(known.key), known.key
            if embedding is None:
                embedding, key = self._encoded(lambda: read_image(content, name=name))
            self._cache.put(("source", source), _Known(stamp, digest, key), _SOURCE_BYTES)
            return self._with_windows(embedding, digest, fetch, name)

    def encode_pixels(self, image: npt.NDArray[np.uint8]) -> ImageEmbedding:
        """The encoded image of pixels, uint8 RGB H x W x 3 in 0..255."""
        return self._encoded(lambda: image)[0]

    def pixels(self, image: SourceWindows) -> Pixels:
        """The pixels of an image, uint8 RGB H x W x 3, which stay in the cache; decoded again where they are not."""
        key = "pixels", image.content_sha256
        kept: Pixels | None = self._cache.get(key)
        if kept is None:
            content = image.fetch()
            if hashlib.sha256(content).hexdigest() != image.content_sha256:
                raise ImageError(f"{image.name}: the image has changed meanwhile; ask again.")
            kept = read_image(content, name=image.name)
            self._cache.put(key, kept, kept.nbytes)
        return kept

    def encode_regions(self, image: SourceWindows, regions: Sequence[Region]) -> list[ImageEmbedding]:
        """The encoded regions of an image, in order; only those that the cache does not hold are encoded."""
        keys = [("window", image.content_sha256, region) for region in regions]
        with self._locks.holding(("windows", image.content_sha256)):
            found: dict[Hashable, ImageEmbedding] = {}
            for key in keys:
                kept = self._cache.get(key)
                if kept is not None:
                    found[key] = kept
            missing = [key for key in dict.fromkeys(keys) if key not in found]
            if missing:
                pixels = self.pixels(image)  # fetched before the device is held
                with self._encoding:
                    made = embed_regions(self._predictor, pixels, [region for _, _, region in missing])
                    self.num_encoded += len(missing)
                for key, embedding in zip(missing, made, strict=True):
                    self._cache.put(key, embedding, num_bytes(embedding.encoded))
                    found[key] = embedding
            return [found[key] for key in keys]

    def _with_windows(
        self, embedding: ImageEmbedding, digest: str, fetch: Callable[[], bytes], name: str
    ) -> EncodedSource:
        return EncodedSource(embedding, digest, SourceWindows(embedding.original_hw, self, digest, fetch, name))

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
