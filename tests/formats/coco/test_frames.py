"""The size that a COCO file gives an image, and what its objects say about the frame."""

from __future__ import annotations

import pytest

from sam2_adapter.formats.coco.frames import Frame, frame_of

HW = (24, 32)
WIDE, TALL = [[20, 3, 31, 3, 31, 12]], [[2, 3, 10, 3, 10, 31]]
SMALL = [[2, 3, 10, 3, 10, 12]]


@pytest.mark.parametrize(
    ("height", "width", "frame"),
    [
        (24, 32, Frame.SAME),
        ("24", "32", Frame.SAME),
        (24.0, 32.0, Frame.SAME),
        (None, None, Frame.SAME),
        (None, 32, Frame.SAME),
        ("", "", Frame.SAME),
        (0, 0, Frame.SAME),
        (-1, "-1", Frame.SAME),
        (float("nan"), 32, Frame.SAME),
        (32, 24, Frame.BEFORE_TURNING),
        (12, 16, Frame.OTHER),
        ("wide", 32, Frame.OTHER),
        ([24], 32, Frame.OTHER),
        (1e400, 32, Frame.OTHER),
        (24.5, 32, Frame.OTHER),
    ],
)
def test_sizes_of_every_kind(height, width, frame):
    assert frame_of({"height": height, "width": width}, [{"segmentation": SMALL}], HW) is frame
    assert frame_of({}, [], HW) is Frame.SAME


@pytest.mark.parametrize(
    ("segmentations", "frame"),
    [
        ([WIDE, SMALL], Frame.UPRIGHT_DESPITE_SIZE),
        ([{"size": [24, 32], "counts": [768]}], Frame.UPRIGHT_DESPITE_SIZE),
        ([TALL], Frame.BEFORE_TURNING),
        ([WIDE, TALL], Frame.BEFORE_TURNING),
        ([{"size": [32, 24], "counts": [768]}], Frame.BEFORE_TURNING),
        ([[[1, 2]], 5, None], Frame.BEFORE_TURNING),
    ],
)
def test_objects_tell_the_frame_where_they_fit_only_one(segmentations, frame):
    rows = [{"segmentation": segmentation} for segmentation in segmentations]
    assert frame_of({"height": 32, "width": 24}, rows, HW) is frame
