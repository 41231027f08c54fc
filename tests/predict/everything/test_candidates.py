"""The decoder's candidates that score well and are stable, by what a plain computation over whole masks gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sam2_adapter.annotations.masks import mask_to_box_xyxy
from sam2_adapter.annotations.rle import rle_to_mask
from sam2_adapter.config_everything import EverythingSettings
from sam2_adapter.models.network.mask_decoder import DecodedMasks
from sam2_adapter.models.network.preprocess import Geometry
from sam2_adapter.predict.everything.candidates import full_size_candidates, low_res_candidates, visible_hw
from sam2_adapter.predict.everything.full_size import FullSize
from sam2_adapter.predict.everything.thresholds import Thresholds

GEOMETRY = Geometry((50, 90), 64)
POINTS = np.array([[10, 20], [70, 40]], np.float32)


def blob(row: float, column: float, radius: float, steepness: float) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    return (radius - ((rows - row) ** 2 + (columns - column) ** 2).sqrt()) * steepness


@pytest.fixture
def decoded() -> DecodedMasks:
    """Two points with four masks each, of which the first is not looked at; steep ones are stable."""
    masks = [
        [blob(8, 8, 9, 9), blob(5, 4, 3, 8), blob(5, 4, 4, 0.5), blob(6, 6, 3, 8)],
        [blob(8, 8, 9, 9), blob(10, 12, 2.5, 8), torch.full((16, 16), -4.0), blob(11, 11, 3, 2)],
    ]
    scores = torch.tensor([[0.99, 0.9, 0.9, 0.4], [0.99, 0.8, 0.95, 0.7]])
    return DecodedMasks(torch.stack([torch.stack(row) for row in masks]), scores, torch.zeros(2, 1))


def thresholds(iou: float, stability: float) -> Thresholds:
    return Thresholds.of(EverythingSettings(pred_iou_thresh=iou, stability_score_thresh=stability))


def test_at_full_size_stability_and_box_are_those_of_the_whole_mask(decoded: DecodedMasks) -> None:
    found = full_size_candidates(decoded, POINTS, FullSize(GEOMETRY, (16, 16)), thresholds(0.5, 0.0))
    assert [round(candidate.iou_score, 2) for candidate in found] == [0.9, 0.9, 0.8, 0.7]
    assert [candidate.point_xy for candidate in found] == [(10, 20), (10, 20), (70, 40), (70, 40)]
    assert [candidate.choice for candidate in found] == [0, 1, 1, 2]  # among the three of a point, ties in their order
    for candidate, (row, mask) in zip(found, [(0, 1), (0, 2), (1, 1), (1, 3)], strict=True):
        logits = torch.nn.functional.interpolate(
            decoded.low_res_logits[row, mask][None, None], (50, 90), mode="bilinear"
        )
        stability = (logits > 1).sum() / (logits > -1).sum()
        assert candidate.stability_score == pytest.approx(float(stability), abs=1e-6)
        box = mask_to_box_xyxy((logits > 0)[0, 0].numpy())
        assert box is not None
        assert candidate.box_xyxy == (box[0], box[1], box[2] - 1, box[3] - 1)


def test_unstable_masks_are_dropped_in_both_ways(decoded: DecodedMasks) -> None:
    limits = thresholds(0.5, 0.7)
    exact = full_size_candidates(decoded, POINTS, FullSize(GEOMETRY, (16, 16)), limits)
    fast = low_res_candidates(decoded, POINTS, GEOMETRY, limits)
    assert [round(candidate.iou_score, 2) for candidate in exact] == [0.9, 0.8]
    assert [round(candidate.iou_score, 2) for candidate in fast] == [0.9, 0.8]
    assert rle_to_mask(fast[0].low_res_rle).sum() == int((decoded.low_res_logits[0, 1] > 0).sum())


def test_empty_masks_are_dropped_whatever_the_thresholds(decoded: DecodedMasks) -> None:
    assert len(low_res_candidates(decoded, POINTS, GEOMETRY, thresholds(0.0, 0.0))) == 5
    assert len(full_size_candidates(decoded, POINTS, FullSize(GEOMETRY, (16, 16)), thresholds(0.0, 0.0))) == 5


def test_padding_does_not_count(decoded: DecodedMasks) -> None:
    padded = Geometry((32, 64), 64, "pad")
    assert visible_hw(padded, (16, 16)) == (8, 16)
    found = low_res_candidates(decoded, POINTS, padded, thresholds(0.75, 0.5))
    # The mask of the second point lies below the picture.
    assert [candidate.point_xy for candidate in found] == [(10, 20)]
