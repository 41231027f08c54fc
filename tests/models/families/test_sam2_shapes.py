"""Names and shapes of tensors against the models that transformers builds."""

from __future__ import annotations

import pytest
import torch
from transformers import Sam2Model, Sam2VideoModel

from sam2_adapter.models.families.architectures import architecture_names, get_architecture, official_names
from sam2_adapter.models.families.sam2_config import architecture_from_config, sam2_config, sam2_video_config
from sam2_adapter.models.families.sam2_shapes import image_model_shapes, video_memory_shapes
from tests.small_model import small_config, small_model


@pytest.mark.parametrize("name", architecture_names())
def test_the_image_model(name):
    architecture = get_architecture(name)
    with torch.device("meta"):
        model = Sam2Model(sam2_config(architecture))
    assert image_model_shapes(architecture) == {name: tuple(x.shape) for name, x in model.state_dict().items()}


def test_an_image_model_of_other_numbers():
    architecture = architecture_from_config({**small_config().to_dict(), "model_type": "sam2"})
    assert image_model_shapes(architecture) == {name: tuple(x.shape) for name, x in small_model().state_dict().items()}


@pytest.mark.parametrize("name", official_names())
def test_the_video_model(name):
    architecture = get_architecture(name)
    with torch.device("meta"):
        model = Sam2VideoModel(sam2_video_config(architecture))
    expected = {name: tuple(x.shape) for name, x in model.state_dict().items()}
    assert {**image_model_shapes(architecture), **video_memory_shapes(architecture)} == expected
    assert not image_model_shapes(architecture).keys() & video_memory_shapes(architecture).keys()
