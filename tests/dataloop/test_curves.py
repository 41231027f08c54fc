"""Curves of a training and figures by label, as the platform gets them."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path

import pytest

from sam2_adapter.dataloop.curves import (
    ALL_LABELS,
    EVALUATION_FIGURE,
    CurvePublisher,
    outcome_samples,
    publish_label_scores,
    samples_of,
)
from sam2_adapter.training.blend_choice import BlendChoice, BlendPoint
from sam2_adapter.training.general import GeneralChange, GeneralQuality
from sam2_adapter.training.quality import Figures
from sam2_adapter.training.records import EpochRecord, TrainingResult
from tests.dataloop.adapting import no_waits
from tests.dataloop.gateway.faults import status

PUBLISH = "/ml/metrics/publish"


@pytest.fixture(autouse=True)
def _no_waits(dl, monkeypatch):
    no_waits(monkeypatch)


@pytest.fixture
def model(platform):
    return platform.model(platform.dataset())


def _record(epoch, **figures):
    return EpochRecord(**{**{field.name: None for field in fields(EpochRecord)}, "epoch": epoch, **figures})


def _points(platform):
    return [(row["figure"], row["legend"], row["data"]["x"], row["data"]["y"]) for row in platform.store.all("metrics")]


def test_an_epoch_is_one_point_of_every_figure_that_it_has():
    points = samples_of(_record(3, loss=0.5, loss_dice=0.25, miou_box=0.75, learning_rate=1e-4))
    assert [(point.figure, point.legend, point.x, point.y) for point in points] == [
        ("loss", "train", 3, 0.5),
        ("loss: dice", "train", 3, 0.25),
        ("mIoU from boxes", "validation", 3, 0.75),
        ("learning rate", "train", 3, 1e-4),
    ]


def test_the_outcome_of_a_run_is_points_of_three_figures():
    figures = Figures(0.5, 0.5, 0.5, 0.5, 0.1, (0.25,) * 19 + (0.5,))
    curve = tuple(BlendPoint(share, figures, GeneralQuality(0.5 - share / 4, 0.25)) for share in (0.0, 0.5, 1.0))
    change = GeneralChange("photographs", 21, 52, curve[0].general, curve[1].general)
    history = tuple(_record(epoch, **asdict(figures)) for epoch in range(3))
    result = TrainingResult(
        "mine",
        "sam2_nano",
        Path("m"),
        "f",
        2,
        0.0,
        2,
        "all epochs done",
        history,
        1.0,
        BlendChoice(0.5, "", curve),
        change,
    )
    lines = {}
    for point in outcome_samples(result):
        lines.setdefault((point.figure, point.legend), []).append((point.x, point.y))
    assert lines["general set: mIoU", "box"] == [(0, 0.5), (2, 0.375)]
    assert lines["general set: mIoU", "one click"] == [(0, 0.25), (2, 0.25)]
    assert lines["mIoU by clicks", "untouched"] == lines["mIoU by clicks", "saved"]
    assert lines["mIoU by clicks", "saved"][-1] == (20, 0.5)
    assert lines["mIoU by percent of the tuned weights", "validation"] == [(0, 0.5), (50, 0.5), (100, 0.5)]
    assert lines["mIoU by percent of the tuned weights", "general"] == [(0, 0.375), (50, 0.3125), (100, 0.25)]


def test_an_outcome_that_could_not_be_sent_costs_no_training(platform, gateway, model, caplog):
    gateway.faults.add(status(500), route=PUBLISH)
    history = (_record(0, **asdict(Figures(0.5, 0.5, 0.5, 0.5, 0.1, (0.25,) * 20))),)
    result = TrainingResult("mine", "sam2_nano", Path("m"), "f", 0, 0.0, 1, "all epochs done", history, 1.0)
    CurvePublisher(model).publish_outcome(result)
    assert "40 points of curves could not be sent" in caplog.text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_no_point(value):
    assert samples_of(_record(1, loss=value)) == []


def test_points_that_could_not_be_sent_go_with_the_next(platform, gateway, model, caplog):
    curves = CurvePublisher(model)
    rule = gateway.faults.add(status(500), route=PUBLISH)
    curves.publish(_record(1, loss=0.5, miou_box=0.25))
    assert "Epoch 1: 2 points of curves wait to be sent" in caplog.text
    gateway.faults.rules.remove(rule)
    curves.publish(_record(2, loss=0.125))
    curves.publish(_record(3, loss=0.0625))
    assert _points(platform) == [
        ("loss", "train", 1, 0.5),
        ("mIoU from boxes", "validation", 1, 0.25),
        ("loss", "train", 2, 0.125),
        ("loss", "train", 3, 0.0625),
    ]


def test_scores_are_means_by_label_and_over_all_objects(platform, model):
    publish_label_scores(model, model.dataset_id, {"dog": [0.5, 1.0], "cat": [0.25], "bird": []})
    assert _points(platform) == [
        (EVALUATION_FIGURE, "cat", 0, 0.25),
        (EVALUATION_FIGURE, "dog", 0, 0.75),
        (EVALUATION_FIGURE, ALL_LABELS, 0, pytest.approx(1.75 / 3)),
    ]


def test_no_objects_are_no_points(platform, gateway, model):
    before = gateway.requests.by_route()[f"POST {PUBLISH}"]
    publish_label_scores(model, model.dataset_id, {"cat": []})
    assert gateway.requests.by_route()[f"POST {PUBLISH}"] == before
    assert _points(platform) == []
