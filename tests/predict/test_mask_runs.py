"""Run lengths of what the decoder found are those of its masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sam2_adapter.annotations.rle import mask_to_rle
from sam2_adapter.models.network.preprocess import Geometry
from sam2_adapter.predict.mask_runs import to_prediction, to_rle
from tests.conftest import disk_photo
from tests.small_model import small_predictor


@pytest.mark.parametrize("resize", ["stretch", "pad"])
@pytest.mark.parametrize("original_hw", [(97, 143), (20, 300), (300, 20), (11, 9)])
def test_run_lengths_are_those_of_the_pixels(original_hw, resize):
    logits = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    scores = torch.rand(2, 3, generator=torch.Generator().manual_seed(2))
    geometry = Geometry(original_hw, 64, resize)
    prediction = to_prediction(logits, scores, geometry)
    assert prediction.masks.any()
    for row in range(2):
        for mask in range(3):
            found = to_rle(logits[row, mask], float(scores[row, mask]), geometry)
            assert found.rle == mask_to_rle(prediction.masks[row, mask])
            assert np.array_equal(found.low_res_logits, prediction.low_res_logits[row, mask])
            assert found.iou_score == prediction.iou_scores[row, mask]


@pytest.mark.parametrize("multimask_output", [None, True, False])
def test_the_predictor_gives_the_same_masks_both_ways(multimask_output):
    predictor = small_predictor()
    embedding = predictor.embed(np.asarray(disk_photo()))
    for prompt in ({"points": [[80, 60]]}, {"box": [40, 20, 120, 100]}):
        pixels = predictor.predict(embedding, [prompt], multimask_output)
        runs = predictor.predict_rles(embedding, prompt, multimask_output)
        assert [found.rle for found in runs] == [mask_to_rle(mask) for mask in pixels.masks[0]]
        assert [found.iou_score for found in runs] == pixels.iou_scores[0].tolist()
