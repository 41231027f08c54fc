"""The adapter's functions that embed images, for similarity search."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import Any

import dtlpy as dl
import numpy as np
import numpy.typing as npt

from sam2_adapter.config import Config
from sam2_adapter.dataloop.items import checked_items, image_bytes, list_items, query_of
from sam2_adapter.dataloop.platform_requests import count_all
from sam2_adapter.dataloop.prediction import THREADS, UNDER_WAY, ItemTally, require_whole
from sam2_adapter.dataloop.prepared_items import BrokenItem, PreparedItem, download_bytes
from sam2_adapter.dataloop.settings import Settings, positive_number, switch
from sam2_adapter.dataloop.vectors import pooled_vector, store_vectors, vector_set_id
from sam2_adapter.errors import PlatformError
from sam2_adapter.images.read import read_image
from sam2_adapter.jobs.stream import Bounds, Outcome, Steps, stream
from sam2_adapter.predict.predictor import Predictor

_Pixels = npt.NDArray[np.uint8]

# An item with its vector.
_Embedded = tuple[Any, list[float]]

_Outcome = Outcome[Any, list[float]]


class _EmbeddingSteps(Steps[Any, _Pixels, list[float], list[float]]):
    """The steps of an item to its vector; vectors are stored in batches, by whoever takes the outcomes."""

    def __init__(self, make_vectors: Callable[[Sequence[_Pixels]], list[list[float]]]) -> None:
        self._make_vectors = make_vectors

    def fetch(self, item: Any) -> _Pixels:
        return read_image(download_bytes(item), name=item.filename)

    def num_bytes(self, item: Any, fetched: _Pixels | None = None) -> int:
        return image_bytes(item) if fetched is None else fetched.nbytes

    def encode(self, fetched: Sequence[_Pixels]) -> Sequence[list[float]]:
        return self._make_vectors(fetched)

    def predict(self, item: Any, fetched: _Pixels, encoded: list[float]) -> list[float]:
        return encoded

    def store(self, item: Any, found: list[float]) -> list[float]:
        return found


class EmbeddingFunctions(dl.BaseModelAdapter):  # type: ignore[misc]
    """Embedding on the platform; only a broken item fails.

    Attributes:
        settings: of the model that is loaded.
        predictor: the model; `None` until one is loaded.
    """

    settings: Settings
    predictor: Predictor | None

    @property
    def config(self) -> Config:
        """The settings of the model that is loaded."""
        return self.settings.config

    def embed(self, batch: Sequence[PreparedItem | BrokenItem], **kwargs: Any) -> list[list[float]]:
        """One vector for every prepared item.

        Raises:
            PlatformError: an item is broken; the text names all of them.
        """
        return self._vectors([entry.image for entry in require_whole(batch)])

    def embed_items(
        self,
        items: list[Any],
        upload_features: bool | None = None,
        batch_size: int | None = None,
        progress: Any = None,
        **kwargs: Any,
    ) -> tuple[list[Any], list[list[float]]]:
        """Embed items and store their vectors in place of earlier ones.

        Returns:
            The items and their vectors.

        Raises:
            PlatformError: items could not be embedded; the text names them, the others are done.
        """
        items = checked_items(items)
        report = ItemTally(len(items), progress, work="embedded")
        is_stored = switch("upload_features", upload_features, "arguments", default=self.settings.upload_features)
        done = list(self._embedded(items, is_stored, self._batch_size(batch_size), report))
        report.raise_broken()
        return [item for item, _ in done], [vector for _, vector in done]

    def embed_dataset(
        self,
        dataset: Any,
        filters: Any = None,
        upload_features: bool | None = None,
        batch_size: int | None = None,
        progress: Any = None,
        **kwargs: Any,
    ) -> bool:
        """Embed the items that a filter finds; more than the model's limit are split over several executions.

        Raises:
            PlatformError: as in `embed_items`.
        """
        query = query_of(filters)
        total = count_all(dataset.id, query)
        if total > self.settings.subset_limit:
            super().embed_dataset(dataset, filters, upload_features, batch_size, progress, **kwargs)
            return True
        report = ItemTally(total, progress, work="embedded")
        is_stored = switch("upload_features", upload_features, "arguments", default=self.settings.upload_features)
        for _ in self._embedded(list_items(dataset, query), is_stored, self._batch_size(batch_size), report):
            pass
        report.raise_broken()
        return True

    def _embedded(
        self, items: Iterable[Any], is_stored: bool, batch_size: int, report: ItemTally
    ) -> Iterator[_Embedded]:
        set_id = vector_set_id(self.model_entity, self.config.embeddings_size) if is_stored else None
        self._expect(report.total)
        bounds = Bounds(batch_size, fetchers=THREADS, under_way=UNDER_WAY + batch_size)
        with closing(stream(items, _EmbeddingSteps(self._vectors), bounds)) as outcomes:
            while batch := list(islice(outcomes, batch_size)):
                for outcome in self._stored(batch, set_id):
                    report.add(outcome.item, outcome)
                    if outcome.stored is not None:
                        yield outcome.item, outcome.stored

    def _stored(self, batch: Sequence[_Outcome], set_id: str | None) -> list[_Outcome]:
        """A batch with its vectors stored by one upload; after a failure, one by one."""
        try:
            self._store([(entry.item, entry.stored) for entry in batch if entry.stored is not None], set_id)
            return list(batch)
        except Exception as error:  # whatever it is, as few items as possible fail
            if len(batch) == 1:
                return [replace(batch[0], stored=None, error=error)]
            return [outcome for entry in batch for outcome in self._stored([entry], set_id)]

    def _store(self, embedded: Sequence[_Embedded], set_id: str | None) -> None:
        by_dataset: dict[str, dict[str, list[float]]] = {}
        for item, vector in embedded:
            by_dataset.setdefault(item.dataset_id, {})[item.id] = vector
        for dataset_id, vectors in by_dataset.items():
            if set_id is not None:
                store_vectors(self.model_entity, set_id, dataset_id, vectors)

    def _batch_size(self, given: Any) -> int:
        """Items in one call of the encoder: as the caller says, else as the settings do."""
        return self.config.batch_size if given is None else positive_number("batch_size", given, "arguments")

    def _vectors(self, images: Sequence[_Pixels]) -> list[list[float]]:
        embeddings = self._require_predictor().embed(images)
        return [pooled_vector(embedding, self.config.embeddings_size) for embedding in embeddings]

    @abstractmethod
    def _expect(self, num_images: int) -> None:
        """Take the engine that pays for so many images, which may be another one than for the first."""

    def _require_predictor(self) -> Predictor:
        if self.predictor is None:
            raise PlatformError("No model is loaded; give the adapter a model entity, or call load_from_model() first.")
        return self.predictor
