"""Curves of a training and figures by label, as the platform gets them."""

from __future__ import annotations

from dataclasses import fields

import pytest

from sam2_adapter.dataloop.curves import (
    ALL_LABELS,
    EVALUATION_FIGURE,
    CurvePublisher,
    publish_label_scores,
    samples_of,
)
from sam2_adapter.training.records import EpochRecord
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
