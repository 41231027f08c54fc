"""How sure a model is of an image."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_adapter.predict.everything.certainty import POINTS_PER_SIDE, certainty
from tests.conftest import disk_photo
from tests.small_model import small_predictor


@pytest.fixture(scope="module")
def predictor():
    return small_predictor()


def test_it_is_the_mean_of_the_best_masks_at_the_points_of_a_grid(predictor):
    image = np.asarray(disk_photo())
    embedding = predictor.embed(image)
    height, width = image.shape[:2]
    best = []
    for row in range(POINTS_PER_SIDE):
        for column in range(POINTS_PER_SIDE):
            point = np.array(
                [[(column + 0.5) / POINTS_PER_SIDE * width, (row + 0.5) / POINTS_PER_SIDE * height]], np.float32
            )
            ((_, decoded),) = predictor.decode_clicks(embedding, point)
            best.append(float(decoded.iou_scores.max()))
    assert certainty(predictor, embedding) == pytest.approx(np.mean(best), abs=1e-4)


def test_it_is_given_up_when_somebody_waits(predictor):
    assert certainty(predictor, predictor.embed(np.asarray(disk_photo())), lambda: False) is None
