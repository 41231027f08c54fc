"""The frame that the objects of a COCO image were drawn in: that of the upright image, or that of the stored pixels.

Tools write the width and height of a photograph from before its EXIF orientation is applied, and draw upright or not. Which of the two
it was shows where an object fits only one of the frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any

from sam2_adapter.errors import DataError
from sam2_adapter.formats.coco.segmentation import read_rings
from sam2_adapter.formats.document import listed_side

# How far, in pixels, a polygon may reach over the border of the image that it was drawn on.
_OVERHANG = 2.0


class Frame(Enum):
    """What the size in a file says about the image."""

    SAME = "the size of the upright image, or none"
    UPRIGHT_DESPITE_SIZE = "width and height are exchanged, but the objects fit only the upright image"
    BEFORE_TURNING = "width and height are exchanged, and the objects do not tell the frame"
    OTHER = "another size"


def frame_of(entry: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], original_hw: tuple[int, int]) -> Frame:
    """Compare the size that a file gives an image with that of the upright image.

    Args:
        entry: the image's entry; width and height may be missing, null or texts.
        rows: the image's objects.
        original_hw: (height, width) of the upright image.
    """
    height, width = original_hw
    listed = _side(entry.get("height"), height), _side(entry.get("width"), width)
    if listed == original_hw:
        return Frame.SAME
    if listed != (width, height):
        return Frame.OTHER
    return Frame.UPRIGHT_DESPITE_SIZE if _fit_only_upright(rows, original_hw) else Frame.BEFORE_TURNING


def _side(value: Any, known: int) -> int | None:
    """A width or height as a number; what is not given is as known, and `None` is no number."""
    try:
        given = listed_side(value)
    except ValueError:
        return None
    return known if given is None else given


def _fit_only_upright(rows: Iterable[Mapping[str, Any]], original_hw: tuple[int, int]) -> bool:
    height, width = original_hw
    proofs = [_proof(segmentation, (height, width)) for segmentation in _segmentations(rows)]
    return any(proof > 0 for proof in proofs) and not any(proof < 0 for proof in proofs)


def _segmentations(rows: Iterable[Mapping[str, Any]]) -> Iterator[Any]:
    return (row["segmentation"] for row in rows if row.get("segmentation"))


def _proof(segmentation: Any, upright_hw: tuple[int, int]) -> int:
    """1 where an object fits only the upright frame, -1 where it fits only the other one, else 0."""
    height, width = upright_hw
    fits_upright, fits_other = _fits(segmentation, (height, width)), _fits(segmentation, (width, height))
    return int(fits_upright) - int(fits_other)


def _fits(segmentation: Any, hw: tuple[int, int]) -> bool:
    if isinstance(segmentation, Mapping):
        return segmentation.get("size") == list(hw)
    try:
        rings, _ = read_rings(segmentation)
    except (DataError, TypeError):
        return False
    right, bottom = (max(ring[:, axis].max() for ring in rings) for axis in (0, 1))
    return bool(right <= hw[1] + _OVERHANG and bottom <= hw[0] + _OVERHANG)
