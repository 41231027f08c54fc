"""Predicting many items: the steps of one item, for the stream of `jobs/stream.py`, and what is told about a run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.config import Config
from sam2_adapter.dataloop.items import image_bytes
from sam2_adapter.dataloop.platform_progress import tell
from sam2_adapter.dataloop.platform_requests import Document
from sam2_adapter.dataloop.prepared_items import AskPrompts, BrokenItem, PreparedItem, prepare_item, title_of
from sam2_adapter.dataloop.results import LabelColors, make_documents
from sam2_adapter.dataloop.storing import Owner, store_predictions
from sam2_adapter.errors import PlatformError, PromptError, Sam2AdapterError
from sam2_adapter.jobs.answers import ImageAnswer, answer_usable
from sam2_adapter.jobs.output_folder import provenance
from sam2_adapter.jobs.stream import Bounds, Outcome, Steps, stream
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.predict.segment import Segmentation
from sam2_adapter.text import plural, printable

logger = logging.getLogger(__name__)

THREADS = 16

UNDER_WAY = 32
"""Items fetched ahead of the model or waiting to be stored: enough to keep all threads busy, little enough to hold."""

# Told a fetched item and its objects, by the position of the prompt that each was made from.
OnSegmented = Callable[[PreparedItem, Mapping[int, Annotation]], None]


@dataclass(frozen=True, eq=False)
class Predicted:
    """The predictions of an item, not stored yet.

    Attributes:
        item: `dl.Item`.
        original_hw: (height, width) of its upright image.
        annotations: new predictions.
        earlier_ids: predictions that they replace.
        notes: the prompts that could not be used, one sentence each.
    """

    item: Any
    original_hw: tuple[int, int]
    annotations: tuple[Annotation, ...]
    earlier_ids: tuple[str, ...]
    notes: tuple[str, ...] = ()


class Stored(NamedTuple):
    """What is stored of an item.

    Attributes:
        documents: its predictions as the platform stores them.
        notes: the prompts that could not be used, one sentence each.
    """

    documents: list[Document]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ItemPredictor(Steps[Any, PreparedItem, Predicted, Stored]):
    """The steps of predicting an item of the platform; safe to use from many threads.

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

    def fetch(self, item: Any) -> PreparedItem:
        """Image, prompts and label colours of an item."""
        if self.config.output_type == "mask":
            self.colors.of(item)  # in this thread, for which nobody waits
        return prepare_item(item, self.owner, self.ask)

    def num_bytes(self, item: Any, fetched: PreparedItem | None = None) -> int:
        """The image, by what the platform says and then by its pixels."""
        return image_bytes(item) if fetched is None else fetched.image.nbytes

    def encode(self, fetched: Sequence[PreparedItem]) -> Sequence[ImageEmbedding]:
        """Encode a batch with one call of the encoder."""
        return self.predictor.embed([entry.image for entry in fetched])

    def predict(self, item: Any, fetched: PreparedItem, encoded: ImageEmbedding) -> Predicted:
        """Make the predictions of an item; a prompt that cannot be used affects its own object only.

        Raises:
            PromptError: the item has prompts, and none of them can be used.
        """
        found = self._answer(fetched, encoded)
        notes = _notes(fetched, found.refused_prompts)
        for told in (*found.warnings.values(), *found.segmentation.notes, *found.segmentation.windows.notes()):
            logger.warning("%s: %s", printable(title_of(item)), printable(told))
        if found.segmentation.empty_prompts:
            gave_none = plural(len(found.segmentation.empty_prompts), "prompt")
            logger.info("%s: %s gave an empty mask.", printable(title_of(item)), gave_none)
        annotations = found.segmentation.annotations
        if self.on_segmented is not None:
            self.on_segmented(
                fetched, {entry.prompt_index: entry for entry in annotations if entry.prompt_index is not None}
            )
        return Predicted(item, encoded.original_hw, annotations, fetched.earlier_ids, notes)

    def store(self, item: Any, found: Predicted) -> Stored:
        """Store the predictions of an item in place of the earlier ones."""
        documents = self.documents(found)
        return Stored(
            store_predictions(item.id, item.dataset_id, self.owner, documents, found.earlier_ids), found.notes
        )

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

    def _answer(self, fetched: PreparedItem, encoded: ImageEmbedding) -> ImageAnswer:
        asked = fetched.asked.prompts
        if asked is not None and not asked:
            return ImageAnswer(Segmentation((), (), ()))
        prompts = [entry.prompt for entry in asked or ()]
        return answer_usable(self.predictor, fetched.image, encoded, prompts, self.config.prediction)


class _PreparedSteps(Steps[PreparedItem | BrokenItem, PreparedItem, Predicted, Predicted]):
    """The steps of items that the SDK has fetched already, and stores itself."""

    def __init__(self, steps: ItemPredictor) -> None:
        self._steps = steps

    def fetch(self, item: PreparedItem | BrokenItem) -> PreparedItem:
        if isinstance(item, BrokenItem):
            raise item.error
        return item

    def encode(self, fetched: Sequence[PreparedItem]) -> Sequence[ImageEmbedding]:
        return self._steps.encode(fetched)

    def predict(self, item: PreparedItem | BrokenItem, fetched: PreparedItem, encoded: ImageEmbedding) -> Predicted:
        return self._steps.predict(fetched.item, fetched, encoded)

    def store(self, item: PreparedItem | BrokenItem, found: Predicted) -> Predicted:
        return found


