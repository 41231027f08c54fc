"""An item's annotations to prompts: the points and boxes that a person put there.

- Annotations that a model made are no prompts, nor are masks, polygons and classifications.
- A point is an object of its own, and so is a box. Annotations that share an object id are one object.
- With `multi_points_prediction`, points labelled `inside` and `outside` make one object: those of one object id, or all
  those without one.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from sam2_adapter.annotations.prompts import BACKGROUND, FOREGROUND, Prompt
from sam2_adapter.dataloop.calls import Document
from sam2_adapter.errors import PromptError
from sam2_adapter.formats.dataloop.dataset import is_model_annotation

_SIDES = {"inside": FOREGROUND, "outside": BACKGROUND}

_ALL_LOOSE_CLICKS = "all points labelled inside or outside that have no object id"


def prompts_from_annotations(documents: Sequence[Document], *, multi_points: bool) -> list[Prompt]:
    """The prompts of an item, one an object, in the order of their first annotations.

    Args:
        documents: the item's annotations as the platform stores them.
        multi_points: points labelled `inside` and `outside` make one object.

    Raises:
        PromptError: a point or box is malformed; the text names it.
    """
    usable = [d for d in documents if d.get("type") in ("point", "box") and not is_model_annotation(d)]
    groups: dict[Hashable, list[Document]] = {}
    for position, document in enumerate(usable):
        groups.setdefault(_group_key(document, position, multi_points), []).append(document)
    return [prompt for group in groups.values() for prompt in _prompts_of_group(group, multi_points)]


def prompt_from_box(document: Document) -> Prompt:
    """The prompt of one box that a user chose, whoever drew it.

    Raises:
        PromptError: it is no box, or malformed; the text names it.
    """
    if document.get("type") != "box":
        raise PromptError(
            f"Annotation {document.get('id')} is no box, but of type {document.get('type')!r}; choose boxes only."
        )
    return _prompt([document], multi_points=False)


def _group_key(document: Document, position: int, multi_points: bool) -> Hashable:
    object_id = _system(document).get("objectId")
    if object_id:
        return str(object_id)
    return _ALL_LOOSE_CLICKS if multi_points and _side(document) is not None else position


def _prompts_of_group(group: list[Document], multi_points: bool) -> list[Prompt]:
    boxes = [document for document in group if document["type"] == "box"]
    if len(boxes) > 1:  # nobody can say to which of them the points belong
        return [_prompt([document], multi_points) for document in group]
    return [_prompt(group, multi_points)]


def _prompt(group: list[Document], multi_points: bool) -> Prompt:
    points = [document for document in group if document["type"] == "point"]
    box = next((document for document in group if document["type"] == "box"), None)
    sides = [_side(document) if multi_points else None for document in points]
    named = [box] if box is not None else []
    named += [document for document, side in zip(points, sides, strict=True) if side is None]
    try:
        return Prompt(
            **_box_fields(box),
            point_coords=[_point(document) for document in points],  # type: ignore[arg-type]
            point_labels=[FOREGROUND if side is None else side for side in sides],  # type: ignore[arg-type]
            label=next((d["label"] for d in named if d.get("label")), None),
            attributes=next((attributes for d in group if (attributes := _attributes(d))), None),
            object_id=_text(_system(group[0]).get("objectId")),
            parent_id=next((parent for d in group if (parent := _text(_system(d).get("parentId")))), None),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        ids = ", ".join(str(document.get("id")) for document in group)
        reason = error if isinstance(error, PromptError) else f"malformed coordinates ({error!r})"
        raise PromptError(f"The prompt of annotation {ids} cannot be used: {reason}") from error


def _box_fields(document: Document | None) -> dict[str, Any]:
    if document is None:
        return {}
    first, second, *rest = document["coordinates"]
    x0, x1 = sorted((first["x"], second["x"]))
    y0, y1 = sorted((first["y"], second["y"]))
    is_number = bool(rest) and isinstance(rest[0], int | float) and not isinstance(rest[0], bool)
    return {"box_xyxy": (x0, y0, x1, y1), "box_angle": float(rest[0]) if is_number else 0.0}


def _point(document: Document) -> tuple[float, float]:
    return document["coordinates"]["x"], document["coordinates"]["y"]


def _side(document: Document) -> int | None:
    return _SIDES.get(str(document.get("label")).strip().lower()) if document["type"] == "point" else None


def _system(document: Document) -> dict[str, Any]:
    metadata = document.get("metadata")
    system = metadata.get("system") if isinstance(metadata, dict) else None
    return system if isinstance(system, dict) else {}


def _attributes(document: Document) -> dict[str, Any] | None:
    # The second version of the platform's attributes lives in the metadata, the first beside it.
    for found in (_system(document).get("attributes"), document.get("attributes")):
        if isinstance(found, dict) and found:
            return found
    return None


def _text(value: Any) -> str | None:
    return str(value) if value not in (None, "") else None
