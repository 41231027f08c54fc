"""Predicting many items: fetching runs ahead of the model, storing runs behind it, and a broken item costs itself only.

    items ─▶ fetch (threads, ahead) ─▶ encode a batch, decode each image ─▶ store (threads, behind) ─▶ report

What is fetched ahead and what waits to be stored is bounded, so that memory does not grow with the number of items.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.config import Config
from sam2_adapter.dataloop.calls import Document
from sam2_adapter.dataloop.progress import tell
from sam2_adapter.dataloop.reading import AskPrompts, BrokenItem, PreparedItem, prepare_item
from sam2_adapter.dataloop.results import LabelColors, make_documents
from sam2_adapter.dataloop.storing import Owner, store_predictions
from sam2_adapter.errors import PlatformError, Sam2AdapterError
from sam2_adapter.jobs.output_folder import provenance
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.predict.segment import Segmentation, segment

logger = logging.getLogger(__name__)

THREADS = 16

# Items fetched ahead of the model, or waiting to be stored: enough to keep all threads busy, little enough to hold.
_MOST_WAITING = 32

T = TypeVar("T")
R = TypeVar("R")

# Told a fetched item and its segmentation.
OnSegmented = Callable[[PreparedItem, Segmentation], None]


@dataclass(frozen=True, eq=False)
class Predicted:
    """The predictions of an item, not stored yet.

    Attributes:
        item: `dl.Item`.
        original_hw: (height, width) of its upright image.
        annotations: new predictions.
        earlier_ids: predictions that they replace.
    """

    item: Any
    original_hw: tuple[int, int]
    annotations: tuple[Annotation, ...]
    earlier_ids: tuple[str, ...]


@dataclass(frozen=True)
class ItemPredictor:
    """The three steps of predicting an item of the platform; safe to use from many threads.

    Attributes:
        predictor: the model.
        config: settings of prediction.
        owner: the model entity.
        colors: label colours of the datasets.
        ask: makes the prompts.
        on_segmented: told of every item in the thread of the model.
    """

    predictor: Predictor
    config: Config
    owner: Owner
    colors: LabelColors
    ask: AskPrompts
    on_segmented: OnSegmented | None = None

    def fetch(self, item: Any) -> PreparedItem | BrokenItem:
        """Image, prompts and label colours of an item."""
        if self.config.output_type == "mask":
            self.colors.of(item)  # in this thread, where waiting costs nothing
        return prepare_item(item, self.owner, self.ask)

    def predict(self, batch: Sequence[PreparedItem | BrokenItem]) -> list[Predicted | BrokenItem]:
        """Predict a batch with one call of the encoder; what is broken stays so."""
        ready = [entry for entry in batch if isinstance(entry, PreparedItem)]
        encoded = dict(zip(map(id, ready), self._embed(ready), strict=True))
        return [
            self._predict_item(entry, encoded[id(entry)]) if isinstance(entry, PreparedItem) else entry
            for entry in batch
        ]

    def documents(self, predicted: Predicted) -> list[Document]:
        """The predictions of an item as the platform stores them."""
        is_mask = self.config.output_type == "mask"
        return make_documents(
            predicted.item,
            predicted.original_hw,
            predicted.annotations,
            self.owner,
            self.config.output_type,
            label_colors=self.colors.of(predicted.item) if is_mask else {},
            made_by=provenance(self.predictor.info),
        )

    def store(self, predicted: Predicted | BrokenItem) -> list[Document] | BrokenItem:
        """Store the predictions of an item."""
        if isinstance(predicted, BrokenItem):
            return predicted
        item, earlier_ids = predicted.item, predicted.earlier_ids
        try:
            return store_predictions(item.id, item.dataset_id, self.owner, self.documents(predicted), earlier_ids)
        except Exception as error:  # whatever it is, it costs this item only
            return _broken(item, error)

    def _embed(self, ready: Sequence[PreparedItem]) -> Sequence[ImageEmbedding | Exception]:
        try:
            return self.predictor.embed([entry.image for entry in ready])
        except Exception as error:
            if len(ready) == 1:
                return [error]
            logger.warning(
                "A batch of %d images could not be encoded (%s): encoding them one by one.", len(ready), error
            )
            return [self._embed([entry])[0] for entry in ready]

    def _predict_item(self, prepared: PreparedItem, embedding: ImageEmbedding | Exception) -> Predicted | BrokenItem:
        if isinstance(embedding, Exception):
            return _broken(prepared.item, embedding)
        try:
            annotations = self._segment(prepared, embedding)
        except Exception as error:  # whatever it is, it costs this item only
            return _broken(prepared.item, error)
        return Predicted(prepared.item, embedding.original_hw, annotations, prepared.earlier_ids)

    def _segment(self, prepared: PreparedItem, embedding: ImageEmbedding) -> tuple[Annotation, ...]:
        prompts, config = prepared.asked.prompts, self.config
        if prompts is not None and not prompts:
            return ()
        found = segment(
            self.predictor, embedding, prompts, clip_to_box=config.clip_to_box, default_label=config.default_label
        )
        if found.empty_prompts:
            logger.info("%s: %d prompts gave an empty mask.", prepared.item.filename, len(found.empty_prompts))
        if self.on_segmented is not None:
            self.on_segmented(prepared, found)
        return found.annotations


@dataclass
class Report:
    """What came of a run.

    Attributes:
        total: number of items, as far as it is known.
        progress: the platform's progress object, if there is one.
        last_percent: what it is told at the end.
        work: what is done with the items, for messages.
        done: items that are through, broken ones included.
        broken: items that failed.
    """

    total: int
    progress: Any = None
    last_percent: int = 100
    work: str = "predicted"
    done: int = 0
    broken: list[BrokenItem] = field(default_factory=list)
    _told_percent: int = -1

    def add(self, outcome: object) -> None:
        """Count an item and tell how far the run is."""
        self.done += 1
        if isinstance(outcome, BrokenItem):
            logger.error("%s", outcome)
            self.broken.append(outcome)
        percent = self.last_percent * min(self.done, self.total) // max(1, self.total)
        if percent != self._told_percent:
            self._told_percent = percent
            tell(self.progress, percent, f"{self.work} {self.done} of {self.total} items")

    def raise_broken(self) -> None:
        """Raise one error that names every broken item, if there is any.

        Raises:
            PlatformError: names and reasons.
        """
        if self.broken:
            reasons = "\n".join(str(entry) for entry in self.broken)
            raise PlatformError(
                f"{len(self.broken)} of {self.done} items could not be {self.work}; the other {self.done - len(self.broken)} are done.\n{reasons}"
            )


def run_prediction(
    items: Iterable[Any], steps: ItemPredictor, batch_size: int, report: Report
) -> Iterator[tuple[Any, list[Document]]]:
    """Predict items and store the result; see the top of this module.

    Args:
        items: `dl.Item` each; may be a generator.
        steps: what is done with an item.
        batch_size: images in one call of the encoder.
        report: counts what came of it; look at it, or have it raise, at the end.

    Yields:
        Every item that went well with its stored predictions, in order.
    """
    fetchers, storers = ThreadPoolExecutor(THREADS), ThreadPoolExecutor(THREADS)
    storing: deque[tuple[Any, Future[list[Document] | BrokenItem]]] = deque()

    def settle() -> Iterator[tuple[Any, list[Document]]]:
        item, future = storing.popleft()
        outcome = future.result()
        report.add(outcome)
        if not isinstance(outcome, BrokenItem):
            yield item, outcome

    try:
        fetched = in_order_ahead(items, steps.fetch, fetchers)
        while batch := list(islice(fetched, batch_size)):
            for predicted in steps.predict(batch):
                storing.append((predicted.item, storers.submit(steps.store, predicted)))
            while storing and (len(storing) > _MOST_WAITING or storing[0][1].done()):
                yield from settle()
        while storing:
            yield from settle()
    finally:
        for pool in (fetchers, storers):
            pool.shutdown(cancel_futures=True)


def predict_all(items: Iterable[Any], steps: ItemPredictor, batch_size: int, report: Report) -> None:
    """Predict items and keep nothing; arguments as in `run_prediction`.

    Raises:
        PlatformError: items could not be predicted; the text names them, the others are done.
    """
    for _ in run_prediction(items, steps, batch_size, report):
        pass
    report.raise_broken()


def require_whole(outcomes: Sequence[R | BrokenItem]) -> list[R]:
    """The outcomes, none of which is broken.

    Raises:
        PlatformError: names every broken item.
    """
    report = Report(len(outcomes))
    for outcome in outcomes:
        report.add(outcome)
    report.raise_broken()
    return [outcome for outcome in outcomes if not isinstance(outcome, BrokenItem)]


def in_order_ahead(entries: Iterable[T], work: Callable[[T], R], pool: ThreadPoolExecutor) -> Iterator[R]:
    """Results of `work` in order; a bounded number of entries is worked on ahead of the one that is asked for."""
    waiting: deque[Future[R]] = deque()
    remaining = iter(entries)
    while True:
        for entry in islice(remaining, _MOST_WAITING - len(waiting)):
            waiting.append(pool.submit(work, entry))
        if not waiting:
            return
        yield waiting.popleft().result()


def _broken(item: Any, error: Exception) -> BrokenItem:
    if not isinstance(error, Sam2AdapterError):
        logger.error("Item %s failed.", item.id, exc_info=error)
    return BrokenItem(item, error)
