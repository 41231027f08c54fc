"""`EmbeddingStore`: each image is encoded once.

Its embedding is kept in memory, then on disk, in fp16, and made again only when neither has it. Embeddings that a model is measured with
have an `exact_key` and are kept as the encoder gave them: the figures are those of prediction to the last digit. A file on disk is written once, completely or not
at all, carries a checksum and lies in a folder named after everything that decides its content, so that any number of runs may share a
store, one after the other or at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch

from sam2_adapter.embeddings.cache import ByteBoundedCache
from sam2_adapter.embeddings.disk import EmbeddingFiles
from sam2_adapter.embeddings.keys import is_exact, num_bytes
from sam2_adapter.models.network.image_encoder import EncodedImages


@dataclass
class StoreStatistics:
    """How often embeddings were found and made; `made` counts images that went through the encoder."""

    from_memory: int = 0
    from_disk: int = 0
    made: int = 0


class EmbeddingStore:
    """Embeddings by key, wherever they are; see `image_key`."""

    def __init__(self, memory_limit: int, files: EmbeddingFiles | None = None) -> None:
        """Keep embeddings.

        Args:
            memory_limit: bytes to keep in memory at most.
            files: where they are kept on disk; `None` for memory only.
        """
        self.statistics = StoreStatistics()
        self._memory = ByteBoundedCache(memory_limit)
        self._files = files

    def get(self, key: str, make: Callable[[], EncodedImages]) -> EncodedImages:
        """The embedding of one image on the CPU, in fp32, or as it was encoded for an exact key; `make` encodes the image again where needed."""
        found = self._find(key)
        if found is None:
            found = self._keep(key, make())
        return found if is_exact(key) else _as_fp32(found)

    def fill(self, keys: Iterable[str], make: Callable[[list[str]], EncodedImages], batch_size: int) -> Iterator[str]:
        """Make the embeddings that are in neither place, a batch at a time.

        Args:
            keys: of the images, in any order, possibly repeated.
            make: encodes the images of these keys, in order.
            batch_size: images in one encoder call.

        Yields:
            Every key once it is dealt with.
        """
        missing: list[str] = []
        for key in dict.fromkeys(keys):
            if self._has(key):
                yield key
                continue
            missing.append(key)
            if len(missing) == batch_size:
                yield from self._make(missing, make)
                missing = []
        if missing:
            yield from self._make(missing, make)

    def _make(self, keys: list[str], make: Callable[[list[str]], EncodedImages]) -> Sequence[str]:
        encoded = make(keys)
        for index, key in enumerate(keys):
            self._keep(key, encoded.images(slice(index, index + 1)))
        return keys

    def _has(self, key: str) -> bool:
        # Read, not only looked for: a damaged file has to be made again while batches are being made.
        return self._find(key) is not None

    def _find(self, key: str) -> EncodedImages | None:
        kept: EncodedImages | None = self._memory.get(key)
        if kept is not None:
            self.statistics.from_memory += 1
            return kept
        if self._files is not None and (read := self._files.read(key)) is not None:
            self.statistics.from_disk += 1
            self._memory.put(key, read, num_bytes(read))
            return read
        return None

    def _keep(self, key: str, encoded: EncodedImages) -> EncodedImages:
        self.statistics.made += 1
        kept = encoded.map(_on_cpu) if is_exact(key) else _as_fp16(encoded)
        self._memory.put(key, kept, num_bytes(kept))
        if self._files is not None:
            self._files.write(key, kept)
        return kept


def _on_cpu(tensor: torch.Tensor) -> torch.Tensor:
    # Copied: a view would keep the whole batch in memory.
    return tensor.detach().to("cpu", copy=True)


def _as_fp16(encoded: EncodedImages) -> EncodedImages:
    # Values beyond fp16 would become infinite; embeddings of real images stay far below.
    limit = torch.finfo(torch.float16).max
    return encoded.map(lambda tensor: tensor.detach().float().clamp(-limit, limit).to("cpu", torch.float16, copy=True))


def _as_fp32(encoded: EncodedImages) -> EncodedImages:
    return encoded.map(torch.Tensor.float)
