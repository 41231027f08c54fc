"""Thresholds of everything-mode for a tuned model, chosen on some of its validation images after training.

Scores of a tuned model lie elsewhere than those of the model that it was tuned from, and so do the thresholds that suit it. Only the decoder
works, on images that are encoded already: a coarse grid of points is decoded once per image, and what every pair of thresholds would keep
is held against the true objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sam2_adapter.annotations.rle import Rle, mask_to_rle, placed_mask_to_rle, rle_overlaps, rle_to_mask
from sam2_adapter.evaluation.proposals import Match, is_hit, matched_ious, precision_figures
from sam2_adapter.formats.sample import Sample
from sam2_adapter.predict.everything.candidates import Candidate, low_res_candidates
from sam2_adapter.predict.everything.full_size import FullSize
from sam2_adapter.predict.everything.overlaps import Measure, keep_best, mask_ious
from sam2_adapter.predict.everything.thresholds import Thresholds
from sam2_adapter.predict.everything.views import View
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor
from sam2_adapter.text import plural

EVERYTHING_KEY = "everything"
"""Key of the thresholds among a model's metadata."""

# What is measured: so many images, evenly chosen, with so many points along a side of each, as many as fast mode looks at in any case.
MOST_IMAGES, POINTS_PER_SIDE = 8, 16

_IOUS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_STABILITIES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)

# Thresholds of the predicted IoU and of the stability.
Pair = tuple[float, float]


@dataclass(frozen=True)
class EverythingChoice:
    """The thresholds that were chosen, and what they find of the true objects of the images that were looked at.

    Attributes:
        pred_iou_thresh: least predicted IoU of a mask.
        stability_score_thresh: least stability.
        num_images: images that were looked at.
        num_objects: true objects in them.
        num_found: of these, found with an IoU of 0.5 or more.
        num_found_before: the same with the thresholds that the model would have without a choice.
        msa: mean of TP / (TP + FP + FN) over images and the IoUs 0.5 to 0.95.
    """

    pred_iou_thresh: float
    stability_score_thresh: float
    num_images: int
    num_objects: int
    num_found: int
    num_found_before: int
    msa: float

    @property
    def metadata(self) -> dict[str, float]:
        """What is saved in the model, by the names of the settings."""
        return {"pred_iou_thresh": self.pred_iou_thresh, "stability_score_thresh": self.stability_score_thresh}

    @property
    def sentence(self) -> str:
        """The choice in words."""
        looked_at = f"{plural(self.num_objects, 'object')} in {plural(self.num_images, 'validation image')}"
        return (
            f"predicted IoU {self.pred_iou_thresh:g}, stability {self.stability_score_thresh:g}: they find {self.num_found} of {looked_at} "
            f"(mSA {self.msa:.3f}), where the usual ones find {self.num_found_before}"
        )


@dataclass(frozen=True)
class ImageMatches:
    """What every pair of thresholds finds in one image.

    Attributes:
        position: of the image in the data.
        by_pair: one entry per true object.
    """

    position: int
    by_pair: Mapping[Pair, tuple[Match, ...]]


def choose(images: Sequence[ImageMatches], usual: Pair) -> EverythingChoice | None:
    """Of the pairs that find at least as many objects as the usual one, that with the largest mSA; of equal ones the strictest.

    Args:
        images: what was measured, with `usual` among the pairs of each.
        usual: the thresholds that the model would have without a choice.
    """
    ordered = sorted(images, key=lambda image: image.position)
    matches = {pair: [row for image in ordered for row in image.by_pair[pair]] for pair in ordered[0].by_pair}
    found = {pair: sum(is_hit(row) for row in rows) for pair, rows in matches.items()}
    msa = {pair: precision_figures(rows)["msa"] or 0.0 for pair, rows in matches.items()}
    allowed = [pair for pair in matches if found[pair] >= max(1, found[usual])]
    if not allowed:
        return None
    best = max(allowed, key=lambda pair: (msa[pair], pair))
    return EverythingChoice(
        *best, len(ordered), len(matches[best]), found[best], found[usual], round(float(msa[best]), 4)
    )


def measure_pairs(
    predictor: Predictor, sample: Sample, position: int, embedding: ImageEmbedding, usual: Thresholds
) -> ImageMatches:
    """Look at a coarse grid of points, and hold what each pair of thresholds keeps against the objects of the image.

    Args:
        predictor: the model.
        sample: the image and its objects.
        position: of the image in the data.
        embedding: the encoded image.
        usual: thresholds that are measured, too.
    """
    ious = sorted({*_IOUS, usual.iou})
    stabilities = sorted({*_STABILITIES, usual.stability})
    lowest = Thresholds(ious[0], stabilities[0], usual.offset, usual.box_nms, usual.mask_nms)
    candidates = list(_candidates(predictor, embedding, lowest))
    ious_of = mask_ious([candidate.low_res_rle for candidate in candidates])
    kept = {least: _kept(candidates, ious_of, least, usual.mask_nms) for least in stabilities}
    used = sorted({index for indices in kept.values() for index in indices})
    full_size = FullSize(embedding.geometry, predictor.low_res_hw)
    masks = [_counted(sample, candidates[index], full_size) for index in used]
    columns = {index: column for column, index in enumerate(used)}
    overlaps = rle_overlaps([entry.rle for entry in sample.objects], masks)
    by_pair = {}
    for stability, indices in kept.items():
        for iou in ious:
            # Of masks of one object the best scored one is kept, so that a higher threshold of the score only shortens the list.
            chosen = [columns[index] for index in indices if candidates[index].iou_score > iou]
            by_pair[iou, stability] = _matches(sample, overlaps[:, chosen])
    return ImageMatches(position, by_pair)


def _candidates(predictor: Predictor, embedding: ImageEmbedding, lowest: Thresholds) -> Iterator[Candidate]:
    height, width = embedding.original_hw
    points = View((0, 0, width, height), embedding.original_hw, POINTS_PER_SIDE).points
    for rows, decoded in predictor.decode_clicks(embedding, points):
        yield from low_res_candidates(decoded, points[rows.start : rows.stop], embedding.geometry, lowest)


def _kept(candidates: Sequence[Candidate], ious_of: Measure, least_stability: float, mask_nms: float) -> list[int]:
    """Positions of the candidates that fast everything-mode keeps, best first."""
    stable = [index for index, entry in enumerate(candidates) if entry.stability_score >= least_stability]
    positions, scores = np.array(stable, np.int64), [candidates[index].iou_score for index in stable]
    best = keep_best(scores, lambda index, others: ious_of(stable[index], positions[others]), mask_nms)
    return [stable[position] for position in best]


def _counted(sample: Sample, candidate: Candidate, full_size: FullSize) -> Rle:
    """The mask in the size of the image, without ignored pixels."""
    mask, offset = full_size.mask(candidate.cut)
    rle = placed_mask_to_rle(mask, offset, sample.original_hw)
    return rle if sample.ignored is None else mask_to_rle(sample.counted(rle_to_mask(rle)))


def _matches(sample: Sample, overlaps: np.ndarray) -> tuple[Match, ...]:
    num_found = overlaps.shape[1]
    return tuple(
        Match(sample.name, entry.area, (iou,), num_found)
        for entry, iou in zip(sample.objects, matched_ious(overlaps).tolist(), strict=True)
    )
