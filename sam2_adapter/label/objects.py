"""Objects that were accepted, as they travel between page, journal and files: checked when they arrive.

    {"label": "car", "counts": "...", "score": 0.93, "steps": [{"point": [420, 310], "inside": true}], "model": {...}}

`counts` is the mask in COCO's compressed run lengths, in the size of the picture. `score` is null for what was read from a file that has none. A step that is a mask, painted or edited, has run lengths of its
own; where they are those of the object, the journal has `true` in their place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.rle import Rle
from sam2_adapter.errors import DataError
from sam2_adapter.files import encodable

MOST_LABEL_CHARACTERS = 200
MOST_STEPS = 400

_NOT_GUESSED = 1.0
"""What formats write and read for an object that no model has guessed about."""

_TEXTS = ("object_id", "parent_id")

Object = dict[str, Any]


def checked_object(value: Any, original_hw: tuple[int, int], where: str) -> Object:
    """An object as it is kept; what is not known is dropped.

    Args:
        value: parsed JSON.
        original_hw: (height, width) of its picture.
        where: what to call it in messages.

    Raises:
        DataError: it cannot be used; the text says why.
    """
    if not isinstance(value, Mapping):
        raise DataError(f"{where}: expected an object, but got a {type(value).__name__}.")
    label = checked_label(value.get("label"), where)
    rle = Rle(value.get("counts"), original_hw)  # type: ignore[arg-type] # checks it
    if not rle.area:
        raise DataError(f"{where}: the mask is empty; an object has at least one pixel.")
    kept: Object = {
        "label": label,
        "counts": rle.counts,
        "score": _checked_score(value.get("score", _NOT_GUESSED), where),
    }
    steps = value.get("steps")
    if isinstance(steps, list) and len(steps) <= MOST_STEPS and all(isinstance(step, dict) for step in steps):
        kept["steps"] = steps
    for name, kind in (("model", Mapping), ("attributes", Mapping), *((name, str) for name in _TEXTS)):
        if isinstance(value.get(name), kind):
            kept[name] = value[name]
    return with_whole_steps(kept)


def with_masks_once(entry: Object) -> Object:
    """An object for the journal: a step's mask that is the object's own is only named."""
    return _with_step_masks(entry, entry["counts"], True)


def with_whole_steps(entry: Object) -> Object:
    """The inverse of `with_masks_once`; an object whose steps have their masks is as it was."""
    return _with_step_masks(entry, True, entry["counts"])


def _with_step_masks(entry: Object, before: Any, after: Any) -> Object:
    steps = entry.get("steps")
    if not isinstance(steps, list) or not any(_has_mask(step, before) for step in steps):
        return entry
    return {**entry, "steps": [{**step, "mask": after} if _has_mask(step, before) else step for step in steps]}


def _has_mask(step: Any, mask: Any) -> bool:
    return isinstance(step, dict) and type(step.get("mask")) is type(mask) and step["mask"] == mask


def checked_label(label: Any, where: str) -> str:
    """A label without space around it.

    Raises:
        DataError: it is no text, empty or too long.
    """
    if not isinstance(label, str) or not label.strip():
        raise DataError(f"{where}: a label is a text that is not empty.")
    text = label.strip()
    if len(text) > MOST_LABEL_CHARACTERS:
        raise DataError(
            f"{where}: a label has at most {MOST_LABEL_CHARACTERS} characters, but this one has {len(text)}."
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError(f"{where}: the label holds half a character, which no file can hold.") from None
    return text


def object_of(annotation: Annotation) -> Object:
    """An annotation that was read from a file; what of its label no file can hold is written as an escape."""
    kept: Object = {
        "label": encodable(annotation.label),
        "counts": annotation.rle.counts,
        "score": None if annotation.iou_score == _NOT_GUESSED else annotation.iou_score,
    }
    for name in ("attributes", *_TEXTS):
        value = getattr(annotation, name)
        if value is not None:
            kept[name] = value
    return kept


def annotations_of(objects: Sequence[Object], original_hw: tuple[int, int]) -> list[Annotation]:
    """Objects for the writers of files, in order."""
    return [
        Annotation.from_rle(
            Rle(entry["counts"], original_hw),
            entry["label"],
            _NOT_GUESSED if entry["score"] is None else entry["score"],
            attributes=entry.get("attributes"),
            object_id=entry.get("object_id"),
            parent_id=entry.get("parent_id"),
        )
        for entry in objects
    ]


def _checked_score(score: Any, where: str) -> float | None:
    if score is None:
        return None
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
        raise DataError(f"{where}: the score is a number, but got {score!r}.")
    return min(max(float(score), 0.0), 1.0)
