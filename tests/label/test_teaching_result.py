"""What teaching came to, in figures and in words; the figures are those of the training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sam2_adapter.label.teaching_result import BETTER, FORGETS, NOT_BETTER, result_of
from sam2_adapter.training.blend_choice import BlendChoice, BlendPoint
from sam2_adapter.training.general import GeneralChange, GeneralQuality
from sam2_adapter.training.quality import Figures
from sam2_adapter.training.records import EpochRecord, TrainingResult

BEFORE, AFTER = GeneralQuality(0.6, 0.4), GeneralQuality(0.5, 0.3)


def _figures(iou):
    return Figures(iou, iou, iou, 0.5, 0.1, (iou,) * 20)


def _record(epoch, iou):
    values = dict.fromkeys(EpochRecord.__dataclass_fields__, 0.0)
    ious = {"miou_box": iou, "miou_click": iou, "miou_clicks": iou, "miou_20_clicks": iou, "score": iou}
    return EpochRecord(**{**values, **ious, "epoch": epoch, "iou_by_click": (iou,) * 20})


def _result(best_epoch=1, curve=(), general=True, stopped="all epochs done"):
    change = GeneralChange("photographs", 21, 52, BEFORE, AFTER) if general else None
    return TrainingResult(
        name="run1",
        base="sam2_nano",
        model_path=Path("m"),
        weights_sha256="",
        best_epoch=best_epoch,
        gained=0.1,
        epochs=1,
        stopped=stopped,
        history=(_record(0, 0.7), _record(1, 0.8)),
        seconds=3.0,
        blend=BlendChoice(1.0, "", tuple(curve)),
        general=change,
    )


def _curve(*points):
    return [BlendPoint(share, _figures(iou), general) for share, iou, general in points]


def test_each_share_has_its_figures_and_its_sentence_and_the_rule_of_training_chooses():
    some = GeneralQuality(0.57, 0.37)
    curve = _curve((0.0, 0.7, BEFORE), (0.5, 0.78, some), (1.0, 0.8, AFTER))
    told = result_of(_result(curve=curve))
    assert [(point["share"], point["verdict"]) for point in told["curve"]] == [
        (0.0, NOT_BETTER),
        (0.5, BETTER),
        (1.0, FORGETS),
    ]
    assert told["share"] == 0.5
    assert told["curve"][1]["text"] == (
        "Better: masks of the objects kept to check it match better (70.0 % → 78.0 %), and on other photographs it keeps what it could "
        "(50.0 % → 47.0 %)."
    )
    assert told["curve"][2]["text"].startswith("It forgets: ")
    for point, given in zip(told["curve"], curve, strict=True):
        assert {key: point[key] for key in given.to_dict()} == given.to_dict()
    assert (told["general"], told["best_epoch"], told["stopped"]) == (
        {"images": 21, "objects": 52},
        1,
        "all epochs done",
    )


def test_a_share_that_is_worse_on_the_objects_is_not_better():
    told = result_of(_result(curve=_curve((0.0, 0.7, BEFORE), (0.5, 0.69, BEFORE), (1.0, 0.8, BEFORE))))
    assert (told["curve"][1]["verdict"], told["share"]) == (NOT_BETTER, 1.0)


@pytest.mark.parametrize(
    ("iou", "verdict", "text"),
    [
        (0.7, NOT_BETTER, "Not better: masks of the objects kept to check it match 70.0 % as before."),
        (0.7004, NOT_BETTER, "Not better: masks of the objects kept to check it match 70.0 % as before."),
        (0.69, NOT_BETTER, "Not better: masks of the objects kept to check it match 70.0 % → 69.0 %."),
        (
            0.709,
            NOT_BETTER,
            "About as before: masks of the objects kept to check it match 70.0 % → 70.9 %, and so small a difference may be chance.",
        ),
        (0.711, BETTER, "Better: masks of the objects kept to check it match better (70.0 % → 71.1 %), and on other"),
    ],
)
def test_only_a_clear_gain_is_called_better(iou, verdict, text):
    (_, found) = result_of(_result(curve=_curve((0.0, 0.7, BEFORE), (1.0, iou, BEFORE))))["curve"]
    assert (found["verdict"], found["text"][: len(text)]) == (verdict, text)


@pytest.mark.parametrize(
    ("ious", "share"),
    [
        ((0.7, 0.78, 0.785, 0.789), 0.25),
        ((0.7, 0.778, 0.785, 0.789), 0.5),
        ((0.7, 0.705, 0.709, 0.708), 0.0),
        ((0.7, 0.705, 0.711, 0.708), 0.5),
    ],
)
def test_the_smallest_share_is_suggested_that_is_as_good_as_the_best_up_to_chance(ious, share):
    told = result_of(
        _result(curve=_curve(*((at, iou, BEFORE) for at, iou in zip((0.0, 0.25, 0.5, 1.0), ious, strict=True))))
    )
    assert told["share"] == share
    assert ("smallest" in told["reason"]) == (share > 0)


def test_nothing_gained_is_said():
    told = result_of(_result(best_epoch=0))
    assert [(point["verdict"], point["score"]) for point in told["curve"]] == [(NOT_BETTER, pytest.approx(0.7))]
    assert told["curve"][0]["text"].startswith("Not better: in 1 pass no model was better")
    assert told["share"] == 0.0


@pytest.mark.parametrize(("stopped", "why"), [("interrupted", ", since it was stopped."), ("all epochs done", ".")])
def test_what_was_not_measured_is_said(stopped, why):
    told = result_of(_result(general=False, stopped=stopped))
    assert [point["share"] for point in told["curve"]] == [0.0, 1.0]
    assert told["curve"][1]["text"].endswith(f"What it forgets was not measured{why}")
    assert (told["share"], told["general"]) == (1.0, None)
    without = replace(_result(stopped=stopped), general=GeneralChange("photographs", 21, 52, BEFORE, None))
    assert result_of(without)["curve"][1]["text"].endswith(f"What it forgets was not measured{why}")


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (GeneralQuality(0.5, 0.5), "60.0 % → 50.0 % from a box"),
        (GeneralQuality(0.7, 0.3), "40.0 % → 30.0 % after one click"),
    ],
)
def test_what_got_worse_on_other_photographs_is_the_figure_that_fell(after, told):
    (_, found) = result_of(_result(curve=_curve((0.0, 0.7, BEFORE), (1.0, 0.8, after))))["curve"]
    assert found["verdict"] == FORGETS
    assert found["text"].endswith(f"but those on other photographs get worse ({told}).")
