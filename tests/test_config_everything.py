"""Settings of everything-mode: defaults, the nested view, and one clear message for each wrong value."""

from __future__ import annotations

import pytest

from sam2_adapter.config import Config
from sam2_adapter.config_everything import EverythingSettings
from sam2_adapter.errors import ConfigError


def test_defaults_are_those_of_metas_generator() -> None:
    settings = Config().everything
    assert settings == EverythingSettings()
    assert (settings.points_per_side, settings.stability_score_offset, settings.crop_n_layers) == (32, 1.0, 0)
    assert (settings.without_prompts, settings.everything_mode, settings.overlaps) == ("prominent", "fast", "keep")


def test_the_view_has_what_was_given() -> None:
    settings = Config(points_per_side=8, pred_iou_thresh=0.5, overlaps="highest_score", seed=3).everything
    assert (settings.points_per_side, settings.pred_iou_thresh, settings.overlaps) == (8, 0.5, "highest_score")
    assert not hasattr(settings, "seed")


def test_whole_numbers_are_thresholds_too() -> None:
    assert Config.from_mapping({"pred_iou_thresh": 1, "mask_nms_thresh": 0}).everything.pred_iou_thresh == 1.0


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("without_prompts", "all", "'prominent' or 'everything'"),
        ("without_prompts", "everthing", "Did you mean 'everything'?"),
        ("everything_mode", "quick", "'fast' or 'exact'"),
        ("points_per_side", 0, "a whole number from 1 to 256"),
        ("points_per_side", 300, "a whole number from 1 to 256"),
        ("points_per_side", 16.5, "a whole number from 1 to 256"),
        ("points_per_side", "many", "a whole number from 1 to 256"),
        ("pred_iou_thresh", 80, "a number from 0 to 1"),
        ("pred_iou_thresh", -0.1, "a number from 0 to 1"),
        ("stability_score_thresh", 1.5, "a number from 0 to 1"),
        ("stability_score_thresh", "high", "a number from 0 to 1"),
        ("stability_score_offset", 0, "a number above 0 and of at most 100"),
        ("box_nms_thresh", 2, "a number from 0 to 1"),
        ("mask_nms_thresh", True, "a number from 0 to 1"),
        ("crop_n_layers", 9, "a whole number from 0 to 4"),
        ("crop_n_points_downscale_factor", 0, "a whole number from 1 to 16"),
        ("tile_size", -1, "a whole number from 0 to 65536"),
        ("min_mask_region_area", -5, "a whole number of at least 0"),
        ("drop_contained", "yes", "true or false"),
        ("max_objects", 0, "a whole number from 1 to 100000"),
        ("overlaps", "none", "'keep' or 'highest_score'"),
    ],
)
def test_wrong_values_are_named(key: str, value: object, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_mapping({key: value})
    assert f"{key} = " in str(caught.value)
    assert expected in str(caught.value)


def test_a_misspelt_key_is_named() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'points_per_side'"):
        Config.from_mapping({"point_per_side": 16})
