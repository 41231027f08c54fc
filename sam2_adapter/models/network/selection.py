"""Which of the decoder's masks answers a prompt, and that it obeys the clicks.

One rule for prediction, for the correction rounds of training and for evaluation: what is trained and measured is what a user gets. Of candidates
with equal scores the first one is taken.
"""

from __future__ import annotations

import torch

from sam2_adapter.models.network.mask_decoder import DecodedMasks
from sam2_adapter.models.network.obeyed_clicks import Clicks, obeying, values_of

# The single mask is stable where as large a part of it as the second stays when the threshold moves by the first (`configs/` of the sam2 package).
STABILITY_DELTA = 0.05
STABILITY_THRESHOLD = 0.98


def select_answer(
    decoded: DecodedMasks, is_ambiguous: bool, clicks: Clicks | None = None, *, refines: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose one mask for each of P prompts that are ambiguous, or that are not.

    Args:
        decoded: all outputs.
        is_ambiguous: the prompts are single clicks or the whole image: they are answered by the best-scored candidate, clicks by the best-scored
            one of those that contain them. Others are answered by the single-mask output, see `select_masks`.
        clicks: of the prompts; `None` where they have none. Single clicks choose among the candidates, those that refine are obeyed.
        refines: the prompts have the logits of an earlier answer or a mask.

    Returns:
        low-res logits P x 1 x h x w and IoU scores P x 1.
    """
    if not is_ambiguous:
        logits, scores = select_masks(decoded, multimask_output=False)
        return obeying(logits[:, 0], clicks)[:, None] if refines and clicks is not None else logits, scores
    candidates, scores = decoded.low_res_logits[:, 1:], decoded.iou_scores[:, 1:]
    return take_masks(candidates, scores, _ranked(candidates, scores, clicks).argmax(dim=1))


def select_masks(decoded: DecodedMasks, multimask_output: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose among the decoder's masks as SAM2 does.

    Args:
        decoded: all outputs of P prompts.
        multimask_output: `True` for the three candidates; `False` for the single-mask output, or for the best-scored candidate where the
            single mask is not stable.

    Returns:
        low-res logits P x M x h x w and IoU scores P x M, M = 3 or 1.
    """
    candidates, candidate_scores = decoded.low_res_logits[:, 1:], decoded.iou_scores[:, 1:]
    if multimask_output:
        return candidates, candidate_scores
    single, single_score = decoded.low_res_logits[:, :1], decoded.iou_scores[:, :1]
    best, best_score = take_masks(candidates, candidate_scores, candidate_scores.argmax(dim=1))
    stable = stability_scores(single, STABILITY_DELTA) >= STABILITY_THRESHOLD
    return torch.where(stable[..., None, None], single, best), torch.where(stable, single_score, best_score)


def take_masks(
    low_res_logits: torch.Tensor, iou_scores: torch.Tensor, index: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Take mask `index` (int64 P) of each prompt from P x M x h x w logits and P x M scores; the result has M = 1."""
    rows = torch.arange(len(index), device=index.device)
    return low_res_logits[rows, index][:, None], iou_scores[rows, index][:, None]


def stability_scores(logits: torch.Tensor, delta: float) -> torch.Tensor:
    """IoU between the masks at thresholds +delta and -delta of logits ... x h x w; 1 where both are empty (SAM2, appendix)."""
    flat = logits.flatten(-2)
    intersections = (flat > delta).sum(-1).float()
    unions = (flat > -delta).sum(-1).float()
    return torch.where(unions > 0, intersections / unions, torch.ones_like(unions))


def _ranked(candidates: torch.Tensor, scores: torch.Tensor, clicks: Clicks | None) -> torch.Tensor:
    """Scores P x M; minus infinity for candidates that miss the click where another one contains it."""
    if clicks is None:
        return scores
    repeated = clicks.beside(candidates).repeated(candidates.shape[1])
    contains = values_of(candidates.flatten(0, 1), repeated).view(scores.shape) > 0
    return scores.masked_fill(~contains & contains.any(dim=1, keepdim=True), -torch.inf)
