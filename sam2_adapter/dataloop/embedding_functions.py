"""The adapter's functions that embed images, for similarity search."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import dtlpy as dl
import numpy as np
import numpy.typing as npt

from sam2_adapter.config import Config
from sam2_adapter.dataloop.calls import count_all
from sam2_adapter.dataloop.embedding import pooled_vector
from sam2_adapter.dataloop.items import list_items, query_of
from sam2_adapter.dataloop.prediction import THREADS, Report, in_order_ahead, require_whole
from sam2_adapter.dataloop.reading import BrokenItem, PreparedItem, download_bytes
from sam2_adapter.dataloop.settings import Settings
from sam2_adapter.dataloop.vectors import store_vectors, vector_set_id
from sam2_adapter.errors import PlatformError
from sam2_adapter.images.read import read_image
from sam2_adapter.predict.predictor import Predictor

# An item with its image, uint8 RGB H x W x 3.
_Fetched = tuple[Any, npt.NDArray[np.uint8]]

# An item with its vector.
_Embedded = tuple[Any, list[float]]


class EmbeddingFunctions(dl.BaseModelAdapter):  # type: ignore[misc]
    """Embedding on the platform; a broken item costs only itself.

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
        items = items if isinstance(items, list) else [items]
        report = Report(len(items), progress, work="embedded")
        is_stored = self.settings.upload_features if upload_features is None else upload_features
        done = list(self._embedded(items, is_stored, batch_size or self.config.batch_size, report))
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
        report = Report(total, progress, work="embedded")
        is_stored = self.settings.upload_features if upload_features is None else upload_features
        for _ in self._embedded(list_items(dataset, query), is_stored, batch_size or self.config.batch_size, report):
            pass
        report.raise_broken()
        return True

    def _embedded(self, items: Iterable[Any], is_stored: bool, batch_size: int, report: Report) -> Iterator[_Embedded]:
        set_id = vector_set_id(self.model_entity, self.config.embeddings_size) if is_stored else None
        self._expect(report.total)
        with ThreadPoolExecutor(THREADS) as pool:
            fetched = in_order_ahead(items, _fetch, pool)
            while batch := list(islice(fetched, batch_size)):
                for outcome in self._batch_embedded(batch, set_id):
                    report.add(outcome)
                    if not isinstance(outcome, BrokenItem):
                        yield outcome

    def _batch_embedded(
        self, batch: Sequence[_Fetched | BrokenItem], set_id: str | None
    ) -> list[_Embedded | BrokenItem]:
        """A batch with one call of the encoder and one upload; after a failure, its items one by one."""
        ready = [entry for entry in batch if not isinstance(entry, BrokenItem)]
        broken = [entry for entry in batch if isinstance(entry, BrokenItem)]
        try:
            return [*self._stored(ready, set_id), *broken]
        except Exception as error:  # whatever it is, it costs as few items as possible
            if len(ready) == 1:
                return [BrokenItem(ready[0][0], error), *broken]
            return [outcome for entry in batch for outcome in self._batch_embedded([entry], set_id)]

    def _stored(self, ready: Sequence[_Fetched], set_id: str | None) -> list[_Embedded]:
        embedded = list(zip([item for item, _ in ready], self._vectors([image for _, image in ready]), strict=True))
        by_dataset: dict[str, dict[str, list[float]]] = {}
        for item, vector in embedded:
            by_dataset.setdefault(item.dataset_id, {})[item.id] = vector
        for dataset_id, vectors in by_dataset.items():
            if set_id is not None:
                store_vectors(self.model_entity, set_id, dataset_id, vectors)
        return embedded

    def _vectors(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[list[float]]:
        embeddings = self._require_predictor().embed(images)
        return [pooled_vector(embedding, self.config.embeddings_size) for embedding in embeddings]

    @abstractmethod
    def _expect(self, num_images: int) -> None:
        """Take the engine that pays for so many images, which may be another one than for the first."""

    def _require_predictor(self) -> Predictor:
        if self.predictor is None:
            raise PlatformError("No model is loaded; give the adapter a model entity, or call load_from_model() first.")
        return self.predictor


def _fetch(item: Any) -> _Fetched | BrokenItem:
    try:
        return item, read_image(download_bytes(item), name=item.filename)
    except Exception as error:  # whatever it is, it costs this item only
        return BrokenItem(item, error)
