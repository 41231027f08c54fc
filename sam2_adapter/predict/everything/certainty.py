"""`certainty`: how sure a model is of a whole image, from what it proposes at a few points."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sam2_adapter.predict.everything.views import grid_points
from sam2_adapter.predict.predictor import ImageEmbedding, Predictor

POINTS_PER_SIDE = 8


def certainty(
    predictor: Predictor, embedding: ImageEmbedding, goes_on: Callable[[], bool] = lambda: True
) -> float | None:
    """The mean predicted IoU of the best mask at each point of a coarse grid, 0..1.

    Args:
        predictor: the model.
        embedding: the encoded image.
        goes_on: asked after every call of the decoder.

    Returns:
        The mean; `None` where it was given up.
    """
    points = grid_points(POINTS_PER_SIDE) * np.array(embedding.original_hw[::-1], np.float32)
    best: list[float] = []
    for _, decoded in predictor.decode_clicks(embedding, points):
        best += decoded.iou_scores.float().amax(dim=1).clamp(0, 1).tolist()
        if not goes_on():
            return None
    return float(np.mean(best))
