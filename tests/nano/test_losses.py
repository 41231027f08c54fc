"""Losses of the bundled model's training."""

from __future__ import annotations

import pytest
import torch
from losses import PromptLoss, cut_losses, overlap_losses, prompt_loss

from sam2_adapter.models.network.mask_decoder import DecodedMasks

SURE = 12.0


def masks(*cells: tuple[slice, slice]) -> torch.Tensor:
    """Sure logits 1 x K x 16 x 16 of masks that hold these cells."""
    logits = torch.full((1, len(cells), 16, 16), -SURE)
    for number, place in enumerate(cells):
        logits[0, number][place] = SURE
    return logits


TARGET = (slice(4, 12), slice(4, 12))
TARGETS = (masks(TARGET)[0] > 0).float()
BOX = torch.tensor([[4.0, 4.0, 12.0, 12.0]])


def gained_by_cutting(logits: torch.Tensor, targets: torch.Tensor) -> float:
    """How much lower the loss of cut masks is than that of whole ones."""
    return float(overlap_losses(logits, targets) - cut_losses(logits, targets, BOX))


def test_three_quarters_of_the_overlap_are_of_cut_masks_where_too_much_costs_less() -> None:
    assert float(cut_losses(masks(TARGET), TARGETS, BOX)) < 0.01
    # 16 cells beyond the box and 64 of the object: 1 - IoU is 0.2 of the whole mask, 0 of the cut one.
    assert gained_by_cutting(masks((slice(4, 14), slice(4, 12))), TARGETS) == pytest.approx(1.5 * 0.2, abs=0.01)
    # What is missing costs the same.
    assert gained_by_cutting(masks((slice(4, 10), slice(4, 12))), TARGETS) == pytest.approx(0, abs=0.01)
    # 32 cells too much in the box, and 32 of the object: 24 / 56 instead of 32 / 64.
    half = TARGETS.clone()
    half[:, 8:] = 0
    assert gained_by_cutting(masks(TARGET), half) == pytest.approx(1.5 * (1 / 2 - 3 / 7), abs=0.01)


def test_a_box_between_cells_covers_parts_of_them() -> None:
    whole, half = (cut_losses(masks(TARGET), TARGETS, box) for box in (BOX, BOX + torch.tensor([0.5, 0, 0, 0])))
    # A sixteenth of the object lies beyond the box, for the three quarters of the overlap that are of cut masks.
    assert float(half - whole) == pytest.approx(1.5 / 16, abs=0.01)


@pytest.mark.parametrize(("share", "wanted"), [(0.0, 0.0), (0.5, 1.0), (1.0, 2.0)])
def test_the_candidate_that_the_score_chooses_counts_its_share(share: float, wanted: float) -> None:
    # The second candidate is right, and the first one, which is wrong everywhere, has the best score.
    logits = masks(TARGET, (slice(0, 4), slice(0, 4)), TARGET, (slice(0, 4), slice(0, 4)))
    decoded = DecodedMasks(logits, torch.tensor([[1.0, 0.9, 0.5, 0.1]]), torch.full((1, 1), SURE))
    judged, only_best = (
        prompt_loss(decoded, TARGETS, PromptLoss(overlap_of_sure_masks, chosen_share=part))[0] for part in (share, 0.0)
    )
    assert float(judged - only_best) == pytest.approx(wanted, abs=0.01)


def overlap_of_sure_masks(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """2 for masks that lie beside their targets, 0 for right ones."""
    return 2 * (1 - ((logits > 0) & (targets > 0)).float().amax((2, 3)))
