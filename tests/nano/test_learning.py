"""Losses and prompting rounds of the bundled model's training, and the figures that are published."""

from __future__ import annotations

import pytest
import torch
from evaluate import Measured, summary
from losses import prompt_loss
from pictures import generated_pictures
from rollout import Prompts, with_correction

from sam2_adapter.models.network.mask_decoder import DecodedMasks


def _decoded(iou_scores: float) -> DecodedMasks:
    logits = torch.zeros(2, 4, 16, 16, requires_grad=True)
    return DecodedMasks(logits, torch.full((2, 4), iou_scores, requires_grad=True), torch.zeros(2, 1))


def test_where_there_is_nothing_only_low_scores_are_right() -> None:
    nothing = torch.zeros(2, 16, 16)
    decoded = _decoded(0.75)
    loss, ious = prompt_loss(decoded, nothing)
    loss.backward()
    assert ious.tolist() == [[0.0] * 4] * 2
    assert decoded.low_res_logits.grad is None or not decoded.low_res_logits.grad.any()
    assert decoded.iou_scores.grad is not None
    assert (decoded.iou_scores.grad > 0).all()
    assert prompt_loss(_decoded(0.1), nothing)[0] < loss


def test_prompts_of_which_nothing_is_known_do_not_count() -> None:
    wanted = torch.zeros(2, 16, 16)
    wanted[:, 4:8, 4:8] = 1
    both, _ = prompt_loss(_decoded(0.5), wanted)
    first, _ = prompt_loss(_decoded(0.5), wanted, torch.tensor([1.0, 0.0]))
    assert first.item() == pytest.approx(both.item() / 2)


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
