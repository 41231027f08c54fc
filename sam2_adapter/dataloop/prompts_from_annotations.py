"""An item's annotations to prompts: the points and boxes that a person put there.

- Annotations that a model made are no prompts, nor are masks, polygons and classifications.
- A point is an object of its own, and so is a box. Annotations that share an object id are one object.
- With `multi_points_prediction`, points labelled `inside` and `outside` make one object: those of one object id, or all
  those without one.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

from sam2_adapter.annotations.prompt_values import checked_number, checked_text, short
from sam2_adapter.annotations.prompts import BACKGROUND, FOREGROUND, Prompt, RefusedPrompt
from sam2_adapter.arguments import is_number
from sam2_adapter.dataloop.items import nested
from sam2_adapter.dataloop.platform_requests import Document
from sam2_adapter.errors import PromptError
from sam2_adapter.formats.dataloop.dataset import is_model_annotation

_SIDES = {"inside": FOREGROUND, "outside": BACKGROUND}

_ALL_LOOSE_CLICKS = "all points labelled inside or outside that have no object id"


class NamedPrompt(NamedTuple):
    """A prompt and what it was made from.

    Attributes:
        name: its annotations, for messages, such as `annotation 67450000a1b2c3d4e5000001`.
        prompt: one object; refused where an annotation is malformed.
    """

    name: str
    prompt: Prompt | RefusedPrompt


def prompts_from_annotations(documents: Sequence[Document], *, multi_points: bool) -> list[NamedPrompt]:
    """The prompts of an item, one per object, in the order of their first annotations; a malformed one is refused alone.

    Args:
        documents: the item's annotations as the platform stores them.
        multi_points: points labelled `inside` and `outside` make one object.
    """
    usable = [d for d in documents if d.get("type") in ("point", "box") and not is_model_annotation(d)]
    groups: dict[Hashable, list[Document]] = {}
    for position, document in enumerate(usable):
        groups.setdefault(_group_key(document, position, multi_points), []).append(document)
    return [_named(part, multi_points) for group in groups.values() for part in _parts(group)]


def prompt_from_box(document: Document) -> NamedPrompt:
    """The prompt of one annotation that a user chose, whoever drew it; refused where it is no box, or malformed."""
    if document.get("type") != "box":
        reason = f"it is no box, but of the type {short(document.get('type'))}; choose boxes only."
        return NamedPrompt(_name([document]), RefusedPrompt(reason))
    return _named([document], multi_points=False)


def _group_key(document: Document, position: int, multi_points: bool) -> Hashable:
    object_id = _system(document).get("objectId")
    if object_id:
        return str(object_id)
    return _ALL_LOOSE_CLICKS if multi_points and _side(document) is not None else position


def _parts(group: list[Document]) -> list[list[Document]]:
    """A group as it is, but one of several boxes in parts: nobody can say to which of them the points belong."""
    boxes = [document for document in group if document["type"] == "box"]
    return [[document] for document in group] if len(boxes) > 1 else [group]


def _named(group: list[Document], multi_points: bool) -> NamedPrompt:
    try:
        return NamedPrompt(_name(group), _prompt(group, multi_points))
    except PromptError as error:
        return NamedPrompt(_name(group), RefusedPrompt(str(error)))


def _name(group: list[Document]) -> str:
    return "annotation " + ", ".join(str(document.get("id")) for document in group)


def _prompt(group: list[Document], multi_points: bool) -> Prompt:
    points = [document for document in group if document["type"] == "point"]
    box = next((document for document in group if document["type"] == "box"), None)
    sides = [_side(document) if multi_points else None for document in points]
    named = [box] if box is not None else []
    named += [document for document, side in zip(points, sides, strict=True) if side is None]
    try:
        return Prompt(
            **_box_fields(box),
            point_coords=[_place(document["coordinates"]) for document in points],  # type: ignore[arg-type]
            point_labels=[FOREGROUND if side is None else side for side in sides],  # type: ignore[arg-type]
            label=next((checked_text("label", d["label"]) for d in named if d.get("label")), None),
            attributes=next((attributes for d in group if (attributes := _attributes(d))), None),
            object_id=_text(_system(group[0]).get("objectId")),
            parent_id=next((parent for d in group if (parent := _text(_system(d).get("parentId")))), None),
        )
    except PromptError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError) as error:
        given = next((d.get("coordinates") for d in group), None)
        raise PromptError(
            f"Expected the coordinates {{'x', 'y'}} of a point, or two such corners of a box, but got {short(given)}."
        ) from error


def _box_fields(document: Document | None) -> dict[str, Any]:
    if document is None:
        return {}
    first, second, *rest = document["coordinates"]
    (first_x, first_y), (second_x, second_y) = _place(first), _place(second)
    box_xyxy = min(first_x, second_x), min(first_y, second_y), max(first_x, second_x), max(first_y, second_y)
    return {"box_xyxy": box_xyxy, "box_angle": rest[0] if rest and is_number(rest[0]) else 0.0}


def _place(coordinates: Any) -> tuple[float, float]:
    return checked_number("x", coordinates["x"]), checked_number("y", coordinates["y"])


def _side(document: Document) -> int | None:
    return _SIDES.get(str(document.get("label")).strip().lower()) if document["type"] == "point" else None


def _system(document: Document) -> dict[str, Any]:
    return nested(document, "metadata", "system")


def _attributes(document: Document) -> dict[str, Any] | None:
    # The second version of the platform's attributes lives in the metadata, the first beside it.
    for found in (_system(document).get("attributes"), document.get("attributes")):
        if isinstance(found, dict) and found:
            return found
    return None


def _text(value: Any) -> str | None:
    return str(value) if value not in (None, "") else None
