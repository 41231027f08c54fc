"""What training minimises: losses on the decoder's logits, in fp32.

Every output that prediction reads is supervised: the single-mask output always, the candidate that fits best beside it,
and the scores of all four masks. Weights and formulas follow SAM2 (https://arxiv.org/abs/2408.00714, appendix D.2.2,
and `training/loss_fns.py` of its repository).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F

from sam2_adapter.config_views import LossWeights
from sam2_adapter.models.network.mask_decoder import DecodedMasks

# Focal loss, https://arxiv.org/abs/1708.02002, with the values that SAM2 uses.
_FOCAL_ALPHA = 0.25
_FOCAL_GAMMA = 2.0

# Keeps the dice loss of an empty target finite.
_DICE_SMOOTHING = 1.0


class MaskTargets(NamedTuple):
    """What P predicted masks should be, on the grid of the logits.

    Attributes:
        masks: float32 P x h x w in 0..1, the share of each cell that the object covers.
        inside: float32 P x h x w in 0..1, the share of each cell that counts; the rest is padding or an ignored region of the image.
        ignored: bool P x h x w, cells whose centre lies in an ignored region, where no click falls; `None` where there is no such
            region.
    """

    masks: torch.Tensor
    inside: torch.Tensor
    ignored: torch.Tensor | None = None

    def to(self, device: torch.device) -> MaskTargets:
        """The targets on a device."""
        ignored = None if self.ignored is None else self.ignored.to(device)
        return MaskTargets(self.masks.to(device), self.inside.to(device), ignored)


class LossTerms(NamedTuple):
    """The loss and its parts, float32 P each, one value per object; the parts are unweighted."""

    total: torch.Tensor
    pixels: torch.Tensor
    dice: torch.Tensor
    iou_score: torch.Tensor
    object_score: torch.Tensor


def training_loss(decoded: DecodedMasks, targets: MaskTargets, weights: LossWeights) -> LossTerms:
    """Compare all outputs of the decoder with what they should be.

    The single-mask output is always trained. Of the three candidates the one with the lowest mask loss is; the other two
    count with `weights.other_candidates`.

    Args:
        decoded: outputs for P prompts, on the grid of the targets.
        targets: the same P objects.
        weights: how the parts count.
    """
    with torch.autocast(decoded.low_res_logits.device.type, enabled=False):
        logits, scores = decoded.low_res_logits.float(), decoded.iou_scores.float()
        pixels = pixel_loss(logits, targets, weights)
        dice = dice_loss(logits, targets)
        by_mask = pixels + weights.dice * dice
        best = 1 + by_mask[:, 1:].detach().argmin(dim=1, keepdim=True)
        trained = torch.cat([torch.zeros_like(best), best], dim=1)
        mask = by_mask.gather(1, trained).sum(dim=1) + weights.other_candidates * _others(by_mask[:, 1:], best - 1)
        iou_score = score_loss(scores, cell_iou(logits.detach(), targets), weights.iou_score_error).mean(dim=1)
        object_score = _object_score_loss(decoded.object_score_logits.float())
        total = mask + weights.iou_score * iou_score + weights.object_score * object_score
        return LossTerms(
            total, pixels.gather(1, trained).sum(1), dice.gather(1, trained).sum(1), iou_score, object_score
        )


def pixel_loss(logits: torch.Tensor, targets: MaskTargets, weights: LossWeights) -> torch.Tensor:
    """Weighted focal loss and cross-entropy of logits P x K x h x w, averaged over the cells that count; P x K."""
    if not (weights.focal or weights.bce):
        return logits.new_zeros(logits.shape[:2])
    masks = targets.masks[:, None].expand_as(logits)
    cross_entropy = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    cells = weights.bce * cross_entropy if weights.bce else torch.zeros_like(logits)
    if weights.focal:
        cells = cells + weights.focal * _focal(logits, masks, cross_entropy)
    inside = targets.inside[:, None]
    return (cells * inside).sum((-2, -1)) / inside.sum((-2, -1))


def dice_loss(logits: torch.Tensor, targets: MaskTargets) -> torch.Tensor:
    """One minus the soft Dice coefficient of logits P x K x h x w over the cells that count; P x K."""
    inside, masks = targets.inside[:, None], targets.masks[:, None]
    probabilities = logits.sigmoid() * inside
    overlap = (probabilities * masks).sum((-2, -1))
    areas = probabilities.sum((-2, -1)) + (masks * inside).sum((-2, -1))
    return 1 - (2 * overlap + _DICE_SMOOTHING) / (areas + _DICE_SMOOTHING)


def cell_iou(logits: torch.Tensor, targets: MaskTargets) -> torch.Tensor:
    """IoU of the masks at threshold 0 of logits P x K x h x w with the targets, by covered area that counts; P x K in 0..1.

    An object much smaller than a cell keeps its true area in this measure, while a thresholded target would lose it.
    """
    inside, masks = targets.inside[:, None], targets.masks[:, None]
    predicted = (logits > 0).float()
    intersections = (torch.minimum(predicted, masks) * inside).sum((-2, -1))
    unions = (torch.maximum(predicted, masks) * inside).sum((-2, -1))
    return intersections / unions.clamp_min(torch.finfo(torch.float32).tiny)


def score_loss(scores: torch.Tensor, ious: torch.Tensor, error: Literal["l1", "mse"]) -> torch.Tensor:
    """Error of predicted IoU scores P x K, elementwise."""
    return (scores - ious).abs() if error == "l1" else (scores - ious).square()


def _others(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Mean of P x M values without the one at `index`, P x 1; P."""
    return (values.sum(dim=1) - values.gather(1, index)[:, 0]) / (values.shape[1] - 1)


def _focal(logits: torch.Tensor, masks: torch.Tensor, cross_entropy: torch.Tensor) -> torch.Tensor:
    probabilities = logits.sigmoid()
    of_truth = probabilities * masks + (1 - probabilities) * (1 - masks)
    balance = _FOCAL_ALPHA * masks + (1 - _FOCAL_ALPHA) * (1 - masks)
    return balance * cross_entropy * (1 - of_truth) ** _FOCAL_GAMMA


def _object_score_loss(object_score_logits: torch.Tensor) -> torch.Tensor:
    present = torch.ones_like(object_score_logits)
    return F.binary_cross_entropy_with_logits(object_score_logits, present, reduction="none")[:, 0]
