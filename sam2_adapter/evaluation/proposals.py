"""How good the objects are that were found without prompts: pure functions on masks and on what each object was matched with.

Average recall over IoU 0.5 to 0.95 among the best 10, 100 and 1000 objects of an image (as in COCO and LVIS), and for pictures of which all
objects are known, the mean over the same thresholds of TP / (TP + FP + FN), as for cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sam2_adapter.evaluation.metrics import mean

# How many of the best objects of an image are held against the truth.
COUNTS = (10, 100, 1000)

_THRESHOLDS = np.arange(50, 100, 5) / 100

# Pixels from which objects are medium and large, as in COCO.
_SIZES = {"small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 2**62)}

_EQUAL = 1e-9


@dataclass(frozen=True)
class Match:
    """What was found of one true object.

    Attributes:
        sample: its image.
        area_px: pixels of the object.
        ious: IoU of what it was matched with among the best `COUNTS`; 0 where nothing is left for it.
        num_found: all objects that were found in the image.
    """

    sample: str
    area_px: int
    ious: tuple[float, ...]
    num_found: int

    def recall(self, count: int) -> float:
        """Share of the thresholds that the IoU among the best `count` reaches."""
        return float((self.ious[COUNTS.index(count)] >= _THRESHOLDS - _EQUAL).mean())


def assign(ious: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Give every true object at most one found one, each at most once, the pairs with the largest IoU first.

    Args:
        ious: T x F, of true and found objects.

    Returns:
        int64 T, the found object, or -1.
    """
    partner = np.full(ious.shape[0], -1, np.int64)
    is_taken = np.zeros(ious.shape[1], np.bool_)
    rows, columns = np.nonzero(ious > 0)
    order = np.argsort(-ious[rows, columns], kind="stable")
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if partner[row] < 0 and not is_taken[column]:
            partner[row] = column
            is_taken[column] = True
    return partner


def matched_ious(ious: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The IoU of every true object with its partner, T; `ious` as in `assign`."""
    partner = assign(ious)
    found: npt.NDArray[np.float64] = np.zeros(len(partner))
    has_one = partner >= 0
    found[has_one] = ious[np.flatnonzero(has_one), partner[has_one]]
    return found


def ious_by_count(ious: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """`matched_ious` with the best `COUNTS` found objects, T x 3; the columns of `ious` are the found ones, best first."""
    return np.stack([matched_ious(ious[:, :count]) for count in COUNTS], axis=1)


def recall_figures(matches: Sequence[Match]) -> dict[str, float | None]:
    """Average recall `ar_10`, `ar_100` and `ar_1000`, the last also by size; `None` where there is no such object."""
    figures = {f"ar_{count}": mean([match.recall(count) for match in matches]) for count in COUNTS}
    for size, (least, below) in _SIZES.items():
        of_size = [match.recall(COUNTS[-1]) for match in matches if least <= match.area_px < below]
        figures[f"ar_{COUNTS[-1]}_{size}"] = mean(of_size)
    return figures


def precision_figures(matches: Sequence[Match]) -> dict[str, float | int | None]:
    """`precision` over all found objects at IoU 0.5; `msa`, `sa_50` and `sa_75` as means over images; `num_found`.

    They say something only where all objects of the images are known.
    """
    images: dict[str, list[Match]] = {}
    for match in matches:
        images.setdefault(match.sample, []).append(match)
    num_found = sum(rows[0].num_found for rows in images.values())
    accuracies = np.array([_accuracies(rows) for rows in images.values()]).reshape(-1, len(_THRESHOLDS))
    hits = sum(is_hit(match) for match in matches)
    by_threshold = dict(zip((_THRESHOLDS * 100).round().astype(int).tolist(), accuracies.T, strict=True))
    return {
        "num_found": num_found,
        "precision": hits / num_found if num_found else None,
        "msa": mean(accuracies.mean(axis=1).tolist()),
        "sa_50": mean(by_threshold[50].tolist()),
        "sa_75": mean(by_threshold[75].tolist()),
    }


def is_hit(match: Match) -> bool:
    """Whether the object was found, with an IoU of 0.5 or more."""
    return bool(match.ious[-1] >= _THRESHOLDS[0] - _EQUAL)


def _accuracies(rows: Sequence[Match]) -> list[float]:
    """TP / (TP + FP + FN) of one image at every threshold."""
    ious = np.array([row.ious[-1] for row in rows])
    hits = [int((ious >= threshold - _EQUAL).sum()) for threshold in _THRESHOLDS]
    return [hit / (rows[0].num_found + len(rows) - hit) for hit in hits]
