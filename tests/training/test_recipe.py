"""The flat configuration, the prompt mix and the losses name the same things, with the same defaults."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args

import pytest

from sam2_adapter.annotations.prompt_sampling import PromptMix
from sam2_adapter.config import Config, VariantName
from sam2_adapter.training.losses import LossWeights
from sam2_adapter.training.recipe import loss_weights, prompt_mix
from sam2_adapter.training.variants import VARIANTS


def test_defaults_are_equal():
    assert prompt_mix(Config()) == PromptMix()
    assert loss_weights(Config()) == LossWeights()


@pytest.mark.parametrize("kind", [field.name for field in fields(PromptMix)])
def test_every_kind_of_prompt_has_its_key(kind):
    config = Config.from_mapping({"prompt_box": 0, "prompt_click": 0, f"prompt_{kind}": 0.25})
    assert prompt_mix(config) == PromptMix(**{"box": 0.0, "click": 0.0, kind: 0.25})


@pytest.mark.parametrize("part", ["focal", "bce", "dice", "iou_score", "object_score", "other_candidates"])
def test_every_loss_has_its_key(part):
    assert loss_weights(Config.from_mapping({f"loss_{part}": 0.75})) == LossWeights(**{part: 0.75})


def test_the_error_of_scores_has_its_key():
    assert loss_weights(Config(iou_score_error="mse")).iou_score_error == "mse"


def test_the_configuration_names_the_variants_that_there_are():
    assert get_args(VariantName) == tuple(VARIANTS)
