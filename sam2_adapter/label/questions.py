"""What a page asks about, from JSON: steps, places and views, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sam2_adapter.annotations.rle import Rle
from sam2_adapter.errors import PromptError, Sam2AdapterError
from sam2_adapter.interactive import Step

Json = dict[str, Any]

_NO_STEP = "A step is a point, a box or a mask, such as {'point': [420, 310], 'inside': true}."


def step_of(value: Mapping[str, Any], original_hw: tuple[int, int]) -> Step:
    """A step as the page sends it.

    Raises:
        PromptError: it is none.
    """
    try:
        where: Json = {"choice": value.get("choice"), "view_xyxy": view_of(value)}
        if value.get("mask") is not None:
            return Step(mask=Rle(value["mask"], original_hw), **where)
        if value.get("box") is not None:
            box = tuple(float(side) for side in value["box"])
            return Step(box_xyxy=box, is_loose=bool(value.get("loose", False)), **where)
        return Step(point_xy=point_of(value), foreground=bool(value.get("inside", True)), **where)
    except Sam2AdapterError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise PromptError(_NO_STEP) from error


def point_of(value: Mapping[str, Any]) -> tuple[float, float]:
    """The (x, y) pixels of the image that a step or a question points at.

    Raises:
        PromptError: it points at none.
    """
    try:
        x, y = value["point"]
        return float(x), float(y)
    except (KeyError, TypeError, ValueError) as error:
        raise PromptError(_NO_STEP) from error


def view_of(value: Mapping[str, Any]) -> tuple[int, int, int, int] | None:
    """The (x0, y0, x1, y1) whole pixels that a step or a question looks at; `None` for all of the image.

    Raises:
        PromptError: they are none.
    """
    view = value.get("view")
    if view is None:
        return None
    try:
        x0, y0, x1, y1 = (int(side) for side in view)
    except (TypeError, ValueError, OverflowError) as error:
        raise PromptError("A view is four whole numbers, x0, y0, x1, y1.") from error
    return x0, y0, x1, y1
