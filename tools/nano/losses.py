"""Losses of the nano model, on logits in fp32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from sam2_adapter.models.network.mask_decoder import DecodedMasks

# Share of the loss that candidates other than the best one get, so that none is forgotten.
_OTHERS_SHARE = 0.1
_OUTSIDE_WEIGHT = 0.15
# What is left of BCE beside the overlap, so that logits keep their size.
_BCE_BESIDE_OVERLAP = 0.3
# What a cell costs that is wrongly in a mask cut at its box; one that is wrongly not in it costs 1.
_EXCESS_IN_BOX = 0.75

MaskLosses = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class PromptLoss:
    """How the masks of a prompt are judged.

    Attributes:
        masks: `calibrated_losses` or `overlap_losses`.
        chosen_share: how much the candidate that the score chooses counts in the loss of the candidates; the best one has the rest.
        is_cut: masks from boxes are cut at them, as users get them: see `cut_losses`.
        obey_share: how much it counts where corrected masks do not obey the clicks.
        click_weight: of first clicks, beside boxes and corrections.
        whole_weight: of the whole image's prompt; there is one per image, of the others three and more.
    """

    masks: MaskLosses
    chosen_share: float = 0.0
    is_cut: bool = False
    obey_share: float = 0.0
    click_weight: float = 1.0
    whole_weight: float = 1.5


def prompt_loss(
    decoded: DecodedMasks,
    targets: torch.Tensor,
    loss: PromptLoss,
    weights: torch.Tensor | None = None,
    boxes: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss of all four masks of P prompts against targets P x h x w in 0..1.

    The single-mask output and the best of the three candidates are supervised, and the scores of all four. Where a target is empty, there
    is nothing to find: only the scores count, and 0 is right.

    Args:
        decoded: the decoder's outputs.
        targets: what is wanted.
        loss: how masks are judged.
        weights: of each prompt, P; ones by default.
        boxes: P x 4 (x0, y0, x1, y1) in low-res cells, where the prompts are boxes.

    Returns:
        The mean loss, and the true low-res IoU P x 4.
    """
    logits = decoded.low_res_logits.float()
    losses = cut_losses(logits, targets, boxes) if loss.is_cut and boxes is not None else loss.masks(logits, targets)
    candidates = losses[:, 1:]
    chosen = candidates.gather(1, decoded.iou_scores.detach()[:, 1:].float().argmax(1, keepdim=True))[:, 0]
    shown = torch.lerp(candidates.min(1).values, chosen, loss.chosen_share)
    masks = losses[:, 0] + shown + _OTHERS_SHARE * candidates.mean(1)
    there = (targets.amax((1, 2)) > 0).float()
    ious = low_res_iou(logits, targets)
    errors = decoded.iou_scores.float() - ious
    scores = (errors.abs() + errors.square()).mean(1)
    present = F.binary_cross_entropy_with_logits(decoded.object_score_logits[:, 0].float(), there, reduction="none")
    each = there * masks + scores + 0.05 * present
    return each.mean() if weights is None else (each * weights).mean(), ious


