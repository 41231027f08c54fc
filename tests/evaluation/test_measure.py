"""The prompts that objects are measured with, and what is counted."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.evaluation.evaluate import EvaluationSettings
from sam2_adapter.evaluation.measure import first_click_prompt, measure_image
from sam2_adapter.formats.sample import Sample
from tests.small_model import small_predictor

HW = (60, 80)


def rectangle(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros(HW, bool)
    mask[y0:y1, x0:x1] = True
    return mask


MASKS = (rectangle(5, 5, 30, 40), rectangle(40, 20, 75, 55))


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A function that measures both objects of an image with a kind of prompt, always from the same embedding."""
    predictor = small_predictor()
    image = np.random.default_rng(0).integers(0, 255, (*HW, 3)).astype(np.uint8)
    (embedding,) = predictor.embed([image])
    objects = tuple(Annotation.from_mask(mask, "thing") for mask in MASKS)
    sample = Sample("a.png", tmp_path_factory.mktemp("none") / "a.png", HW, objects)
    return lambda mode, indices=(0, 1), **settings: measure_image(
        predictor, sample, indices, embedding, mode, EvaluationSettings(**settings)
    )


def test_the_first_click_is_the_middle_of_the_object():
    prompt = first_click_prompt(Annotation.from_mask(rectangle(10, 20, 21, 31), "thing"))
    assert prompt.point_coords.tolist() == [[15.5, 25.5]]
    assert prompt.point_labels.tolist() == [1]


@pytest.mark.parametrize("mode", ["box", "point", "clicks"])
def test_objects_are_told_in_their_order_whatever_is_asked(measured, mode):
    rows = measured(mode)
    assert [row.object_index for row in rows] == [0, 1]
    assert [row.area_px for row in rows] == [int(mask.sum()) for mask in MASKS]
    assert all(0 <= row.mask_iou <= 1 and row.sample == "a.png" for row in rows)
    assert measured(mode, indices=(1, 0)) == rows


def test_clicks_are_measured_one_after_another(measured):
    for row, single in zip(measured("clicks", max_clicks=4), measured("point"), strict=True):
        assert 1 <= len(row.iou_by_click) <= 4
        assert row.mask_iou == row.iou_by_click[-1]
        assert row.iou_by_click[0] == pytest.approx(single.mask_iou, abs=1e-6)


def test_a_box_cuts_the_mask_where_it_is_asked_to(measured):
    for row in measured("box", clip_to_box=True):
        assert row.box_iou >= row.mask_iou > 0


def test_zero_shot_is_one_answer(measured):
    (row,) = measured("zero_shot")
    assert row.object_index in (0, 1)
