"""Figures that say how good masks and scores are. Pure functions; masks are bool H x W of one frame."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations.masks import distances_to, mask_to_box_xyxy
from sam2_adapter.annotations.prompts import BoolArray

FloatValues = npt.NDArray[np.float64]

# Outlines agree where they are closer than this share of the diagonal of the object's box. DAVIS takes 0.8 % of the image's diagonal,
# which is 8 px of its 480p frames; on an image of a hundred cells that would be wider than a cell.
BOUNDARY_TOLERANCE = 0.02

# Bins of the calibration error, as in Guo et al., https://arxiv.org/abs/1706.04599, with the usual ten bins for small samples.
CALIBRATION_BINS = 10


def mask_dice(first: BoolArray, second: BoolArray) -> float:
    """Dice coefficient 2 |A and B| / (|A| + |B|), in [0, 1]; two empty masks agree (1.0)."""
    total = np.count_nonzero(first) + np.count_nonzero(second)
    return 2 * np.count_nonzero(first & second) / total if total else 1.0


def boundary_f(predicted: BoolArray, truth: BoolArray, tolerance_px: float | None = None) -> float:
    """Agreement of two outlines: the F measure of Perazzi et al. (DAVIS, CVPR 2016), harmonic mean of precision and recall.

    A pixel of one outline is matched when a pixel of the other one lies within the tolerance. Where a mask ends at the border of the image
    it has no outline.

    Args:
        predicted: bool H x W.
        truth: bool H x W.
        tolerance_px: in pixels; by default `boundary_tolerance` of the true mask.

    Returns:
        In [0, 1]; 1 when neither mask has an outline, 0 when only one of them has.
    """
    box = mask_to_box_xyxy(predicted | truth)
    if box is None:
        return 1.0
    tolerance = boundary_tolerance(truth) if tolerance_px is None else tolerance_px
    window = _widened(box, truth.shape)
    predicted_outline, true_outline = _outline(predicted[window]), _outline(truth[window])
    if not predicted_outline.any() or not true_outline.any():
        return float(predicted_outline.any() == true_outline.any())
    precision = (distances_to(true_outline)[predicted_outline] <= tolerance).mean()
    recall = (distances_to(predicted_outline)[true_outline] <= tolerance).mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def boundary_tolerance(truth: BoolArray) -> float:
    """How far apart outlines may be, in pixels: a share of the diagonal of the object's box, at least one pixel."""
    box = mask_to_box_xyxy(truth)
    return 1.0 if box is None else max(1.0, BOUNDARY_TOLERANCE * math.hypot(box[2] - box[0], box[3] - box[1]))


def inscribed_ellipse(original_hw: tuple[int, int], box_xyxy: tuple[float, float, float, float]) -> BoolArray:
    """The pixels whose centres lie in the ellipse that touches the four sides of a box: the better of the two trivial answers to a box."""
    x0, y0, x1, y1 = box_xyxy
    height, width = original_hw
    x = (np.arange(width) + 0.5 - (x0 + x1) / 2) / ((x1 - x0) / 2)
    y = (np.arange(height) + 0.5 - (y0 + y1) / 2) / ((y1 - y0) / 2)
    ellipse: BoolArray = y[:, None] ** 2 + x[None, :] ** 2 <= 1
    return ellipse


def mean(values: Sequence[float]) -> float | None:
    """Arithmetic mean; `None` of nothing."""
    return float(np.mean(values)) if len(values) else None


def share_above(values: Sequence[float], threshold: float) -> float | None:
    """Share of the values that are at least `threshold`; `None` of nothing."""
    return float(np.mean(np.asarray(values) >= threshold)) if len(values) else None


def clicks_to_reach(iou_by_click: Sequence[float], target: float, max_clicks: int) -> int:
    """Number of clicks (NoC) until the IoU is at least `target`; `max_clicks` when it never is (Xu et al., https://arxiv.org/abs/1603.04042).

    Args:
        iou_by_click: IoU after the first, second, ... click.
        target: in [0, 1].
        max_clicks: clicks after which one gives up.
    """
    reached = (number for number, iou in enumerate(iou_by_click[:max_clicks], start=1) if iou >= target)
    return next(reached, max_clicks)


def expected_calibration_error(iou_scores: Sequence[float], mask_ious: Sequence[float]) -> float | None:
    """Mean distance between estimated and measured IoU over bins of the estimate, weighted by their sizes (Guo et al., 2017).

    Args:
        iou_scores: estimates; clamped to [0, 1].
        mask_ious: measured, in [0, 1], as many.
    """
    if not len(iou_scores):
        return None
    scores, ious = np.clip(np.asarray(iou_scores, np.float64), 0, 1), np.asarray(mask_ious, np.float64)
    bins = np.minimum((scores * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=scores - ious, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(scores))


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Rank correlation in [-1, 1], ties sharing their mean rank; `None` where it is not defined: fewer than two values or all alike."""
    if len(first) < 2:
        return None
    first_ranks, second_ranks = _centred_ranks(first), _centred_ranks(second)
    scale = math.sqrt(float((first_ranks**2).sum() * (second_ranks**2).sum()))
    return float((first_ranks * second_ranks).sum() / scale) if scale else None


def _centred_ranks(values: Sequence[float]) -> FloatValues:
    _, inverse, counts = np.unique(np.asarray(values, np.float64), return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts + 1) / 2
    ranks: FloatValues = mean_ranks[inverse] - mean_ranks[inverse].mean()
    return ranks


def _widened(box: tuple[int, int, int, int], shape: tuple[int, ...]) -> tuple[slice, slice]:
    x0, y0, x1, y1 = box
    return slice(max(0, y0 - 1), min(shape[0], y1 + 1)), slice(max(0, x0 - 1), min(shape[1], x1 + 1))


def _outline(mask: BoolArray) -> BoolArray:
    """Pixels that differ from their right, lower or lower right neighbour (`seg2bmap` of the DAVIS evaluation)."""
    outline = np.zeros_like(mask)
    outline[:, :-1] |= mask[:, :-1] ^ mask[:, 1:]
    outline[:-1] |= mask[:-1] ^ mask[1:]
    outline[:-1, :-1] |= mask[:-1, :-1] ^ mask[1:, 1:]
    return outline
