"""The video memory against the models that transformers builds."""

from __future__ import annotations

import pytest
import torch
from transformers import Sam2VideoModel

from sam2_adapter.models.families.architectures import get_architecture, official_names
from sam2_adapter.models.families.sam2_config import sam2_video_config
from sam2_adapter.models.families.sam2_video import video_memory_shapes
from sam2_adapter.models.weights.checkpoint import NoFirstValues
from sam2_adapter.models.weights.checks import expected_shapes, family_of_video_tensors


@pytest.mark.parametrize("name", official_names())
def test_the_video_model(name):
    architecture = get_architecture(name)
    with torch.device("meta"), NoFirstValues():
        model = Sam2VideoModel(sam2_video_config(architecture))
    expected = {name: tuple(x.shape) for name, x in model.state_dict().items()}
    assert expected_shapes(architecture, "transformers", with_video=True) == expected


@pytest.mark.parametrize("name", official_names())
def test_the_video_memory_tells_sam2_from_sam2_1(name):
    architecture = get_architecture(name)
    assert family_of_video_tensors(video_memory_shapes(architecture)) == architecture.family
    assert family_of_video_tensors(["mask_decoder.iou_token.weight"]) is None
