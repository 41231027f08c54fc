"""Rows of an evaluation to figures, tables and documents, by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sam2_adapter.errors import ConfigError, DataError
from sam2_adapter.evaluation.scores import Evaluation, EvaluationSettings, ObjectScore, noc_name

ROW = ObjectScore("a.png", 0, "cat", 100, 0.8, 0.9, 0.7, 0.75, 0.5, 0.6)
ROWS = (
    ROW,
    replace(ROW, object_index=1, label="dog", mask_iou=0.4, dice=0.5, boundary_f=0.3, iou_score=0.65),
    replace(ROW, sample="b.png", label="dog", mask_iou=0.9, dice=1.0, boundary_f=0.8, iou_score=0.85),
)
BOXES = Evaluation("box", {"name": "small"}, EvaluationSettings(), ROWS)
CLICKED = Evaluation(
    "clicks",
    {"name": "small"},
    EvaluationSettings(max_clicks=5),
    (
        replace(ROW, mask_iou=0.95, iou_by_click=(0.5, 0.86, 0.95)),
        replace(ROW, object_index=1, mask_iou=0.6, iou_by_click=(0.3, 0.4, 0.5, 0.5, 0.6)),
    ),
)


def test_every_object_counts_the_same():
    summary = BOXES.summary()
    assert (summary["num_objects"], summary["num_images"]) == (3, 2)
    assert summary["miou"] == pytest.approx(0.7)
    assert summary["dice"] == pytest.approx(0.8)
    assert summary["boundary_f"] == pytest.approx(0.6)
    assert summary["iou_score"] == pytest.approx(0.75)
    assert (summary["box_miou"], summary["ellipse_miou"]) == (pytest.approx(0.5), pytest.approx(0.6))
    shares = [summary[f"share_above_{threshold}"] for threshold in ("0.5", "0.75", "0.9")]
    assert shares == pytest.approx([2 / 3, 2 / 3, 1 / 3])
    assert "noc_85" not in summary


def test_labels_are_summarised_alone_most_frequent_first():
    labels = BOXES.by_label()
    assert list(labels) == ["dog", "cat"]
    assert labels["dog"]["miou"] == pytest.approx(0.65)
    assert labels["cat"]["score_correlation"] is None


def test_nothing_measured_has_no_means():
    summary = replace(BOXES, objects=()).summary()
    assert summary["num_objects"] == 0
    assert {summary[key] for key in ("miou", "dice", "calibration_error", "share_above_0.5")} == {None}


def test_clicks_are_counted_until_an_iou_is_reached():
    summary = CLICKED.summary()
    assert [summary[f"miou_after_{count}"] for count in (1, 3, 5)] == pytest.approx([0.4, 0.725, 0.775])
    assert (summary["noc_85"], summary["noc_85_failed"]) == (pytest.approx((2 + 5) / 2), 0.5)
    assert (summary["noc_90"], summary["noc_90_failed"]) == (pytest.approx((3 + 5) / 2), 0.5)
    assert noc_name(0.85) == "noc_85"


def test_after_the_last_click_the_iou_stays():
    assert [CLICKED.objects[0].iou_after(count) for count in (1, 2, 3, 9)] == [0.5, 0.86, 0.95, 0.95]


@pytest.mark.parametrize("evaluation", [BOXES, CLICKED])
def test_a_document_comes_back_as_it_was(evaluation):
    assert Evaluation.from_dict(json.loads(json.dumps(evaluation.to_dict()))) == evaluation


@pytest.mark.parametrize("document", [{}, {"objects": 3}, {"objects": [{"sample": "a"}]}])
def test_another_document_is_refused(document):
    with pytest.raises(DataError, match=r"Not an evaluation: .* Give the JSON that an evaluation wrote"):
        Evaluation.from_dict(document)


def test_a_table_has_a_line_for_all_and_one_for_each_label():
    header, *lines = [line.split() for line in BOXES.to_table().splitlines()]
    assert header[:4] == ["label", "objects", "mIoU", "Dice"]
    assert [line[:3] for line in lines] == [["all", "3", "0.700"], ["dog", "2", "0.650"], ["cat", "1", "0.800"]]
    assert "NoC85" not in header
    assert "NoC85" in CLICKED.to_table()
    assert BOXES.to_table(max_labels=1).endswith("... and 1 more labels")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"window": "x"}, "window is 'off', 'auto' or a number of pixels"),
        ({"window": 0}, "window is 'off', 'auto' or a number of pixels"),
        ({"max_windows": "5"}, "max_windows is a whole number of at least 1"),
        ({"max_clicks": 0}, "max_clicks is a whole number of at least 1"),
        ({"min_side_px": float("nan")}, "min_side_px is a number of at least 0"),
        ({"box_jitter": 2}, "box_jitter is a number from 0 to 1"),
        ({"stop_iou": "0.9"}, "stop_iou is a number of at least 0"),
        ({"seed": -1}, "seed is a whole number of at least 0"),
        ({"clip_to_box": "no"}, "clip_to_box is True or False"),
        ({"everything": "fast"}, "everything is a dict of settings of everything-mode"),
    ],
)
def test_settings_are_checked_when_they_are_made(given, text):
    with pytest.raises(ConfigError, match=text):
        EvaluationSettings(**given)


def test_a_window_may_be_a_number_and_wrong_settings_are_no_evaluation():
    assert EvaluationSettings(window=64) == EvaluationSettings(window="64")
    document = BOXES.to_dict()
    document["settings"]["max_clicks"] = -1
    with pytest.raises(DataError, match="Not an evaluation: max_clicks is a whole number"):
        Evaluation.from_dict(document)
