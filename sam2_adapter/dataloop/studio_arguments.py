"""What the studio hands to its functions, checked: one error names the argument, what was given and what is expected."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from sam2_adapter.annotations.colors import Color
from sam2_adapter.annotations.prompts import BACKGROUND, FOREGROUND
from sam2_adapter.dataloop.platform_requests import Document
from sam2_adapter.errors import PromptError
from sam2_adapter.formats.document import short

WHITE: Color = (255, 255, 255)


def check_item(item: Any) -> None:
    """Refuse what is no item of the platform.

    Raises:
        PromptError: names the argument.
    """
    if not getattr(item, "id", None) or not hasattr(item, "filename"):
        raise _wrong("item", "an item of the platform (dl.Item)", item)


def checked_progress(progress: Any) -> Any:
    """The platform's progress object, or `None`.

    Raises:
        PromptError: it has no `update`.
    """
    if progress is not None and not callable(getattr(progress, "update", None)):
        raise _wrong("progress", "the platform's progress object, or nothing", progress)
    return progress


def checked_boxes(annotations: Any) -> list[Document]:
    """The chosen annotations, each an object; what they say is looked at later.

    Raises:
        PromptError: names the argument, or the entry by its position, counted from 1.
    """
    entries = _list("annotations", "a list of annotation documents", annotations)
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, Mapping):
            raise _wrong(f"annotations, entry {number}", "an annotation document such as {'type': 'box', ...}", entry)
    return [dict(entry) for entry in entries]


def checked_clicks(points: Any) -> tuple[list[tuple[float, float]], list[int]]:
    """The (x, y) pixels of clicks, and their labels: 1 inside, 0 outside the object.

    Raises:
        PromptError: names the argument, or the click by its position, counted from 1.
    """
    entries = _list("points", "a list of clicks {'x', 'y', 'in'}, [] for none", points)
    places = [_place(f"points, click {number}", entry) for number, entry in enumerate(entries, 1)]
    return places, [_side(f"points, click {number}", entry) for number, entry in enumerate(entries, 1)]


def checked_corners(bb: Any) -> tuple[float, float, float, float] | None:
    """The box (x0, y0, x1, y1) between two corners in any order; `None` without a box.

    Raises:
        PromptError: names the argument.
    """
    if bb is None:
        return None
    entries = _list("bb", "two corners {'x', 'y'} of a box", bb)
    if len(entries) != 2:
        raise _wrong("bb", "two corners {'x', 'y'} of a box", bb)
    (first_x, first_y), (second_x, second_y) = (_place(f"bb, corner {n}", entry) for n, entry in enumerate(entries, 1))
    return min(first_x, second_x), min(first_y, second_y), max(first_x, second_x), max(first_y, second_y)


def checked_mask_uri(mask_uri: Any) -> str | None:
    """The earlier answer; `None` where there is none.

    Raises:
        PromptError: it is no text.
    """
    if mask_uri is not None and not isinstance(mask_uri, str):
        raise _wrong("mask_uri", "a text 'data:image/png;base64,...', or nothing", mask_uri)
    return mask_uri or None


def check_click_radius(click_radius: Any) -> None:
    """Refuse what is no radius; the model takes points, so that it is not needed.

    Raises:
        PromptError: names the argument.
    """
    if click_radius is not None and (not is_finite_number(click_radius) or click_radius < 0):
        raise _wrong("click_radius", "a number of pixels, 0 or more", click_radius)


def checked_color(color: Any) -> Color:
    """(red, green, blue); white where nothing is given. A fourth value, the opacity, is not needed.

    Raises:
        PromptError: names the argument.
    """
    if color is None:
        return WHITE
    expected = "(red, green, blue), numbers in 0..255"
    values = _list("color", expected, color)
    if len(values) not in (3, 4) or not all(is_finite_number(value) and 0 <= value <= 255 for value in values):
        raise _wrong("color", expected, color)
    red, green, blue = (int(value) for value in values[:3])
    return red, green, blue


def is_finite_number(value: Any) -> bool:
    """Whether a value is a number, no boolean, that fits a float and is finite."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _list(name: str, expected: str, value: Any) -> list[Any]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Sequence):
        raise _wrong(name, expected, value)
    return list(value)


def _place(where: str, entry: Any) -> tuple[float, float]:
    if not isinstance(entry, Mapping) or not all(is_finite_number(entry.get(key)) for key in ("x", "y")):
        raise _wrong(where, "{'x': number, 'y': number} with finite numbers of pixels", entry)
    return float(entry["x"]), float(entry["y"])


def _side(where: str, entry: Mapping[str, Any]) -> int:
    is_inside = entry.get("in", True)
    if not isinstance(is_inside, bool):
        raise _wrong(f"{where}, 'in'", "true (inside the object) or false (outside)", is_inside)
    return FOREGROUND if is_inside else BACKGROUND


def _wrong(name: str, expected: str, value: Any) -> PromptError:
    return PromptError(f"{name}: expected {expected}, but got {short(value)}.")
