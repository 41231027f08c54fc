"""Polygons whose vertices are pixel centres and whose border pixels belong to the object, as Dataloop and OpenCV do it.

A ring of vertices (x, y) covers the pixels inside it and those that its lines pass; a ring of one vertex covers one
pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations.masks import mask_iou
from sam2_adapter.annotations.polygons import check_crossings
from sam2_adapter.annotations.prompts import BoolArray

# As for polygons along pixel edges: simplification is eased until a part keeps this IoU. Its lines run from centre to
# centre, so that below half a pixel nothing is left to save.
_LEAST_IOU = 0.987
_EASING = 0.75
_LEAST_TOLERANCE = 0.5

# Coordinates beyond this overflow OpenCV's fixed-point drawing.
_LARGEST_COORDINATE = 2**15


def mask_to_pixel_center_rings(mask: BoolArray, tolerance: float = 1.0) -> list[npt.NDArray[np.int32]]:
    """Outline every part of a mask; holes are lost.

    Args:
        mask: bool H x W.
        tolerance: how far, in pixels, a simplified outline may lie from the exact one; 0 keeps it exact. A part that
            would lose more than about one percent of its area is simplified less.

    Returns:
        Int32 N x 2 rings of (x, y) pixel centres, N >= 3 (repeated for parts of one or two vertices), one an
        8-connected part, largest first.
    """
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    rings = [contour[:, 0].astype(np.int32) for contour in contours]
    rings.sort(key=lambda ring: -cv2.contourArea(ring))
    return [_closed_to_triangle(_simplified(ring, tolerance)) for ring in rings]


def fill_pixel_center_rings(rings: Sequence[npt.NDArray[np.generic]], original_hw: tuple[int, int]) -> BoolArray:
    """Fill rings together, with their border pixels: a ring in another one is a hole, whose border is the object's.

    Args:
        rings: N x 2 each, (x, y); rounded to whole pixels, as the platform's client does.
        original_hw: (height, width) of the result.

    Returns:
        bool H x W.

    Raises:
        DataError: it would take unreasonably long; see `check_crossings`.
    """
    filled, (x0, y0) = fill_pixel_center_rings_in_box(rings, original_hw)
    canvas = np.zeros(original_hw, np.bool_)
    canvas[y0 : y0 + filled.shape[0], x0 : x0 + filled.shape[1]] = filled
    return canvas


def fill_pixel_center_rings_in_box(
    rings: Sequence[npt.NDArray[np.generic]], original_hw: tuple[int, int]
) -> tuple[BoolArray, tuple[int, int]]:
    """As `fill_pixel_center_rings`, at the cost of the box around the rings alone.

    Returns:
        bool h x w, the part of the image that the box covers, 0 x 0 where it covers none, and the (x, y) pixel where that
        part begins.
    """
    limit = _LARGEST_COORDINATE
    rounded = [np.clip(np.round(np.asarray(ring, np.float64)), -limit, limit).astype(np.int32) for ring in rings]
    vertices = np.concatenate([*rounded, np.zeros((0, 2), np.int32)])
    if not len(vertices):
        return np.zeros((0, 0), np.bool_), (0, 0)
    height, width = original_hw
    low = np.maximum(vertices.min(axis=0), 0)
    right, bottom = np.minimum(vertices.max(axis=0) + 1, (width, height)).tolist()
    x0, y0 = low.tolist()
    if right <= x0 or bottom <= y0:
        return np.zeros((0, 0), np.bool_), (0, 0)
    rows = [np.clip(ring[:, 1], y0, bottom) for ring in rounded if len(ring)]
    check_crossings(sum(int(np.abs(np.diff(ys, append=ys[:1])).sum()) for ys in rows), len(vertices))
    canvas = np.zeros((bottom - y0, right - x0), np.uint8)
    cv2.drawContours(canvas, [ring - low for ring in rounded], -1, 1, thickness=cv2.FILLED)
    return canvas.view(np.bool_), (x0, y0)


def _simplified(ring: npt.NDArray[np.int32], tolerance: float) -> npt.NDArray[np.int32]:
    low = ring.min(axis=0)
    width, height = (ring.max(axis=0) - low + 1).tolist()
    exact = fill_pixel_center_rings([ring - low], (height, width))
    while tolerance >= _LEAST_TOLERANCE:
        candidate = cv2.approxPolyDP(ring[:, None], tolerance, True)[:, 0].astype(np.int32)
        if mask_iou(exact, fill_pixel_center_rings([candidate - low], (height, width))) >= _LEAST_IOU:
            return candidate
        tolerance *= _EASING
    return ring


def _closed_to_triangle(ring: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    # Readers expect at least three vertices; a repeated one covers the same pixels.
    return np.concatenate([ring, np.repeat(ring[-1:], max(0, 3 - len(ring)), axis=0)])
