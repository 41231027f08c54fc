"""What models are chosen by: means over objects, each object counted once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sam2_adapter.evaluation.scores import ObjectScore
from sam2_adapter.training.quality import ObjectQuality, mean_quality


def score(index: int, iou: float, iou_by_click: tuple[float, ...] = ()) -> ObjectScore:
    return ObjectScore(
        sample="a.png", object_index=index, label="disc", area_px=9, mask_iou=iou, dice=iou, box_iou=iou, boundary_f=iou,
        iou_score=0.5, ellipse_iou=0.5, iou_by_click=iou_by_click,
    )  # fmt: skip


FIRST = ObjectQuality(0, score(0, 0.75), score(0, 0.5, (0.25, 0.375, 0.5)))
SECOND = ObjectQuality(1, score(0, 0.25), score(0, 1.0, (0.75, 1.0)))


def test_means_are_over_objects_in_the_order_of_the_data():
    quality = mean_quality([SECOND, FIRST])
    assert quality.objects == (FIRST, SECOND)
    assert (quality.miou_box, quality.miou_click, quality.miou_clicks) == (0.5, 0.5, 0.75)
    assert quality.boundary_f == 0.5
    # The model always says 0.5, for IoUs of 0.75, 0.5, 0.25 and 1.
    assert quality.score_error == pytest.approx(0.125)


def test_the_curve_is_of_the_objects_on_it():
    quality = mean_quality([FIRST, replace(SECOND, is_on_curve=False)])
    assert quality.iou_by_click[:3] == (0.25, 0.375, 0.5)
    assert quality.miou_20_clicks == 0.5
    assert quality.score == pytest.approx((0.5 + 0.5 + 0.75 + 0.5) / 4)
    assert quality.figures.score == quality.score
