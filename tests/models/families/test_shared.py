"""Names and shapes of tensors against the models that transformers builds."""

from __future__ import annotations

import pytest
import torch
from transformers import Sam2Model

from sam2_adapter.models.families.architectures import (
    architecture_from_config,
    architecture_names,
    get_architecture,
)
from sam2_adapter.models.families.sam2_config import sam2_config
from sam2_adapter.models.families.shared import shared_shapes
from sam2_adapter.models.weights.checkpoint import NoFirstValues
from sam2_adapter.models.weights.checks import expected_shapes
from tests.small_model import small_config, small_model


@pytest.mark.parametrize("name", architecture_names())
def test_the_image_model(name):
    architecture = get_architecture(name)
    with torch.device("meta"), NoFirstValues():
        model = Sam2Model(sam2_config(architecture))
    expected = {name: tuple(x.shape) for name, x in model.state_dict().items()}
    assert expected_shapes(architecture, "transformers", with_video=False) == expected


def test_an_image_model_of_other_numbers():
    architecture = architecture_from_config({**small_config().to_dict(), "model_type": "sam2"})
    expected = {name: tuple(x.shape) for name, x in small_model().state_dict().items()}
    assert expected_shapes(architecture, "transformers", with_video=False) == expected


def test_what_all_families_share_has_147_tensors():
    shared = shared_shapes(get_architecture("sam2_hiera_s"))
    assert len(shared) == 147
    assert not [name for name in shared if name.startswith("vision_encoder.")]
