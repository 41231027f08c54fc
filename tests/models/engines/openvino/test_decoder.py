"""The graphs of the decoder: what all prompts of an image share, and masks and scores of any number of prompts."""

from __future__ import annotations

import pytest
import torch

from sam2_adapter.models.engines.openvino.check import image_side_inputs
from sam2_adapter.models.engines.openvino.compiled_graph import CompiledGraph
from sam2_adapter.models.engines.openvino.decoder import ImageSide, decoder_graph, image_side_graph
from sam2_adapter.models.network.image_encoder import encode_image
from sam2_adapter.models.network.mask_decoder import decode_masks
from sam2_adapter.models.network.prompt_encoder import encode_prompts
from sam2_adapter.models.network.prompt_tensors import PromptTensors
from tests.models.engines.openvino.inputs import pixel_values
from tests.small_model import HIDDEN, IMAGE_SIZE, small_model

# OpenVINO compiles both graphs.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def graphs():
    model = small_model()
    return [CompiledGraph.of(graph(model), "fp32") for graph in (image_side_graph, decoder_graph)]


@pytest.mark.parametrize("num_prompts", [1, 3])
@pytest.mark.parametrize("mask", [False, True], ids=["no mask", "mask"])
def test_masks_and_scores_are_torchs(graphs, num_prompts, mask):
    model, draw = small_model(), torch.Generator().manual_seed(num_prompts)
    corners = torch.rand(num_prompts, 2, generator=draw) * IMAGE_SIZE / 2
    masks = torch.randn(num_prompts, IMAGE_SIZE // 4, IMAGE_SIZE // 4, generator=draw) * 5 if mask else None
    with torch.inference_mode():
        images = encode_image(model, pixel_values(1))
        boxes = torch.cat([corners, corners + IMAGE_SIZE / 3], dim=1)
        prompts = encode_prompts(model, PromptTensors(box_xyxy=boxes, mask_input=masks))
        expected = decode_masks(model, images, prompts)
    image_side, decoder = graphs
    side = ImageSide(*image_side(*image_side_inputs(images, prompts.dense_embeddings)))
    assert side.tokens.shape == (num_prompts if mask else 1, (IMAGE_SIZE // 16) ** 2, HIDDEN)
    found = decoder(*side, prompts.sparse_embeddings)
    assert found[0].std() > 0.1
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=0)
