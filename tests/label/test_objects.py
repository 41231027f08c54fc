"""Objects from the page: what is kept of them, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.annotations.objects import Annotation
from sam2_adapter.annotations.rle import mask_to_rle
from sam2_adapter.errors import DataError
from sam2_adapter.label.objects import (
    annotations_of,
    checked_label,
    checked_object,
    object_of,
    with_masks_once,
    with_whole_steps,
)

HW = (3, 4)
MASK = np.arange(12).reshape(HW) % 3 == 0
COUNTS = mask_to_rle(MASK).counts
GOOD = {"label": "car", "counts": COUNTS, "score": 0.5}


def test_what_is_known_is_kept_and_the_rest_is_dropped():
    steps = [{"point": [1, 2], "inside": True}]
    given = {
        **GOOD,
        "label": " car ",
        "score": 1.2,
        "steps": steps,
        "model": {"name": "m"},
        "object_id": "7",
        "parent_id": 7,
        "extra": 1,
    }
    assert checked_object(given, HW, "x") == {
        "label": "car",
        "counts": COUNTS,
        "score": 1.0,
        "steps": steps,
        "model": {"name": "m"},
        "object_id": "7",
    }
    assert checked_object({"label": "a", "counts": COUNTS}, HW, "x")["score"] == 1.0


def test_an_object_of_a_file_without_scores_has_none_and_files_say_1():
    for score, kept in ((1.0, None), (0.999, 0.999), (0.0, 0.0)):
        entry = object_of(Annotation.from_mask(MASK, "car", score))
        assert entry["score"] == kept
        assert checked_object(entry, HW, "x")["score"] == kept
        assert [annotation.iou_score for annotation in annotations_of([entry], HW)] == [score]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"label": ""}, "a label is a text that is not empty"),
        ({"label": 5}, "a label is a text that is not empty"),
        ({"label": "x" * 201}, "at most 200 characters, but this one has 201"),
        ({"label": "\ud800"}, "half a character"),
        ({"counts": mask_to_rle(np.zeros(HW, bool)).counts}, "the mask is empty"),
        ({"counts": mask_to_rle(np.ones((5, 5), bool)).counts}, "the runs cover 25 pixels, but a mask of 4x3 has 12"),
        ({"counts": None}, "COCO's compressed form"),
        ({"counts": "\u20ac"}, "COCO's compressed form"),
        ({"score": "high"}, "the score is a number, but got 'high'"),
        ({"score": float("nan")}, "the score is a number"),
        ({"score": True}, "the score is a number"),
    ],
)
def test_what_cannot_be_used_is_refused(changed, message):
    with pytest.raises(DataError, match=message):
        checked_object({**GOOD, **changed}, HW, "a.jpg: 1")


@pytest.mark.parametrize("value", [None, [], "text", 5])
def test_an_object_is_an_object(value):
    with pytest.raises(DataError, match="expected an object, but got a"):
        checked_object(value, HW, "a.jpg: 1")


@pytest.mark.parametrize("steps", [5, [1], [{}] * 401])
def test_steps_that_are_none_are_dropped(steps):
    assert "steps" not in checked_object({**GOOD, "steps": steps}, HW, "x")


def test_annotations_come_and_go():
    annotation = Annotation.from_mask(MASK, "car", 0.25, attributes={"a": 1}, object_id="o", parent_id="p")
    (back,) = annotations_of([checked_object(object_of(annotation), HW, "x")], HW)
    assert back == annotation


def test_labels_lose_the_space_around_them():
    assert checked_label("  <b>car</b>\t", "x") == "<b>car</b>"


def test_a_mask_of_a_step_is_named_where_it_is_the_objects_own():
    entry = {**GOOD, "steps": [{"mask": COUNTS, "painted": True}, {"mask": "other"}, {"point": [1, 1]}]}
    once = with_masks_once(entry)
    assert once["steps"] == [{"mask": True, "painted": True}, {"mask": "other"}, {"point": [1, 1]}]
    assert with_whole_steps(once) == entry
    assert with_whole_steps(entry) is entry
    assert checked_object(once, HW, "x") == entry
    assert with_masks_once({**GOOD, "steps": "none"}) == {**GOOD, "steps": "none"}
