"""Evaluating a model entity: prompts from the ground truth, the platform's scores on one type, and our own mean IoU.

The platform compares annotations of one type only. What was annotated in the other type, a polygon where the model
makes masks or the other way round, is converted in what is compared; the dataset stays as it is.
"""

from __future__ import annotations

import copy
import json
import logging
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.annotations.rle import rle_iou
from sam2_adapter.dataloop.curves import publish_label_scores
from sam2_adapter.dataloop.items import file_bytes, list_items, name_of, nested, query_of, system_of, upright_hw
from sam2_adapter.dataloop.platform_requests import Document, count_all, query_all, retried_whatever_fails
from sam2_adapter.dataloop.prediction import THREADS, UNDER_WAY, ItemPredictor, ItemTally, predict_all
from sam2_adapter.dataloop.prepared_items import PreparedItem, download_bytes
from sam2_adapter.dataloop.storing import list_annotations
from sam2_adapter.dataloop.truth import MASK_TYPES, ask_truth, drawn_by_people, readable_objects, usable_documents
from sam2_adapter.embeddings.cache import KeyedLocks
from sam2_adapter.errors import DataError, PlatformError
from sam2_adapter.formats.base import OutputType
from sam2_adapter.formats.dataloop.objects import image_to_dataloop_item
from sam2_adapter.images.read import image_size
from sam2_adapter.jobs.stream import stream_without_model

logger = logging.getLogger(__name__)

_SCORING = KeyedLocks()

# Of an evaluation; the rest is scoring.
_PERCENT_PREDICTED = 95


@dataclass
class LabelScores:
    """IoU of every object with the mask that was predicted from its box, by label."""

    by_label: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, prepared: PreparedItem, found: Mapping[int, Annotation]) -> None:
        """Measure an item; an object whose prompt gave an empty mask, or could not be used, counts 0.

        Args:
            prepared: with its objects.
            found: predictions by the position of their object.
        """
        for index, annotation in enumerate(prepared.asked.truth):
            answer = found.get(index)
            self.by_label[annotation.label].append(0.0 if answer is None else rle_iou(answer.rle, annotation.rle))


def predict_truth(
    make_steps: Callable[[int], ItemPredictor],
    model: Any,
    dataset: Any,
    query: Mapping[str, Any],
    progress: Any = None,
) -> None:
    """Predict every drawn object of the chosen items from its box, store it, and publish the mean IoU of each label.

    Args:
        make_steps: gives what is done with an item, for a number of items.
        model: whose metrics they are.
        dataset: with the items.
        query: which of them.
        progress: the platform's progress object, if there is one.

    Raises:
        PlatformError: items could not be predicted; the text names them.
    """
    scores = LabelScores()
    report = ItemTally(count_all(dataset.id, query), progress, last_percent=_PERCENT_PREDICTED)
    asking = replace(make_steps(report.total), ask=ask_truth, on_segmented=scores.add)
    predict_all(list_items(dataset, query), asking, asking.config.batch_size, report)
    publish_label_scores(model, dataset.id, scores.by_label)


def score_model(model: Any, dataset: Any, filters: Any) -> Any:
    """The platform's own comparison: uploads a table of matches and precision-recall curves to the dataset.

    Args:
        model: `dl.Model` whose predictions are stored.
        dataset: `dl.Dataset` with ground truth.
        filters: which items; see `query_of`.

    Returns:
        The model.

    Raises:
        DataError: no item has anything to compare.
        PlatformError: the scores could not be stored.
    """
    with tempfile.TemporaryDirectory() as folder:
        count = _write_comparable(model, dataset, filters, Path(folder))
        if not count:
            raise DataError(
                f"Dataset {dataset.name!r} has nothing to compare: no chosen item holds a mask or polygon, drawn or predicted."
            )
        # A twin whose annotations are already downloaded: the function asks for nothing else that differs.
        twin = copy.copy(dataset)
        twin.download_annotations = lambda **_: folder
        with _SCORING.holding(model.id):  # the function names its files by the model
            return _stored_scores(model, twin, filters)


