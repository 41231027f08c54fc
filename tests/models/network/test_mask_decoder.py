"""`decode_masks` against the library's own forward, and the choice among its masks."""

from __future__ import annotations

import pytest
import torch

from sam2_adapter.models.network.image_encoder import EncodedImages, encode_image
from sam2_adapter.models.network.mask_decoder import (
    STABILITY_DELTA,
    STABILITY_THRESHOLD,
    DecodedMasks,
    decode_masks,
    select_masks,
    stability_scores,
    take_masks,
)
from sam2_adapter.models.network.prompt_encoder import encode_prompts
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
    return EncodedImages(encoded.image_embedding[:1], tuple(level[:1] for level in encoded.high_res_features))


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
    decoded = decode_masks(model, image, encode_prompts(model, points, labels, boxes, None))
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
    decoded = decode_masks(model, image, encode_prompts(model, None, None, BOXES, mask_input))
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
    prompts = encode_prompts(model, None, None, BOXES[:2], None)
    together = decode_masks(model, encoded, prompts)
    for row in range(2):
        image = EncodedImages(
            encoded.image_embedding[row : row + 1], tuple(level[row : row + 1] for level in encoded.high_res_features)
        )
        alone = decode_masks(model, image, encode_prompts(model, None, None, BOXES[row : row + 1], None))
        torch.testing.assert_close(together.low_res_logits[row], alone.low_res_logits[0], rtol=1e-5, atol=1e-5)
    assert (together.low_res_logits[0] - together.low_res_logits[1]).abs().max() > 0.1


@torch.inference_mode()
def test_a_mask_alone_has_no_prompt_tokens(model, encoded):
    prompts = encode_prompts(model, None, None, None, torch.zeros(2, 32, 32))
    assert prompts.sparse_embeddings.shape == (2, 0, 32)
    assert decode_masks(model, first_image(encoded), prompts).low_res_logits.shape == (2, 4, 32, 32)


@torch.inference_mode()
def test_prompts_stay_in_fp32_under_autocast(model):
    plain = encode_prompts(model, POINTS, LABELS, BOXES, None)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under_autocast = encode_prompts(model, POINTS, LABELS, BOXES, None)
    assert under_autocast.sparse_embeddings.dtype == torch.float32
    assert torch.equal(plain.sparse_embeddings, under_autocast.sparse_embeddings)


def test_every_output_that_prediction_reads_gets_gradient():
    model = small_model(3)
    image = encode_image(model, torch.randn(1, 3, IMAGE_SIZE, IMAGE_SIZE))
    decoded = decode_masks(model, image, encode_prompts(model, None, None, BOXES, None))
    (decoded.low_res_logits.square().mean() + decoded.iou_scores.mean()).backward()
    for index, mlp in enumerate(model.mask_decoder.output_hypernetworks_mlps):
        norm = sum(parameter.grad.norm() for parameter in mlp.parameters())
        assert norm > 0, f"mask output {index} gets no gradient"
    assert model.mask_decoder.iou_prediction_head.proj_out.weight.grad.norm(dim=1).min() > 0


def test_the_rule_of_stability_is_the_librarys(model):
    decoder = model.mask_decoder
    assert decoder.dynamic_multimask_via_stability
    assert decoder.dynamic_multimask_stability_delta == STABILITY_DELTA
    assert decoder.dynamic_multimask_stability_thresh == STABILITY_THRESHOLD


def test_the_single_mask_is_taken_only_when_stable():
    stable, unstable = torch.full((8, 8), 5.0), torch.full((8, 8), 0.01)
    logits = torch.stack(
        [torch.stack([first, *(torch.full((8, 8), float(k)) for k in (-1, -2, -3))]) for first in (stable, unstable)]
    )
    scores = torch.tensor([[0.3, 0.5, 0.9, 0.7]] * 2)
    chosen, chosen_scores = select_masks(DecodedMasks(logits, scores, torch.zeros(2, 1)), multimask_output=False)
    assert torch.equal(chosen[0, 0], stable)
    assert torch.equal(chosen[1, 0], torch.full((8, 8), -2.0)), (
        "an unstable mask gives way to the best-scored candidate"
    )
    assert chosen_scores[:, 0].tolist() == pytest.approx([0.3, 0.9])


def test_stability_is_the_iou_between_two_thresholds():
    logits = torch.tensor([[0.1, 0.1, 0.01, -0.01, -0.1]])
    assert stability_scores(logits[None], 0.05).tolist() == pytest.approx([2 / 4])
    assert stability_scores(torch.full((1, 2, 2), -1.0), 0.05).tolist() == [1.0]


def test_take_masks_takes_one_of_each_prompt():
    logits = torch.arange(6.0).view(2, 3, 1, 1)
    taken, scores = take_masks(logits, logits[..., 0, 0], torch.tensor([2, 0]))
    assert taken.flatten().tolist() == [2.0, 3.0]
    assert scores.tolist() == [[2.0], [3.0]]
