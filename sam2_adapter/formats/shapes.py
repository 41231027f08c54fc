"""`Shape`: what labelling tools draw, as it becomes objects to learn from, or prompts.

A shape that covers an area (a polygon, a circle, a mask) is an object, or a part of one. Boxes and points only hint at an object: they are
prompts, and never masks. Shapes of one group and label belong to one object.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.polygons import Polygon, look_like_fractions, polygons_to_mask
from sam2_adapter.annotations.prompts import BoolArray
from sam2_adapter.annotations.rle import Rle, mask_to_rle, placed_mask_to_rle, rle_to_mask, union_rle
from sam2_adapter.errors import DataError
from sam2_adapter.formats.left_out import LeftOut, Reason

Points = npt.NDArray[np.float64]

# Beyond this, a coordinate is no place in an image.
LARGEST_COORDINATE = 1e9

# Which of four corners may be the ends of a side: those that follow one another first.
_PAIRS = np.array([(0, 1), (1, 2), (2, 3), (3, 0), (0, 2), (1, 3)])

# Areas that differ by less are the same: coordinates are written with few decimals.
_ROUNDING = 0.01

# Corners of the polygon that stands for a circle or an ellipse: it lacks less than a thousandth of the area.
_CORNERS = 128

_COVERED = "cut where a shape of a higher z_order covers it"


@dataclass(frozen=True)
class Shape:
    """One shape of one image. It has an area, or a box, or points, or none of them where the tool knows other shapes too.

    Attributes:
        where: the place in its file, for messages.
        kind: what the tool calls it, such as `polygon`.
        label: class name; empty where it has none.
        rle: the pixels of the image that it covers.
        is_outside: whether it covers none because it lies outside the image.
        box_xyxy: (x0, y0, x1, y1) in pixels, before it is turned.
        angle: turn of the box about its centre in degrees, clockwise on screen.
        points: N x 2, (x, y) pixels on the object.
        group: what the shapes of one object have in common; `None` where it stands alone.
        z_order: shapes of a higher one cover those of a lower one.
        iou_score: as in `Annotation`.
        attributes: as in `Annotation`.
        object_id: as in `Annotation`.
        parent_id: as in `Annotation`.
    """

    where: str
    kind: str
    label: str
    rle: Rle | None = None
    is_outside: bool = False
    box_xyxy: tuple[float, float, float, float] | None = None
    angle: float = 0.0
    points: Points | None = None
    group: str | None = None
    z_order: int = 0
    iou_score: float = 1.0
    attributes: Mapping[str, Any] | None = None
    object_id: str | None = None
    parent_id: str | None = None


def turned_box(corners: Points) -> tuple[tuple[float, float, float, float], float]:
    """The box (x0, y0, x1, y1) in pixels, and its turn about its centre in degrees, clockwise on screen, that four corners stand for.

    It is the smallest one that holds the corners: tools list them in any order, and not all at right angles.

    Args:
        corners: 4 x 2, (x, y) pixels; of a rectangle whose corners follow one another along its outline the turn is that of the first side.
    """
    first, second = corners[_PAIRS[:, 0]], corners[_PAIRS[:, 1]]
    found = [_box_along(corners, *side) for side in (second - first).tolist() if any(side)]
    areas = [(x1 - x0) * (y1 - y0) for (x0, y0, x1, y1), _ in found]
    smallest = min(areas, default=0.0) * (1 + _ROUNDING)
    x, y = corners[0].tolist()
    return next((box for box, area in zip(found, areas, strict=True) if area <= smallest), ((x, y, x, y), 0.0))


def _box_along(corners: Points, dx: float, dy: float) -> tuple[tuple[float, float, float, float], float]:
    """The box that holds the corners and has a side along (dx, dy), as in `turned_box`."""
    length = math.hypot(dx, dy)
    along = np.array([dx, dy]) / length
    axes = np.stack([along, [-along[1], along[0]]])
    places = corners @ axes.T
    low, high = places.min(axis=0), places.max(axis=0)
    (x, y), (width, height) = ((low + high) / 2 @ axes).tolist(), (high - low).tolist()
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2), math.degrees(math.atan2(dy, dx))


def area_of_ring(ring: Points, original_hw: tuple[int, int]) -> tuple[Rle, bool]:
    """The pixels inside a ring N x 2, which may reach over the border, and whether it lies outside the image.

    Raises:
        DataError: fewer than three points, a coordinate that is not finite, or fractions instead of pixels.
    """
    height, width = original_hw
    if look_like_fractions([ring]):
        raise DataError("all coordinates lie between 0 and 1, as fractions of the image do; pixels are expected.")
    mask = polygons_to_mask([Polygon(ring)], original_hw)
    low, high = ring.min(axis=0).tolist(), ring.max(axis=0).tolist()
    is_outside = low[0] >= width or low[1] >= height or high[0] <= 0 or high[1] <= 0
    return mask_to_rle(mask), bool(is_outside)


def ellipse_ring(center: Sequence[float], radii: Sequence[float], angle: float = 0.0) -> Points:
    """The corners of a polygon in the place of an ellipse.

    Args:
        center: (x, y) in pixels.
        radii: of the x and the y axis, in pixels.
        angle: turn about the centre in degrees, clockwise on screen.
    """
    turns = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    x, y = radii[0] * np.cos(turns), radii[1] * np.sin(turns)
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return np.stack([center[0] + x * cos - y * sin, center[1] + x * sin + y * cos], axis=1)


def area_of_part(part: BoolArray, left: int, top: int, original_hw: tuple[int, int]) -> tuple[Rle, bool]:
    """The pixels of a mask h x w whose top left pixel is (left, top) of the image, and whether it lies outside the image."""
    height, width = original_hw
    x0, y0 = max(left, 0), max(top, 0)
    inside = part[y0 - top : max(height - top, 0), x0 - left : max(width - left, 0)]
    if not inside.size:
        return placed_mask_to_rle(np.zeros((1, 1), np.bool_), (0, 0), original_hw), True
    return placed_mask_to_rle(inside, (x0, y0), original_hw), False


def readable_shapes(readers: Iterable[Callable[[], Shape]]) -> tuple[list[Shape], list[str]]:
    """The shapes that can be read, and what is wrong with each of the others.

    Args:
        readers: each reads one shape, or raises a `DataError`.
    """
    shapes, problems = [], []
    for read in readers:
        try:
            shapes.append(read())
        except DataError as error:
            problems.append(str(error))
    return shapes, problems


def objects_of_shapes(
    shapes: Sequence[Shape], default_label: str, left_out: LeftOut, problems: Iterable[str] = ()
) -> list[Annotation]:
    """The objects of one image, in the order of their first shapes.

    Args:
        shapes: all shapes of the image.
        default_label: label of shapes that have none.
        left_out: counts the shapes that are no area, and those that cannot be read; takes remarks.
        problems: what is wrong with each shape that cannot be read.
    """
    for problem in problems:
        left_out.add_object(Reason.MALFORMED, problem)
    areas = _uncovered(list(_areas(shapes, left_out)), left_out)
    objects = []
    for parts in by_group(areas):
        first = parts[0]
        if not first.label:
            left_out.remark("object", f"without a label, labelled {default_label!r}", first.where)
        try:
            objects.append(
                Annotation(
                    first.label or default_label,
                    union_rle([part.rle for part in parts if part.rle is not None]),
                    first.iou_score,
                    first.attributes or None,
                    first.object_id,
                    first.parent_id,
                )
            )
        except DataError as error:
            left_out.add_object(Reason.MALFORMED, f"{first.where}: {error}")
    return objects


def by_group(shapes: Iterable[Shape]) -> list[list[Shape]]:
    """The shapes of each object, in the order of their first ones."""
    groups: dict[tuple[object, str], list[Shape]] = {}
    alone = count()
    for shape in shapes:
        key: object = next(alone) if shape.group is None else shape.group
        groups.setdefault((key, shape.label), []).append(shape)
    return list(groups.values())


def _areas(shapes: Iterable[Shape], left_out: LeftOut) -> Iterator[Shape]:
    for shape in shapes:
        if shape.rle is None:
            left_out.add_object(Reason.UNSUPPORTED_TYPE, f"{shape.where}: {shape.kind}")
        elif not shape.rle.area:
            left_out.add_object(Reason.OUTSIDE if shape.is_outside else Reason.EMPTY, shape.where)
        else:
            yield shape


def _uncovered(shapes: list[Shape], left_out: LeftOut) -> list[Shape]:
    """The shapes without the pixels that shapes of a higher z-order cover."""
    if len({shape.z_order for shape in shapes}) < 2:
        return shapes
    kept: dict[int, Shape] = {}
    covered: BoolArray | None = None
    layers = sorted({shape.z_order for shape in shapes}, reverse=True)
    for layer in layers:
        members = [(index, shape) for index, shape in enumerate(shapes) if shape.z_order == layer]
        for index, shape in members:
            cut = _cut(shape, covered, left_out)
            if cut is not None:
                kept[index] = cut
        for _, shape in members:
            assert shape.rle is not None  # areas only
            mask = rle_to_mask(shape.rle)
            covered = mask if covered is None else covered | mask
    return [kept[index] for index in sorted(kept)]


def _cut(shape: Shape, covered: BoolArray | None, left_out: LeftOut) -> Shape | None:
    assert shape.rle is not None  # areas only
    if covered is None:
        return shape
    mask = rle_to_mask(shape.rle)
    visible = mask & ~covered
    if np.array_equal(mask, visible):
        return shape
    if not visible.any():
        left_out.add_object(Reason.EMPTY, f"{shape.where}: shapes of a higher z_order cover it")
        return None
    left_out.remark("object", _COVERED, shape.where)
    return replace(shape, rle=mask_to_rle(visible))