def _stored_scores(model: Any, dataset: Any, filters: Any) -> Any:
    """Score until both files are stored: the function makes dozens of requests, repeats none and ignores some failures."""
    import dtlpymetrics

    def score() -> Any:
        scored = dtlpymetrics.scoring.create_model_score(
            model=model, dataset=dataset, filters=filters, compare_types=[model.output_type]
        )
        _require_stored(model, dataset)
        return scored

    try:
        return retried_whatever_fails(score)
    except Exception as error:  # a lost request shows as any error of the tables that are made of its answer
        raise PlatformError(
            f"The predictions of model {model.name!r} are stored, but not their scores: {error!r}. Evaluate again."
        ) from error


def _require_stored(model: Any, dataset: Any) -> None:
    folder = Path.cwd().parent / ".dataloop"  # where the function leaves its files
    for name in (f"{model.id}.csv", f"{model.id}-interpolated.json"):
        query = {"filter": {"$and": [{"filename": f"/.modelscores/{name}"}]}, "resource": "items"}
        sizes = [document["metadata"]["system"].get("size") for document in query_all(dataset.id, query)]
        if sizes != [(folder / name).stat().st_size]:
            raise PlatformError(f"the score file {name} did not arrive")


def _write_comparable(model: Any, dataset: Any, filters: Any, folder: Path) -> int:
    """Write the item documents with all annotations in the model's type; returns the number of items with any.

    Raises:
        PlatformError: items could not be read; the text names them.
    """

    def write(item: Any) -> bool:
        documents = list_annotations(item.id, item.dataset_id)
        if not documents:
            return False
        original_hw = upright_hw(item) or image_size(download_bytes(item), name=item.filename)
        comparable = _comparable(item, documents, model, original_hw)
        height, width = original_hw
        system = {**system_of(item), "height": height, "width": width, "exif": {}}
        document = {**item.to_json(), "annotations": comparable, "metadata": {"system": system}}
        (folder / f"{item.id}.json").write_text(json.dumps(document), encoding="utf-8")
        return bool(comparable)

    items = list_items(dataset, query_of(filters))
    report = ItemTally(0, work="compared")
    count = 0
    working = stream_without_model(items, write, threads=THREADS, under_way=UNDER_WAY, num_bytes=file_bytes)
    with closing(working) as outcomes:
        for outcome in outcomes:
            report.add(outcome.item, outcome)
            count += bool(outcome.stored)
    report.raise_broken()
    return count


def _comparable(item: Any, documents: Sequence[Document], model: Any, original_hw: tuple[int, int]) -> list[Document]:
    predicted = [d for d in documents if d.get("type") in MASK_TYPES and _model_name(d) == model.name]
    drawn = usable_documents(drawn_by_people(documents), original_hw)
    truth = _in_type(item, drawn, model.output_type, original_hw)
    for number, document in enumerate(truth):
        system = {k: value for k, value in nested(document, "metadata", "system").items() if k != "model"}
        document["metadata"] = {"system": system, "user": {}}
        document["id"] = document.get("id") or f"{item.id}-{number}"
    return truth + _in_type(item, predicted, model.output_type, original_hw)


def _in_type(item: Any, documents: Sequence[Document], wanted: str, original_hw: tuple[int, int]) -> list[Document]:
    """Copies of annotations in one type; those in the other one are converted together, so that parts find each other."""
    same = [copy.deepcopy(document) for document in documents if document["type"] == wanted]
    other = [document for document in documents if document["type"] != wanted]
    if not other:
        return same
    image = AnnotatedImage(name_of(item), original_hw, readable_objects(other, original_hw))
    output_type: OutputType = "mask" if wanted == "binary" else "polygon"
    name = _model_name(other[0]) or ""
    converted = image_to_dataloop_item(image, name, output_type=output_type).document["annotations"]
    return same + [{**entry, "itemId": item.id, "datasetId": item.dataset_id} for entry in converted]


def _model_name(document: Document) -> str | None:
    name = nested(document, "metadata", "user", "model").get("name")
    return None if name is None else str(name)
