"""Of masks that overlap the best ones are kept."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.annotations.rle import Rle, mask_to_rle
from sam2_adapter.predict.everything.overlaps import box_ious, keep_best, mask_containments, mask_ious


def rectangle(x0: int, y0: int, x1: int, y1: int) -> Rle:
    mask = np.zeros((40, 60), np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask_to_rle(mask)


def test_the_best_of_overlapping_masks_is_kept_best_first() -> None:
    rles = [rectangle(0, 0, 20, 20), rectangle(30, 0, 50, 20), rectangle(1, 0, 21, 20)]
    assert keep_best([0.5, 0.7, 0.9], mask_ious(rles), 0.7) == [2, 1]


def test_of_equal_scores_the_first_is_kept() -> None:
    rles = [rectangle(0, 0, 20, 20)] * 2
    assert keep_best([0.5, 0.5], mask_ious(rles), 0.7) == [0]


def test_a_mask_that_was_dropped_drops_no_other() -> None:
    rles = [rectangle(0, 0, 20, 20), rectangle(5, 0, 25, 20), rectangle(10, 0, 30, 20)]
    assert keep_best([0.9, 0.8, 0.7], mask_ious(rles), 0.5) == [0, 2]


def test_a_threshold_of_one_keeps_all() -> None:
    assert keep_best([0.5, 0.7], mask_ious([rectangle(0, 0, 9, 9)] * 2), 1.0) == [1, 0]


def test_nothing_gives_nothing() -> None:
    assert keep_best([], mask_ious([]), 0.5) == []


def test_masks_that_cross_have_boxes_alike_but_are_two() -> None:
    first, second = np.eye(40, dtype=np.bool_), np.eye(40, dtype=np.bool_)[::-1]
    rles = [mask_to_rle(first), mask_to_rle(np.ascontiguousarray(second))]
    boxes = [(0, 0, 39, 39)] * 2
    assert keep_best([0.9, 0.8], box_ious(boxes), 0.7) == [0]
    assert keep_best([0.9, 0.8], mask_ious(rles), 0.7) == [0, 1]


def test_boxes_are_compared_between_the_centres_of_their_pixels() -> None:
    measure = box_ious([(0, 0, 9, 9), (0, 0, 9, 4), (5, 5, 5, 9)])
    np.testing.assert_allclose(measure(0, np.array([0, 1, 2])), [1, 4 / 9, 0])


@pytest.mark.parametrize("scores", [(0.9, 0.8), (0.8, 0.9)])
def test_a_mask_in_another_is_contained_whichever_is_better(scores: tuple[float, float]) -> None:
    rles = [rectangle(0, 0, 40, 40), rectangle(10, 10, 20, 20)]
    assert mask_ious(rles)(0, np.array([1])).tolist() == pytest.approx([100 / 1600])
    assert mask_containments(rles)(0, np.array([1])).tolist() == [1.0]
    assert len(keep_best(scores, mask_containments(rles), 0.8)) == 1
