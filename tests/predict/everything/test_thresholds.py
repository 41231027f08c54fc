"""Thresholds: the settings' first, then the model's, then Meta's."""

from __future__ import annotations

from sam2_adapter.config_everything import EverythingSettings
from sam2_adapter.predict.everything.thresholds import Thresholds


def test_without_anything_they_are_metas() -> None:
    assert Thresholds.of(EverythingSettings(everything_mode="exact")) == Thresholds(0.8, 0.95, 1.0, 0.7, 1.0)


def test_fast_mode_compares_masks_instead_of_boxes() -> None:
    fast = Thresholds.of(EverythingSettings())
    assert (fast.box_nms, fast.mask_nms) == (1.0, 0.7)


def test_the_models_own_come_before_metas_and_after_the_settings() -> None:
    own = {"pred_iou_thresh": 0.6, "stability_score_thresh": 0.8}
    assert Thresholds.of(EverythingSettings(), own).iou == 0.6
    given = Thresholds.of(EverythingSettings(pred_iou_thresh=0.0), own)
    assert (given.iou, given.stability) == (0.0, 0.8)


def test_those_of_the_architecture_come_before_metas_and_after_the_models_own() -> None:
    nano = Thresholds.of(EverythingSettings(), {}, "sam2_nano")
    assert (nano.iou, nano.stability) == (0.7, 0.5)
    tuned = Thresholds.of(EverythingSettings(), {"stability_score_thresh": 0.8}, "sam2_nano")
    assert (tuned.iou, tuned.stability) == (0.7, 0.8)
    assert Thresholds.of(EverythingSettings(), {}, "sam2_hiera_s").stability == 0.95
