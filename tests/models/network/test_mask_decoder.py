"""`decode_masks` against the library's own forward, and the choice among its masks."""

from __future__ import annotations

import pytest
import torch

from sam2_adapter.models.network.image_encoder import EncodedImages, encode_image
from sam2_adapter.models.network.mask_decoder import decode_masks
from sam2_adapter.models.network.prompt_encoder import encode_prompts
from sam2_adapter.models.network.prompt_tensors import PromptTensors
from sam2_adapter.models.network.selection import select_masks
from tests.small_model import IMAGE_SIZE, small_model

BOXES = torch.tensor([[10.0, 12.0, 70.0, 90.0], [33.0, 5.0, 120.0, 60.0], [0.0, 0.0, 128.0, 128.0]])
POINTS = torch.tensor([[[20.0, 30.0], [50.0, 60.0]], [[100.5, 3.25], [7.0, 9.0]], [[64.0, 64.0], [1.0, 127.0]]])
LABELS = torch.tensor([[1, 0], [1, 1], [1, 0]])


@pytest.fixture(scope="module")
def model():
    return small_model()


@pytest.fixture(scope="module")
def pixel_values():
    return torch.randn(2, 3, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def encoded(model, pixel_values):
    with torch.inference_mode():
        return encode_image(model, pixel_values)


def first_image(encoded: EncodedImages) -> EncodedImages:
    return encoded.images(slice(1))


@torch.inference_mode()
def test_image_embeddings_equal_the_librarys(model, pixel_values, encoded):
    fine, middle, coarse = model.get_image_embeddings(pixel_values)
    torch.testing.assert_close(encoded.image_embedding, coarse, rtol=0, atol=1e-5)
    torch.testing.assert_close(encoded.high_res_features[0], fine, rtol=0, atol=1e-5)
    torch.testing.assert_close(encoded.high_res_features[1], middle, rtol=0, atol=1e-5)


@pytest.mark.parametrize("multimask_output", [True, False])
@pytest.mark.parametrize("parts", ["points", "boxes", "both"])
@torch.inference_mode()
def test_masks_and_scores_equal_the_librarys(model, encoded, parts, multimask_output):
    points, labels = (POINTS, LABELS) if parts != "boxes" else (None, None)
    boxes = BOXES if parts != "points" else None
    image = first_image(encoded)
    decoded = decode_masks(model, image, encode_prompts(model, PromptTensors(points, labels, boxes)))
    logits, scores = select_masks(decoded, multimask_output)
    expected = model(
        image_embeddings=[*image.high_res_features, image.image_embedding],
        input_points=None if points is None else points[None],
        input_labels=None if labels is None else labels[None],
        input_boxes=None if boxes is None else boxes[None],
        multimask_output=multimask_output,
    )
    assert logits.std() > 0.05, "the seeded model must not be constant"
    torch.testing.assert_close(logits, expected.pred_masks[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(scores, expected.iou_scores[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(decoded.object_score_logits, expected.object_score_logits[0], rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_mask_input_equals_the_librarys_one_prompt_at_a_time(model, encoded):
    image = first_image(encoded)
    mask_input = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(2)) * 5
    decoded = decode_masks(model, image, encode_prompts(model, PromptTensors(None, None, BOXES, mask_input)))
    for row in range(3):
        expected = model(
            image_embeddings=[*image.high_res_features, image.image_embedding],
            input_boxes=BOXES[None, row : row + 1],
            input_masks=mask_input[None, row : row + 1],
            multimask_output=True,
        )
        torch.testing.assert_close(decoded.low_res_logits[row, 1:], expected.pred_masks[0, 0], rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_one_image_for_each_prompt_equals_one_at_a_time(model, encoded):
    prompts = encode_prompts(model, PromptTensors(box_xyxy=BOXES[:2]))
    together = decode_masks(model, encoded, prompts)
    for row in range(2):
        image = encoded.images(slice(row, row + 1))
        alone = decode_masks(model, image, encode_prompts(model, PromptTensors(box_xyxy=BOXES[row : row + 1])))
        torch.testing.assert_close(together.low_res_logits[row], alone.low_res_logits[0], rtol=1e-5, atol=1e-5)
    assert (together.low_res_logits[0] - together.low_res_logits[1]).abs().max() > 0.1


@torch.inference_mode()
def test_a_mask_alone_has_no_prompt_tokens(model, encoded):
    prompts = encode_prompts(model, PromptTensors(mask_input=torch.zeros(2, 32, 32)))
    assert prompts.sparse_embeddings.shape == (2, 0, 32)
    assert decode_masks(model, first_image(encoded), prompts).low_res_logits.shape == (2, 4, 32, 32)


@torch.inference_mode()
def test_prompts_stay_in_fp32_under_autocast(model):
    plain = encode_prompts(model, PromptTensors(POINTS, LABELS, BOXES))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under_autocast = encode_prompts(model, PromptTensors(POINTS, LABELS, BOXES))
    assert under_autocast.sparse_embeddings.dtype == torch.float32
    assert torch.equal(plain.sparse_embeddings, under_autocast.sparse_embeddings)


def test_every_output_that_prediction_reads_gets_gradient():
    model = small_model(3)
    image = encode_image(model, torch.randn(1, 3, IMAGE_SIZE, IMAGE_SIZE))
    decoded = decode_masks(model, image, encode_prompts(model, PromptTensors(box_xyxy=BOXES)))
    (decoded.low_res_logits.square().mean() + decoded.iou_scores.mean()).backward()
    for index, mlp in enumerate(model.mask_decoder.output_hypernetworks_mlps):
        norm = sum(parameter.grad.norm() for parameter in mlp.parameters())
        assert norm > 0, f"mask output {index} gets no gradient"
    assert model.mask_decoder.iou_prediction_head.proj_out.weight.grad.norm(dim=1).min() > 0
