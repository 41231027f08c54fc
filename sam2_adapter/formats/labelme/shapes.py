"""The shapes of labelme, and what they cover.

Coordinates are pixels of the upright image along pixel edges, as ours are. A `mask` has the first and the last pixel of its box as points, and
in `mask` a PNG of that box in base64.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sam2_adapter.annotations.prompts import BoolArray
from sam2_adapter.errors import DataError, ImageError
from sam2_adapter.formats.document import field, from_base64, optional, short
from sam2_adapter.formats.shapes import (
    LARGEST_COORDINATE,
    Points,
    Shape,
    area_of_part,
    area_of_ring,
    ellipse_ring,
    turned_box,
)
from sam2_adapter.images.mask_files import read_mask

_Size = tuple[int, int] | None

# What is drawn with one of these has no area, and is no hint at one.
_LINES = ("line", "linestrip")


def read_shape(entry: Any, original_hw: tuple[int, int] | None, where: str) -> Shape:
    """Read one entry of `shapes`.

    Args:
        entry: the parsed entry.
        original_hw: (height, width) of the upright image; `None` where areas are not asked for.
        where: the place in the file, for messages.

    Raises:
        DataError: it is malformed, or of a type that labelme does not have; the text begins with `where`.
    """
    label = _label(entry, where) if entry_has(entry, "label") else ""
    kind = optional(entry, "shape_type", str, where) or "polygon"
    if kind not in _READERS:
        raise DataError(f"{where}: 'shape_type' is one of {', '.join(_READERS)}, but got {short(kind)}.")
    try:
        geometry = _READERS[kind](entry, _points(entry, where), original_hw)
        score = optional(entry, "iou_score", float, where)
        return Shape(
            where,
            kind,
            label,
            group=_group(entry, where),
            iou_score=1.0 if score is None else score,
            attributes=optional(entry, "attributes", dict, where),
            object_id=optional(entry, "object_id", str, where),
            parent_id=optional(entry, "parent_id", str, where),
            **geometry,
        )
    except (DataError, ImageError) as error:
        raise DataError(str(error) if str(error).startswith(where) else f"{where}: {error}") from error


def _label(entry: Any, where: str) -> str:
    """The label, which may be a number."""
    value = entry["label"] if isinstance(entry, Mapping) else None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else field(entry, "label", str, where)


def entry_has(entry: Any, key: str) -> bool:
    """Whether an entry is an object with a value under this key that is not null."""
    return not isinstance(entry, Mapping) or entry.get(key) is not None


def mask_entry(mask: BoolArray, left: int, top: int, png: bytes) -> dict[str, Any]:
    """The geometry of a `mask` shape.

    Args:
        mask: bool h x w, the part of the image that its box holds.
        left: column of the first pixel.
        top: row of the first pixel.
        png: the mask as a PNG.
    """
    height, width = mask.shape
    points = [[float(left), float(top)], [float(left + width - 1), float(top + height - 1)]]
    return {"points": points, "shape_type": "mask", "mask": base64.b64encode(png).decode("ascii")}


def _points(entry: Any, where: str) -> Points:
    given = field(entry, "points", list, where)
    form = f"{where}: 'points' is a list of [x, y], but got {short(given)}."
    try:
        points = np.array(given, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise DataError(form) from None
    if points.ndim != 2 or points.shape[1] != 2:
        raise DataError(form)
    if not (np.abs(points) < LARGEST_COORDINATE).all():
        raise DataError(f"{where}: coordinates are pixels of the image, but got {short(given)}.")
    return points


def _group(entry: Any, where: str) -> str | None:
    value = entry.get("group_id")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | str)):
        raise DataError(f"{where}: 'group_id' is a whole number or null, but got {short(value)}.")
    return None if value is None or value == "" else str(value)


def _polygon(entry: Any, points: Points, original_hw: _Size) -> dict[str, Any]:
    if original_hw is None:
        return {}
    rle, is_outside = area_of_ring(points, original_hw)
    return {"rle": rle, "is_outside": is_outside}


def _circle(entry: Any, points: Points, original_hw: _Size) -> dict[str, Any]:
    (x, y), edge = _counted(points, 2, "a circle has its centre and a point on it").tolist()
    radius = math.hypot(edge[0] - x, edge[1] - y)
    return _polygon(entry, ellipse_ring((x, y), (radius, radius)), original_hw)


def _mask(entry: Any, points: Points, original_hw: _Size) -> dict[str, Any]:
    if original_hw is None:
        return {}
    corners = np.floor(_counted(points, 2, "a mask has the first and the last pixel of its box")).astype(int)
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    text = entry.get("mask")
    if not isinstance(text, str) or not text:
        raise DataError(f"'mask' is a picture in base64, but got {short(text)}.")
    try:
        content = from_base64(text)
    except ValueError as error:
        raise DataError(f"'mask' is a picture in base64, but got {short(text)}: {error}.") from error
    part = read_mask(content, allowed_hw=[(bottom - top + 1, right - left + 1)], name="'mask'")
    rle, is_outside = area_of_part(part, left, top, original_hw)
    return {"rle": rle, "is_outside": is_outside}


def _rectangle(entry: Any, points: Points, original_hw: _Size) -> dict[str, Any]:
    if len(points) not in (2, 4):
        raise DataError(f"a rectangle has two opposite corners, but got {len(points)} points.")
    return {"box_xyxy": (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())}


def _turned_rectangle(entry: Any, points: Points, original_hw: _Size) -> dict[str, Any]:
    corners = _counted(points, 4, "a turned rectangle has its four corners")
    box_xyxy, angle = turned_box(corners)
    return {"box_xyxy": box_xyxy, "angle": angle}


def _point(entry: Any, points: Points, original_hw: _Size) -> dict[str, Any]:
    if not len(points):
        raise DataError("a point has at least one pair [x, y], but got none.")
    return {"points": points}


def _line(entry: Any, points: Points, original_hw: _Size) -> dict[str, Any]:
    return {}


def _counted(points: Points, number: int, expected: str) -> Points:
    if len(points) != number:
        raise DataError(f"{expected}, but got {len(points)} points.")
    return points


# By the names that labelme, and programs that write its files, give them.
_READERS: dict[str, Callable[[Any, Points, _Size], dict[str, Any]]] = {
    "polygon": _polygon,
    "rectangle": _rectangle,
    "circle": _circle,
    "mask": _mask,
    "point": _point,
    "points": _point,
    "oriented_rectangle": _turned_rectangle,
    "rotation": _turned_rectangle,
    **dict.fromkeys(_LINES, _line),
}
