"""The losses: values by hand, gradients where the existing adapters have none, padding that does not count."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sam2_adapter.models.network.mask_decoder import DecodedMasks
from sam2_adapter.training.losses import MaskTargets, cell_iou, dice_loss, pixel_loss, training_loss
from tests.training.small_run import loss_weights


def targets(masks: torch.Tensor, inside: torch.Tensor | None = None) -> MaskTargets:
    return MaskTargets(masks, torch.ones_like(masks) if inside is None else inside)


def decoded(seed: int = 0, num_objects: int = 2, size: int = 8) -> DecodedMasks:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(num_objects, 4, size, size, generator=generator, requires_grad=True)
    scores = torch.rand(num_objects, 4, generator=generator).requires_grad_()
    return DecodedMasks(logits, scores, torch.randn(num_objects, 1, generator=generator).requires_grad_())


def square(size: int = 8) -> MaskTargets:
    masks = torch.zeros(2, size, size)
    masks[:, 2:6, 2:6] = 1
    return targets(masks)


def test_focal_loss_of_one_pixel_is_the_papers_formula():
    # p_t = 0.9 for a foreground pixel: 0.25 * (1 - 0.9)^2 * -log 0.9
    logit = torch.tensor(0.9 / 0.1).log().view(1, 1, 1, 1)
    loss = pixel_loss(logit, targets(torch.ones(1, 1, 1)), loss_weights(focal=1))
    assert loss.item() == pytest.approx(0.25 * 0.01 * 0.1053605, rel=1e-4)


def test_dice_loss_is_zero_for_a_perfect_mask_and_near_one_for_a_wrong_one():
    truth = square()
    perfect = (truth.masks[:, None] * 2 - 1) * 50
    assert dice_loss(perfect, truth).abs().max() < 1e-6
    assert dice_loss(-perfect, truth).min() > 0.95


def test_confidently_wrong_pixels_keep_their_gradient():
    """The existing adapter's cross-entropy of probabilities has none from a logit of about 17 on."""
    logits = torch.full((1, 1, 1, 1), -40.0, requires_grad=True)
    pixel_loss(logits, targets(torch.ones(1, 1, 1)), loss_weights(focal=0, bce=1)).sum().backward()
    assert logits.grad.item() == pytest.approx(-1)


def test_padding_changes_neither_value_nor_gradient():
    truth = square()
    inside = torch.ones_like(truth.masks)
    inside[:, :, 6:] = 0
    one, other = decoded(), decoded()
    with torch.no_grad():
        other.low_res_logits[..., 6:] = 100
    losses = [training_loss(outputs, targets(truth.masks, inside), loss_weights(bce=1)) for outputs in (one, other)]
    assert torch.equal(losses[0].total, losses[1].total)
    losses[1].total.sum().backward()
    assert other.low_res_logits.grad[..., 6:].abs().max() == 0


def test_ignored_cells_have_no_gradient_and_no_say():
    """Whatever stands in a cell that does not count: no gradient, the same losses, and the same true IoU for the scores."""
    truth = square()
    counted = torch.ones_like(truth.masks)
    counted[:, 1:7, 1:7] = 0
    counted[:, 2:6, 2:6] = 1
    outputs, wrong_there = decoded(), decoded()
    with torch.no_grad():
        wrong_there.low_res_logits[(counted == 0)[:, None].expand(-1, 4, -1, -1)] = 30
    weights = loss_weights(bce=1)
    losses = [training_loss(part, targets(truth.masks, counted), weights) for part in (outputs, wrong_there)]
    for one, other in zip(*losses, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    losses[0].total.sum().backward()
    gradient = outputs.low_res_logits.grad.abs().sum(1)
    assert (gradient[counted == 0] == 0).all()
    assert (gradient[counted == 1] > 0).all()
    perfect = (truth.masks[:, None] * 2 - 1) * 50
    perfect[(counted == 0)[:, None]] = 50
    assert torch.equal(cell_iou(perfect, targets(truth.masks, counted)), torch.ones(2, 1))
    assert cell_iou(perfect, truth).max() < 0.5


def test_single_mask_and_best_candidate_get_gradient_and_the_other_candidates_none():
    outputs, truth = decoded(), square()
    with torch.no_grad():
        outputs.low_res_logits[:, 3] = (truth.masks * 2 - 1) * 2
    training_loss(outputs, truth, loss_weights()).total.sum().backward()
    norms = outputs.low_res_logits.grad.flatten(2).norm(dim=2)
    assert (norms[:, [0, 3]] > 0).all()
    assert (norms[:, [1, 2]] == 0).all()


def test_the_other_candidates_learn_too_with_their_weight():
    outputs, truth = decoded(), square()
    alone = loss_weights(focal=0, bce=1, iou_score=0, object_score=0)
    shared = training_loss(outputs, truth, replace(alone, other_candidates=0.5))
    logits = outputs.low_res_logits
    by_mask = pixel_loss(logits, truth, alone) + dice_loss(logits, truth)
    ranked = by_mask[:, 1:].sort(dim=1).values
    torch.testing.assert_close(shared.total, by_mask[:, 0] + ranked[:, 0] + 0.5 * (ranked[:, 1] + ranked[:, 2]) / 2)
    shared.total.sum().backward()
    assert (outputs.low_res_logits.grad.flatten(2).norm(dim=2) > 0).all()


def test_all_scores_get_gradient():
    outputs = decoded()
    training_loss(outputs, square(), loss_weights()).total.sum().backward()
    assert (outputs.iou_scores.grad != 0).all()
    assert (outputs.object_score_logits.grad != 0).all()


@pytest.mark.parametrize("error", ["l1", "mse"])
def test_a_perfect_score_costs_nothing(error):
    truth = square()
    logits = ((truth.masks * 2 - 1) * 5)[:, None].expand(-1, 4, -1, -1)
    outputs = DecodedMasks(logits, torch.ones(2, 4), torch.full((2, 1), 50.0))
    terms = training_loss(outputs, truth, loss_weights(iou_score_error=error))
    assert terms.iou_score.abs().max() == 0
    assert terms.object_score.abs().max() < 1e-6


def test_iou_counts_covered_area():
    masks = torch.zeros(1, 2, 2)
    masks[0, 0] = torch.tensor([1.0, 0.5])
    logits = torch.tensor([[[[1.0, -1.0], [-1.0, -1.0]]]])
    assert cell_iou(logits, targets(masks)).item() == pytest.approx(1 / 1.5)


def test_total_is_the_weighted_sum_and_each_object_is_independent():
    outputs, truth = decoded(), square()
    weights = loss_weights(focal=2, bce=0.5, dice=3, iou_score=0.7, object_score=0.1)
    terms = training_loss(outputs, truth, weights)
    expected = terms.pixels + 3 * terms.dice + 0.7 * terms.iou_score + 0.1 * terms.object_score
    torch.testing.assert_close(terms.total, expected)
    alone = training_loss(
        DecodedMasks(*(part[1:] for part in outputs)), MaskTargets(truth.masks[1:], truth.inside[1:]), weights
    )
    torch.testing.assert_close(alone.total, terms.total[1:])
