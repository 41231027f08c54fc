"""Separate parts of a mask."""

from __future__ import annotations

import numpy as np
from hypothesis import given

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.separate_parts import count_parts, separate_parts
from tests.shapes import QUICK, pixel_masks


@QUICK
@given(mask=pixel_masks())
def test_parts_are_disjoint_and_make_up_the_object(mask):
    if not mask.any():
        return
    parts = separate_parts(Annotation.from_mask(mask, "cat", 0.5, object_id="7"))
    assert len(parts) == count_parts(mask)
    assert sum(part.area for part in parts) == mask.sum()
    np.testing.assert_array_equal(np.logical_or.reduce([part.mask for part in parts]), mask)
    assert {(part.label, part.iou_score) for part in parts} == {("cat", 0.5)}


def test_pixels_that_touch_at_a_corner_belong_together():
    mask = np.eye(4, dtype=np.bool_)
    assert count_parts(mask) == 1
    mask[1, 1] = False
    assert count_parts(mask) == 2
    assert count_parts(mask, min_area_px=2) == 1
