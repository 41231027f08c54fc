"""`Polygon` and the exact converters between masks and polygons.

Polygons follow pixel edges: pixel (row i, column j) is the square [j, j+1) x [i, i+1), so the polygon of one pixel has
its four corners as vertices. A pixel belongs to a polygon when its centre is inside. Parts are 4-connected: pixels that
touch only at a corner lie in two polygons, and no ring touches itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations.masks import mask_to_box_xyxy
from sam2_adapter.annotations.outlines import trace_rings
from sam2_adapter.annotations.prompts import BoolArray
from sam2_adapter.arguments import is_number
from sam2_adapter.errors import DataError

Ring = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Filling takes some seconds for so many crossings of edges with rows of pixels, or so many pixels; real outlines have a thousandth.
_MOST_CROSSINGS = 20_000_000
_MOST_PIXELS = 2_000_000_000
_CROSSINGS_AT_ONCE = 2**20

# Beyond this, differences of coordinates lose their fractions.
_LARGEST_COORDINATE = 2.0**40

# Parts of fewer pixels and rings of fewer corners are never simplified: nothing would be saved.
_SMALLEST_SIMPLIFIED_AREA = 16
_FEWEST_SIMPLIFIED_CORNERS = 12

# Simplification is eased step by step until a part keeps this IoU with its exact outline. Below the least tolerance, in
# pixels, too few vertices are saved to go on.
_LEAST_IOU = 0.99
_EASING = 0.75
_LEAST_TOLERANCE = 0.4


@dataclass(frozen=True, eq=False)
class Polygon:
    """One connected part of an object, with its holes, checked when built.

    Attributes:
        exterior: float64 N x 2, (x, y) pixels of the original image along pixel edges, clockwise on screen, N >= 3, not
            closed.
        holes: rings of the same form, counter-clockwise on screen.
    """

    exterior: Ring
    holes: tuple[Ring, ...] = ()

    def __post_init__(self) -> None:
        """Check the rings and bring them to float64."""
        object.__setattr__(self, "exterior", _checked_ring(self.exterior))
        object.__setattr__(self, "holes", tuple(_checked_ring(hole) for hole in self.holes))

    @property
    def rings(self) -> tuple[Ring, ...]:
        """The exterior, then the holes."""
        return (self.exterior, *self.holes)

    def moved(self, dx: float, dy: float) -> Polygon:
        """The same polygon `dx` pixels to the right and `dy` pixels down."""
        offset = np.array([dx, dy])
        return Polygon(self.exterior + offset, tuple(hole + offset for hole in self.holes))


def mask_to_polygons(mask: BoolArray, tolerance: float = 1.0) -> list[Polygon]:
    """Outline every part of a mask.

    Args:
        mask: bool H x W.
        tolerance: how far, in pixels, a simplified outline may lie from the pixel edges. 0 keeps every corner, and
            `polygons_to_mask` gives back the same mask. A part that simplification would change by more than about one
            percent of its area is simplified less.

    Returns:
        One polygon per 4-connected part, largest first; empty for an empty mask.

    Raises:
        DataError: the tolerance is something else.
    """
    if not is_number(tolerance) or not 0 <= tolerance < np.inf:
        raise DataError(f"The tolerance of an outline is a number of pixels of at least 0, but got {tolerance!r}.")
    box = mask_to_box_xyxy(mask)
    if box is None:
        return []
    x0, y0, x1, y1 = box
    parts = _trace_parts(mask[y0:y1, x0:x1])
    return [(_simplified(part, tolerance) if tolerance > 0 else part).moved(x0, y0) for part in parts]


def look_like_fractions(rings: Iterable[Ring]) -> bool:
    """Whether all coordinates lie between 0 and 1, and not on the edges or in the middle of the first pixel, as fractions of an image do."""
    rings = list(rings)
    is_within = bool(rings) and all(ring.size and ring.min() >= 0 and ring.max() <= 1 for ring in rings)
    return is_within and any(bool((ring * 2 % 1).any()) for ring in rings)


def polygons_to_mask(polygons: Iterable[Polygon], original_hw: tuple[int, int]) -> BoolArray:
    """Fill polygons: a pixel belongs when its centre is inside any of them (even-odd rule over exterior and holes).

    Args:
        polygons: may reach over the image border.
        original_hw: (height, width) of the image.

    Returns:
        bool H x W.

    Raises:
        DataError: it would take unreasonably long; see `check_crossings`.
    """
    height, width = original_hw
    mask = np.zeros((height, width), np.bool_)
    boxes = [(polygon, _pixel_box(polygon, original_hw)) for polygon in polygons]
    work = sum(max(0, x1 - x0) * max(0, y1 - y0) for _, (x0, y0, x1, y1) in boxes)
    if work > _MOST_PIXELS:
        raise DataError(
            f"The polygons of one object cover boxes of {work:,} pixels together; at most {_MOST_PIXELS:,} are filled. Give a mask."
        )
    for polygon, (x0, y0, x1, y1) in boxes:
        if x0 < x1 and y0 < y1:
            mask[y0:y1, x0:x1] |= fill_rings([ring - (x0, y0) for ring in polygon.rings], (y1 - y0, x1 - x0))
    return mask


def fill_rings(rings: Sequence[Ring], original_hw: tuple[int, int]) -> BoolArray:
    """Fill rings together by the even-odd rule at pixel centres.

    Args:
        rings: N x 2 each, (x, y) pixels along pixel edges.
        original_hw: (height, width) of the result.

    Returns:
        bool H x W.

    Raises:
        DataError: it would take unreasonably long; see `check_crossings`.
    """
    height, width = original_hw
    points = [np.clip(ring, -_LARGEST_COORDINATE, _LARGEST_COORDINATE) for ring in rings]
    start = np.concatenate(points)
    end = np.concatenate([np.roll(ring, -1, axis=0) for ring in points])
    rows_from = np.clip(np.ceil(np.minimum(start[:, 1], end[:, 1]) - 0.5), 0, height).astype(np.int64)
    rows_to = np.clip(np.ceil(np.maximum(start[:, 1], end[:, 1]) - 0.5), 0, height).astype(np.int64)
    crossed = np.maximum(rows_to - rows_from, 0)
    check_crossings(int(crossed.sum()), len(start))
    parity = np.zeros((height, width + 1), np.uint8)
    for edges in _portions(crossed):
        _cross(parity, start[edges], end[edges], rows_from[edges], crossed[edges])
    filled: BoolArray = np.bitwise_xor.accumulate(parity, axis=1)[:, :width].astype(np.bool_)
    return filled


def check_crossings(crossings: int, vertices: int) -> None:
    """Refuse rings whose edges cross the rows of pixels too often to be filled in a reasonable time.

    Raises:
        DataError: with the numbers.
    """
    if crossings > _MOST_CROSSINGS:
        raise DataError(
            f"The polygon has {vertices:,} vertices, and its edges cross the rows of pixels {crossings:,} times; at most "
            f"{_MOST_CROSSINGS:,} are filled. An outline that runs to and fro so often is no outline: simplify it, or give a mask."
        )


def _portions(crossed: npt.NDArray[np.int64]) -> Iterator[slice]:
    """Runs of edges that together cross a bounded number of rows, or single edges."""
    totals = np.cumsum(crossed)
    first = 0
    while first < len(crossed):
        before = int(totals[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(totals, before + _CROSSINGS_AT_ONCE, side="right")))
        yield slice(first, last)
        first = last


def _cross(parity: npt.NDArray[np.uint8], start: Ring, end: Ring, rows_from: IntArray, crossed: IntArray) -> None:
    """Turn the parity over where edges cross the centre lines of rows."""
    width = parity.shape[1] - 1
    edge = np.repeat(np.arange(len(start)), crossed)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(crossed) - crossed - rows_from, crossed)
    # Every edge here crosses the centre line of its row, so it is not horizontal.
    slope = (end[edge, 0] - start[edge, 0]) / (end[edge, 1] - start[edge, 1])
    x = start[edge, 0] + (row + 0.5 - start[edge, 1]) * slope
    column = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
    np.bitwise_xor.at(parity.reshape(-1), row * (width + 1) + column, np.uint8(1))


def signed_area(ring: Ring) -> float:
    """The area inside a ring in square pixels, positive when it runs clockwise on screen."""
    following = np.roll(ring, -1, axis=0)
    return float((ring[:, 0] * following[:, 1] - following[:, 0] * ring[:, 1]).sum() / 2)


def _trace_parts(mask: BoolArray) -> list[Polygon]:
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    exteriors: dict[int, Ring] = {}
    holes: dict[int, list[Ring]] = {}
    for ring in trace_rings(mask):
        label = int(labels[_pixel_right_of(ring[0], ring[1])])
        if signed_area(ring) > 0:
            exteriors[label] = ring
        else:
            holes.setdefault(label, []).append(ring)
    parts = [Polygon(ring, tuple(holes.get(label, ()))) for label, ring in exteriors.items()]
    return sorted(parts, key=_area, reverse=True)


def _pixel_right_of(start: Ring, end: Ring) -> tuple[int, int]:
    """(row, column) of the pixel right of the first step from `start` towards `end`; the object lies on that side."""
    dx, dy = np.sign(end - start).astype(int).tolist()
    x, y = start.astype(int).tolist()
    return y - (dx < 0 or dy < 0), x - (dy > 0 or dx < 0)


def _area(polygon: Polygon) -> float:
    return sum(signed_area(ring) for ring in polygon.rings)


def _simplified(polygon: Polygon, tolerance: float) -> Polygon:
    if _area(polygon) < _SMALLEST_SIMPLIFIED_AREA:
        return polygon
    dx, dy = polygon.exterior.min(axis=0).tolist()
    rings = polygon.moved(-dx, -dy).rings
    width, height = rings[0].max(axis=0).astype(int).tolist()
    exact = fill_rings(rings, (height, width))
    while tolerance >= _LEAST_TOLERANCE:
        candidate = [_beside_centres(_simplified_ring(ring, tolerance), exact) for ring in rings]
        if _iou_with(exact, candidate) >= _LEAST_IOU:
            return Polygon(candidate[0], tuple(candidate[1:])).moved(dx, dy)
        tolerance *= _EASING
    return polygon


def _simplified_ring(ring: Ring, tolerance: float) -> Ring:
    """The ring with fewer corners, or the ring itself where simplification would turn it over or make it vanish."""
    if len(ring) < _FEWEST_SIMPLIFIED_CORNERS:
        return ring
    doubled = _doubled_edge_midpoints(ring)[:, None]
    simplified = cv2.approxPolyDP(doubled, 2 * tolerance, True)[:, 0].astype(np.float64) / 2
    return simplified if len(simplified) >= 3 and signed_area(simplified) / signed_area(ring) > 0.5 else ring


def _beside_centres(ring: Ring, exact: BoolArray) -> Ring:
    """The ring with edges along the centres of a row or column of pixels moved half a pixel, to where the mask ends.

    On the centres the rounding of a file or the rule of whoever fills the ring would decide about all of these pixels.
    """
    moved = ring.copy()
    following = np.roll(ring, -1, axis=0)
    for axis, other in ((0, 1), (1, 0)):
        pixels = exact.T if axis == 0 else exact
        for index in np.flatnonzero((ring[:, axis] == following[:, axis]) & (ring[:, axis] % 1 == 0.5)).tolist():
            ends = sorted((ring[index, other], following[index, other]))
            along = pixels[int(ring[index, axis]), slice(*np.ceil(np.subtract(ends, 0.5)).astype(int).tolist())]
            # The object lies right of an edge: edges that run down have it on their left side on the screen, those to the right below them.
            outwards = np.sign(following[index, other] - ring[index, other]) * (1 if axis == 0 else -1)
            keeps = len(along) > 0 and along.mean() >= 0.5
            moved[[index, (index + 1) % len(ring)], axis] = ring[index, axis] + (0.5 if keeps else -0.5) * outwards
    return moved


def _doubled_edge_midpoints(ring: Ring) -> npt.NDArray[np.int32]:
    """Twice the (x, y) of the middle of every unit edge; a line through them cuts the pixel staircase without bias."""
    corners = ring.astype(np.int32)
    steps = np.roll(corners, -1, axis=0) - corners
    lengths = np.abs(steps).sum(axis=1)
    edge = np.repeat(np.arange(len(corners)), lengths)
    along = np.arange(len(edge)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    doubled: npt.NDArray[np.int32] = (2 * corners[edge] + np.sign(steps)[edge] * (2 * along + 1)[:, None]).astype(
        np.int32
    )
    return doubled


def _iou_with(exact: BoolArray, rings: Sequence[Ring]) -> float:
    filled = fill_rings(rings, (exact.shape[0], exact.shape[1]))
    return float(np.count_nonzero(exact & filled) / np.count_nonzero(exact | filled))


def _pixel_box(polygon: Polygon, original_hw: tuple[int, int]) -> tuple[int, int, int, int]:
    height, width = original_hw
    low, high = np.floor(polygon.exterior.min(axis=0)), np.ceil(polygon.exterior.max(axis=0))
    (x0, y0), (x1, y1) = np.clip(low, 0, (width, height)).tolist(), np.clip(high, 0, (width, height)).tolist()
    return int(x0), int(y0), int(x1), int(y1)


def _checked_ring(ring: npt.ArrayLike) -> Ring:
    try:
        points = np.asarray(ring, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"A polygon ring is a list of [x, y] pairs, but got {repr(ring)[:60]}.") from None
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
        raise DataError(f"A polygon ring needs at least three [x, y] pairs, but got an array of shape {points.shape}.")
    if not np.isfinite(points).all():
        raise DataError("The coordinates of a polygon must be finite numbers, but some are NaN or infinite.")
    return points
