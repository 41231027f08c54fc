"""Boxes that a user chose in the studio to masks or polygons that take their place."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sam2_adapter.annotations.colors import Color
from sam2_adapter.annotations.objects import AnnotatedImage, Annotation
from sam2_adapter.annotations.usable_prompts import fit_prompts
from sam2_adapter.dataloop.items import name_of, nested
from sam2_adapter.dataloop.platform_requests import Document
from sam2_adapter.dataloop.prompts_from_annotations import prompt_from_box
from sam2_adapter.dataloop.storing import Owner
from sam2_adapter.errors import PromptError
from sam2_adapter.formats.base import OutputType
from sam2_adapter.formats.dataloop.objects import image_to_dataloop_item
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.predict.segment import segment
from sam2_adapter.predict.windows import WindowedImage
from sam2_adapter.text import printable

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AnswerStyle:
    """What the answers look like.

    Attributes:
        owner: what is named as the maker.
        output_type: `mask` for `binary`, `polygon` for `segment` annotations.
        clip_to_box: cut masks at their boxes.
        label_colors: of the item's dataset.
    """

    owner: Owner
    output_type: OutputType
    clip_to_box: bool
    label_colors: Mapping[str, Color]


class Answers(NamedTuple):
    """What became of boxes.

    Attributes:
        documents: annotation documents that take their place.
        refused: the annotations that cannot be used, one sentence each.
    """

    documents: list[Document]
    refused: tuple[str, ...]


def answer_boxes(
    predictor: Predictor,
    embedding: ImageEmbedding,
    item: Any,
    boxes: Sequence[Document],
    wanted: AnswerStyle,
    windowed: WindowedImage | None = None,
) -> Answers:
    """The documents that take the place of boxes, in their order; all boxes are decoded together.

    A box that cannot be used does not affect the others.

    Args:
        predictor: the model.
        embedding: the encoded image of `item`.
        item: `dl.Item`.
        boxes: annotation documents.
        wanted: what the answers look like.
        windowed: the image's windows and which boxes are answered in them; `None` for none.

    Raises:
        PromptError: none of the annotations can be used: they are no boxes, malformed, or lie outside the image; the text
            names them.
    """
    named = [prompt_from_box(document) for document in boxes]
    usable = fit_prompts([entry.prompt for entry in named], embedding.original_hw)
    refused = tuple(f"{named[position].name}: {reason}" for position, reason in usable.refused.items())
    if not usable.prompts:
        if refused:
            raise PromptError(f"None of the chosen annotations can be used. {' '.join(refused)}")
        return Answers([], ())
    for note in (*refused, *usable.warnings.values()):
        logger.warning("%s: %s", printable(name_of(item)), printable(note))
    found = segment(predictor, embedding, usable.prompts, clip_to_box=wanted.clip_to_box, windowed=windowed)
    for index in found.empty_prompts:
        name = named[usable.positions[index]].name
        logger.warning("%s: no object was found in the box of %s.", printable(name_of(item)), printable(name))
    for note in found.windows.notes():
        logger.warning("%s: %s", printable(name_of(item)), printable(note))
    documents: list[Document] = []
    for annotation in found.annotations:
        assert annotation.prompt_index is not None  # every one comes from a box
        documents += _documents(item, annotation, boxes[usable.positions[annotation.prompt_index]], wanted)
    return Answers(documents, refused)


def _documents(item: Any, annotation: Annotation, box: Document, wanted: AnswerStyle) -> list[Document]:
    image = AnnotatedImage(name_of(item), annotation.original_hw, (annotation,))
    export = image_to_dataloop_item(
        image,
        wanted.owner.model_name,
        output_type=wanted.output_type,
        model_id=wanted.owner.model_id or None,
        label_colors=wanted.label_colors,
    )
    for note in export.notes:
        logger.warning("%s", printable(note))
    documents = sorted(export.document["annotations"], key=_ring_area, reverse=True)
    if len(documents) > 1 and annotation.object_id is None:
        for document in documents:
            document["metadata"]["system"]["objectId"] = str(box.get("id"))
    first, *others = [_beside(document, box, item) for document in documents]
    return [{**first, "id": box.get("id")}, *others]


def _beside(document: Document, box: Document, item: Any) -> Document:
    """A new document with what the box had besides its place."""
    before, after = nested(box, "metadata"), document["metadata"]
    metadata = {**before, **{space: {**nested(before, space), **after[space]} for space in ("user", "system")}}
    kept = {"attributes": box.get("attributes"), "itemId": item.id, "datasetId": item.dataset_id}
    return {**document, **kept, "metadata": metadata}


def _ring_area(document: Document) -> float:
    """Twice the area of a polygon document (shoelace formula); 0 for a mask, of which there is one only."""
    if document["type"] != "segment":
        return 0.0
    ring: Sequence[Mapping[str, float]] = document["coordinates"][0]
    pairs = zip(ring, [*ring[1:], ring[0]], strict=True)
    return abs(sum(a["x"] * b["y"] - b["x"] * a["y"] for a, b in pairs))
