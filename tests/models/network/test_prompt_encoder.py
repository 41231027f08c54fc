"""The prompt encoder against the library's own module."""

from __future__ import annotations

import pytest
import torch

from sam2_adapter.models.network.prompt_encoder import PromptEncoder, encode_prompts
from sam2_adapter.models.network.prompt_tensors import PromptTensors
from tests.small_model import IMAGE_SIZE, small_model

BOXES = torch.tensor([[10.0, 12.0, 70.0, 90.0], [33.25, 5.0, 120.0, 60.0]])
POINTS = torch.tensor([[[20.0, 30.0], [50.0, 60.0]], [[100.5, 3.25], [0.0, 127.9]]])
LABELS = torch.tensor([[1, 0], [0, 1]])
MASKS = torch.randn(2, IMAGE_SIZE // 4, IMAGE_SIZE // 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("has_mask", [False, True], ids=["no mask", "mask"])
@pytest.mark.parametrize("parts", ["points", "boxes", "both"])
@torch.inference_mode()
def test_tokens_and_masks_equal_the_librarys(parts, has_mask):
    model = small_model()
    points, labels = (POINTS, LABELS) if parts != "boxes" else (None, None)
    boxes = BOXES if parts != "points" else None
    masks = MASKS if has_mask else None
    sparse, dense = model.prompt_encoder(
        input_points=None if points is None else points[None],
        input_labels=None if labels is None else labels[None],
        input_boxes=None if boxes is None else boxes[None],
        input_masks=None if masks is None else masks[:, None],
    )
    found = PromptEncoder(model.state_dict(), IMAGE_SIZE)(PromptTensors(points, labels, boxes, masks))
    torch.testing.assert_close(found.sparse_embeddings, sparse[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(found.dense_embeddings.expand_as(dense), dense, rtol=0, atol=1e-6)


def test_weights_in_half_precision_are_used_in_fp32():
    tensors = {name: tensor.half() for name, tensor in small_model().state_dict().items()}
    in_fp32 = {name: tensor.float() for name, tensor in tensors.items()}
    found = PromptEncoder(tensors, IMAGE_SIZE)(PromptTensors(POINTS, LABELS, BOXES, MASKS))
    expected = PromptEncoder(in_fp32, IMAGE_SIZE)(PromptTensors(POINTS, LABELS, BOXES, MASKS))
    assert found.sparse_embeddings.dtype == found.dense_embeddings.dtype == torch.float32
    assert torch.equal(found.sparse_embeddings, expected.sparse_embeddings)
    assert torch.equal(found.dense_embeddings, expected.dense_embeddings)


def test_every_weight_gets_gradient():
    model = small_model()
    encoded = encode_prompts(model, PromptTensors(POINTS, LABELS, BOXES, MASKS))
    without = encode_prompts(model, PromptTensors(POINTS, LABELS))
    sum(part.square().mean() for part in (*encoded, *without)).backward()
    for name, parameter in model.prompt_encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.norm() > 0, name
