"""The encoded images of a data set: read once, encoded once, from the store ever after."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TypeAlias

from sam2_adapter.config_views import EncodingLimits
from sam2_adapter.embeddings.disk import EmbeddingFiles
from sam2_adapter.embeddings.keys import EncoderIdentity, Image, exact_key, image_key
from sam2_adapter.embeddings.store import EmbeddingStore, StoreStatistics
from sam2_adapter.errors import ImageError, TrainingError
from sam2_adapter.formats.sample import Sample
from sam2_adapter.models.engines.base import Runtime
from sam2_adapter.models.network.image_encoder import EncodedImages
from sam2_adapter.models.network.preprocess import Resize, images_to_pixel_values
from sam2_adapter.training.variants import VARIANTS

logger = logging.getLogger(__name__)

# Position of the sample and name of the variant.
Place: TypeAlias = tuple[int, str]


def make_store(identity: EncoderIdentity, limits: EncodingLimits, root: Path, num_processes: int) -> EmbeddingStore:
    """The store of a run's encoded images, in memory and below `root`; processes of one machine share its memory."""
    files = (
        EmbeddingFiles(root, identity.folder, limits.disk_bytes, limits.min_free_bytes) if limits.disk_bytes else None
    )
    local_processes = int(os.environ.get("LOCAL_WORLD_SIZE", num_processes))
    return EmbeddingStore(limits.memory_bytes // max(1, local_processes), files)


class SampleEmbeddings:
    """Encoded images by sample and variant; see `prepare`.

    Images to measure with are encoded one by one and kept as they are, so that a model is measured on what it predicts from, to the last
    bit. Images to train on are kept in fp16.
    """

    def __init__(
        self, samples: Sequence[Sample], num_training: int, runtime: Runtime, resize: Resize, store: EmbeddingStore
    ) -> None:
        """Encode with `runtime`, exactly as prediction does, and keep in `store`; after `num_training` come the samples to measure with."""
        self._samples = samples
        self._num_training = num_training
        self._runtime = runtime
        self._resize: Resize = resize
        self._store = store
        self._broken: dict[int, str] = {}
        self.keys: dict[Place, str] = {}

    def prepare(self, places: Sequence[Place], batch_size: int) -> Iterator[int]:
        """Read images and encode those that the store does not have; a broken image is skipped, see `broken`.

        Args:
            places: what will be needed.
            batch_size: images to train on in one encoder call, and read at a time.

        Yields:
            The number of places dealt with so far.
        """
        waiting: dict[str, Image] = {}

        def encode(keys: list[str]) -> EncodedImages:
            return self._encode([waiting[key] for key in keys])

        trained_on = self._read_all([place for place in places if place[0] < self._num_training], waiting)
        measured_with = self._read_all([place for place in places if place[0] >= self._num_training], waiting)
        filled = chain(self._store.fill(trained_on, encode, batch_size), self._store.fill(measured_with, encode, 1))
        for done, key in enumerate(filled):
            waiting.pop(key, None)
            yield done + 1

    def get(self, sample: int, variant: str) -> EncodedImages:
        """The encoded image of a prepared place on the CPU, in fp32 where it is for training."""
        key = self.keys[sample, variant]
        return self._store.get(
            self._store_key(sample, key), lambda: self._encode([self._read_again(sample, variant, key)])
        )

    @property
    def broken(self) -> dict[int, str]:
        """Position and reason of the samples whose image could not be read."""
        return dict(self._broken)

    @property
    def encoder(self) -> dict[str, str]:
        """Runtime and number format that images are encoded with."""
        return {"runtime": self._runtime.name, "precision": self._runtime.precision}

    @property
    def statistics(self) -> StoreStatistics:
        """How often embeddings were found and made in this process."""
        return self._store.statistics

    def add(self, keys: dict[Place, str], broken: dict[int, str]) -> None:
        """Take over what another process has prepared."""
        self.keys.update(keys)
        self._broken.update(broken)

    def _read_all(self, places: Sequence[Place], waiting: dict[str, Image]) -> Iterator[str]:
        for sample, variant in places:
            try:
                image = self._read(sample, variant)
            except ImageError as error:
                logger.warning("Left out: %s", error)
                self._broken[sample] = str(error)
                continue
            key = image_key(image)
            self.keys[sample, variant] = key
            waiting[self._store_key(sample, key)] = image
            yield self._store_key(sample, key)

    def _store_key(self, sample: int, key: str) -> str:
        return exact_key(key) if sample >= self._num_training else key

    def _read(self, sample: int, variant: str) -> Image:
        return VARIANTS[variant].image(self._samples[sample].read_image())

    def _read_again(self, sample: int, variant: str, key: str) -> Image:
        """The image that was read at the start; one that has changed meanwhile would make a result that no run can repeat."""
        image = self._read(sample, variant)
        if image_key(image) != key:
            raise TrainingError(
                f"{self._samples[sample].image_path} has changed since the run began. Put the earlier file back and resume, or start a "
                "new run in another folder."
            )
        return image

    def _encode(self, images: Sequence[Image]) -> EncodedImages:
        runtime = self._runtime
        return runtime.encode(images_to_pixel_values(images, runtime.image_size, self._resize, runtime.device))


def data_fingerprint(samples: Sequence[Sample], num_training: int, keys: dict[Place, str]) -> str:
    """Identity of the data of a run: the pixels of its images and the masks and labels of its objects, in order.

    Args:
        samples: images for training, then those for validation; their ignored pixels are part of the data.
        num_training: how many of them are for training.
        keys: of the readable images.
    """
    digest = hashlib.sha256(f"{num_training}\n".encode())
    for (position, variant), key in sorted(keys.items()):
        digest.update(f"image {position} {variant} {key}\n".encode())
        for item in samples[position].objects:
            digest.update(f"{item.label!r} {item.rle.original_hw} {item.rle.counts}\n".encode())
        ignored = samples[position].ignored
        if ignored is not None:
            digest.update(f"ignored {ignored.counts}\n".encode())
    return digest.hexdigest()
