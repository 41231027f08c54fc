"""Settings that belong together: each view holds what its keys say, and no default of its own."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields

import pytest

from sam2_adapter.config import Config
from sam2_adapter.config_views import EncodingLimits, LossWeights, PredictionSettings, PromptMix
from sam2_adapter.errors import ConfigError

PARTS = [field.name for field in fields(LossWeights) if field.name != "iou_score_error"]


@pytest.mark.parametrize("view", [PredictionSettings, PromptMix, LossWeights, EncodingLimits])
def test_every_default_stands_in_the_configuration_alone(view: type) -> None:
    assert all(field.default is MISSING and field.default_factory is MISSING for field in fields(view))


def test_the_settings_of_prediction_have_their_keys_names() -> None:
    config = Config(clip_to_box=False, default_label="cell", window=128, max_windows=8)
    assert config.prediction == PredictionSettings(False, "cell", "128", 8, None)
    assert all(field.name in {*Config.model_fields, "everything"} for field in fields(PredictionSettings))
    everything = Config(without_prompts="everything", points_per_side=8).prediction
    assert everything.everything == Config(without_prompts="everything", points_per_side=8).everything
    assert json.loads(json.dumps(everything.to_dict()))["everything"]["points_per_side"] == 8


@pytest.mark.parametrize("kind", [field.name for field in fields(PromptMix)])
def test_each_weight_of_a_prompt_is_its_key(kind: str) -> None:
    config = Config.from_mapping({"prompt_box": 0, "prompt_click": 0, f"prompt_{kind}": 0.25})
    assert {field.name: getattr(config.prompt_mix, field.name) for field in fields(PromptMix)} == {
        field.name: 0.25 if field.name == kind else 0.0 for field in fields(PromptMix)
    }


@pytest.mark.parametrize("part", PARTS)
def test_each_weight_of_a_loss_is_its_key(part: str) -> None:
    before, after = Config().losses, Config.from_mapping({f"loss_{part}": 0.75}).losses
    changed = {name for name in PARTS if getattr(before, name) != getattr(after, name)}
    assert changed == {part}
    assert getattr(after, part) == 0.75


def test_the_error_of_scores_is_its_key() -> None:
    assert Config(iou_score_error="mse").losses.iou_score_error == "mse"


def test_limits_are_in_bytes() -> None:
    config = Config(encode_batch=3, memory_mib=1, disk_mib=2, min_free_mib=4)
    assert config.encoding == EncodingLimits(3, 2**20, 2**21, 2**22)


@pytest.mark.parametrize("weights", [(0.0,) * 6, (-1.0, 2.0, 0.0, 0.0, 0.0, 0.0), (float("nan"),) * 6])
def test_a_mix_of_nothing_is_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="at least one is positive"):
        PromptMix(*weights)
