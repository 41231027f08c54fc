"""Objects cut out of their pictures, small, with the outline of their mask."""

from __future__ import annotations

import cv2
import numpy as np

from sam2_adapter.annotations.colors import Color
from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.rle import Rle
from sam2_adapter.images.sources import Pixels
from sam2_adapter.label.objects import Object
from sam2_adapter.reports.overlay import draw_outline

CUTOUT_PX = 224
"""Longest side of what is cut out."""

# Room around an object, as a share of its longer side, and at least so many pixels.
_MARGIN = 0.15
_LEAST_MARGIN_PX = 6

# Small objects are shown enlarged, up to so many times.
_MOST_ENLARGED = 6.0


def cut_out(pixels: Pixels, entry: Object, color: Color) -> Pixels:
    """Cut an object out of its picture.

    Args:
        pixels: uint8 RGB H x W x 3, the whole picture.
        entry: the object, of a mask in its size.
        color: of the outline.

    Returns:
        uint8 RGB, the longest side at most `CUTOUT_PX`.
    """
    height, width = pixels.shape[:2]
    annotation = Annotation.from_rle(Rle(entry["counts"], (height, width)), entry["label"])
    x0, y0, x1, y1 = annotation.box_xyxy
    margin = max(_LEAST_MARGIN_PX, round(_MARGIN * max(x1 - x0, y1 - y0)))
    left, top, right, bottom = (
        max(0, x0 - margin),
        max(0, y0 - margin),
        min(width, x1 + margin),
        min(height, y1 + margin),
    )
    mask = np.zeros((bottom - top, right - left), np.uint8)
    mask[y0 - top : y1 - top, x0 - left : x1 - left] = annotation.mask_in_box
    part = pixels[top:bottom, left:right]
    scale = min(CUTOUT_PX / max(part.shape[:2]), _MOST_ENLARGED)
    size_wh = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
    shown = cv2.resize(part, size_wh, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    covered = cv2.resize(mask * np.float32(1), size_wh, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    small = covered >= 0.5
    return draw_outline(np.ascontiguousarray(shown), small if small.any() else covered > 0, color)
