"""Boxes of the studio to the annotations that take their place."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sam2_adapter.annotations.masks import mask_iou
from sam2_adapter.dataloop.storing import Owner
from sam2_adapter.dataloop.studio_boxes import Answers, AnswerStyle, answer_boxes
from sam2_adapter.errors import PromptError
from sam2_adapter.predict.load import load_predictor
from tests.dataloop.adapting import BOX, disk_image, disk_mask, mask_of

WANTED = AnswerStyle(Owner("7" * 24, "mine"), "mask", True, {"cat": (255, 0, 0)})


@pytest.fixture(scope="module")
def predictor():
    return load_predictor("sam2_nano", "cpu", "torch", "fp32")


@pytest.fixture(scope="module")
def embedding(predictor):
    return predictor.embed(disk_image())


@pytest.fixture
def item(platform):
    return platform.item(platform.dataset(), disk_image(), "/scenes/disk.png")


def _box(box_xyxy=BOX, identifier="b1", **fields):
    left, top, right, bottom = box_xyxy
    corners = [{"x": left, "y": top}, {"x": right, "y": bottom}]
    return {"id": identifier, "type": "box", "label": "cat", "coordinates": corners, "metadata": {}, **fields}


def test_a_mask_takes_the_place_of_its_box(predictor, embedding, item):
    box = _box(attributes={"1": "small"}, metadata={"user": {"note": "kept"}, "system": {"objectId": "4"}, "x": 1})
    answers = answer_boxes(predictor, embedding, item, [box], WANTED)
    (document,) = answers.documents
    assert answers.refused == ()
    assert mask_iou(mask_of(document), disk_mask()) > 0.9
    assert (document["id"], document["type"], document["label"]) == ("b1", "binary", "cat")
    assert (document["itemId"], document["datasetId"], document["attributes"]) == (
        item.id,
        item.dataset_id,
        {"1": "small"},
    )
    metadata = document["metadata"]
    assert (metadata["x"], metadata["user"]["note"], metadata["system"]["objectId"]) == (1, "kept", "4")
    assert metadata["user"]["model"]["name"] == "mine"


def test_masks_are_cut_at_their_boxes_where_that_is_wanted(predictor, embedding, item):
    half = (40, 20, 80, 100)
    (inside,) = answer_boxes(predictor, embedding, item, [_box(half)], WANTED).documents
    assert not mask_of(inside)[:, 81:].any()
    assert mask_of(inside)[20:100, 40:80].any()


def test_a_polygon_takes_the_place_of_its_box(predictor, embedding, item):
    (document,) = answer_boxes(predictor, embedding, item, [_box()], replace(WANTED, output_type="polygon")).documents
    assert (document["type"], document["id"]) == ("segment", "b1")
    assert mask_iou(mask_of(document), disk_mask()) > 0.9


def test_answers_come_in_the_order_of_the_boxes(predictor, embedding, item):
    boxes = [_box(BOX, "b1"), _box((44, 24, 116, 96), "b2"), _box(BOX, "b3")]
    documents = answer_boxes(predictor, embedding, item, boxes, WANTED).documents
    assert [document["id"] for document in documents] == ["b1", "b2", "b3"]


def test_a_box_that_cannot_be_used_costs_no_other(predictor, embedding, item):
    outside, point = _box((500, 500, 600, 600), "b2"), {"id": "b3", "type": "point", "coordinates": {"x": 1, "y": 2}}
    answers = answer_boxes(predictor, embedding, item, [outside, _box(), point], WANTED)
    assert [document["id"] for document in answers.documents] == ["b1"]
    assert [reason.partition(":")[0] for reason in answers.refused] == ["annotation b2", "annotation b3"]
    assert "it is no box, but of the type 'point'" in answers.refused[1]


def test_when_none_can_be_used_the_error_names_all(predictor, embedding, item):
    boxes = [_box((500, 500, 600, 600), "b2"), _box(identifier="b3", coordinates="nothing")]
    with pytest.raises(
        PromptError, match=r"None of the chosen annotations can be used\. annotation b2: .* annotation b3: "
    ):
        answer_boxes(predictor, embedding, item, boxes, WANTED)


def test_no_boxes_are_no_answers(predictor, embedding, item):
    assert answer_boxes(predictor, embedding, item, [], WANTED) == Answers([], ())
