"""Predictions to the platform's annotation documents, with label colours, confidence and the model that made them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import dtlpy as dl

from sam2_adapter.annotations.colors import Color
from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.dataloop.items import name_of
from sam2_adapter.dataloop.platform_requests import Document, retried
from sam2_adapter.dataloop.storing import NUMBER_KEY, Owner
from sam2_adapter.formats.base import OutputType
from sam2_adapter.formats.dataloop.objects import image_to_dataloop_item

logger = logging.getLogger(__name__)

_COLORS_KEPT_S = 600.0


def make_documents(
    item: Any,
    original_hw: tuple[int, int],
    annotations: Sequence[Annotation],
    owner: Owner,
    output_type: OutputType,
    *,
    label_colors: Mapping[str, Color],
    made_by: Mapping[str, Any],
) -> list[Document]:
    """The annotations of an item as the platform stores them; what a polygon cannot hold is logged.

    Args:
        item: `dl.Item`.
        original_hw: (height, width) of the upright image.
        annotations: the objects; possibly none.
        owner: the model entity that they are predictions of.
        output_type: `mask` for `binary`, `polygon` for `segment` annotations.
        label_colors: of the item's dataset.
        made_by: which weights made them, and how.
    """
    image = AnnotatedImage(name_of(item), original_hw, tuple(annotations))
    export = image_to_dataloop_item(
        image, owner.model_name, output_type=output_type, model_id=owner.model_id, label_colors=label_colors
    )
    for note in export.notes:
        logger.warning("%s", note)
    return [
        {
            **document,
            "itemId": item.id,
            "datasetId": item.dataset_id,
            "metadata": {
                **document["metadata"],
                "user": {**document["metadata"]["user"], "made_by": {**made_by, NUMBER_KEY: number}},
            },
        }
        for number, document in enumerate(export.document["annotations"])
    ]


def make_collection(item: Any, documents: Sequence[Document]) -> Any:
    """A `dl.AnnotationCollection` of documents, stored or not."""
    return dl.AnnotationCollection.from_json(_json=list(documents), item=item)


class LabelColors:
    """The label colours of datasets, fetched once and kept for some minutes; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, dict[str, Color]]] = {}

    def of(self, item: Any) -> Mapping[str, Color]:
        """Label to (red, green, blue) of the item's dataset; empty, with a warning, where they cannot be had."""
        with self._lock:
            fetched_at, colors = self._kept.get(item.dataset_id, (-_COLORS_KEPT_S, {}))
            if time.monotonic() - fetched_at >= _COLORS_KEPT_S:
                colors = self._fetched(item)
                self._kept[item.dataset_id] = time.monotonic(), colors
            return colors

    def _fetched(self, item: Any) -> dict[str, Color]:
        try:
            labels = retried(lambda: item.dataset.labels_flat_dict)
            return {name: color for name, label in labels.items() if (color := _color(label)) is not None}
        except Exception as error:  # colours are not worth losing a prediction
            logger.warning("Dataset %s: no label colours (%s); masks take colours of our own.", item.dataset_id, error)
            return {}


def _color(label: Any) -> Color | None:
    try:
        red, green, blue = (int(value) for value in label.rgb[:3])
        return (red, green, blue)
    except (TypeError, ValueError):
        return None
