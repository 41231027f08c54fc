"""An epoch in numbers: means over objects, skipped steps beside them, and the two files of metrics."""

from __future__ import annotations

import csv
import json
import math

import pytest

from sam2_adapter.training.losses import LossTerms
from sam2_adapter.training.quality import Quality
from sam2_adapter.training.records import make_record, write_metrics
from sam2_adapter.training.step import StepResult

QUALITY = Quality(
    miou_box=0.75,
    miou_click=0.5,
    miou_clicks=0.625,
    boundary_f=0.5,
    score_error=0.125,
    iou_by_click=(0.5, 0.875),
    objects=(),
)


def step(loss: float, num_objects: int, norm: float = 1.0, *, is_skipped: bool = False) -> StepResult:
    return StepResult(dict.fromkeys(LossTerms._fields, loss), num_objects, norm, is_skipped)


def record(*steps: StepResult, epoch: int = 1):
    return make_record(epoch, steps, QUALITY, True, 1e-3, 8, 2.0, 1.0)


def test_losses_are_means_over_the_objects_of_the_steps_that_count():
    found = record(step(8.0, 4, 2.0), step(1.0, 2, 4.0), step(math.nan, 4, math.inf, is_skipped=True))
    assert found.loss == found.loss_dice == pytest.approx(9 / 6)
    assert found.gradient_norm == 3
    assert found.skipped_steps == 1
    assert found.score == pytest.approx((0.75 + 0.5 + 0.625 + 0.875) / 4)
    assert found.memory_mib > 10


def test_the_untouched_model_has_no_losses():
    found = record(epoch=0)
    assert found.loss is found.loss_pixels is found.gradient_norm is None
    assert found.skipped_steps == 0


def test_the_two_files_say_the_same(tmp_path):
    history = [record(epoch=0), record(step(2.0, 1))]
    write_metrics(tmp_path, history, {"name": "nuclei"})
    document = json.loads((tmp_path / "metrics.json").read_text())
    rows = list(csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines()))
    assert document["name"] == "nuclei"
    assert [row["loss"] for row in document["epochs"]] == [None, 2.0]
    assert [row["loss"] for row in rows] == ["", "2.0"]
    assert [int(row["epoch"]) for row in rows] == [0, 1]
