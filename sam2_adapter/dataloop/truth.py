"""Ground truth of an item: the masks and polygons that people drew, as objects and as the prompts of an evaluation."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.prompts import Prompt
from sam2_adapter.dataloop.platform_requests import Document
from sam2_adapter.dataloop.prepared_items import ItemPrompts
from sam2_adapter.dataloop.prompts_from_annotations import NamedPrompt
from sam2_adapter.errors import DataError
from sam2_adapter.formats.dataloop.dataset import by_object, is_model_annotation, with_text_label
from sam2_adapter.formats.dataloop.objects import dataloop_item_to_image
from sam2_adapter.text import printable

logger = logging.getLogger(__name__)

MASK_TYPES = ("binary", "segment")
"""Types of annotations that are objects: masks and polygons."""


def ask_truth(documents: Sequence[Document], original_hw: tuple[int, int]) -> ItemPrompts:
    """The box of every object that a person drew, as a prompt; an item without such objects is asked nothing."""
    objects = readable_objects(drawn_by_people(documents), original_hw)
    prompts = [
        NamedPrompt(f"object {number} ({annotation.label!r})", _box_prompt(annotation))
        for number, annotation in enumerate(objects, 1)
    ]
    return ItemPrompts(tuple(prompts), objects)


def drawn_by_people(documents: Sequence[Document]) -> list[Document]:
    """The masks and polygons that no model made."""
    return [d for d in documents if d.get("type") in MASK_TYPES and not is_model_annotation(d)]


def readable_objects(documents: Sequence[Document], original_hw: tuple[int, int]) -> tuple[Annotation, ...]:
    """The objects of masks and polygons; what is malformed or covers no pixel affects its own object only, and is logged.

    Args:
        documents: as the platform stores them.
        original_hw: (height, width) of the upright image.
    """
    found: list[Annotation] = []
    for group in by_object(list(documents)):
        ids = ", ".join(str(document.get("id")) for document in group)
        item = {"name": "item", "annotations": [with_text_label(document) for document in group]}
        try:
            objects = dataloop_item_to_image(item, original_hw, source=f"Annotation {ids}").images[0].annotations
        except DataError as error:
            logger.warning("Left out: %s", printable(error))
            continue
        if not objects:
            logger.warning("Left out: Annotation %s covers no pixel of the image.", printable(ids))
        found += objects
    return tuple(found)


def usable_documents(documents: Sequence[Document], original_hw: tuple[int, int]) -> list[Document]:
    """The masks and polygons that can be read, each with a label; the others are left out, and logged."""
    labelled = [with_text_label(document) for document in documents]
    return [document for document in labelled if readable_objects([document], original_hw)]


def _box_prompt(annotation: Annotation) -> Prompt:
    return Prompt(
        box_xyxy=annotation.box_xyxy,
        label=annotation.label,
        attributes=annotation.attributes,
        object_id=annotation.object_id,
        parent_id=annotation.parent_id,
    )