def calibrated_losses(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """BCE in the neighbourhood of the object plus dice, P x K, for logits P x K x h x w and targets P x h x w.

    Least where each logit says how likely its cell is the object's, so that a mask holds the cells of more than one half.
    """
    wanted = targets[:, None].expand_as(logits)
    probabilities = logits.sigmoid()
    overlap = (probabilities * wanted).sum((2, 3))
    # squared sizes: a soft target of 0.5 at the border is then matched exactly by 0.5
    sizes = probabilities.square().sum((2, 3)) + wanted.square().sum((2, 3))
    return 2 * _local_bce(logits, targets) + 1 - (2 * overlap + 0.5) / (sizes + 0.5)


def overlap_losses(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """1 - soft IoU, twice, and a little BCE; shapes as above.

    Where the model is unsure, the mask of the largest expected IoU also holds cells that are the object's with less than one half.
    """
    return _BCE_BESIDE_OVERLAP * _local_bce(logits, targets) + 2 * _lacking(logits.sigmoid(), targets)


def cut_losses(logits: torch.Tensor, targets: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """As `overlap_losses`, three quarters of it for masks that are cut at their boxes P x 4, in cells.

    What a mask has too much then costs less than what it lacks: a box says how far an object reaches, and a model that is surer of its
    training pictures than of others leaves out too much there.
    """
    inside = _covered(boxes[:, 1::2], logits.shape[2])[:, :, None] * _covered(boxes[:, ::2], logits.shape[3])[:, None]
    probabilities = logits.sigmoid()
    cut = _lacking(probabilities * inside[:, None], targets, _EXCESS_IN_BOX)
    return _BCE_BESIDE_OVERLAP * _local_bce(logits, targets) + 1.5 * cut + 0.5 * _lacking(probabilities, targets)


def low_res_iou(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """IoU P x K of thresholded logits with targets that are at least half covered."""
    predicted, wanted = logits > 0, (targets >= 0.5)[:, None]
    return (predicted & wanted).sum((2, 3)) / (predicted | wanted).sum((2, 3)).clamp(min=1)


def dense_loss(outputs: torch.Tensor, targets: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
    """Foreground, boundary and distances to the sides of the own box, B x 6 x s x s; B x 1 x s x s says where they are known."""
    outputs = outputs.float()
    binary = F.binary_cross_entropy_with_logits(outputs[:, :2], targets[:, :2], weight=known)
    inside = targets[:, :1]
    # near sides matter more: compare square roots of the distances
    wanted = targets[:, 2:].clamp(min=0).sqrt()
    distance = (F.smooth_l1_loss(outputs[:, 2:], wanted, beta=0.05, reduction="none") * inside).sum() / (
        4 * inside.sum().clamp(min=1)
    )
    return binary + 3 * distance


def _lacking(probabilities: torch.Tensor, targets: torch.Tensor, excess: float = 1.0) -> torch.Tensor:
    """1 - soft IoU, P x K, in which cells that a mask has too much count `excess`."""
    wanted = targets[:, None]
    shared = (probabilities * wanted).sum((2, 3))
    too_much, too_little = probabilities.sum((2, 3)) - shared, wanted.sum((2, 3)) - shared
    return 1 - (shared + 0.5) / (shared + excess * too_much + too_little + 0.5)


def _covered(ends: torch.Tensor, cells: int) -> torch.Tensor:
    """Share of each cell, P x cells, that lies between two places P x 2."""
    start = torch.arange(cells, device=ends.device)
    return (torch.minimum(start + 1, ends[:, 1:]) - torch.maximum(start, ends[:, :1])).clamp(0, 1)


def _local_bce(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean BCE P x K, in which the neighbourhood of the object counts most."""
    weights = _neighbourhood(targets)[:, None]
    bce = F.binary_cross_entropy_with_logits(logits, targets[:, None].expand_as(logits), reduction="none")
    return (bce * weights).sum((2, 3)) / weights.sum((2, 3))


def _neighbourhood(targets: torch.Tensor) -> torch.Tensor:
    """Weight 1 in twice the object's box, little elsewhere; P x h x w."""
    rows, columns = (targets > 0).any(2), (targets > 0).any(1)
    return _OUTSIDE_WEIGHT + (1 - _OUTSIDE_WEIGHT) * (_widened(rows)[:, :, None] * _widened(columns)[:, None])


def _widened(occupied: torch.Tensor) -> torch.Tensor:
    """Widen the occupied interval of each row of P x n by half of its length, on both sides."""
    places = torch.arange(occupied.shape[1], device=occupied.device)
    first = occupied.float().argmax(1)
    last = occupied.shape[1] - 1 - occupied.flip(1).float().argmax(1)
    margin = (last - first + 1).float() * 0.5 + 1
    return ((places >= (first - margin)[:, None]) & (places <= (last + margin)[:, None])).float()
