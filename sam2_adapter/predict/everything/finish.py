"""What is done with the masks of all views together, at full size: each object once, small regions removed, the best ones first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sam2_adapter.annotations.rle import Rle, placed_mask_to_rle, rle_to_mask_in_box
from sam2_adapter.annotations.separate_parts import without_small_regions
from sam2_adapter.config_everything import EverythingSettings
from sam2_adapter.predict.everything.overlaps import box_ious, keep_best, mask_containments, mask_ious
from sam2_adapter.predict.everything.thresholds import NMS_THRESH, Thresholds

# Share of a mask inside another one from which it counts as contained.
_CONTAINED = 0.8


@dataclass(frozen=True, eq=False)
class Found:
    """An object.

    Attributes:
        rle: its mask in the size of the image.
        iou_score: predicted IoU.
        stability_score: IoU of the mask at two thresholds.
        point_xy: the point that found it, (x, y) pixels of the image.
        view_area: pixels of the view that it was seen in.
        choice: position of the mask among the three that the point may mean there, best-scored first.
    """

    rle: Rle
    iou_score: float
    stability_score: float
    point_xy: tuple[float, float]
    view_area: int
    choice: int = 0


@dataclass(frozen=True)
class Finished:
    """The objects of an image.

    Attributes:
        objects: best first.
        num_dropped: objects beyond `max_objects`.
    """

    objects: tuple[Found, ...]
    num_dropped: int = 0


def finish(found: Sequence[Found], settings: EverythingSettings, thresholds: Thresholds) -> Finished:
    """Choose and clean up the masks that the views gave, each of which holds every object once already."""
    objects = _across_views(list(found), settings, thresholds)
    if settings.min_mask_region_area:
        objects = _without_small_regions(objects, settings, thresholds)
    scores = [entry.iou_score for entry in objects]
    if thresholds.box_nms < 1 and settings.everything_mode == "fast":
        objects = _kept(objects, keep_best(scores, box_ious(_boxes(objects)), thresholds.box_nms))
    if thresholds.mask_nms < 1 and settings.everything_mode == "exact":
        objects = _kept(objects, keep_best(scores, mask_ious(_rles(objects)), thresholds.mask_nms))
    if settings.drop_contained:
        scores = [entry.iou_score for entry in objects]
        objects = _kept(objects, keep_best(scores, mask_containments(_rles(objects)), _CONTAINED))
    ranked = sorted(objects, key=lambda entry: -entry.iou_score)
    best = ranked[: settings.max_objects]
    return Finished(tuple(_apart(best) if settings.overlaps == "highest_score" else best), len(ranked) - len(best))


def _across_views(found: list[Found], settings: EverythingSettings, thresholds: Thresholds) -> list[Found]:
    """Each object once, as the smallest view shows it, which sees it largest."""
    if len(found) < 2:
        return found
    ranked = sorted(found, key=lambda entry: (entry.view_area, -entry.iou_score))
    scores = [1 / entry.view_area for entry in ranked]
    if settings.everything_mode == "exact":
        if len({entry.view_area for entry in ranked}) == 1:
            return ranked
        return _kept(ranked, keep_best(scores, box_ious(_boxes(ranked)), NMS_THRESH))
    return _kept(ranked, keep_best(scores, mask_ious(_rles(ranked)), thresholds.mask_nms))


def _without_small_regions(objects: list[Found], settings: EverythingSettings, thresholds: Thresholds) -> list[Found]:
    """Fill small holes and remove small parts, then keep each object once: of two that are alike now, the one that was so before."""
    cleaned, scores = [], []
    for entry in objects:
        rle = _cleaned(entry.rle, settings.min_mask_region_area)
        cleaned.append(entry if rle is None else replace(entry, rle=rle))
        scores.append(float(rle is None))
    if settings.everything_mode == "exact":
        return _kept(cleaned, keep_best(scores, box_ious(_boxes(cleaned)), max(thresholds.box_nms, NMS_THRESH)))
    return _kept(cleaned, keep_best(scores, mask_ious(_rles(cleaned)), thresholds.mask_nms))


def _cleaned(rle: Rle, least_area: int) -> Rle | None:
    """The mask without small regions; `None` where it has none."""
    box = rle.box_xyxy
    assert box is not None  # objects are never empty
    mask = rle_to_mask_in_box(rle)
    cleaned = without_small_regions(mask, least_area, (box[0], box[1]), rle.original_hw)
    return None if np.array_equal(cleaned, mask) else placed_mask_to_rle(cleaned, (box[0], box[1]), rle.original_hw)


def _apart(ranked: Sequence[Found]) -> list[Found]:
    """Masks without overlaps: a pixel belongs to the first object that holds it; objects that keep none are gone."""
    if not ranked:
        return []
    taken = np.zeros(ranked[0].rle.original_hw, np.bool_)
    apart = []
    for entry in ranked:
        box = entry.rle.box_xyxy
        assert box is not None  # objects are never empty
        x0, y0, x1, y1 = box
        mask = rle_to_mask_in_box(entry.rle)
        own = mask & ~taken[y0:y1, x0:x1]
        taken[y0:y1, x0:x1] |= mask
        if own.any():
            apart.append(replace(entry, rle=placed_mask_to_rle(own, (x0, y0), entry.rle.original_hw)))
    return apart


def _kept(objects: Sequence[Found], positions: Sequence[int]) -> list[Found]:
    return [objects[position] for position in positions]


def _rles(objects: Sequence[Found]) -> list[Rle]:
    return [entry.rle for entry in objects]


def _boxes(objects: Sequence[Found]) -> list[tuple[int, int, int, int]]:
    """First and last pixels."""
    boxes = [entry.rle.box_xyxy or (0, 0, 1, 1) for entry in objects]
    return [(x0, y0, x1 - 1, y1 - 1) for x0, y0, x1, y1 in boxes]
