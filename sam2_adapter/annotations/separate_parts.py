"""The separate parts of a mask: pixels that touch, also at a corner, belong together."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.prompts import BoolArray
from sam2_adapter.annotations.rle import mask_to_rle


def count_parts(mask: BoolArray, min_area_px: int = 1) -> int:
    """Number of separate parts of a bool H x W mask that have at least so many pixels."""
    _, _, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = statistics[1:, cv2.CC_STAT_AREA]
    return int(np.count_nonzero(areas >= min_area_px))


def separate_parts(annotation: Annotation) -> list[Annotation]:
    """One annotation per separate part of an object, with the object's label; the object itself where it is one part."""
    x0, y0, _, _ = annotation.box_xyxy
    mask = annotation.mask_in_box
    number, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
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
