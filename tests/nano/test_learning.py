"""Losses and prompting rounds of the bundled model's training, and the figures that are published."""

from __future__ import annotations

import pytest
import torch
from evaluate import Measured, summary
from losses import MaskLosses, PromptLoss, calibrated_losses, overlap_losses, prompt_loss
from pictures import generated_pictures
from rollout import Prompts, with_correction

from sam2_adapter.models.network.mask_decoder import DecodedMasks


def _decoded(iou_scores: float) -> DecodedMasks:
    logits = torch.zeros(2, 4, 16, 16, requires_grad=True)
    return DecodedMasks(logits, torch.full((2, 4), iou_scores, requires_grad=True), torch.zeros(2, 1))


def test_where_there_is_nothing_only_low_scores_are_right() -> None:
    nothing = torch.zeros(2, 16, 16)
    decoded = _decoded(0.75)
    loss, ious = prompt_loss(decoded, nothing, PromptLoss(calibrated_losses))
    loss.backward()
    assert ious.tolist() == [[0.0] * 4] * 2
    assert decoded.low_res_logits.grad is None or not decoded.low_res_logits.grad.any()
    assert decoded.iou_scores.grad is not None
    assert (decoded.iou_scores.grad > 0).all()
    assert prompt_loss(_decoded(0.1), nothing, PromptLoss(calibrated_losses))[0] < loss


def test_prompts_of_which_nothing_is_known_do_not_count() -> None:
    wanted = torch.zeros(2, 16, 16)
    wanted[:, 4:8, 4:8] = 1
    both, _ = prompt_loss(_decoded(0.5), wanted, PromptLoss(calibrated_losses))
    first, _ = prompt_loss(_decoded(0.5), wanted, PromptLoss(calibrated_losses), torch.tensor([1.0, 0.0]))
    assert first.item() == pytest.approx(both.item() / 2)


def test_where_cells_are_unsure_overlap_takes_them_and_calibration_does_not() -> None:
    # 4 cells are the object's in all of 10 cases, 12 in 4 of 10, one independently of the other: without them the mean IoU is 0.45, with them 0.55
    wanted = torch.zeros(10, 16, 16)
    wanted[:, 0, :4] = 1
    for cell in range(12):
        wanted[[(cell + step) % 10 for step in (0, 3, 6, 8)], 0, 4 + cell] = 1
    without, taken = torch.full((16, 16), -3.0), torch.full((16, 16), -3.0)
    without[0, :4] = taken[0, :4] = 3
    taken[0, 4:] = 3

    def loss(mask_losses: MaskLosses, logits: torch.Tensor) -> float:
        return float(mask_losses(logits.expand(10, 1, 16, 16), wanted).mean())

    assert loss(overlap_losses, taken) < loss(overlap_losses, without)
    assert loss(calibrated_losses, taken) > loss(calibrated_losses, without)


def test_a_mask_that_is_right_costs_nothing_and_one_beside_it_everything() -> None:
    wanted = torch.zeros(2, 16, 16)
    wanted[:, 4:8, 4:8] = 1
    logits = torch.full((2, 1, 16, 16), -20.0)
    logits[0, 0, 4:8, 4:8] = 20
    logits[1, 0, 10:14, 10:14] = 20
    right, wrong = overlap_losses(logits, wanted)[:, 0].tolist()
    assert right < 1e-3
    assert wrong > 2 * (1 - 0.5 / 32.5) - 1e-3


def test_corrections_stay_in_the_wrong_cell_and_say_what_is_right() -> None:
    targets = torch.zeros(1, 2, 16, 16)
    targets[0, :, 4, 6] = 1
    logits = torch.full((2, 16, 16), -1.0)
    logits[1, 4, 6] = 1
    logits[1, 10, 2] = 1
    for _ in range(5):
        prompts = with_correction(Prompts(), logits, targets)
        assert prompts.points is not None
        assert prompts.labels is not None
        assert prompts.labels.flatten().tolist() == [1, 0]
        cells = torch.div(prompts.points[0, :, 0] + 0.5, 4, rounding_mode="floor")
        assert cells.tolist() == [[6.0, 4.0], [2.0, 10.0]]


def test_figures_have_intervals_over_pictures_and_a_calibration_error() -> None:
    measured = [Measured(str(i // 2), "box", "all", 0.5 + 0.1 * (i % 2), 0.75) for i in range(8)]
    measured += [Measured("0", "filled box", "all", 0.4)]
    figures = summary(measured)["all"]
    assert figures["box"]["mean_iou"] == pytest.approx(0.55)
    assert figures["box"]["interval"] == [pytest.approx(0.55), pytest.approx(0.55)]
    assert figures["box"]["calibration_error"] == pytest.approx(0.2)
    assert "calibration_error" not in figures["filled box"]
    assert figures["all prompts"]["objects"] == 8


def test_pictures_are_thinned_out_evenly() -> None:
    picture = max(generated_pictures(2, 6), key=lambda one: len(one.masks))
    assert len(picture.masks) == 5
    few = picture.at_most(2)
    assert few.boxes.tolist() == picture.boxes[[0, 4]].tolist()
    assert len(picture.at_most(9).masks) == 5
    assert len(picture.only(picture.sides_px(256) < 0).masks) == 0
