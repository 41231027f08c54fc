"""The shapes of CVAT, and what they cover.

Coordinates are pixels of the upright image along pixel edges, as ours are. A `<mask>` has the runs of its box, row by row, alternating between
unset and set pixels, starting with unset.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sam2_adapter.annotations.prompts import BoolArray
from sam2_adapter.errors import DataError
from sam2_adapter.formats.cvat.document import Element
from sam2_adapter.formats.document import short
from sam2_adapter.formats.shapes import LARGEST_COORDINATE, Points, Shape, area_of_part, area_of_ring, ellipse_ring

# Attributes with the facts of an object that CVAT has no place for.
SCORE, OBJECT_ID, PARENT_ID = "iou_score", "object_id", "parent_id"

_Size = tuple[int, int] | None
_Values = Mapping[str, str]


def read_element(element: Element, original_hw: _Size, where: str) -> Shape:
    """Read one shape.

    Args:
        element: the shape.
        original_hw: (height, width) of the upright image; `None` where areas are not asked for.
        where: the place in the file, for messages.

    Raises:
        DataError: it is malformed; the text begins with `where`.
    """
    attributes: dict[str, Any] = dict(element.attributes)
    try:
        geometry = _READERS.get(element.kind, _nothing)(element.values, original_hw)
        score = _score(attributes)
        return Shape(
            where,
            element.kind,
            element.values.get("label", ""),
            group=_group(element.values),
            z_order=int(_number(element.values, "z_order", 0)),
            iou_score=score,
            object_id=attributes.pop(OBJECT_ID, None),
            parent_id=attributes.pop(PARENT_ID, None),
            attributes=attributes,
            **geometry,
        )
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def mask_to_runs(mask: BoolArray) -> list[int]:
    """The runs of a mask h x w, row by row, starting with unset pixels."""
    flat = mask.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs: list[int] = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    return [0, *runs] if flat[0] else runs


def runs_to_mask(runs: list[int], hw: tuple[int, int]) -> BoolArray:
    """The mask h x w of runs, which cover it exactly."""
    is_set = np.arange(len(runs)) % 2 == 1
    return np.repeat(is_set, runs).reshape(hw)


def _score(attributes: dict[str, Any]) -> float:
    """The score that an attribute holds, which is taken out; 1 where there is none, or it is none."""
    try:
        score = float(attributes.get(SCORE, ""))
    except ValueError:
        return 1.0
    if not 0 <= score <= 1:
        return 1.0
    del attributes[SCORE]
    return score


def _group(values: _Values) -> str | None:
    group = values.get("group_id", "").strip()
    return None if group in ("", "0") else group


def _number(values: _Values, key: str, default: float | None = None) -> float:
    text = values.get(key, "" if default is None else str(default))
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not abs(number) < LARGEST_COORDINATE:
        raise DataError(f"{key!r} is a number of pixels, but got {short(values.get(key))}.")
    return number


def _whole(values: _Values, key: str) -> int:
    number = _number(values, key)
    if number != int(number):
        raise DataError(f"{key!r} is a whole number of pixels, but got {short(values[key])}.")
    return int(number)


def _points(values: _Values) -> Points:
    text = values.get("points", "").strip().strip(";")
    try:
        points = np.array([[float(number) for number in pair.split(",")] for pair in text.split(";")], np.float64)
    except ValueError:
        points = np.zeros(0)
    if points.ndim != 2 or points.shape[1] != 2 or not (np.abs(points) < LARGEST_COORDINATE).all():
        raise DataError(f"'points' is a text 'x,y;x,y;...' in pixels, but got {short(values.get('points'))}.")
    return points


def _polygon(values: _Values, original_hw: _Size) -> dict[str, Any]:
    return _area(_points(values), original_hw)


def _ellipse(values: _Values, original_hw: _Size) -> dict[str, Any]:
    x, y, x_radius, y_radius = (_number(values, key) for key in ("cx", "cy", "rx", "ry"))
    return _area(ellipse_ring((x, y), (x_radius, y_radius), _number(values, "rotation", 0)), original_hw)


def _area(ring: Points, original_hw: _Size) -> dict[str, Any]:
    if original_hw is None:
        return {}
    rle, is_outside = area_of_ring(ring, original_hw)
    return {"rle": rle, "is_outside": is_outside}


def _mask(values: _Values, original_hw: _Size) -> dict[str, Any]:
    if original_hw is None:
        return {}
    left, top, width, height = (_whole(values, key) for key in ("left", "top", "width", "height"))
    image_height, image_width = original_hw
    if min(left, top) < 0 or min(width, height) < 1 or left + width > image_width or top + height > image_height:
        raise DataError(
            f"the box of the mask, {width}x{height} pixels from {left}, {top}, is not inside the image, which is {image_width}x{image_height}."
        )
    runs = _runs(values)
    if sum(runs) != width * height:
        raise DataError(f"'rle' covers {sum(runs)} pixels, but the box of the mask has {width}x{height}.")
    rle, is_outside = area_of_part(runs_to_mask(runs, (height, width)), left, top, original_hw)
    return {"rle": rle, "is_outside": is_outside}


def _runs(values: _Values) -> list[int]:
    words = values.get("rle", "").split(",")
    if not all(word.strip().isdecimal() and len(word) < 16 for word in words):
        raise DataError(f"'rle' is a text of whole numbers '3, 5, 8', but got {short(values.get('rle'))}.")
    return [int(word) for word in words]


def _box(values: _Values, original_hw: _Size) -> dict[str, Any]:
    x0, y0, x1, y1 = (_number(values, key) for key in ("xtl", "ytl", "xbr", "ybr"))
    box_xyxy = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
    return {"box_xyxy": box_xyxy, "angle": _number(values, "rotation", 0)}


def _click(values: _Values, original_hw: _Size) -> dict[str, Any]:
    return {"points": _points(values)}


def _nothing(values: _Values, original_hw: _Size) -> dict[str, Any]:
    """Polylines, cuboids, skeletons and tags: neither an area, nor a box, nor points on one object."""
    return {}


_READERS: dict[str, Callable[[_Values, _Size], dict[str, Any]]] = {
    "polygon": _polygon,
    "ellipse": _ellipse,
    "mask": _mask,
    "box": _box,
    "points": _click,
}
