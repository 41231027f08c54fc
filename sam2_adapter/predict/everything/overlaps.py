"""Of masks that overlap the best ones are kept: one greedy rule, and the measures that it goes by."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from sam2_adapter.annotations.rle import Rle, rle_overlaps

Floats = npt.NDArray[np.floating]
Indices = npt.NDArray[np.int64]

# How much one mask overlaps others, 0..1.
Measure = Callable[[int, Indices], Floats]


def keep_best(scores: Sequence[float], measure: Measure, threshold: float) -> list[int]:
    """Non-maximum suppression: masks that overlap no better one by more than a threshold.

    Args:
        scores: of N masks; of equal ones the first is the better.
        measure: told a mask and some others, how much it overlaps each of them.
        threshold: 0..1; 1 keeps all.

    Returns:
        Positions of the kept masks, best first.
    """
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    if threshold >= 1:
        return [int(index) for index in order]
    kept = np.empty(len(order), np.int64)
    count = 0
    for index in order.tolist():
        if not (measure(index, kept[:count]) > threshold).any():
            kept[count] = index
            count += 1
    return [int(index) for index in kept[:count]]


def box_ious(boxes_xyxy: Sequence[tuple[int, int, int, int]]) -> Measure:
    """IoU of boxes that are given by their first and last pixel, computed as between the centres of these, as Meta's generator does."""
    boxes = np.array(boxes_xyxy, np.float64).reshape(-1, 4)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])

    def measure(index: int, others: Indices) -> Floats:
        low = np.maximum(boxes[index, :2], boxes[others, :2])
        high = np.minimum(boxes[index, 2:], boxes[others, 2:])
        shared = np.clip(high - low, 0, None).prod(axis=1)
        unions = areas[index] + areas[others] - shared
        ious: Floats = np.divide(shared, unions, out=np.zeros_like(unions), where=unions > 0)
        return ious

    return measure


def mask_ious(rles: Sequence[Rle]) -> Measure:
    """IoU of masks."""
    return _near_only(rles, lambda index, others: rle_overlaps([rles[index]], others, of="union")[0])


def mask_containments(rles: Sequence[Rle]) -> Measure:
    """Share of the smaller of two masks that lies in the other."""

    def contained(index: int, others: list[Rle]) -> Floats:
        inside_others = rle_overlaps([rles[index]], others, of="first")[0]
        holding_others = rle_overlaps(others, [rles[index]], of="first")[:, 0]
        shares: Floats = np.maximum(inside_others, holding_others)
        return shares

    return _near_only(rles, contained)


def _near_only(rles: Sequence[Rle], overlaps: Callable[[int, list[Rle]], Floats]) -> Measure:
    """Compare only masks whose boxes touch: the others do not overlap."""
    boxes = np.array([rle.box_xyxy or (0, 0, 0, 0) for rle in rles], np.int64).reshape(-1, 4)

    def measure(index: int, others: Indices) -> Floats:
        low = np.maximum(boxes[index, :2], boxes[others, :2])
        high = np.minimum(boxes[index, 2:], boxes[others, 2:])
        near = np.flatnonzero((high > low).all(axis=1))
        found = np.zeros(len(others))
        if len(near):
            found[near] = overlaps(index, [rles[other] for other in others[near].tolist()])
        return found

    return measure
