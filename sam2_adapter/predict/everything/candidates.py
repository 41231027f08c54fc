"""From points to masks that are worth a closer look: the decoder's candidates that score well and are stable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from sam2_adapter.annotations.masks import mask_to_box_xyxy
from sam2_adapter.annotations.prompts import FloatArray
from sam2_adapter.annotations.rle import Rle, mask_to_rle
from sam2_adapter.models.network.mask_decoder import DecodedMasks
from sam2_adapter.models.network.preprocess import Geometry
from sam2_adapter.models.network.selection import stability_scores
from sam2_adapter.predict.everything.full_size import CutLogits, FullSize
from sam2_adapter.predict.everything.thresholds import Thresholds
from sam2_adapter.predict.everything.views import Box


@dataclass(frozen=True, eq=False)
class Candidate:
    """One mask of one point, in a view.

    Attributes:
        iou_score: predicted IoU.
        stability_score: IoU of the mask at two thresholds.
        point_xy: the point, (x, y) pixels of the view.
        cut: its logits, float16.
        low_res_hw: (h, w) of all low-res logits.
        choice: position of the mask among the three of its point, best-scored first.
        box_xyxy: first and last pixel, (x0, y0, x1, y1) of the view; `None` where it was not computed.
    """

    iou_score: float
    stability_score: float
    point_xy: tuple[float, float]
    cut: CutLogits
    low_res_hw: tuple[int, int]
    choice: int = 0
    box_xyxy: Box | None = None

    @cached_property
    def low_res_rle(self) -> Rle:
        """The mask in low-res cells."""
        mask = np.zeros(self.low_res_hw, np.bool_)
        height, width = self.cut.logits.shape
        mask[self.cut.row : self.cut.row + height, self.cut.column : self.cut.column + width] = self.cut.logits > 0
        return mask_to_rle(mask)


def low_res_candidates(
    decoded: DecodedMasks, points: FloatArray, geometry: Geometry, thresholds: Thresholds
) -> list[Candidate]:
    """The candidates of P points that score well and are stable as low-res logits; nothing is upsampled.

    Args:
        decoded: all outputs.
        points: float32 P x 2 (x, y) pixels of the view.
        geometry: of the view.
        thresholds: see `Thresholds`.
    """
    height, width = visible_hw(geometry, (decoded.low_res_logits.shape[-2], decoded.low_res_logits.shape[-1]))
    rows, choices, scores, logits = _well_scored(decoded, thresholds.iou)
    visible = logits[:, :height, :width]
    stability = stability_scores(visible, thresholds.offset)
    is_stable = (stability >= thresholds.stability) & (visible > 0).flatten(1).any(dim=1)
    kept = is_stable.cpu()
    found = zip(rows[kept], choices[kept], scores[is_stable], stability[is_stable], logits[is_stable], strict=True)
    return [_small(candidate) for candidate in _candidates(found, points, 0.0)]


def full_size_candidates(
    decoded: DecodedMasks, points: FloatArray, full_size: FullSize, thresholds: Thresholds
) -> list[Candidate]:
    """The candidates of P points that score well and are stable at full size, as in Meta's generator, with their boxes.

    Args:
        decoded: all outputs.
        points: float32 P x 2 (x, y) pixels of the view.
        full_size: upsamples logits of the view.
        thresholds: see `Thresholds`.
    """
    rows, choices, scores, logits = _well_scored(decoded, thresholds.iou)
    unstable = torch.zeros_like(scores)
    measured = []
    for candidate in _candidates(zip(rows, choices, scores, unstable, logits, strict=True), points, -thresholds.offset):
        pixels, (x0, y0) = full_size(candidate.cut)
        larger = np.count_nonzero(pixels > -thresholds.offset)
        stability = np.count_nonzero(pixels > thresholds.offset) / larger if larger else 0.0
        box = mask_to_box_xyxy(pixels > 0)
        if stability >= thresholds.stability and box is not None:
            placed = x0 + box[0], y0 + box[1], x0 + box[2] - 1, y0 + box[3] - 1
            measured.append(replace(candidate, stability_score=float(stability), box_xyxy=placed))
    return [_small(candidate) for candidate in measured]


def visible_hw(geometry: Geometry, low_res_hw: tuple[int, int]) -> tuple[int, int]:
    """(h, w) of the low-res cells that show the image, the others show padding."""
    (height, width), (input_height, input_width) = low_res_hw, geometry.input_hw
    return -(-input_height * height // geometry.image_size), -(-input_width * width // geometry.image_size)


def _well_scored(decoded: DecodedMasks, least: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of those of P x 3 candidates whose predicted IoU is above `least`: positions of the points and ranks in them (on the CPU), scores, logits."""
    scores = decoded.iou_scores[:, 1:]
    rows, masks = torch.nonzero(scores > least, as_tuple=True)
    ranks = (-scores).argsort(dim=1, stable=True).argsort(dim=1)
    return rows.cpu(), ranks[rows, masks].cpu(), scores[rows, masks], decoded.low_res_logits[rows, masks + 1]


def _candidates(found: Iterator[tuple[torch.Tensor, ...]], points: FloatArray, threshold: float) -> Iterator[Candidate]:
    for row, choice, score, stability, logits in found:
        values = logits.float().cpu().numpy()
        cut = CutLogits.of(values, threshold)
        if cut is not None:
            x, y = points[int(row)].tolist()
            low_res_hw = values.shape[0], values.shape[1]
            yield Candidate(float(score), float(stability), (x, y), cut, low_res_hw, int(choice))


def _small(candidate: Candidate) -> Candidate:
    """Logits in half precision, which keeps signs: a picture may have thousands of candidates."""
    return replace(candidate, cut=replace(candidate.cut, logits=candidate.cut.logits.astype(np.float16)))
