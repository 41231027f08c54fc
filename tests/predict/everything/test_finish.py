"""What becomes of the masks of all views: each object once, cleaned up, the best ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sam2_adapter.annotations.rle import mask_to_rle, rle_to_mask
from sam2_adapter.config_everything import EverythingSettings
from sam2_adapter.predict.everything.finish import Finished, Found, finish
from sam2_adapter.predict.everything.thresholds import Thresholds

HW = (40, 60)


def found(
    box: tuple[int, int, int, int], score: float = 0.9, area: int = 2400, hole: tuple[int, int] | None = None
) -> Found:
    mask = np.zeros(HW, np.bool_)
    mask[box[1] : box[3], box[0] : box[2]] = True
    if hole:
        mask[hole[1], hole[0]] = False
    return Found(mask_to_rle(mask), score, 0.95, (box[0] + 0.5, box[1] + 0.5), area)


def finished(objects: list[Found], **settings: Any) -> Finished:
    chosen = EverythingSettings(**settings)
    return finish(objects, chosen, Thresholds.of(chosen))


def boxes(result: Finished) -> list[Any]:
    return [entry.rle.box_xyxy for entry in result.objects]


@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_an_object_of_several_views_is_the_one_of_the_smallest(mode: str) -> None:
    result = finished([found((0, 0, 20, 20), 0.95), found((1, 0, 20, 20), 0.7, area=600)], everything_mode=mode)
    assert boxes(result) == [(1, 0, 20, 20)]


def test_objects_come_best_first() -> None:
    result = finished([found((0, 0, 9, 9), 0.6), found((20, 0, 29, 9), 0.8)])
    assert [entry.iou_score for entry in result.objects] == [0.8, 0.6]


def test_the_best_are_kept_and_the_others_counted() -> None:
    objects = [found((x, 0, x + 5, 5), 0.5 + x / 100) for x in range(0, 50, 10)]
    result = finished(objects, max_objects=2)
    assert boxes(result) == [(40, 0, 45, 5), (30, 0, 35, 5)]
    assert result.num_dropped == 3


def test_small_holes_are_filled_once() -> None:
    result = finished([found((0, 0, 20, 20), hole=(5, 5))], min_mask_region_area=4)
    assert result.objects[0].rle.area == 400


def test_objects_that_are_alike_when_cleaned_are_one() -> None:
    objects = [found((0, 0, 20, 20), 0.9, hole=(5, 5)), found((0, 0, 20, 20), 0.8)]
    result = finished(objects, min_mask_region_area=4, mask_nms_thresh=0.999)
    assert [(entry.iou_score, entry.rle.area) for entry in result.objects] == [(0.8, 400)]


def test_of_contained_masks_the_better_stays() -> None:
    objects = [found((0, 0, 30, 30), 0.7), found((5, 5, 12, 12), 0.9), found((40, 0, 50, 10), 0.5)]
    assert len(finished(objects).objects) == 3
    assert boxes(finished(objects, drop_contained=True)) == [(5, 5, 12, 12), (40, 0, 50, 10)]


def test_without_overlaps_a_pixel_is_the_best_objects() -> None:
    objects = [found((0, 0, 20, 20), 0.7), found((10, 0, 30, 20), 0.9), found((12, 2, 18, 9), 0.5)]
    result = finished(objects, overlaps="highest_score")
    assert boxes(result) == [(10, 0, 30, 20), (0, 0, 10, 20)]
    assert sum(rle_to_mask(entry.rle).astype(int) for entry in result.objects).max() == 1


def test_box_nms_in_fast_mode_and_mask_nms_in_exact_mode_are_there_on_request() -> None:
    alike = [found((0, 0, 20, 20), 0.9), found((0, 0, 20, 19), 0.8)]
    hollow = Found(mask_to_rle(np.pad(np.ones((1, 20), np.bool_), ((0, 39), (0, 40)))), 0.5, 0.9, (0.5, 0.5), 2400)
    assert len(finished([alike[0], hollow], box_nms_thresh=0.5).objects) == 2
    assert len(finished(alike, everything_mode="exact").objects) == 2
    assert len(finished(alike, everything_mode="exact", mask_nms_thresh=0.7).objects) == 1
    assert len(finished(alike, mask_nms_thresh=1.0, box_nms_thresh=0.7).objects) == 1


def test_nothing_gives_nothing() -> None:
    assert finished([]) == Finished(())