def require_whole(batch: Sequence[PreparedItem | BrokenItem]) -> list[PreparedItem]:
    """The prepared items, none of which is broken.

    Raises:
        PlatformError: names every broken item.
    """
    report = ItemTally(len(batch))
    for entry in batch:
        report.add(entry.item, Outcome(entry.item, None, entry.error if isinstance(entry, BrokenItem) else None, 0.0))
    report.raise_broken()
    return [entry for entry in batch if isinstance(entry, PreparedItem)]


def predict_prepared(batch: Sequence[PreparedItem | BrokenItem], steps: ItemPredictor) -> list[Predicted]:
    """Predict items that are fetched already, with one call of the encoder, and store nothing.

    Raises:
        PlatformError: an item is broken; the text names all of them.
    """
    report = ItemTally(len(batch))
    predicted = []
    with closing(stream(batch, _PreparedSteps(steps), Bounds(batch_size=max(1, len(batch))))) as outcomes:
        for outcome in outcomes:
            report.add(outcome.item.item, outcome)
            predicted += [] if outcome.stored is None else [outcome.stored]
    report.raise_broken()
    return predicted


@dataclass
class ItemTally:
    """What came of a run.

    Attributes:
        total: number of items, as far as it is known.
        progress: the platform's progress object, if there is one.
        last_percent: what it is told at the end.
        work: what is done with the items, for messages.
        done: items that are through, broken ones included.
        notes: how many prompts could not be used.
        broken: items that failed.
    """

    total: int
    progress: Any = None
    last_percent: int = 100
    work: str = "predicted"
    done: int = 0
    notes: int = 0
    broken: list[BrokenItem] = field(default_factory=list)
    _told_percent: int = -1

    def add(self, item: Any, outcome: Outcome[Any, Any]) -> None:
        """Count an item and tell how far the run is; what went wrong with it is logged."""
        self.done += 1
        if outcome.error is not None:
            self._add_broken(BrokenItem(item, outcome.error))
        for note in getattr(outcome.stored, "notes", ()):
            logger.warning("%s: %s", printable(title_of(item)), printable(note))
            self.notes += 1
        percent = self.last_percent * min(self.done, self.total) // max(1, self.total)
        if percent != self._told_percent:
            self._told_percent = percent
            refused = f"; {plural(self.notes, 'prompt')} could not be used, the log says which" if self.notes else ""
            tell(self.progress, percent, f"{self.work} {self.done} of {self.total} items{refused}")

    def raise_broken(self) -> None:
        """Raise one error that names every broken item, if there is any.

        Raises:
            PlatformError: names and reasons.
        """
        if self.broken:
            reasons = "\n".join(printable(entry) for entry in self.broken)
            raise PlatformError(
                f"{len(self.broken)} of {self.done} items could not be {self.work}; the other {self.done - len(self.broken)} are done.\n{reasons}"
            )

    def _add_broken(self, broken: BrokenItem) -> None:
        is_foreseen = isinstance(broken.error, Sam2AdapterError)
        logger.error("%s", printable(broken), exc_info=None if is_foreseen else broken.error)
        self.broken.append(broken)


def run_prediction(
    items: Iterable[Any], steps: ItemPredictor, batch_size: int, report: ItemTally
) -> Iterator[tuple[Any, list[Document]]]:
    """Predict items and store the result; only a broken item fails, and memory does not grow with their number.

    Args:
        items: `dl.Item` each; may be a generator.
        steps: what is done with an item.
        batch_size: images in one call of the encoder.
        report: counts what came of it; look at it, or have it raise, at the end.

    Yields:
        Every item that went well with its stored predictions, in order.
    """
    bounds = Bounds(batch_size, fetchers=THREADS, storers=THREADS, under_way=UNDER_WAY + batch_size)
    with closing(stream(items, steps, bounds)) as outcomes:
        for outcome in outcomes:
            report.add(outcome.item, outcome)
            if outcome.stored is not None:
                yield outcome.item, outcome.stored.documents


def predict_all(items: Iterable[Any], steps: ItemPredictor, batch_size: int, report: ItemTally) -> None:
    """Predict items and keep nothing; arguments as in `run_prediction`.

    Raises:
        PlatformError: items could not be predicted; the text names them, the others are done.
    """
    for _ in run_prediction(items, steps, batch_size, report):
        pass
    report.raise_broken()


def _notes(fetched: PreparedItem, refused: Mapping[int, str]) -> tuple[str, ...]:
    """The prompts that cannot be used, by name.

    Raises:
        PromptError: it is all of them.
    """
    named = fetched.asked.prompts or ()
    notes = tuple(
        f"The prompt of {named[position].name} cannot be used: {reason}" for position, reason in refused.items()
    )
    if notes and len(notes) == len(named):
        raise PromptError(" ".join(notes))
    return notes
