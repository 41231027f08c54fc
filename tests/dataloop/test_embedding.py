"""An image to one vector: its length, its norm and what it is the mean of."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sam2_adapter.dataloop.embedding import pooled_vector
from tests.small_model import small_predictor


@pytest.mark.parametrize("size", [1, 16, 32, 100, 1000])
def test_the_vector_of_an_image_has_the_wanted_length_and_norm_one(size):
    image = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    vector = pooled_vector(small_predictor().embed([image])[0], size)
    assert len(vector) == size
    assert all(type(value) is float for value in vector)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_the_vector_of_the_models_own_width_is_the_mean_over_space():
    (embedding,) = small_predictor().embed([np.full((64, 64, 3), 90, np.uint8)])
    mean = embedding.encoded.image_embedding.mean(dim=(0, 2, 3))
    assert pooled_vector(embedding, len(mean)) == pytest.approx((mean / torch.linalg.norm(mean)).tolist(), abs=1e-5)
