"""The separate parts of a mask, and its holes: pixels that touch, also at a corner, belong together."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.prompts import BoolArray
from sam2_adapter.annotations.rle import mask_to_rle

_NEIGHBOURS = 8


def count_parts(mask: BoolArray, min_area_px: int = 1) -> int:
    """Number of separate parts of a bool H x W mask that have at least so many pixels."""
    _, areas = _regions(mask)
    return int(np.count_nonzero(areas[1:] >= min_area_px))


def separate_parts(annotation: Annotation) -> list[Annotation]:
    """One annotation per separate part of an object, with the object's label; the object itself where it is one part."""
    x0, y0, _, _ = annotation.box_xyxy
    mask = annotation.mask_in_box
    number, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=_NEIGHBOURS)
    if number <= 2:
        return [annotation]
    parts = []
    whole = np.zeros(annotation.original_hw, np.bool_)
    for index in range(1, number):
        left, top, width, height = statistics[index, :4].tolist()
        window = (slice(y0 + top, y0 + top + height), slice(x0 + left, x0 + left + width))
        whole[window] = labels[top : top + height, left : left + width] == index
        parts.append(replace(annotation, rle=mask_to_rle(whole)))
        whole[window] = False
    return parts


def without_small_regions(
    mask: BoolArray, least_area: int, offset_xy: tuple[int, int] = (0, 0), original_hw: tuple[int, int] | None = None
) -> BoolArray:
    """Fill holes, then remove parts, that have fewer pixels than `least_area`; of a mask of small parts only, the largest stays.

    Regions are connected over sides and corners. Where the mask reaches the border of the image, background there is a hole like any other,
    as in Meta's `remove_small_regions`.

    Args:
        mask: bool h x w, the mask inside its box; nothing is set outside.
        least_area: in pixels.
        offset_xy: (x, y) pixel of the image where the box begins.
        original_hw: (height, width) of the image; by default the box is all of it.
    """
    height, width = mask.shape
    image_height, image_width = original_hw or (height, width)
    x, y = offset_xy
    # One pixel around, as far as the image goes: background that goes on outside is one region with it.
    around = (
        (min(1, y), min(1, image_height - y - height)),
        (min(1, x), min(1, image_width - x - width)),
    )
    background = np.pad(~mask, around, constant_values=True)
    ring = np.pad(np.zeros_like(mask), around, constant_values=True)
    labels, areas = _regions(background)
    outside = labels[ring]
    if len(outside):
        areas[outside] += image_height * image_width - background.size
    holes = np.flatnonzero(areas < least_area)
    top, left = around[0][0], around[1][0]
    filled: BoolArray = mask | np.isin(labels, holes[holes > 0])[top : top + height, left : left + width]
    labels, areas = _regions(filled)
    areas[0] = 0
    large = np.flatnonzero(areas >= least_area)
    if not len(large):
        large = np.array([areas.argmax()])
    kept: BoolArray = np.isin(labels, large) & filled
    return kept


def _regions(mask: BoolArray) -> tuple[np.ndarray, np.ndarray]:
    """The region that each pixel belongs to, 0 outside, and the areas of all regions."""
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=_NEIGHBOURS)
    return labels, statistics[:, cv2.CC_STAT_AREA].astype(np.int64)
